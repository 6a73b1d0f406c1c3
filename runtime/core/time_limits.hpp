#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/core/scheduler.hpp"
#include "runtime/model/cluster.hpp"

/// How long a job may stand at the head of its queue without starting: jobStateTimeLimitActions.
/// Source: AWS Batch user guide, "Blocked job queues".
namespace cox::core {

/// Why the job at the head of a queue does not start, in AWS's words; empty: it will, in time.
/// Pure.
[[nodiscard]] std::string blocked_cause(const std::vector<Block>& blocks);

/// The job at the head of a queue, and since when it stands there.
struct HeadOfQueue {
  JobId job;
  std::string cause;
  Millis since;
  Millis cause_since;  ///< for this cause

  friend bool operator==(const HeadOfQueue&, const HeadOfQueue&) = default;
};
using HeadsOfQueues = std::map<QueueName, HeadOfQueue>;

/// As lines of text, and back; what is no such line is passed over. Pure.
[[nodiscard]] std::string to_text(const HeadsOfQueues& heads);
[[nodiscard]] HeadsOfQueues heads_from_text(std::string_view text);

/// What is known of the head after another look: the times go on while the job, and the cause,
/// stay. Pure.
[[nodiscard]] HeadOfQueue seen_again(const HeadOfQueue& before, const JobId& job, std::string cause,
                                     Millis now);

/// The action whose time has come, or null. One whose reason is a cause of AWS's waits for that
/// cause; one with a reason of its own counts from the job's coming to the head. Pure.
[[nodiscard]] const LimitAction* due_action(const JobQueue& queue, const HeadOfQueue& head,
                                            Millis now);
/// When the next action will be due if nothing changes. Pure.
[[nodiscard]] std::optional<Millis> next_action(const JobQueue& queue, const HeadOfQueue& head);

}  // namespace cox::core
