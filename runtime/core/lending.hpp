#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <string_view>
#include <tuple>
#include <vector>

#include "runtime/core/estimates.hpp"
#include "runtime/core/scheduler.hpp"
#include "runtime/model/cluster.hpp"
#include "runtime/model/job.hpp"

/// Nodes that are lent for a time, in allocations. Only files of this room include it. Pure.
namespace cox::core {

/// What an allocation is asked for beyond a job's timeout: until its agents are there and the job
/// has what it needs.
inline constexpr int kLentStartSeconds = 90;

/// How the environment's nodes are lent; null: they are not.
[[nodiscard]] const Lending* lending_of(const ClusterSettings& cluster,
                                        const ComputeEnvironmentName& environment);

/// How long a node must still be there for the job to be placed on it: its timeout, and the time
/// to stop. Of one without a timeout nobody knows.
[[nodiscard]] int seconds_for(const JobSpec& spec);
/// For how long nodes are asked for on the job's behalf.
[[nodiscard]] int seconds_asked(const Lending& lending, const JobSpec& spec);
/// Whether nodes are ever lent for so long.
[[nodiscard]] bool is_lent_for(const Lending& lending, const JobSpec& spec);
/// When the node will be taken away, were it to come now; kNotKnown for one that stays.
[[nodiscard]] Millis taken_at(const Node& node, Millis now);
/// Whether the node will be there for so long. One that is yet to come has all its time before it.
/// A job without a timeout takes what is left of one that was asked for on behalf of such.
[[nodiscard]] bool lasts_for(const Node& node, const Lending& lending, const JobSpec& spec,
                             Millis from);
/// The same of a node that is asked for, for so many seconds.
[[nodiscard]] bool lasts_for(int lent_s, const Lending& lending, const JobSpec& spec);

/// The node's allocation; a node without one is its own.
[[nodiscard]] std::string_view allocation_of(const Node& node);

/// Of nodes by their allocation, those of the one that serves a need for `wanted` best: one that
/// has so many, of these the smallest, then the one that is taken away first; else the one that has
/// most. `taken` tells when a node is taken away. Of those that are alike, the first by its key.
template <class Key, class T, class Taken>
[[nodiscard]] std::vector<T> best_allocation(const std::map<Key, std::vector<T>>& allocations,
                                             std::size_t wanted, Taken taken) {
  const auto rank = [&](const std::vector<T>& nodes) {
    const bool is_enough = nodes.size() >= wanted;
    const auto spare = is_enough ? nodes.size() - wanted : wanted - nodes.size();
    return std::tuple(!is_enough, spare, taken(nodes.front()));
  };
  const auto best = std::min_element(
      allocations.begin(), allocations.end(),
      [&](const auto& a, const auto& b) { return rank(a.second) < rank(b.second); });
  if (best == allocations.end()) return {};
  auto list = best->second;
  if (list.size() > wanted) list.resize(wanted);
  return list;
}

/// Of free nodes that could take (a node's part of) the job the best, as many as it needs or all
/// that one allocation has. Other jobs leave the larger allocations to those of several nodes.
/// `free_of` tells what is free of a node.
template <class T, class FreeOf>
[[nodiscard]] std::vector<T> best_lent(const std::vector<T>& list, const Job& job, Millis now,
                                       FreeOf free_of) {
  const auto taken = [&](const T& each) { return taken_at(*free_of(each).node, now); };
  if (job.is_multi_node()) {
    std::map<std::string_view, std::vector<T>> allocations;
    for (const auto& each : list) allocations[allocation_of(*free_of(each).node)].push_back(each);
    return best_allocation(allocations, static_cast<std::size_t>(job.node_count()), taken);
  }
  std::map<std::string_view, int> empty;  // of each allocation: a wide job wants them together
  for (const auto& each : list)
    empty[allocation_of(*free_of(each).node)] += free_of(each).jobs == 0 ? 1 : 0;
  const auto rank = [&](const T& each) {
    const FreeNode& free = free_of(each);
    return std::tuple(free.free_vcpus, free.free_memory, empty[allocation_of(*free.node)],
                      taken(each));
  };
  const auto best = std::min_element(list.begin(), list.end(),
                                     [&](const T& a, const T& b) { return rank(a) < rank(b); });
  return best == list.end() ? std::vector<T>{} : std::vector<T>{*best};
}

/// A lent node that is not set aside, as one sees it who looks for what to set aside for a job.
struct LentPlace {
  std::size_t index = 0;
  std::string_view allocation = {};
  int vcpus = 0;
  int jobs = 0;
  bool suits = false;    ///< it can take (a node's part of) the job, now or when it is free
  bool is_free = false;  ///< it has room for it now, or is on its way
  Millis free_at = {};   ///< when it will have room; kNotKnown
};

/// What to set aside for a job that waits.
struct SetAside {
  std::vector<std::size_t> places = {};
  bool for_use = false;  ///< the job will run there; else their end makes room for others
};

/// For a job of so many nodes: those of one allocation that has so many, where that is faster than
/// a new one; nothing where there is room for a new one of nodes of `vcpus`; else whole
/// allocations, the first to be free first, until their end makes such room.
[[nodiscard]] SetAside to_set_aside(const std::vector<LentPlace>& places, int nodes, int vcpus,
                                    int room);

}  // namespace cox::core
