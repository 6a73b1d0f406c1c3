#include <algorithm>
#include <array>
#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/base/text.hpp"
#include "runtime/mpi/launch_plan.hpp"

namespace cox::mpi {
namespace {

/// A part of a node: what ranks are mapped over, or bound to.
enum class Kind { node, socket, numa, core, hwthread };

constexpr std::array<std::pair<std::string_view, Kind>, 5> kKinds{{{"node", Kind::node},
                                                                   {"socket", Kind::socket},
                                                                   {"numa", Kind::numa},
                                                                   {"core", Kind::core},
                                                                   {"hwthread", Kind::hwthread}}};

std::optional<Kind> kind_from(std::string_view word) {
  for (const auto& [name, kind] : kKinds) {
    if (word == name) return kind;
  }
  return std::nullopt;
}

std::string_view name_of(Kind kind) { return kKinds[static_cast<std::size_t>(kind)].first; }

/// The layout with its words understood and the defaults that depend on the number of ranks.
struct Plan {
  Kind map = Kind::node;  ///< objects within a node; Kind::node: none
  bool node_in_turn = false;
  int per_object = 0;          ///< of ppr; 0: as many as there are slots
  std::optional<Kind> bind;    ///< not set: no binding
  bool binding_asked = false;  ///< else it is left out where it does not fit
};

/// Reads "ppr:N:node" into the plan.
Result<void> read_ppr(const std::string& word, Plan& plan) {
  const auto parts = split(word, ':');
  const auto count = parts.size() == 3 ? to_int(parts[1]) : std::nullopt;
  const auto kind = parts.size() == 3 ? kind_from(parts[2]) : std::nullopt;
  if (!count || *count < 1 || *count > 1'000'000 || !kind || *kind == Kind::hwthread) {
    return fail(Errc::invalid_argument,
                "map-by '{}' must be ppr:N:WORD with N >= 1 and WORD one of node, socket, numa, "
                "core",
                word);
  }
  plan.map = *kind;
  plan.per_object = static_cast<int>(*count);
  return {};
}

Result<void> read_map_by(const Layout& layout, int ranks, Plan& plan) {
  if (layout.map_by.empty() && layout.ranks_per_node > 0) return {};
  if (layout.map_by.empty()) {
    if (ranks > 2) {
      plan.map = Kind::numa;
    } else {
      plan.map = layout.bind_to == "hwthread" ? Kind::hwthread : Kind::core;
    }
    return {};
  }
  if (layout.map_by.starts_with("ppr:")) return read_ppr(layout.map_by, plan);
  if (layout.map_by == "slot") return {};
  const auto kind = kind_from(layout.map_by);
  if (!kind) {
    return fail(Errc::invalid_argument,
                "map-by '{}' is none of slot, hwthread, core, node, socket, numa, ppr:N:WORD",
                layout.map_by);
  }
  plan.map = *kind;
  plan.node_in_turn = *kind == Kind::node;
  return {};
}

Result<void> read_bind_to(const Layout& layout, int ranks, Plan& plan) {
  plan.binding_asked = !layout.bind_to.empty();
  if (layout.bind_to == "none") return {};
  if (plan.binding_asked) {
    plan.bind = kind_from(layout.bind_to);
    if (plan.bind && *plan.bind != Kind::node) return {};
    return fail(Errc::invalid_argument,
                "bind-to '{}' is none of none, core, hwthread, socket, numa", layout.bind_to);
  }
  const bool by_object = plan.map != Kind::node && plan.per_object == 0;
  if (!layout.map_by.empty() && by_object) {
    plan.bind = plan.map;
  } else {
    plan.bind = ranks <= 2 ? Kind::core : Kind::numa;
  }
  return {};
}

/// A group of hardware threads that ranks share.
struct Object {
  std::vector<std::size_t> threads;  ///< positions in the node's list of hardware threads
  std::vector<int> cores;            ///< logical numbers, rising
};

std::vector<Object> objects_of(const Topology& topology, Kind kind) {
  std::map<int, Object> found;
  int hwthread = 0;
  std::size_t position = 0;
  for (const auto& core : topology.cores) {
    const auto threads = std::max<std::size_t>(core.hardware_threads.size(), 1);
    for (std::size_t i = 0; i < threads; ++i, ++position, ++hwthread) {
      const std::array<int, 5> keys{0, core.package, core.numa, core.index, hwthread};
      auto& object = found[keys[static_cast<std::size_t>(kind)]];
      object.threads.push_back(position);
      if (object.cores.empty() || object.cores.back() != core.index) {
        object.cores.push_back(core.index);
      }
    }
  }
  std::vector<Object> objects;
  for (auto& [key, object] : found) {
    std::sort(object.cores.begin(), object.cores.end());
    objects.push_back(std::move(object));
  }
  return objects;
}

bool share_a_thread(const Object& a, const Object& b) {
  return std::any_of(a.threads.begin(), a.threads.end(), [&b](std::size_t thread) {
    return std::find(b.threads.begin(), b.threads.end(), thread) != b.threads.end();
  });
}

/// What of a node's shape the plan needs. Nodes of one shape share it.
struct Ground {
  std::vector<Object> mapped;
  std::vector<Object> bound;
  std::vector<std::vector<std::size_t>> bound_of;  ///< by mapped object, those that touch it
  bool in_place = false;                           ///< ranks are bound to what they are mapped to
  bool threads_count = false;  ///< hardware threads count as cores: ranks were put on them
};

Ground survey(const Topology& topology, const Plan& plan) {
  Ground ground;
  ground.mapped = objects_of(topology, plan.map);
  ground.threads_count = plan.map == Kind::hwthread || plan.bind == Kind::hwthread;
  if (!plan.bind) return ground;
  ground.in_place = plan.map == *plan.bind;
  ground.bound = objects_of(topology, *plan.bind);
  for (const auto& mapped : ground.mapped) {
    auto& touching = ground.bound_of.emplace_back();
    for (std::size_t i = 0; i < ground.bound.size(); ++i) {
      if (share_a_thread(mapped, ground.bound[i])) touching.push_back(i);
    }
  }
  return ground;
}

/// The object that each of a node's ranks is mapped to, in the order of the ranks.
std::vector<std::size_t> map_within(const Ground& ground, const Plan& plan, int ranks) {
  std::vector<std::size_t> objects;
  for (std::size_t i = 0; i < static_cast<std::size_t>(ranks); ++i) {
    const auto each = static_cast<std::size_t>(std::max(plan.per_object, 1));
    const auto object = plan.per_object > 0 ? i / each : i % ground.mapped.size();
    objects.push_back(object);
  }
  return objects;
}

/// The cores of each rank of a node. Nothing when an object would get more ranks than cores.
std::optional<std::vector<std::vector<int>>> bind_within(const Ground& ground,
                                                         const std::vector<std::size_t>& mapped) {
  std::vector<std::size_t> load(ground.bound.size());
  const auto is_full = [&](std::size_t object) {
    const auto& target = ground.bound[object];
    return load[object] >= (ground.threads_count ? target.threads.size() : target.cores.size());
  };
  std::vector<std::vector<int>> cores;
  for (const auto object : mapped) {
    const auto& candidates = ground.bound_of[object];
    auto chosen =
        *std::min_element(candidates.begin(), candidates.end(),
                          [&load](std::size_t a, std::size_t b) { return load[a] < load[b]; });
    // Bound to what it is mapped to, a rank of a full object goes to the next one that is not.
    for (std::size_t i = 0; ground.in_place && is_full(chosen) && i < load.size(); ++i) {
      chosen = (chosen + 1) % load.size();
    }
    if (is_full(chosen)) return std::nullopt;
    ++load[chosen];
    cores.push_back(ground.bound[chosen].cores);
  }
  return cores;
}

/// How many ranks each node gets.
Result<std::vector<int>> count_ranks(std::span<const NodeShape> nodes,
                                     const std::vector<const Ground*>& grounds, const Plan& plan,
                                     const Layout& layout) {
  std::vector<int> counts;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const int slots = layout.ranks_per_node > 0 ? layout.ranks_per_node : nodes[i].slots.slots;
    if (plan.per_object == 0) {
      counts.push_back(slots);
      continue;
    }
    // mpirun counts ranks by ppr of nodes and sockets; over smaller objects it spreads the slots.
    const auto room =
        std::int64_t{plan.per_object} * static_cast<std::int64_t>(grounds[i]->mapped.size());
    const bool counted = plan.map == Kind::node || plan.map == Kind::socket;
    const bool fits = counted ? room <= slots : room >= slots;
    if (!fits) {
      return fail(Errc::invalid_argument, "node {} ({}): map-by {} makes {} ranks, not {}", i,
                  nodes[i].slots.address, layout.map_by, room, slots);
    }
    counts.push_back(counted ? static_cast<int>(room) : slots);
  }
  return counts;
}

/// The node of each rank: one node after the other, or one rank a node in turn.
std::vector<std::size_t> rank_nodes(const std::vector<int>& counts, bool node_in_turn) {
  std::vector<std::size_t> order;
  if (!node_in_turn) {
    for (std::size_t node = 0; node < counts.size(); ++node) {
      order.insert(order.end(), static_cast<std::size_t>(counts[node]), node);
    }
    return order;
  }
  const int most = counts.empty() ? 0 : *std::max_element(counts.begin(), counts.end());
  for (int round = 0; round < most; ++round) {
    for (std::size_t node = 0; node < counts.size(); ++node) {
      if (round < counts[node]) order.push_back(node);
    }
  }
  return order;
}

using CoresByNode = std::vector<std::vector<std::vector<int>>>;

Result<CoresByNode> bind_all(std::span<const NodeShape> nodes,
                             const std::vector<const Ground*>& grounds,
                             const std::vector<int>& counts, const Plan& plan) {
  CoresByNode cores(nodes.size());
  const auto unbound = [&] {
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      cores[i].assign(static_cast<std::size_t>(counts[i]), {});
    }
    return cores;
  };
  if (!plan.bind) return unbound();
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    auto bound = bind_within(*grounds[i], map_within(*grounds[i], plan, counts[i]));
    if (bound) {
      cores[i] = std::move(*bound);
    } else if (!plan.binding_asked) {
      return unbound();
    } else {
      return fail(Errc::invalid_argument,
                  "node {} ({}): {} cores are too few to bind {} ranks to a {} each", i,
                  nodes[i].slots.address, nodes[i].topology.cores.size(), counts[i],
                  name_of(*plan.bind));
    }
  }
  return cores;
}

