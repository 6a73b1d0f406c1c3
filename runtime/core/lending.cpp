#include "runtime/core/lending.hpp"

#include <cstdint>
#include <utility>

#include "runtime/core/lifecycle.hpp"

namespace cox::core {

namespace {

constexpr std::int64_t kSecond = 1000;

/// An allocation, with those of its nodes that the job would get first.
struct Allocation {
  std::string_view name;
  std::vector<const LentPlace*> all = {};
  std::vector<const LentPlace*> used = {};
  int busy = 0;  ///< of those used
  int jobs = 0;
  Millis free_at = {};  ///< all that are used; of one too small, all there are
};

Millis last_of(const std::vector<const LentPlace*>& places) {
  Millis last;
  for (const auto* place : places) last = std::max(last, place->free_at);
  return last;
}

std::vector<Allocation> allocations_in(const std::vector<LentPlace>& places, std::size_t wanted) {
  std::map<std::string_view, Allocation> by_name;
  for (const auto& place : places) {
    auto& allocation = by_name[place.allocation];
    allocation.name = place.allocation;
    allocation.all.push_back(&place);
    allocation.jobs += place.jobs;
    if (place.suits) allocation.used.push_back(&place);
  }
  std::vector<Allocation> list;
  for (auto& [name, allocation] : by_name) {
    auto& used = allocation.used;
    std::sort(used.begin(), used.end(), [](const LentPlace* a, const LentPlace* b) {
      return std::tuple(!a->is_free, a->free_at, a->jobs, a->index) <
             std::tuple(!b->is_free, b->free_at, b->jobs, b->index);
    });
    if (used.size() > wanted) used.resize(wanted);
    allocation.busy = static_cast<int>(std::count_if(
        used.begin(), used.end(), [](const LentPlace* place) { return !place->is_free; }));
    allocation.free_at = last_of(used.size() == wanted ? used : allocation.all);
    list.push_back(std::move(allocation));
  }
  return list;
}

void add_all(SetAside& kept, const std::vector<const LentPlace*>& places) {
  for (const auto* place : places) kept.places.push_back(place->index);
}

}  // namespace

const Lending* lending_of(const ClusterSettings& cluster,
                          const ComputeEnvironmentName& environment) {
  const auto found = cluster.lent.find(environment);
  return found == cluster.lent.end() ? nullptr : &found->second;
}

int seconds_for(const JobSpec& spec) { return spec.timeout_s.value_or(0) + kStopGraceSeconds; }

int seconds_asked(const Lending& lending, const JobSpec& spec) {
  const int seconds = spec.timeout_s ? seconds_for(spec) + kLentStartSeconds : lending.default_s;
  return lending.max_s > 0 ? std::min(seconds, lending.max_s) : seconds;
}

bool is_lent_for(const Lending& lending, const JobSpec& spec) {
  return !spec.timeout_s || lending.max_s == 0 ||
         seconds_for(spec) + kLentStartSeconds <= lending.max_s;
}

Millis taken_at(const Node& node, Millis now) {
  if (node.lent_s == 0) return kNotKnown;
  if (node.status == NodeStatus::pending) return now + kSecond * node.lent_s;
  return node.lent_until.set() ? node.lent_until : kNotKnown;
}

bool lasts_for(const Node& node, const Lending& lending, const JobSpec& spec, Millis from) {
  const auto end = taken_at(node, from);
  if (!spec.timeout_s && node.lent_s > 0 && node.lent_s < seconds_asked(lending, spec))
    return false;
  return end == kNotKnown || from + kSecond * seconds_for(spec) <= end;
}

bool lasts_for(int lent_s, const Lending& lending, const JobSpec& spec) {
  Node asked;
  asked.status = NodeStatus::pending;
  asked.lent_s = lent_s;
  return lasts_for(asked, lending, spec, {});
}

std::string_view allocation_of(const Node& node) {
  return node.allocation.empty() ? node.id.value : node.allocation;
}

SetAside to_set_aside(const std::vector<LentPlace>& places, int nodes, int vcpus, int room) {
  auto allocations = allocations_in(places, static_cast<std::size_t>(nodes));
  const auto rank = [](const Allocation& one) {
    return std::tuple(one.busy > 0, one.free_at, one.busy, one.jobs);
  };
  const Allocation* best = nullptr;
  for (const auto& each : allocations) {
    const bool is_enough = each.used.size() >= static_cast<std::size_t>(nodes);
    if (is_enough && (best == nullptr || rank(each) < rank(*best))) best = &each;
  }
  SetAside kept;
  if (best != nullptr && (best->busy == 0 || room < nodes * vcpus)) {
    add_all(kept, best->used);
    kept.for_use = true;
    return kept;
  }
  std::sort(allocations.begin(), allocations.end(), [](const Allocation& a, const Allocation& b) {
    return std::tuple(a.free_at, a.jobs, a.name) < std::tuple(b.free_at, b.jobs, b.name);
  });
  for (const auto& each : allocations) {
    if (room >= nodes * vcpus) break;
    add_all(kept, each.all);
    for (const auto* place : each.all) room += place->vcpus;
  }
  return kept;
}

}  // namespace cox::core
