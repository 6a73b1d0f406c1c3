#include <algorithm>

#include "runtime/head/state.hpp"

/// The part of the state about a queue's order: what its shares have used, who is next, and what
/// the others wait for.
namespace cox::head {

namespace {

/// The attempt that has ended by the job's change, or null.
const Attempt* newly_over(const Job& before, const Job& after) {
  const auto* attempt = after.current();
  if (attempt == nullptr || !attempt->over) return nullptr;
  const auto* old = before.current();
  return old != nullptr && old->number == attempt->number && old->over ? nullptr : attempt;
}

}  // namespace

const SchedulingPolicy* State::policy_of(const QueueName& name) const {
  for (const auto& queue : cluster_.queues) {
    if (queue.name != name || queue.policy.empty()) continue;
    const auto policy = policies_.find(queue.policy);
    return policy == policies_.end() ? nullptr : &policy->second;
  }
  return nullptr;
}

std::map<QueueName, int> State::decays() const {
  std::map<QueueName, int> list;
  for (const auto& queue : cluster_.queues) {
    const auto* policy = policy_of(queue.name);
    if (policy != nullptr) list[queue.name] = policy->decay_s;
  }
  return list;
}

void State::count_shares(const Job& before, const Job& after, bool is_new) {
  const bool counted = !is_new && !is_terminal(before.status);
  const bool counts = !is_terminal(after.status);
  if (counted != counts) {
    const std::pair key(after.spec->queue, after.spec->share);
    if ((unfinished_[key] += counts ? 1 : -1) <= 0) unfinished_.erase(key);
  }
  const auto* ended = newly_over(before, after);
  const auto* policy = ended == nullptr ? nullptr : policy_of(after.spec->queue);
  if (policy != nullptr) share_use_.add(after, *ended, policy->decay_s);
}

void State::forget_shares(const Job& job) {
  const auto* policy = job.spec->share.empty() ? nullptr : policy_of(job.spec->queue);
  if (policy != nullptr) share_use_.remove(job, policy->decay_s);
}

/// After a policy's change: what was added up by another decay is of no use.
void State::recount_shares() {
  share_use_.clear();
  const auto by_queue = decays();
  for (const auto& entry : jobs_) {
    const auto decay = by_queue.find(entry->job.spec->queue);
    if (entry->job.spec->share.empty() || decay == by_queue.end()) continue;
    for (const auto& attempt : entry->job.attempts) {
      share_use_.add(entry->job, attempt, decay->second);
    }
  }
}

void State::add_shares(core::Snapshot& snapshot) const {
  for (const auto& queue : cluster_.queues) {
    const auto* policy = policy_of(queue.name);
    if (policy == nullptr) continue;
    snapshot.shares[queue.name] = {policy,
                                   share_use_.of(queue.name, policy->decay_s, snapshot.now)};
  }
}

std::vector<const Job*> State::front_of_queue(const QueueName& queue, std::size_t count,
                                              Millis now) const {
  core::Snapshot snapshot;
  snapshot.cluster = &cluster_;
  snapshot.now = now;
  std::vector<std::pair<Order, const Job*>> waiting;
  for (auto alike = waiting_.lower_bound(Needs{queue, 0, MiB{}, 0, 0, "", 0});
       alike != waiting_.end() && std::get<QueueName>(alike->first) == queue; ++alike) {
    auto left = count;
    for (auto job = alike->second.begin(); job != alike->second.end() && left > 0; ++job, --left) {
      waiting.emplace_back(*job);
    }
  }
  std::sort(waiting.begin(), waiting.end());
  for (const auto& [order, job] : waiting) snapshot.waiting.push_back(job);
  if (policy_of(queue) != nullptr) {
    for (const auto& [order, job] : active_) snapshot.active.push_back(job);
    add_shares(snapshot);
    core::order_by_share(snapshot);
  }
  snapshot.waiting.resize(std::min(count, snapshot.waiting.size()));
  return std::move(snapshot.waiting);
}

const core::Snapshot& State::last_look() const {
  if (looked_after_ != changes_) {
    look_ = snapshot(passed_at_);
    holders_of_look_.clear();
    looked_after_ = changes_;
  }
  return look_;
}

const std::vector<JobId>& State::holders_in(const ComputeEnvironmentName& name) const {
  const auto& seen = last_look();
  const auto [found, is_new] = holders_of_look_.try_emplace(name);
  if (is_new) found->second = core::holders_of(seen, name);
  return found->second;
}

api::Waiting State::waiting(const JobId& id, std::size_t work) const {
  api::Waiting waiting;
  waiting.blocks = blocks(id);
  const auto* job = find(id);
  // One that is to be tried again waits for its last attempt's nodes first, and for nobody else.
  const bool waits = job != nullptr && job->status == JobStatus::runnable;
  if (!waits || core::holds_nodes(*job)) return waiting;
  const auto& seen = last_look();
  waiting.ahead_is_least = true;
  for (const auto* each : seen.waiting) {
    if (each->id == id) {
      waiting.ahead_is_least = false;
      break;
    }
    if (each->spec->queue == job->spec->queue) ++waiting.ahead;
  }
  for (const auto& block : waiting.blocks) {
    const bool is_held = block.kind == core::BlockKind::nodes_busy ||
                         block.kind == core::BlockKind::environment_full ||
                         block.kind == core::BlockKind::behind_wide_job;
    if (is_held) {
      waiting.holders[block.environment] = holders_in(block.environment);
    }
  }
  if (!waiting.blocks.empty() && work > 0) {
    waiting.changes = core::smallest_changes(seen, id, work);
  }
  return waiting;
}

const Job* State::submitted_with(std::uint32_t uid, const std::string& token) const {
  const auto found = by_token_.find({uid, token});
  return found == by_token_.end() ? nullptr : find(found->second);
}

std::set<std::string> State::unfinished_shares(const QueueName& queue) const {
  std::set<std::string> list;
  for (auto each = unfinished_.lower_bound({queue, ""});
       each != unfinished_.end() && each->first.first == queue; ++each) {
    list.insert(each->first.second);
  }
  return list;
}

}  // namespace cox::head
