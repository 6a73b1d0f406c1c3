#include <algorithm>

#include "runtime/head/head_core.hpp"
#include "runtime/os/files.hpp"
#include "runtime/os/log.hpp"

/// jobStateTimeLimitActions: how long jobs stand at the heads of their queues, over the head's end
/// too.
namespace cox::head {

namespace {

// What the heads of queues wait for is dear to find out, and limits are of ten minutes and more.
constexpr std::int64_t kLookEveryMs = 5000;
constexpr const char* kFile = "/queue-heads";

}  // namespace

/// Ends jobs that have been at the head of their queue for longer than the queue allows.
void HeadCore::keep_time_limits(Millis now) {
  const auto& queues = state_.cluster().queues;
  const bool has_limits = std::any_of(queues.begin(), queues.end(), [](const JobQueue& queue) {
    return !queue.limit_actions.empty();
  });
  limits_put_off_ = false;
  if (!has_limits && queue_heads_.empty()) return;
  if (now >= limits_kept_at_ && now - limits_kept_at_ < kLookEveryMs) {
    limits_put_off_ = true;
    return;
  }
  limits_kept_at_ = now;
  std::vector<std::pair<JobId, std::string>> ended;
  core::HeadsOfQueues heads;
  for (const auto& queue : queues) {
    if (queue.limit_actions.empty()) continue;
    const auto first = state_.front_of_queue(queue.name, 1, now);
    if (first.empty()) continue;
    const auto* job = first.front();
    auto head = core::seen_again(queue_heads_[queue.name], job->id,
                                 core::blocked_cause(state_.blocks(job->id)), now);
    if (const auto* action = core::due_action(queue, head, now)) {
      ended.emplace_back(job->id, action->reason);
    }
    heads[queue.name] = std::move(head);
  }
  if (heads != queue_heads_) {
    const auto kept = os::write_file_atomic(options_.directory + kFile, core::to_text(heads));
    if (!kept) os::log_warn("heads of queues: {}", kept.error().message);
  }
  queue_heads_ = std::move(heads);
  for (const auto& [id, reason] : ended) kill(id, reason, true);
}

/// When the heads of queues are to be looked at, if nothing happens before.
std::optional<Millis> HeadCore::next_look_at_limits() const {
  std::optional<Millis> next;
  const auto earliest = limits_kept_at_ + kLookEveryMs;
  if (limits_put_off_) next = earliest;
  for (const auto& queue : state_.cluster().queues) {
    const auto head = queue_heads_.find(queue.name);
    if (head == queue_heads_.end()) continue;
    const auto due = core::next_action(queue, head->second);
    if (due && (!next || *due < *next)) next = std::max(*due, earliest);
  }
  return next;
}

/// The heads of queues as they were when the head ended. They are looked at when the nodes have had
/// a while to come back, as what the jobs wait for is another until then.
void HeadCore::read_queue_heads() {
  const auto text = os::read_file(options_.directory + kFile);
  if (!text) return;
  queue_heads_ = core::heads_from_text(*text);
  if (!queue_heads_.empty()) limits_kept_at_ = clock_.now();
}

}  // namespace cox::head
