#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <queue>
#include <set>
#include <tuple>
#include <vector>

#include "runtime/core/estimates.hpp"
#include "runtime/core/free_list.hpp"
#include "runtime/core/scheduler.hpp"

/// What a pass of place() keeps of an environment and its nodes. Only files of this room include
/// it.
namespace cox::core {

/// A node as a pass sees it.
struct Place {
  FreeNode free;
  int vcpus = 0;  ///< of the whole node
  MiB memory;
  NodeStatus status = NodeStatus::pending;
  std::size_t index = 0;          ///< among its environment's
  const Job* kept_for = nullptr;  ///< set aside for this job
  Millis kept_from = {};          ///< when that job will need it; not set: not known
  Holdings holdings = {};         ///< of the jobs on it, once estimate() has looked

  /// Whether the node, were it empty, could take (a node's part of) the job.
  [[nodiscard]] bool suits(const Job& job) const {
    return vcpus >= job.spec->vcpus && memory >= job.spec->memory;
  }
  [[nodiscard]] Room room() const { return {free.free_vcpus, free.free_memory, index}; }
};

/// What jobs ask of one node. Of jobs of one shape the same nodes are the best.
struct Shape {
  int vcpus = 0;
  MiB memory;
  bool whole = false;  ///< of a multi-node job

  friend auto operator<=>(const Shape&, const Shape&) = default;
};

inline Shape shape_of(const Job& job) {
  return {job.spec->vcpus, job.spec->memory, job.is_multi_node()};
}

/// When it will do, jobs on it, minus free vCPUs, and where it lies: the first is set aside first.
using Rank = std::tuple<Millis, int, int, std::size_t>;

/// Places in the order in which they are set aside for jobs of one shape. Whatever changes a
/// place's rank puts it in once more; what is old of it is dropped when it comes to the front.
using RankLine = std::priority_queue<Rank, std::vector<Rank>, std::greater<>>;

/// The nodes of an environment, in id order, with what is asked of them for every job.
struct Group {
  const ComputeEnvironment* environment = nullptr;
  const Lending* lending = nullptr;  ///< of an environment whose nodes are lent
  std::vector<Place> places;
  int vcpus = 0;                  ///< of those there or on their way
  FreeList free;                  ///< up, not set aside
  FreeList empty;                 ///< those of them that no job holds
  FreeList kept_free;             ///< up, set aside
  FreeList kept_empty;            ///< those of them that no job holds
  std::set<std::size_t> kept;     ///< set aside
  std::set<std::size_t> pending;  ///< on their way, not set aside
  struct Lines {
    RankLine busy;
    RankLine unfit;
  };
  std::map<Shape, Lines> lines;
  bool is_lent = false;  ///< it has been said of some place when it will be needed
  /// Of needs that nothing here could meet: nor can it later in the pass, as room only shrinks.
  std::set<std::tuple<Shape, int, std::optional<int>>> refused;
};

/// Nodes on their way that suit the job. Nobody has had any set aside. Of lent ones those of one
/// allocation that has, with those of it that are there, enough. Pure.
[[nodiscard]] int starting_of(const Group& group, const Job& job, Millis now);

/// For how many seconds those lent nodes are still there that the job would have if that were long
/// enough; nothing: there are none. Pure.
[[nodiscard]] std::optional<int> time_left(const Group& group, const Job& job, Millis now);

}  // namespace cox::core