Result<int> default_rank_count(std::span<const NodeShape> nodes, const Layout& layout) {
  if (nodes.empty()) return fail(Errc::invalid_argument, "there are no nodes to place ranks on");
  if (layout.ranks_per_node < 0) {
    return fail(Errc::invalid_argument, "ranks per node must not be {}", layout.ranks_per_node);
  }
  int ranks = 0;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const auto& [slots, topology] = nodes[i];
    if (slots.slots < 1 || topology.cores.empty()) {
      return fail(Errc::invalid_argument, "node {} ({}) has {} slots and {} cores", i,
                  slots.address, slots.slots, topology.cores.size());
    }
    ranks += layout.ranks_per_node > 0 ? layout.ranks_per_node : slots.slots;
  }
  return ranks;
}

/// Surveys every shape once: clusters have many nodes and few shapes.
class Survey {
 public:
  explicit Survey(const Plan& plan) : plan_(plan) {}

  const Ground* of(const Topology& topology) {
    for (const auto& [known, ground] : known_) {
      if (*known == topology) return ground.get();
    }
    known_.emplace_back(&topology, std::make_unique<Ground>(survey(topology, plan_)));
    return known_.back().second.get();
  }

 private:
  const Plan& plan_;
  std::vector<std::pair<const Topology*, std::unique_ptr<Ground>>> known_;
};

}  // namespace

