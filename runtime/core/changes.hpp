#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "runtime/core/scheduler.hpp"

/// What holds what a waiting job needs, and what about the job would have to be otherwise.
namespace cox::core {

enum class ChangeKind : std::uint8_t { vcpus, memory, nodes, timeout, queue };

/// Its name as above. Pure.
[[nodiscard]] const char* to_string(ChangeKind kind);

/// One thing about a job that, otherwise, lets it start now.
struct Change {
  ChangeKind kind = ChangeKind::vcpus;
  std::int64_t to = 0;    ///< vCPUs and MiB of each node, nodes, seconds
  std::int64_t from = 0;  ///< 0: it had none
  QueueName queue = {};   ///< of a change of the queue

  friend bool operator==(const Change&, const Change&) = default;
};
/// Changes that do it together: one, or where no single one does, vCPUs and memory.
using Changes = std::vector<Change>;

/// "--vcpus 3 in place of 4 starts at once", by the options of awsbsub. Pure.
[[nodiscard]] std::string to_sentence(const Changes& changes);

/// The smallest changes of the job by which the next pass would place it: of each kind one, found
/// by passes over the snapshot with the job as it would be. Empty when there are none, when the job
/// is not among those that wait, and when a pass as far as the job looks at more than `work` pairs
/// of a job and a node. Pure.
[[nodiscard]] std::vector<Changes> smallest_changes(const Snapshot& snapshot, const JobId& job,
                                                    std::size_t work);

/// Jobs that hold nodes of the environment, the first submitted first. Pure.
[[nodiscard]] std::vector<JobId> holders_of(const Snapshot& snapshot,
                                            const ComputeEnvironmentName& environment);

}  // namespace cox::core
