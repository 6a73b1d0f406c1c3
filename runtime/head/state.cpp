#include "runtime/head/state.hpp"

#include <algorithm>

namespace cox::head {

Result<Applied> State::apply(const JobId& id, const core::JobEvent& event) {
  ++changes_;
  const auto found = jobs_.find(id);
  const bool is_new = found == jobs_.end();
  if (is_new && !std::holds_alternative<core::Submitted>(event)) {
    return fail(Errc::not_found, "job {} does not exist", id);
  }
  Job blank;
  blank.id = id;
  // A copy: a refused event must leave the job as it was.
  auto changed = core::after(is_new ? std::move(blank) : (*found)->job, event);
  if (!changed) return fail(changed.error());
  std::vector<NodeId> held;
  Entry* known = is_new ? nullptr : found->get();
  if (is_new) {
    auto made = std::make_unique<Entry>(Entry{Job{}, next_order_++});
    made->job.id = id;
    known = jobs_.insert(std::move(made)).first->get();
    count_files(*changed, +1, nullptr);
    if (!std::get<core::Submitted>(event).children.empty()) whole_arrays_.insert(id);
    if (const JobSpec& spec = changed->spec; !spec.client_token.empty() && !changed->array_index) {
      by_token_[{spec.user->uid, spec.client_token}] = id;
    }
  } else {
    if (const auto* attempt = known->job.current()) {
      for (const auto& run : attempt->nodes) {
        if (run.phase != NodePhase::exited) held.push_back(run.node);
      }
    }
    unindex(*known);
  }
  Entry& entry = *known;
  const auto before = entry.job.status;
  if (!changed->spec->share.empty()) count_shares(entry.job, *changed, is_new);
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

void State::share_alike(const JobId& id, std::optional<int> array_index, Shared<JobSpec>& spec) {
  if (array_index) {
    if (const auto* parent = find(parent_of(id))) spec.share_with(parent->spec);
    return;
  }
  constexpr std::size_t kDefinitionsMax = 1000;
  if (last_of_.size() > kDefinitionsMax) last_of_.clear();
  auto& mine = spec.edit();
  auto& last = last_of_[mine.definition];
  const auto share = [](auto& one, auto& other) {
    one.share_with(other);
    other = one;
  };
  share(mine.definition, last.definition);
  share(mine.user, last.user);
  share(mine.files, last.files);
  share(mine.mpi, last.mpi);
  share(mine.tags, last.tags);
  share(mine.parameters, last.parameters);
  share(mine.exit_rules, last.exit_rules);
  share(mine.groups, last.groups);
  share(mine.share, last.share);
}

std::vector<JobId> State::forget(const JobId& id, std::vector<std::string>& unused) {
  ++changes_;
  std::vector<JobId> gone;
  const auto remove = [&](const JobId& each) {
    const auto found = jobs_.find(each);
    if (found == jobs_.end()) return;
    unindex(**found);
    count_files((*found)->job, -1, &unused);
    const JobSpec& spec = (*found)->job.spec;
    if (const auto token = by_token_.find({spec.user->uid, spec.client_token});
        token != by_token_.end() && token->second == each) {
      by_token_.erase(token);
    }
    forget_shares((*found)->job);
    whole_arrays_.erase(each);
    jobs_.erase(found);
    gone.push_back(each);
  };
  const auto* job = find(id);
  const int children = job != nullptr && job->is_array_parent() ? *job->spec->array_size : 0;
  for (int i = 0; i < children; ++i) remove(child_of(id, i));
  remove(id);
  return gone;
}

void State::count_files(const Job& job, int sign, std::vector<std::string>* unused) {
  if (job.array_index) return;  // the parent counts for all its children
  for (const auto& file : job.spec->files) {
    int& count = files_[file.sha256];
    count += sign;
    if (count > 0) continue;
    files_.erase(file.sha256);
    if (unused != nullptr) unused->push_back(file.sha256);
  }
}

State::Needs State::needs_of(const Job& job) {
  const JobSpec& spec = job.spec;
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
  if (!job.array_index) listed_[{job.spec->queue, job.status}][entry.order] = &job;
  const bool holds = core::holds_nodes(job);
  if (job.status == JobStatus::runnable && !holds) add_waiting(entry);
  if (holds && active_.emplace(entry.order, &job).second) {
    auto& held = held_[{job.spec->queue, job.spec->share}];
    held.jobs += 1;
    held.vcpus += job.spec->vcpus * job.node_count();
  }
  use_nodes(entry, +1);
  if (const auto limit = core::deadline(job)) deadlines_.emplace(*limit, job.id);
  if (is_terminal(job.status) && !holds && !job.array_index) {
    ended_.emplace(job.stopped_at, job.id);
  }
  for (const auto& other : job.waits_for) dependents_[other].insert(job.id);
}

void State::unindex(const Entry& entry) {
  const Job& job = entry.job;
  if (const auto list = listed_.find({job.spec->queue, job.status}); list != listed_.end()) {
    list->second.erase(entry.order);
  }
  if (job.status == JobStatus::runnable) remove_waiting(entry);
  if (active_.erase(entry.order) > 0) {
    const auto held = held_.find({job.spec->queue, job.spec->share});
    held->second.jobs -= 1;
    held->second.vcpus -= job.spec->vcpus * job.node_count();
    if (held->second.jobs == 0) held_.erase(held);
  }
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

void State::add_waiting(const Entry& entry) {
  const auto [alike, is_new] = waiting_.try_emplace(needs_of(entry.job));
  auto& heads = heads_[entry.job.spec->queue];
  auto& jobs = alike->second;
  if (jobs.empty() || entry.order < jobs.begin()->first) {
    if (!jobs.empty()) heads.erase({jobs.begin()->first, &alike->first});
    heads.emplace(entry.order, &alike->first);
  }
  jobs[entry.order] = &entry.job;
}

void State::remove_waiting(const Entry& entry) {
  const auto alike = waiting_.find(needs_of(entry.job));
  if (alike == waiting_.end()) return;
  auto& jobs = alike->second;
  const auto found = jobs.find(entry.order);
  if (found == jobs.end()) return;
  auto& heads = heads_[entry.job.spec->queue];
  const bool was_first = found == jobs.begin();
  jobs.erase(found);
  if (!was_first) return;
  heads.erase({entry.order, &alike->first});
  if (jobs.empty()) {
    waiting_.erase(alike);
  } else {
    heads.emplace(jobs.begin()->first, &alike->first);
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
    use.vcpus += sign * job.spec->vcpus;
    use.memory = use.memory + MiB{sign * job.spec->memory.value};
    if (job.is_multi_node()) use.whole += sign;
    if (sign > 0) {
      use.holders[entry.order] = &job;
    } else {
      use.holders.erase(entry.order);
    }
    if (use.holders.empty()) use_.erase(run.node);
    keep_idle(run.node);
    put_free(run.node);
  }
}

/// Tells the scheduler what is free of the node now.
void State::put_free(const NodeId& id) {
  const auto found = nodes_.find(id);
  if (found == nodes_.end() || found->second.environment.empty()) {
    free_.remove(id);
    return;
  }
  const auto use = load(id);
  free_.put({&found->second, use.free_vcpus, use.free_memory, use.running_jobs + use.pending_jobs});
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
  // A lent one that has not come, or that a fault keeps jobs from, may be wanted by nobody any
  // more.
  const bool is_lent = cluster_.lent.contains(node.environment);
  const bool may_go =
      node.status == NodeStatus::up || (is_lent && node.status != NodeStatus::terminating);
  if (!may_go || !is_idle(node.id)) return std::nullopt;
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
  if (const auto known = nodes_.find(id); known != nodes_.end()) {
    --counts_[{known->second.environment, known->second.status}];
  }
  ++counts_[{node.environment, node.status}];
  const int highest = by_ordinal_.empty() ? 0 : by_ordinal_.rbegin()->first;
  for (int i = highest + 1; i < node.ordinal; ++i) free_ordinals_.insert(i);
  free_ordinals_.erase(node.ordinal);
  by_ordinal_[node.ordinal] = id;
  nodes_[id] = std::move(node);
  keep_idle(id);
  put_free(id);
}

void State::remove_node(const NodeId& id) {
  ++changes_;
  const auto found = nodes_.find(id);
  if (found == nodes_.end()) return;
  const auto ordinal = by_ordinal_.find(found->second.ordinal);
  if (ordinal != by_ordinal_.end() && ordinal->second == id) {
    if (ordinal->first > 0) free_ordinals_.insert(ordinal->first);
    by_ordinal_.erase(ordinal);
  }
  --counts_[{found->second.environment, found->second.status}];
  nodes_.erase(found);
  keep_idle(id);
  put_free(id);
}

const Node* State::node(const NodeId& id) const {
  const auto found = nodes_.find(id);
  return found == nodes_.end() ? nullptr : &found->second;
}

int State::free_ordinal() const {
  if (!free_ordinals_.empty()) return *free_ordinals_.begin();
  return by_ordinal_.empty() ? 1 : by_ordinal_.rbegin()->first + 1;
}

int State::count(const ComputeEnvironmentName& environment, NodeStatus status) const {
  const auto found = counts_.find({environment, status});
  return found == counts_.end() ? 0 : found->second;
}

int State::count(NodeStatus status) const {
  int sum = 0;
  for (const auto& [key, number] : counts_) sum += key.second == status ? number : 0;
  return sum;
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

std::string State::progress(const JobId& id) const {
  const auto found = progress_.find(id);
  return found == progress_.end() ? std::string() : found->second;
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
  return found == jobs_.end() ? nullptr : &(*found)->job;
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