Result<std::vector<RankPlace>> place_ranks(std::span<const NodeShape> nodes, const Layout& layout) {
  const auto ranks = default_rank_count(nodes, layout);
  if (!ranks) return fail(ranks.error());
  Plan plan;
  if (auto read = read_map_by(layout, *ranks, plan); !read) return fail(read.error());
  if (plan.per_object > 0 && layout.ranks_per_node > 0 &&
      (plan.map != Kind::node || plan.per_object != layout.ranks_per_node)) {
    return fail(Errc::invalid_argument, "map-by {} contradicts {} ranks per node", layout.map_by,
                layout.ranks_per_node);
  }
  Survey mapping(plan);
  std::vector<const Ground*> grounds;
  for (const auto& node : nodes) grounds.push_back(mapping.of(node.topology));
  const auto counts = count_ranks(nodes, grounds, plan, layout);
  if (!counts) return fail(counts.error());
  const auto order = rank_nodes(*counts, plan.node_in_turn);

  if (auto read = read_bind_to(layout, static_cast<int>(order.size()), plan); !read) {
    return fail(read.error());
  }
  Survey binding(plan);
  for (std::size_t i = 0; i < nodes.size(); ++i) grounds[i] = binding.of(nodes[i].topology);
  auto cores = bind_all(nodes, grounds, *counts, plan);
  if (!cores) return fail(cores.error());

  std::vector<RankPlace> places;
  std::vector<std::size_t> next(nodes.size());
  for (const auto node : order) {
    places.push_back({static_cast<int>(places.size()), static_cast<int>(node),
                      std::move((*cores)[node][next[node]++])});
  }
  return places;
}

}  // namespace cox::mpi
