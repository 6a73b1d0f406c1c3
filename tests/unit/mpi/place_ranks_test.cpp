#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "runtime/mpi/launch_plan.hpp"
#include "tests/unit/mpi/shapes.hpp"

namespace cox::mpi {
namespace {

using testing::HasSubstr;

constexpr const char* kMaps[] = {"",       "slot", "hwthread", "core",
                                 "socket", "numa", "node",     "ppr:1:node"};
constexpr const char* kBinds[] = {"", "none", "core", "hwthread", "socket", "numa"};

/// One layout on one kind of machine.
struct Trial {
  std::string machine;
  std::vector<int> slots;
  Layout layout;
};

std::string text_of(const Trial& trial) {
  std::string slots;
  for (const int count : trial.slots) slots += fmt::format("{} ", count);
  return fmt::format("{} with slots {}map-by '{}' bind-to '{}'", trial.machine, slots,
                     trial.layout.map_by, trial.layout.bind_to);
}

std::size_t thread_count(const Topology& topology) {
  return std::accumulate(
      topology.cores.begin(), topology.cores.end(), std::size_t{0},
      [](std::size_t sum, const Core& core) { return sum + core.hardware_threads.size(); });
}

/// Ranks that each node should have.
std::vector<int> wanted_counts(const Trial& trial) {
  if (trial.layout.map_by == "ppr:1:node") return std::vector<int>(trial.slots.size(), 1);
  return trial.slots;
}

void check_ranks_and_nodes(const Trial& trial, const std::vector<RankPlace>& places) {
  std::vector<int> counts(trial.slots.size());
  for (std::size_t i = 0; i < places.size(); ++i) {
    EXPECT_EQ(places[i].rank, static_cast<int>(i));
    ASSERT_LT(static_cast<std::size_t>(places[i].node_index), counts.size());
    const int before = counts[static_cast<std::size_t>(places[i].node_index)]++;
    if (trial.layout.map_by == "node") {
      // In turn: no node gets its next rank before each other one has as many, or is full.
      for (std::size_t node = 0; node < counts.size(); ++node) {
        EXPECT_GE(counts[node], std::min(before, trial.slots[node]));
      }
    } else if (i > 0) {
      EXPECT_GE(places[i].node_index, places[i - 1].node_index) << "one node after the other";
    }
  }
  EXPECT_EQ(counts, wanted_counts(trial));
}

/// The cores of a rank are one object of the kind that it is bound to.
void check_object(const Topology& topology, std::string_view bind, const std::vector<int>& cores) {
  const auto& first = topology.cores.at(static_cast<std::size_t>(cores.front()));
  std::vector<int> object;
  for (const auto& core : topology.cores) {
    const bool same = bind == "socket" ? core.package == first.package
                      : bind == "numa" ? core.numa == first.numa
                                       : core.index == first.index;
    if (same) object.push_back(core.index);
  }
  EXPECT_EQ(cores, object);
}

/// No node has more ranks on a core than the core has room for.
void check_load(const Topology& topology, const Trial& trial,
                const std::vector<RankPlace>& places) {
  const bool threads_count =
      trial.layout.map_by == "hwthread" || trial.layout.bind_to == "hwthread";
  std::map<std::pair<int, std::vector<int>>, std::size_t> load;  // by node and set of cores
  for (const auto& place : places) ++load[{place.node_index, place.cores}];
  for (const auto& [where, ranks] : load) {
    std::size_t room = 0;
    for (const int core : where.second) {
      const auto& threads = topology.cores.at(static_cast<std::size_t>(core)).hardware_threads;
      room += threads_count ? threads.size() : 1;
    }
    EXPECT_LE(ranks, room);
  }
}

/// What is bound without a word: the object that ranks were mapped over.
std::string effective_bind(const Trial& trial, std::size_t ranks) {
  if (!trial.layout.bind_to.empty()) return trial.layout.bind_to;
  const auto& map = trial.layout.map_by;
  if (map == "core" || map == "hwthread" || map == "socket" || map == "numa") return map;
  return ranks <= 2 ? "core" : "numa";
}

void check(const Trial& trial) {
  SCOPED_TRACE(text_of(trial));
  const auto& topology = machine(trial.machine);
  const auto nodes = nodes_of(trial.machine, trial.slots);
  const auto most =
      static_cast<std::size_t>(*std::max_element(trial.slots.begin(), trial.slots.end()));

  const auto places = place_ranks(nodes, trial.layout);

  if (!places) {
    // Only a binding that was asked for can fail, and only where ranks outnumber what there is of
    // some object.
    EXPECT_EQ(places.error().code, Errc::invalid_argument);
    EXPECT_THAT(places.error().message, HasSubstr("are too few to bind"));
    EXPECT_TRUE(trial.layout.bind_to != "" && trial.layout.bind_to != "none");
    EXPECT_TRUE(most > topology.cores.size() || trial.machine == "uneven-sockets");
    return;
  }
  check_ranks_and_nodes(trial, *places);
  if (places->front().cores.empty()) {
    for (const auto& place : *places) EXPECT_TRUE(place.cores.empty()) << "all or none is bound";
    EXPECT_TRUE(trial.layout.bind_to == "none" || trial.layout.bind_to.empty());
    EXPECT_TRUE(trial.layout.bind_to == "none" || most > topology.cores.size() ||
                trial.machine == "uneven-sockets");
    return;
  }
  for (const auto& place : *places) {
    ASSERT_FALSE(place.cores.empty());
    check_object(topology, effective_bind(trial, places->size()), place.cores);
  }
  check_load(topology, trial, *places);
}

class PlaceRanks : public testing::TestWithParam<const char*> {};

TEST_P(PlaceRanks, HoldsToTheRulesInEveryLayout) {
  const std::string name = GetParam();
  const auto& topology = machine(name);
  ASSERT_FALSE(topology.cores.empty());
  const int cores = static_cast<int>(topology.cores.size());
  const int threads = static_cast<int>(thread_count(topology));
  std::set<int> counts{1, 2, 3, std::max(1, cores / 2), cores, cores + 1, threads, threads + 1};
  for (const int slots : counts) {
    for (const auto* map : kMaps) {
      for (const auto* bind : kBinds) {
        check({name, {slots}, {0, map, bind}});
        check({name, {slots, 1, 2}, {0, map, bind}});
      }
    }
  }
}

TEST_P(PlaceRanks, FillsEachNodeByItsSlotsWithoutAWord) {
  const auto places = place_ranks(nodes_of(GetParam(), {2, 1, 3}), {}).value();

  std::vector<int> nodes;
  for (const auto& place : places) nodes.push_back(place.node_index);
  EXPECT_EQ(nodes, (std::vector<int>{0, 0, 1, 2, 2, 2}));
}

TEST_P(PlaceRanks, GoesRoundTheSocketsAndNumaNodes) {
  const std::string name = GetParam();
  const auto& topology = machine(name);
  for (const auto* word : {"socket", "numa"}) {
    std::set<int> objects;
    for (const auto& core : topology.cores) {
      objects.insert(word == std::string("socket") ? core.package : core.numa);
    }
    const auto places =
        place_ranks(nodes_of(name, {static_cast<int>(objects.size())}), {0, word, "core"}).value();
    std::set<int> seen;
    for (const auto& place : places) {
      const auto& core = topology.cores.at(static_cast<std::size_t>(place.cores.front()));
      seen.insert(word == std::string("socket") ? core.package : core.numa);
    }
    EXPECT_EQ(seen, objects) << word;
  }
}

INSTANTIATE_TEST_SUITE_P(Machines, PlaceRanks, testing::ValuesIn(kMachines), [](const auto& test) {
  std::string name = test.param;
  for (auto& c : name) c = std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  return name;
});

TEST(PlaceRanksTogether, PutsRanksPerNodeAboveSlots) {
  const auto nodes = nodes_of("dual-socket-numa2", {8, 8});

  const auto places = place_ranks(nodes, {2, "", "core"}).value();

  EXPECT_EQ(places, (std::vector<RankPlace>{{0, 0, {0}}, {1, 0, {1}}, {2, 1, {0}}, {3, 1, {1}}}));
  EXPECT_EQ(place_ranks(nodes, {2, "ppr:2:node", "core"}).value(), places);
  EXPECT_EQ(place_ranks(nodes, {2, "socket", "core"}).value()[1], (RankPlace{1, 0, {8}}));
  EXPECT_EQ(place_ranks(nodes, {2, "node", "core"}).value()[1], (RankPlace{1, 1, {0}}));
  EXPECT_EQ(place_ranks(nodes, {9, "", "none"}).value().size(), 18u);
}

TEST(PlaceRanksTogether, CountsByPprOfNodesAndSockets) {
  EXPECT_EQ(place_ranks(nodes_of("dual-socket-numa2", {8}), {0, "ppr:2:socket", "core"}).value(),
            (std::vector<RankPlace>{{0, 0, {0}}, {1, 0, {1}}, {2, 0, {8}}, {3, 0, {9}}}));
  EXPECT_EQ(place_ranks(nodes_of("dual-socket-numa2", {3}), {0, "ppr:2:numa", "core"}).value(),
            (std::vector<RankPlace>{{0, 0, {0}}, {1, 0, {1}}, {2, 0, {4}}}));
}

TEST(PlaceRanksTogether, TakesNodesOfDifferentShapes) {
  auto nodes = nodes_of("laptop-4c8t", {2});
  nodes.push_back({{"10.0.0.12", 3}, machine("dual-socket-numa2")});

  EXPECT_EQ(
      place_ranks(nodes, {0, "numa", "core"}).value(),
      (std::vector<RankPlace>{{0, 0, {0}}, {1, 0, {1}}, {2, 1, {0}}, {3, 1, {4}}, {4, 1, {8}}}));
}

struct BadLayout {
  const char* name;
  std::vector<int> slots;
  Layout layout;
  const char* want;
  friend void PrintTo(const BadLayout& c, std::ostream* out) { *out << c.name; }
};

// On laptops of four cores.
const BadLayout kBadLayouts[] = {
    {"no_nodes", {}, {}, "there are no nodes to place ranks on"},
    {"no_slots", {1, 0}, {}, "node 1 (10.0.0.12) has 0 slots and 4 cores"},
    {"negative", {1}, {-1, "", ""}, "ranks per node must not be -1"},
    {"map_word",
     {1},
     {0, "cor", ""},
     "map-by 'cor' is none of slot, hwthread, core, node, socket, numa, ppr:N:WORD"},
    {"bind_word",
     {1},
     {0, "", "Core"},
     "bind-to 'Core' is none of none, core, hwthread, socket, numa"},
    {"bind_to_node",
     {1},
     {0, "", "node"},
     "bind-to 'node' is none of none, core, hwthread, socket, numa"},
    {"ppr_of_nothing",
     {1},
     {0, "ppr:2:", ""},
     "map-by 'ppr:2:' must be ppr:N:WORD with N >= 1 and WORD one of node, socket, numa, core"},
    {"ppr_of_zero",
     {1},
     {0, "ppr:0:node", ""},
     "map-by 'ppr:0:node' must be ppr:N:WORD with N >= 1 and WORD one of node, socket, numa, core"},
    {"ppr_of_too_many",
     {1},
     {0, "ppr:99999999999:node", ""},
     "map-by 'ppr:99999999999:node' must be ppr:N:WORD with N >= 1 and WORD one of node, socket, "
     "numa, core"},
    {"ppr_above_slots",
     {4, 1},
     {0, "ppr:2:node", ""},
     "node 1 (10.0.0.12): map-by ppr:2:node makes 2 ranks, not 1"},
    {"ppr_below_slots",
     {3},
     {0, "ppr:1:numa", ""},
     "node 0 (10.0.0.11): map-by ppr:1:numa makes 1 ranks, not 3"},
    {"ppr_and_count", {4}, {3, "ppr:2:node", ""}, "map-by ppr:2:node contradicts 3 ranks per node"},
    {"too_few_cores",
     {4, 5},
     {0, "", "core"},
     "node 1 (10.0.0.12): 4 cores are too few to bind 5 ranks to a core each"},
    {"too_few_threads",
     {9},
     {0, "", "hwthread"},
     "node 0 (10.0.0.11): 4 cores are too few to bind 9 ranks to a hwthread each"},
    {"too_few_for_a_socket",
     {5},
     {0, "socket", "socket"},
     "node 0 (10.0.0.11): 4 cores are too few to bind 5 ranks to a socket each"},
};

class RefusedLayout : public testing::TestWithParam<BadLayout> {};

TEST_P(RefusedLayout, SaysWhy) {
  const auto places = place_ranks(nodes_of("laptop-4c8t", GetParam().slots), GetParam().layout);

  ASSERT_FALSE(places);
  EXPECT_EQ(places.error(), (Error{Errc::invalid_argument, GetParam().want}));
}

INSTANTIATE_TEST_SUITE_P(PlaceRanks, RefusedLayout, testing::ValuesIn(kBadLayouts),
                         [](const auto& test) { return test.param.name; });

TEST(PlaceRanksTogether, CostsLittleForManyNodes) {
  const auto nodes = nodes_of("hpc6a.48xlarge", {96});
  const std::vector<NodeShape> many(1000, nodes.front());

  EXPECT_EQ(place_ranks(many, {0, "numa", "core"}).value().size(), 96'000u);
}

}  // namespace
}  // namespace cox::mpi
