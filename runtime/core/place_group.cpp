#include "runtime/core/place_group.hpp"

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "runtime/core/lending.hpp"

namespace cox::core {

namespace {

/// Whether (a node's part of) the job has room there now.
bool has_room(const Place& place, const Job& job) {
  if (job.is_multi_node()) return place.free.jobs == 0;
  return place.free.free_vcpus >= job.spec->vcpus && place.free.free_memory >= job.spec->memory;
}

}  // namespace

int starting_of(const Group& group, const Job& job, Millis now) {
  if (group.lending == nullptr) {
    return static_cast<int>(
        std::count_if(group.pending.begin(), group.pending.end(),
                      [&](std::size_t index) { return group.places[index].suits(job); }));
  }
  // With those that are there: an allocation's agents dial home one after the other.
  struct Count {
    int starting = 0;
    int there = 0;
  };
  std::map<std::string_view, Count> counts;
  for (const auto& place : group.places) {
    const auto& node = *place.free.node;
    if (place.kept_for != nullptr || !place.suits(job)) continue;
    if (!lasts_for(node, *group.lending, job.spec, now)) continue;
    auto& count = counts[allocation_of(node)];
    if (place.status == NodeStatus::pending) ++count.starting;
    if (place.status == NodeStatus::up && has_room(place, job)) ++count.there;
  }
  int most = 0;
  for (const auto& [name, count] : counts) {
    const bool is_enough = count.starting + count.there >= job.node_count();
    if (is_enough) most = std::max(most, count.starting);
  }
  return most;
}

std::optional<int> time_left(const Group& group, const Job& job, Millis now) {
  std::optional<int> most;
  if (group.lending == nullptr) return most;
  for (const auto& place : group.places) {
    const auto& node = *place.free.node;
    if (node.status != NodeStatus::up || !place.suits(job) || !has_room(place, job)) continue;
    if (lasts_for(node, *group.lending, job.spec, now)) continue;
    const auto left = std::max<std::int64_t>(0, node.lent_until - now) / 1000;
    most = std::max(most.value_or(0), static_cast<int>(left));
  }
  return most;
}

}  // namespace cox::core
