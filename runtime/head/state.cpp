#include "runtime/head/state.hpp"

#include <algorithm>

namespace cox::head {

namespace {

/// Nodes of the current attempt that have not ended.
std::set<NodeId> held_nodes(const Job& job) {
  std::set<NodeId> held;
  if (const auto* attempt = job.current()) {
    for (const auto& run : attempt->nodes) {
      if (run.phase != NodePhase::exited) held.insert(run.node);
    }
  }
  return held;
}

}  // namespace

Result<Applied> State::apply(const JobId& id, const core::JobEvent& event) {
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
  if (is_new) {
    found = jobs_.emplace(id, std::make_unique<Entry>(Entry{Job{}, next_order_++})).first;
  } else {
    unindex(*found->second);
  }
  Entry& entry = *found->second;
  const auto before = entry.job.status;
  entry.job = std::move(*changed);
  index(entry);
  return Applied{&entry.job, before, is_new};
}

void State::forget(const JobId& id) {
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) return;
  unindex(*found->second);
  blocks_.erase(id);
  jobs_.erase(found);
}

void State::index(const Entry& entry) {
  const Job& job = entry.job;
  if (!job.array_index) listed_[{job.spec.queue, job.status}][entry.order] = &job;
  if (job.status == JobStatus::runnable) {
    waiting_[{-priority_of(job.spec.queue), entry.order}] = &job;
  }
  if (core::holds_nodes(job)) active_[entry.order] = &job;
  for (const auto& node : held_nodes(job)) holders_[node][entry.order] = &job;
  for (const auto& other : job.waits_for) dependents_[other].insert(job.id);
}

void State::unindex(const Entry& entry) {
  const Job& job = entry.job;
  if (const auto list = listed_.find({job.spec.queue, job.status}); list != listed_.end()) {
    list->second.erase(entry.order);
  }
  waiting_.erase({-priority_of(job.spec.queue), entry.order});
  active_.erase(entry.order);
  for (const auto& node : held_nodes(job)) {
    const auto held = holders_.find(node);
    if (held == holders_.end()) continue;
    held->second.erase(entry.order);
    if (held->second.empty()) holders_.erase(held);
  }
  for (const auto& other : job.waits_for) {
    const auto waiting = dependents_.find(other);
    if (waiting == dependents_.end()) continue;
    waiting->second.erase(job.id);
    if (waiting->second.empty()) dependents_.erase(waiting);
  }
}

int State::priority_of(const QueueName& name) const {
  for (const auto& queue : cluster_.queues) {
    if (queue.name == name) return queue.priority;
  }
  return 0;
}

void State::put_node(Node node) {
  const auto id = node.id;
  nodes_[id] = std::move(node);
}

void State::remove_node(const NodeId& id) { nodes_.erase(id); }

const Node* State::node(const NodeId& id) const {
  const auto found = nodes_.find(id);
  return found == nodes_.end() ? nullptr : &found->second;
}

int State::free_ordinal() const {
  std::set<int> taken;
  for (const auto& [id, node] : nodes_) taken.insert(node.ordinal);
  int ordinal = 1;
  while (taken.contains(ordinal)) ++ordinal;
  return ordinal;
}

std::vector<const Job*> State::holders(const NodeId& id) const {
  std::vector<const Job*> list;
  const auto held = holders_.find(id);
  if (held == holders_.end()) return list;
  for (const auto& [order, job] : held->second) list.push_back(job);
  return list;
}

std::vector<JobId> State::dependents(const JobId& id) const {
  const auto found = dependents_.find(id);
  if (found == dependents_.end()) return {};
  return {found->second.begin(), found->second.end()};
}

std::vector<const Job*> State::all_jobs() const {
  std::vector<const Job*> list;
  list.reserve(jobs_.size());
  for (const auto& [id, entry] : jobs_) list.push_back(&entry->job);
  return list;
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
  for (const auto& [key, job] : waiting_) snapshot.waiting.push_back(job);
  for (const auto& [order, job] : active_) snapshot.active.push_back(job);
  return snapshot;
}

void State::enable_environments(bool enabled) {
  for (auto& environment : cluster_.environments) environment.enabled = enabled;
}

bool State::environments_enabled() const {
  return std::all_of(cluster_.environments.begin(), cluster_.environments.end(),
                     [](const ComputeEnvironment& environment) { return environment.enabled; });
}

const Job* State::find(const JobId& id) const {
  const auto found = jobs_.find(id);
  return found == jobs_.end() ? nullptr : &found->second->job;
}

std::vector<const Job*> State::jobs(const QueueName& queue, JobStatus status) const {
  std::vector<const Job*> list;
  const auto found = listed_.find({queue, status});
  if (found == listed_.end()) return list;
  for (const auto& [order, job] : found->second) list.push_back(job);
  return list;
}

std::vector<const Node*> State::nodes() const {
  std::vector<const Node*> list;
  for (const auto& [id, node] : nodes_) list.push_back(&node);
  std::sort(list.begin(), list.end(),
            [](const Node* a, const Node* b) { return a->ordinal < b->ordinal; });
  return list;
}

api::View::NodeLoad State::load(const NodeId& id) const {
  NodeLoad load;
  const auto* where = node(id);
  if (where == nullptr) return load;
  load.free_vcpus = where->vcpus;
  load.free_memory = where->memory;
  for (const auto* job : holders(id)) {
    for (const auto& run : job->attempts.back().nodes) {
      if (run.node != id || run.phase == NodePhase::exited) continue;
      (run.phase == NodePhase::running ? load.running_jobs : load.pending_jobs) += 1;
    }
    // A multi-node job has its nodes to itself.
    load.free_vcpus = job->is_multi_node() ? 0 : load.free_vcpus - job->spec.vcpus;
    load.free_memory = job->is_multi_node() ? MiB{} : load.free_memory - job->spec.memory;
  }
  return load;
}

std::vector<core::Block> State::blocks(const JobId& id) const {
  const auto found = blocks_.find(id);
  return found == blocks_.end() ? std::vector<core::Block>{} : found->second;
}

std::string State::environment_note(const ComputeEnvironmentName& name) const {
  const auto found = notes_.find(name);
  return found == notes_.end() ? "" : found->second;
}

}  // namespace cox::head
