#pragma once

#include <cstddef>
#include <map>
#include <optional>

#include "runtime/core/scheduler.hpp"

namespace cox::core {

/// What the jobs of a queue have.
struct QueueUse {
  int jobs = 0;            ///< that hold nodes
  int vcpus = 0;           ///< that those asked for
  std::size_t shares = 0;  ///< that have jobs which wait for nodes or hold some
};

/// What a queue holds its own jobs back by, whatever nodes are free: how many may run at once, and
/// what its policy keeps for shares that have no jobs yet. Placing and scaling ask it of every job.
///
/// Of the vCPUs that a queue's environments can have, (computeReservation/100)^n are kept, where n
/// shares have jobs. A queue that runs nothing lets a job go all the same: else one of few vCPUs
/// would never serve anybody.
class QueueGates {
 public:
  explicit QueueGates(const Snapshot& snapshot);
  /// The same from what is known already; of the snapshot it takes the cluster and the shares.
  QueueGates(const Snapshot& snapshot, const std::map<QueueName, QueueUse>& uses);
  QueueGates() = default;

  /// Why the job's queue does not let it go now; nothing: it does. Pure.
  [[nodiscard]] std::optional<Block> shut(const Job& job) const;
  /// The job has got its nodes.
  void passed(const Job& job);

 private:
  struct Gate {
    int jobs = 0;  ///< that hold nodes
    std::optional<int> jobs_max;
    int vcpus = 0;  ///< that they asked for
    std::optional<int> vcpus_max;
  };
  static std::map<QueueName, QueueUse> uses_in(const Snapshot& snapshot);

  std::map<QueueName, Gate> gates_;  ///< of queues that have one
};

}  // namespace cox::core
