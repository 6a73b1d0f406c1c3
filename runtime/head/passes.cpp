#include <algorithm>
#include <tuple>

#include "runtime/head/state.hpp"
#include "runtime/head/waiting_lines.hpp"

/// The part of the state about passes: what is placed, and what the others wait for.
namespace cox::head {

// scale() tries each job that waits on each node. Of so many pairs there is at most this number for
// a millisecond of time, which is a tenth of it or less.
constexpr std::size_t kPairsOfJobAndNodeAMs = 20'000;

// The scheduler's look.

/// No more jobs of these needs than this can run at once, whatever nodes come.
std::size_t State::most_at_once(const Needs& needs) const {
  const auto& queue_name = std::get<QueueName>(needs);
  const int vcpus = std::get<1>(needs);
  const int nodes = std::get<3>(needs);
  int room = 0;
  for (const auto& queue : cluster_.queues) {
    if (queue.name != queue_name) continue;
    for (const auto& environment : cluster_.environments) {
      const bool serves = std::find(queue.environments.begin(), queue.environments.end(),
                                    environment.name) != queue.environments.end();
      if (serves) room += environment.max_vcpus;
    }
  }
  return static_cast<std::size_t>(room / std::max(1, vcpus * std::max(1, nodes)));
}

core::Snapshot State::snapshot(Millis now) const {
  core::Snapshot snapshot;
  snapshot.cluster = &cluster_;
  snapshot.now = now;
  for (const auto& [id, node] : nodes_) {
    if (node.environment.empty()) continue;
    const auto use = load(id);
    snapshot.nodes.push_back(
        {&node, use.free_vcpus, use.free_memory, use.running_jobs + use.pending_jobs});
  }
  std::vector<std::tuple<int, Order, const Job*>> waiting;
  for (const auto& [needs, alike] : waiting_) {
    const int priority = priority_of(std::get<0>(needs));
    const auto most = most_at_once(needs) + 1;
    auto left = most;
    for (auto job = alike.begin(); job != alike.end() && left > 0; ++job, --left) {
      waiting.emplace_back(-priority, job->first, job->second);
    }
    if (alike.size() > most) {
      snapshot.behind[std::get<2>(waiting.back())->id] = alike.size() - most;
    }
  }
  std::sort(waiting.begin(), waiting.end());
  for (const auto& [priority, order, job] : waiting) snapshot.waiting.push_back(job);
  for (const auto& [order, job] : active_) snapshot.active.push_back(job);
  add_shares(snapshot);
  core::order_by_share(snapshot);
  return snapshot;
}

void State::set_blocks(std::map<JobId, std::vector<core::Block>> blocks, Millis at) {
  ++changes_;
  passed_at_ = at;
  are_blocks_given_ = true;
  blocks_ = std::move(blocks);
  blocks_of_alike_.clear();
  for (const auto& [id, why] : blocks_) {
    if (const auto* job = find(id)) blocks_of_alike_[needs_of(*job)] = why;
  }
}

/// As the scheduler tells of each waiting job now. It is found out when somebody asks, as most
/// passes' reasons are never asked for.
const std::map<JobId, std::vector<core::Block>>& State::known_blocks() const {
  if (are_blocks_given_ || blocked_after_ == changes_) return blocks_;
  blocks_ = core::place(last_look()).blocked;
  blocks_of_alike_.clear();
  for (const auto& [id, why] : blocks_) {
    if (const auto* job = find(id)) blocks_of_alike_[needs_of(*job)] = why;
  }
  blocked_after_ = changes_;
  return blocks_;
}

std::vector<core::Block> State::blocks(const JobId& id) const {
  std::vector<core::Block> list;
  const auto& known = known_blocks();
  if (const auto found = known.find(id); found != known.end()) {
    list = found->second;
  } else if (const auto* job = find(id); job != nullptr && job->status == JobStatus::runnable) {
    // Too far behind in the queue to be looked at: what holds those before it holds it too.
    const auto alike = blocks_of_alike_.find(needs_of(*job));
    if (alike != blocks_of_alike_.end()) list = alike->second;
  }
  for (auto& block : list) {
    const auto note = notes_.find(block.environment);
    if (note != notes_.end() && note->second.trouble) block.note = note->second.text;
  }
  return list;
}

// Passes.

AlikeJobs State::alike(const Needs& needs) const {
  const auto& jobs = waiting_.at(needs);
  return {jobs.begin(), jobs.end(), most_at_once(needs) + 1, false};
}

/// What the queues that may hold their jobs back have.
std::map<QueueName, core::QueueUse> State::queue_uses() const {
  std::map<QueueName, core::QueueUse> uses;
  for (const auto& queue : cluster_.queues) {
    const auto* policy = policy_of(queue.name);
    const bool reserves = policy != nullptr && policy->reservation > 0;
    if (running_limit(queue) == 0 && !reserves) continue;
    auto& use = uses[queue.name];
    std::set<std::string_view> shares;
    for (auto held = held_.lower_bound({queue.name, ""});
         held != held_.end() && held->first.first == queue.name; ++held) {
      use.jobs += held->second.jobs;
      use.vcpus += held->second.vcpus;
      shares.insert(held->first.second);
    }
    const auto heads = reserves ? heads_.find(queue.name) : heads_.end();
    if (heads != heads_.end()) {
      for (const auto& [order, needs] : heads->second) shares.insert(std::get<5>(*needs));
    }
    use.shares = reserves ? shares.size() : 0;
  }
  return uses;
}

std::vector<core::Placement> State::place(Millis now) {
  core::Snapshot seen;
  seen.cluster = &cluster_;
  seen.now = now;
  add_shares(seen);
  AllLines line(*this, seen);
  auto plan =
      core::place_first(cluster_, core::QueueGates(seen, queue_uses()), free_, line, now, work_);
  if (!plan) {
    const auto all = snapshot(now);
    work_.jobs += all.waiting.size() + all.active.size();
    work_.nodes += all.nodes.size();
    plan = core::place_all(all);
  }
  ++changes_;
  passed_at_ = now;
  are_blocks_given_ = false;
  return std::move(*plan);
}

core::ScalePlan State::scale(Millis now) {
  const auto gives_back = [&](const ComputeEnvironmentName& environment) {
    return std::any_of(idle_.begin(), idle_.lower_bound({now + 1, NodeId{}}),
                       [&](const auto& each) {
                         ++work_.nodes;
                         return nodes_.at(each.second).environment == environment;
                       });
  };
  std::set<ComputeEnvironmentName> wanted;
  for (const auto& queue : cluster_.queues) {
    const auto heads = heads_.find(queue.name);
    if (heads == heads_.end() || heads->second.empty()) continue;
    wanted.insert(queue.environments.begin(), queue.environments.end());
  }
  next_scale_.reset();
  // Of lent nodes those that a fault keeps jobs from are given back as well.
  const auto has_useless = [&](const ComputeEnvironmentName& environment) {
    return cluster_.lent.contains(environment) && (count(environment, NodeStatus::silent) > 0 ||
                                                   count(environment, NodeStatus::unfit) > 0);
  };
  if (!core::must_scale(cluster_, free_, wanted, gives_back, has_useless)) return {};
  if (now >= scaled_at_ && now - scaled_at_ < scale_pause_ms_) {
    next_scale_ = scaled_at_ + scale_pause_ms_;
    return {};
  }
  const auto seen = snapshot(now);
  auto plan = core::scale(seen);
  auto nodes = seen.nodes.size();
  for (const auto& each : plan.launch) nodes += static_cast<std::size_t>(each.count);
  scaled_at_ = now;
  scale_pause_ms_ = static_cast<std::int64_t>(seen.waiting.size() * nodes / kPairsOfJobAndNodeAMs);
  work_.jobs += seen.waiting.size() + seen.active.size();
  work_.nodes += seen.nodes.size();
  return plan;
}

}  // namespace cox::head
