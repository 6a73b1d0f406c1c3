#include "runtime/head/state.hpp"

#include <algorithm>

namespace cox::head {

Result<Applied> State::apply(const JobId& id, const core::JobEvent& event) {
  ++changes_;
  auto found = jobs_.find(id);
  const bool is_new = found == jobs_.end();
  if (is_new && !std::holds_alternative<core::Submitted>(event)) {
    return fail(Errc::not_found, "job {} does not exist", id);
  }
  Job blank;
  blank.id = id;
  // A copy: a refused event must leave the job as it was.
  auto changed = core::after(is_new ? std::move(blank) : found->second->job, event);
  if (!changed) return fail(changed.error());
  std::vector<NodeId> held;
  if (is_new) {
    found = jobs_.emplace(id, std::make_unique<Entry>(Entry{Job{}, next_order_++})).first;
    count_files(*changed, +1, nullptr);
    if (const auto& spec = changed->spec; !spec.client_token.empty() && !changed->array_index) {
      by_token_[{spec.user.uid, spec.client_token}] = id;
    }
  } else {
    if (const auto* attempt = found->second->job.current()) {
      for (const auto& run : attempt->nodes) {
        if (run.phase != NodePhase::exited) held.push_back(run.node);
      }
    }
    unindex(*found->second);
  }
  Entry& entry = *found->second;
  const auto before = entry.job.status;
  if (!changed->spec.share.empty()) count_shares(entry.job, *changed, is_new);
  entry.job = std::move(*changed);
  index(entry);
  for (const auto& node : held) {
    if (const auto at = nodes_.find(node); at != nodes_.end() && is_idle(node)) {
      const auto left = std::visit([](const auto& e) { return e.at; }, event);
      at->second.idle_since = std::max(at->second.idle_since, left);
      keep_idle(node);
    }
  }
  return Applied{&entry.job, before, is_new};
}

std::vector<JobId> State::forget(const JobId& id, std::vector<std::string>& unused) {
  ++changes_;
  std::vector<JobId> gone;
  const auto remove = [&](const JobId& each) {
    const auto found = jobs_.find(each);
    if (found == jobs_.end()) return;
    unindex(*found->second);
    count_files(found->second->job, -1, &unused);
    const auto& spec = found->second->job.spec;
    if (const auto token = by_token_.find({spec.user.uid, spec.client_token});
        token != by_token_.end() && token->second == each) {
      by_token_.erase(token);
    }
    forget_shares(found->second->job);
    jobs_.erase(found);
    gone.push_back(each);
  };
  const auto* job = find(id);
  const int children = job != nullptr && job->is_array_parent() ? *job->spec.array_size : 0;
  for (int i = 0; i < children; ++i) remove(child_of(id, i));
  remove(id);
  return gone;
}

void State::count_files(const Job& job, int sign, std::vector<std::string>* unused) {
  if (job.array_index) return;  // the parent counts for all its children
  for (const auto& file : job.spec.files) {
    int& count = files_[file.sha256];
    count += sign;
    if (count > 0) continue;
    files_.erase(file.sha256);
    if (unused != nullptr) unused->push_back(file.sha256);
  }
}

State::Needs State::needs_of(const Job& job) {
  const auto& spec = job.spec;
  return {spec.queue,
          spec.vcpus,
          spec.memory,
          spec.nodes.value_or(0),
          spec.timeout_s.value_or(0),
          spec.share,
          spec.share.empty() ? 0 : spec.priority.value_or(0)};
}

void State::index(const Entry& entry) {
  const Job& job = entry.job;
  if (!job.array_index) listed_[{job.spec.queue, job.status}][entry.order] = &job;
  const bool holds = core::holds_nodes(job);
  if (job.status == JobStatus::runnable && !holds) waiting_[needs_of(job)][entry.order] = &job;
  if (holds) active_[entry.order] = &job;
  use_nodes(entry, +1);
  if (const auto limit = core::deadline(job)) deadlines_.emplace(*limit, job.id);
  if (is_terminal(job.status) && !holds && !job.array_index) {
    ended_.emplace(job.stopped_at, job.id);
  }
  for (const auto& other : job.waits_for) dependents_[other].insert(job.id);
}

void State::unindex(const Entry& entry) {
  const Job& job = entry.job;
  if (const auto list = listed_.find({job.spec.queue, job.status}); list != listed_.end()) {
    list->second.erase(entry.order);
  }
  if (const auto alike = waiting_.find(needs_of(job)); alike != waiting_.end()) {
    alike->second.erase(entry.order);
    if (alike->second.empty()) waiting_.erase(alike);
  }
  active_.erase(entry.order);
  use_nodes(entry, -1);
  if (const auto limit = core::deadline(job)) deadlines_.erase({*limit, job.id});
  ended_.erase({job.stopped_at, job.id});
  for (const auto& other : job.waits_for) {
    const auto waiting = dependents_.find(other);
    if (waiting == dependents_.end()) continue;
    waiting->second.erase(job.id);
    if (waiting->second.empty()) dependents_.erase(waiting);
  }
}

/// Takes the job's parts into account of its nodes' load, or out of it.
void State::use_nodes(const Entry& entry, int sign) {
  const Job& job = entry.job;
  const auto* attempt = job.current();
  if (attempt == nullptr) return;
  for (const auto& run : attempt->nodes) {
    if (run.phase == NodePhase::exited) continue;
    auto& use = use_[run.node];
    (run.phase == NodePhase::running ? use.running : use.pending) += sign;
    use.vcpus += sign * job.spec.vcpus;
    use.memory = use.memory + MiB{sign * job.spec.memory.value};
    if (job.is_multi_node()) use.whole += sign;
    if (sign > 0) {
      use.holders[entry.order] = &job;
    } else {
      use.holders.erase(entry.order);
    }
    if (use.holders.empty()) use_.erase(run.node);
    keep_idle(run.node);
  }
}

bool State::is_idle(const NodeId& id) const { return !use_.contains(id); }

int State::priority_of(const QueueName& name) const {
  for (const auto& queue : cluster_.queues) {
    if (queue.name == name) return queue.priority;
  }
  return 0;
}

// Nodes.

std::optional<Millis> State::release_at(const Node& node) const {
  if (node.status != NodeStatus::up || !is_idle(node.id)) return std::nullopt;
  for (const auto& environment : cluster_.environments) {
    if (environment.name != node.environment || environment.idle_ms_before_release < 0) continue;
    return node.idle_since + environment.idle_ms_before_release;
  }
  return std::nullopt;
}

void State::keep_idle(const NodeId& id) {
  if (const auto kept = idle_at_.find(id); kept != idle_at_.end()) {
    idle_.erase({kept->second, id});
    idle_at_.erase(kept);
  }
  const auto found = nodes_.find(id);
  if (found == nodes_.end()) return;
  if (const auto at = release_at(found->second)) {
    idle_.emplace(*at, id);
    idle_at_[id] = *at;
  }
}

void State::put_node(Node node) {
  ++changes_;
  const auto id = node.id;
  by_ordinal_[node.ordinal] = id;
  nodes_[id] = std::move(node);
  keep_idle(id);
}

void State::remove_node(const NodeId& id) {
  ++changes_;
  const auto found = nodes_.find(id);
  if (found == nodes_.end()) return;
  const auto ordinal = by_ordinal_.find(found->second.ordinal);
  if (ordinal != by_ordinal_.end() && ordinal->second == id) by_ordinal_.erase(ordinal);
  nodes_.erase(found);
  keep_idle(id);
}

const Node* State::node(const NodeId& id) const {
  const auto found = nodes_.find(id);
  return found == nodes_.end() ? nullptr : &found->second;
}

int State::free_ordinal() const {
  int ordinal = 1;
  for (auto taken = by_ordinal_.lower_bound(1); taken != by_ordinal_.end(); ++taken, ++ordinal) {
    if (taken->first != ordinal) break;
  }
  return ordinal;
}

std::vector<const Job*> State::holders(const NodeId& id) const {
  std::vector<const Job*> list;
  const auto use = use_.find(id);
  if (use == use_.end()) return list;
  for (const auto& [order, job] : use->second.holders) list.push_back(job);
  return list;
}

std::vector<JobId> State::dependents(const JobId& id) const {
  const auto found = dependents_.find(id);
  if (found == dependents_.end()) return {};
  return {found->second.begin(), found->second.end()};
}

api::View::NodeLoad State::load(const NodeId& id) const {
  NodeLoad load;
  const auto* where = node(id);
  if (where == nullptr) return load;
  load.free_vcpus = where->vcpus;
  load.free_memory = where->memory;
  const auto found = use_.find(id);
  if (found == use_.end()) return load;
  const auto& use = found->second;
  load.running_jobs = use.running;
  load.pending_jobs = use.pending;
  load.free_vcpus = use.whole > 0 ? 0 : load.free_vcpus - use.vcpus;
  load.free_memory = use.whole > 0 ? MiB{} : load.free_memory - use.memory;
  return load;
}

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
    auto left = most_at_once(needs) + 1;
    for (auto job = alike.begin(); job != alike.end() && left > 0; ++job, --left) {
      waiting.emplace_back(-priority, job->first, job->second);
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
  blocks_ = std::move(blocks);
  blocks_of_alike_.clear();
  for (const auto& [id, why] : blocks_) {
    if (const auto* job = find(id)) blocks_of_alike_[needs_of(*job)] = why;
  }
}

std::string State::progress(const JobId& id) const {
  const auto found = progress_.find(id);
  return found == progress_.end() ? std::string() : found->second;
}

std::vector<core::Block> State::blocks(const JobId& id) const {
  std::vector<core::Block> list;
  if (const auto found = blocks_.find(id); found != blocks_.end()) {
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

void State::set_note(const ComputeEnvironmentName& name, std::string note, bool trouble) {
  notes_[name] = {std::move(note), trouble};
}

std::string State::environment_note(const ComputeEnvironmentName& name) const {
  const auto found = notes_.find(name);
  return found == notes_.end() ? "" : found->second.text;
}

void State::enable_environments(bool enabled) {
  ++changes_;
  enabled_ = enabled;
  for (auto& environment : cluster_.environments) environment.enabled = enabled;
}

// What is due by time.

std::optional<Millis> State::next_deadline() const {
  return deadlines_.empty() ? std::nullopt : std::optional(deadlines_.begin()->first);
}

std::vector<JobId> State::past_deadline(Millis now) const {
  std::vector<JobId> list;
  for (const auto& [at, id] : deadlines_) {
    if (at > now) break;
    list.push_back(id);
  }
  return list;
}

std::optional<Millis> State::next_release(Millis now) const {
  const auto next = idle_.lower_bound({now + 1, NodeId{}});
  return next == idle_.end() ? std::nullopt : std::optional(next->first);
}

std::optional<Millis> State::first_end() const {
  return ended_.empty() ? std::nullopt : std::optional(ended_.begin()->first);
}

std::vector<JobId> State::ended_until(Millis moment) const {
  std::vector<JobId> list;
  for (const auto& [at, id] : ended_) {
    if (at > moment) break;
    list.push_back(id);
  }
  return list;
}

// api::View

const Job* State::find(const JobId& id) const {
  const auto found = jobs_.find(id);
  return found == jobs_.end() ? nullptr : &found->second->job;
}

std::vector<const Job*> State::jobs(const QueueName& queue, JobStatus status) const {
  std::vector<const Job*> list;
  const auto found = listed_.find({queue, status});
  if (found == listed_.end()) return list;
  list.reserve(found->second.size());
  for (const auto& [order, job] : found->second) list.push_back(job);
  return list;
}

std::vector<const Node*> State::nodes() const {
  std::vector<const Node*> list;
  list.reserve(nodes_.size());
  for (const auto& [id, node] : nodes_) list.push_back(&node);
  std::sort(list.begin(), list.end(),
            [](const Node* a, const Node* b) { return a->ordinal < b->ordinal; });
  return list;
}

}  // namespace cox::head
