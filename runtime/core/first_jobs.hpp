#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "runtime/core/queue_gates.hpp"
#include "runtime/core/scheduler.hpp"

/// A pass over what is kept in order from turn to turn: what it costs is the jobs that it places,
/// and a search for each, whatever waits and whatever nodes there are.
namespace cox::core {

/// What a pass has looked at, since it is counted.
struct Work {
  std::uint64_t jobs = 0;
  std::uint64_t nodes = 0;
};

/// Compute nodes by what is free of them, kept from turn to turn.
class FreeNodes {
 public:
  /// What is known of the node from now on. The pointer in it must stay good until remove().
  void put(const FreeNode& node);
  void remove(const NodeId& id);

  /// Up nodes of the environment that could take (a node's part of) the job, as many as it needs or
  /// all that there are; the best first, as place() has it. Lent ones are all looked at.
  [[nodiscard]] std::vector<const FreeNode*> best(const ComputeEnvironmentName& environment,
                                                  const Job& job, Millis now,
                                                  const Lending* lending, Work& work) const;
  /// vCPUs of the environment's nodes that are there or on their way.
  [[nodiscard]] int vcpus(const ComputeEnvironmentName& environment) const;
  /// Whether the environment has nodes that are up and hold no job.
  [[nodiscard]] bool has_idle(const ComputeEnvironmentName& environment) const;
  /// Whether anything is free on any node that is up.
  [[nodiscard]] bool has_room() const { return with_room_ > 0; }

  /// The job takes a part of the node, or all of it. Returns what was known of the node.
  FreeNode take(const NodeId& id, const Job& job);

 private:
  using Key = std::tuple<int, MiB, NodeId>;
  struct Known {
    FreeNode free;
    ComputeEnvironmentName environment;
    int counted = 0;         ///< vCPUs that count against MaxvCpus
    std::optional<Key> key;  ///< set: it is up and has something free
    bool empty = false;      ///< no job holds it
  };
  struct Group {
    std::set<Key> free;
    std::set<Key> empty;
    int vcpus = 0;
  };
  void take_out(const Known& known);

  std::unordered_map<NodeId, Known> known_;
  std::map<ComputeEnvironmentName, Group> groups_;
  std::size_t with_room_ = 0;
};

/// Jobs that wait, one after the other in the order in which they are served.
class WaitingLine {
 public:
  virtual ~WaitingLine() = default;
  /// Null: there are no more.
  [[nodiscard]] virtual const Job* next() = 0;
  /// None like the last one is given any more: of the same queue and needs.
  virtual void pass_over_alike() = 0;
  /// Whether this is true of a job that is still to come; of jobs that are alike one is asked.
  [[nodiscard]] virtual bool any_left(const std::function<bool(const Job&)>& is_so) = 0;
};

/// What place() would place; nothing when that cannot be said without looking at all nodes: a job
/// must wait, nodes are set aside for it, and one behind it might fit on what is free.
[[nodiscard]] std::optional<std::vector<Placement>> place_first(const ClusterSettings& cluster,
                                                                QueueGates gates, FreeNodes& nodes,
                                                                WaitingLine& line, Millis now,
                                                                Work& work);

/// As place(), without the reasons of those that wait: ends as soon as nobody can get anything any
/// more. Pure.
[[nodiscard]] std::vector<Placement> place_all(const Snapshot& snapshot);

/// False when scale() would surely say nothing. `wanted`: by queues in which jobs wait for nodes.
/// `may_give_back`: whether a node of the environment is idle for long enough. `has_useless`:
/// whether one that takes no jobs can make room for another. Pure.
[[nodiscard]] bool must_scale(
    const ClusterSettings& cluster, const FreeNodes& nodes,
    const std::set<ComputeEnvironmentName>& wanted,
    const std::function<bool(const ComputeEnvironmentName&)>& may_give_back,
    const std::function<bool(const ComputeEnvironmentName&)>& has_useless);

}  // namespace cox::core
