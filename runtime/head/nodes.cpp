#include <algorithm>

#include "runtime/head/head_core.hpp"
#include "runtime/head/plain_text.hpp"
#include "runtime/os/log.hpp"

/// Nodes: asked for, placed on, lost and given back.
namespace cox::head {

namespace {

constexpr std::int64_t kFirstBackoffMs = 2000;  // after a node could not be started
constexpr std::int64_t kLastBackoffMs = 60'000;

/// MPI slots of a job on a node: what was asked for, else the node's vCPUs.
int slots_on(const Node& node, const JobSpec& spec) {
  if (spec.mpi && spec.mpi->ranks_per_node > 0) return spec.mpi->ranks_per_node;
  return spec.slots_per_node > 0 ? spec.slots_per_node : node.vcpus;
}

Node of_type(const InstanceType& type) {
  Node node;
  node.instance_type = type.name;
  node.vcpus = type.vcpus;
  node.memory = type.memory;
  return node;
}

}  // namespace

std::string shown(const Node& node) {
  return node.ordinal == 0 ? "HeadNode" : fmt::format("ComputeNode {}", node.id);
}

void HeadCore::want_pass() {
  pass_wanted_ = true;
  journal_->wake();
}

/// One scheduling pass: places what can be placed, then asks for nodes or gives them back.
void HeadCore::pass(Millis now) {
  pass_wanted_ = false;
  if (ready_ && head_node_.empty() && may_try(ComputeEnvironmentName{})) provision_head_node();
  for (const auto& placement : state_.place(now)) place(placement, now);
  const auto plan = state_.scale(now);
  for (const auto& wanted : plan.launch) launch(wanted);
  for (const auto& id : plan.release) release(id, "it was idle");
  keep_time_limits(now);
}

void HeadCore::place(const core::Placement& placement, Millis now) {
  const auto* job = state_.find(placement.job);
  if (job == nullptr || job->status != JobStatus::runnable) return;
  core::Placed event{now, static_cast<int>(job->attempts.size()) + 1, {}, {}};
  for (const auto& id : placement.nodes) {
    const auto* node = state_.node(id);
    if (node == nullptr || node->status != NodeStatus::up) return;
    NodeRun run;
    run.node = id;
    run.address = node->address;
    run.hostname = node->hostname;
    run.instance_type = node->instance_type;
    run.environment = node->environment;
    run.slots = slots_on(*node, job->spec);
    event.nodes.push_back(std::move(run));
  }
  event.launch = choose_launch(job->spec, event.nodes);
  apply(placement.job, event);
}

// Coming up.

bool HeadCore::may_try(const ComputeEnvironmentName& environment) const {
  const auto backoff = backoff_.find(environment);
  return backoff == backoff_.end() || clock_.now() >= backoff->second.until;
}

void HeadCore::launch(const core::NodesWanted& wanted) {
  if (!may_try(wanted.environment)) return;
  if (!backoff_.contains(wanted.environment)) {
    state_.set_note(wanted.environment, fmt::format("Growing by {} {}: {}", wanted.count,
                                                    wanted.type.name, wanted.why));
  }
  std::string allocation;
  for (int i = 0; i < wanted.count; ++i) {
    auto node = of_type(wanted.type);
    node.ordinal = state_.free_ordinal();
    node.environment = wanted.environment;
    if (wanted.lent_s > 0) {
      if (allocation.empty() || !wanted.together) allocation = new_allocation();
      node.allocation = allocation;
      node.lent_s = wanted.lent_s;
    }
    provision(std::move(node));
  }
}

void HeadCore::provision_head_node() {
  auto node = of_type(state_.cluster().head_node);
  provision(std::move(node));
}

std::string HeadCore::new_allocation() {
  std::uniform_int_distribution<std::uint64_t> bits;
  return fmt::format("p{:016x}", bits(random_));
}

void HeadCore::provision(Node node) {
  std::uniform_int_distribution<std::uint64_t> bits;
  node.id = NodeId{fmt::format("i-{:017x}", bits(random_))};
  node.status = NodeStatus::pending;
  node.launched_at = node.idle_since = clock_.now();
  if (node.ordinal == 0) head_node_ = node.id;
  tell(shown(node), "CREATE_IN_PROGRESS", node.instance_type);
  state_.put_node(node);
  journal_->add(node);
  // Once it is known that it was asked for, so that no node is ever forgotten.
  journal_->then([this, node] {
    if (shutting_down_ || state_.node(node.id) == nullptr) return;
    auto identity = os::issue_certificate(ca_, node.id.value);
    if (!identity) return provisioned(node.id, fail(identity.error()));
    NodeRequest request{node.id,
                        node.ordinal,
                        node.environment,
                        InstanceType{node.instance_type, node.vcpus, node.memory},
                        {std::move(identity->certificate), std::move(identity->private_key),
                         std::move(identity->ca_certificate)},
                        node.allocation,
                        node.lent_s};
    provider_.provision(std::move(request),
                        guarded([this, id = node.id](Result<ProvisionedNode> result) {
                          provisioned(id, std::move(result));
                        }));
  });
}

void HeadCore::provisioned(const NodeId& id, Result<ProvisionedNode> result) {
  const auto* known = state_.node(id);
  if (known == nullptr || known->status == NodeStatus::terminating || shutting_down_) return;
  Node node = *known;
  if (result) {
    if (!result->address.empty()) {
      node.address = result->address;
      node.hostname = result->hostname;
    }
    if (result->vcpus > 0) node.vcpus = result->vcpus;
    if (result->memory.value > 0) node.memory = result->memory;
    state_.put_node(node);
    journal_->add(node);
    is_up(id);
    return;
  }
  const auto why = result.error().message;
  tell(shown(node), "CREATE_FAILED", why);
  journal_->gone(id);
  state_.remove_node(id);
  if (!ready_) return fail_creation(why);
  if (id == head_node_) head_node_ = NodeId{};
  did_not_start(node, why);
  want_pass();
}

/// The node is up when its agent has said hello, the provider has said where it is, and its scripts
/// have run.
void HeadCore::is_up(const NodeId& id) {
  const auto session = sessions_.find(id);
  const auto* known = state_.node(id);
  const bool there = known != nullptr && session != sessions_.end() && session->second.greeted &&
                     !known->address.empty();
  if (!there || known->status == NodeStatus::up || known->status == NodeStatus::terminating) return;
  silence_.erase(id);
  if (!has_run_scripts(id)) return;
  Node node = *known;
  node.status = NodeStatus::up;
  node.reason.clear();
  if (const auto until = provider_.lent_until(id); until.set()) node.lent_until = until;
  const bool first_time = were_up_.insert(id).second;
  if (first_time) {
    node.idle_since = clock_.now();
    tell(shown(node), "CREATE_COMPLETE", node.hostname);
    backoff_.erase(node.environment);
  }
  state_.put_node(node);
  journal_->add(node);
  forget_scripts(id);
  if (state_.count(node.environment, NodeStatus::pending) == 0)
    state_.set_note(node.environment, "");
  want_pass();
  check_readiness();
}

/// A node whose provider does not know where it comes up says so itself.
void HeadCore::learn_address(const NodeId& id, const wire::Hello& message) {
  const auto* known = state_.node(id);
  if (known == nullptr || !known->address.empty() || message.address.empty()) return;
  Node node = *known;
  node.address = message.address;
  node.hostname = message.hostname;
  state_.put_node(node);
  journal_->add(node);
}

/// It was asked for and is not given yet: who waits for it is told why.
void HeadCore::waits(const NodeId& id, const std::string& why) {
  const auto* known = state_.node(id);
  if (known == nullptr || known->status != NodeStatus::pending) return;
  Node node = *known;
  node.reason = why;
  state_.put_node(node);
  silence_.erase(id);
  if (!why.empty()) {
    state_.set_note(node.environment, why, true);
  } else {
    silence_[id] = loop_.after(std::chrono::milliseconds(options_.first_call_ms),
                               [this, id] { did_not_call(id); });
  }
  want_pass();  // what jobs wait for is another thing now
}

/// It will be taken away at another time than was known.
void HeadCore::is_lent(const NodeId& id) {
  const auto* known = state_.node(id);
  const auto until = provider_.lent_until(id);
  if (known == nullptr || known->status == NodeStatus::pending || known->lent_until == until)
    return;
  Node node = *known;
  node.lent_until = until;
  state_.put_node(node);
  journal_->add(node);
  want_pass();
}

/// A node that never came up: the next try is later, and who waits is told why.
void HeadCore::did_not_start(const Node& node, const std::string& why) {
  const auto now = clock_.now();
  auto& backoff = backoff_[node.environment];
  if (now >= backoff.until) {  // of several at once the first counts
    const auto wait = kFirstBackoffMs << std::min(backoff.failures, 5);
    ++backoff.failures;
    backoff.until = now + std::min(wait, kLastBackoffMs);
  }
  backoff.why = why;
  state_.set_note(node.environment,
                  launch_trouble(node.instance_type, why, backoff.failures, backoff.until - now),
                  true);
}

// Going.

void HeadCore::went_silent(const NodeId& id, const std::string& why) {
  const auto* known = state_.node(id);
  if (known == nullptr || known->status == NodeStatus::terminating) return;
  os::log_warn("node {} went silent: {}", id, why);
  Node node = *known;
  node.status = NodeStatus::silent;
  node.reason = why;
  state_.put_node(node);
  silence_[id] = loop_.after(std::chrono::milliseconds(options_.node_lost_after_ms),
                             [this, id] { lose(id, "its agent did not come back"); });
  provider_.suspect(id);
  want_pass();
}

/// Gives an idle node back.
void HeadCore::release(const NodeId& id, const std::string& why) {
  const auto* known = state_.node(id);
  if (known == nullptr || known->status == NodeStatus::terminating || !state_.holders(id).empty()) {
    return;
  }
  Node node = *known;
  node.status = NodeStatus::terminating;
  node.reason = why;
  state_.put_node(node);
  journal_->add(node);
  tell(shown(node), "DELETE_IN_PROGRESS", why);
  clear_away(id, [this, name = shown(node)] {
    tell(name, "DELETE_COMPLETE", "");
    want_pass();
  });
}

/// A node is gone for good: its jobs hear of it, and the provider clears up.
void HeadCore::lose(const NodeId& id, const std::string& why) {
  const auto* known = state_.node(id);
  if (known == nullptr || known->status == NodeStatus::terminating || shutting_down_) return;
  os::log_warn("node {} is lost: {}", id, why);
  const Node node = *known;
  tell_jobs_of_loss(id, why);
  tell(shown(node), "DELETE_COMPLETE", why);
  if (!ready_) return fail_creation(fmt::format("node {} ({}): {}", node.hostname, id, why));
  if (!were_up_.contains(id)) did_not_start(node, why);
  clear_away(id, [this, id] {
    if (id == head_node_) head_node_ = NodeId{};
    want_pass();
  });
}

/// It was given, but its agent is not heard of. What else came of its allocation is of no use to
/// whom it was for.
void HeadCore::did_not_call(const NodeId& id) {
  const auto* known = state_.node(id);
  if (known == nullptr) return;
  const auto allocation = known->allocation;
  lose(id, fmt::format("it was given, but its agent did not dial home within {} s",
                       options_.first_call_ms / 1000));
  if (allocation.empty()) return;
  std::vector<NodeId> rest;
  for (const auto* node : state_.nodes()) {
    const bool is_of_it = node->allocation == allocation && node->id != id;
    if (is_of_it && state_.holders(node->id).empty()) rest.push_back(node->id);
  }
  for (const auto& other : rest) {
    lose(other, fmt::format("the agent of node {} of its allocation did not dial home", id));
  }
}

void HeadCore::tell_jobs_of_loss(const NodeId& id, const std::string& why) {
  Node node = *state_.node(id);
  node.status = NodeStatus::terminating;
  node.reason = why;
  state_.put_node(node);
  journal_->add(node);
  std::vector<JobId> jobs;
  for (const auto* job : state_.holders(id)) jobs.push_back(job->id);
  for (const auto& job : jobs) {
    apply(job, core::NodeLost{clock_.now(), id, why});
    const auto* attempt = state_.find(job)->current();
    if (attempt == nullptr) continue;
    for (std::size_t i = 0; i < attempt->nodes.size(); ++i) {
      if (attempt->nodes[i].node == id) {
        tell_nodes_of_loss({job, attempt->number, static_cast<int>(i)});
      }
    }
    end_what_waited(job, attempt->number);  // may change the job: the attempt is another then
  }
  want_pass();
}

/// Removes the nodes of a creation that the head's end cut short.
void HeadCore::clear_leftovers(const std::function<void()>& done) {
  const auto nodes = state_.nodes();
  if (nodes.empty()) return done();
  const auto left = std::make_shared<std::size_t>(nodes.size());
  std::vector<NodeId> ids;
  for (const auto* node : nodes) ids.push_back(node->id);
  for (const auto& id : ids) {
    tell_jobs_of_loss(id, "the head ended while the cluster was made");
    clear_away(id, [left, done] {
      if (--*left == 0) done();
    });
  }
}

/// Has the provider remove what the node had, once what is said of it is durable.
void HeadCore::clear_away(const NodeId& id, std::function<void()> after) {
  silence_.erase(id);
  if (id == head_node_ && update_scripts_.done) update_script_failed("was lost with its node");
  actions_.erase(id);
  std::erase_if(script_lines_, [&](const auto& each) { return each.first.first == id; });
  sessions_.erase(id);
  journal_->then([this, id, after = std::move(after)] {
    if (shutting_down_) return;
    provider_.terminate(id, guarded([this, id, after](const Result<void>& done) {
                          if (!done) os::log_error("node {}: {}", id, done.error().message);
                          journal_->gone(id);
                          state_.remove_node(id);
                          were_up_.erase(id);
                          if (!shutting_down_) after();
                        }));
  });
}

/// The head node, and of each environment what DesiredvCpus and MinvCpus ask for.
void HeadCore::first_nodes() {
  provision_head_node();
  for (const auto& environment : state_.cluster().environments) {
    grow_to(environment, std::max(environment.min_vcpus, environment.desired_vcpus));
  }
}

/// Asks for what is missing of so many vCPUs, as far as MaxvCpus goes.
void HeadCore::grow_to(const ComputeEnvironment& environment, int vcpus) {
  if (environment.instance_types.empty()) return;
  const auto& type = environment.instance_types.front();
  int there = 0;
  for (const auto* node : state_.nodes()) {
    const bool counts =
        node->environment == environment.name && node->status != NodeStatus::terminating;
    if (counts) there += node->vcpus;
  }
  int count = 0;
  while (there + count * type.vcpus < vcpus &&
         there + (count + 1) * type.vcpus <= environment.max_vcpus) {
    ++count;
  }
  if (count == 0) return;
  core::NodesWanted wanted{environment.name, type, count, fmt::format("DesiredvCpus is {}", vcpus)};
  const auto& lent = state_.cluster().lent;
  if (const auto lending = lent.find(environment.name); lending != lent.end()) {
    wanted.lent_s = lending->second.default_s;
    wanted.together = true;
  }
  launch(wanted);
}

void HeadCore::end_nodes(std::function<void()> done) {
  shutting_down_ = true;
  silence_.clear();
  actions_.clear();
  update_scripts_ = {};
  std::vector<NodeId> ids;
  for (const auto* node : state_.nodes()) ids.push_back(node->id);
  const auto left = std::make_shared<std::size_t>(ids.size());
  const auto finish = std::make_shared<std::function<void()>>(std::move(done));
  if (ids.empty()) return loop_.post(guarded([finish] { (*finish)(); }));
  for (const auto& id : ids) {
    provider_.terminate(id, guarded([this, id, left, finish](const Result<void>& ended) {
                          if (!ended) os::log_error("node {}: {}", id, ended.error().message);
                          sessions_.erase(id);
                          journal_->gone(id);
                          state_.remove_node(id);
                          if (--*left == 0) journal_->then([finish] { (*finish)(); });
                        }));
  }
}

/// Whether the ranks of a job may outnumber the cores below its nodes. Nodes of one machine share
/// its cores, so it is the sum over all nodes that counts against the smallest machine.
bool HeadCore::more_ranks_than_cores(const Job& job) const {
  int ranks = 0;
  int cores = 0;
  for (const auto& run : job.attempts.back().nodes) {
    const auto session = sessions_.find(run.node);
    if (session == sessions_.end()) return true;
    const int here = session->second.hardware_threads;
    if (!session->second.paths.nodes_share_cores) {
      if (run.slots > here) return true;
      continue;
    }
    ranks += run.slots;
    cores = cores == 0 ? here : std::min(cores, here);
  }
  return ranks > cores;
}

}  // namespace cox::head
