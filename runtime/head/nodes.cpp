#include <algorithm>

#include "runtime/head/head_core.hpp"
#include "runtime/os/log.hpp"

/// Nodes: asked for, placed on, lost and given back.
namespace cox::head {

namespace {

constexpr std::int64_t kBackoffMs = 5000;  // after a node could not be started

/// MPI slots of a job on a node: what was asked for, else the node's vCPUs.
int slots_on(const Node& node, const JobSpec& spec) {
  if (spec.mpi && spec.mpi->ranks_per_node > 0) return spec.mpi->ranks_per_node;
  return spec.slots_per_node > 0 ? spec.slots_per_node : node.vcpus;
}

}  // namespace

void HeadCore::schedule_pass() {
  if (pass_scheduled_ || shutting_down_) return;
  pass_scheduled_ = true;
  loop_.post([this] {
    pass_scheduled_ = false;
    if (!shutting_down_) pass();
  });
}

/// One scheduling pass: places what can be placed, then asks for nodes or gives them back.
void HeadCore::pass() {
  const auto now = clock_.now();
  auto placements = core::place(state_.snapshot(now));
  state_.set_blocks(std::move(placements.blocked));
  for (const auto& placement : placements.placed) {
    const auto* job = state_.find(placement.job);
    if (job == nullptr || job->status != JobStatus::runnable) continue;
    core::Placed event{now, static_cast<int>(job->attempts.size()) + 1, {}, "mpirun"};
    for (const auto& id : placement.nodes) {
      const auto* node = state_.node(id);
      const int slots = slots_on(*node, job->spec);
      event.nodes.push_back({id,
                             node->address,
                             node->hostname,
                             node->instance_type,
                             node->environment,
                             slots,
                             NodePhase::preparing,
                             {},
                             {},
                             {},
                             {}});
    }
    apply(placement.job, event);
  }
  const auto plan = core::scale(state_.snapshot(now));
  for (const auto& wanted : plan.launch) launch(wanted);
  for (const auto& id : plan.release) release(id, "it was idle");
  if (!plan.release.empty()) rearm_timer();
}

void HeadCore::launch(const core::NodesWanted& wanted) {
  const auto backoff = backoff_until_.find(wanted.environment);
  if (backoff != backoff_until_.end()) {
    if (clock_.now() < backoff->second) return;
    backoff_until_.erase(backoff);
  }
  state_.set_note(wanted.environment,
                  fmt::format("Growing by {} {}: {}", wanted.count, wanted.type.name, wanted.why));
  for (int i = 0; i < wanted.count; ++i) {
    Node node;
    node.ordinal = state_.free_ordinal();
    node.environment = wanted.environment;
    node.instance_type = wanted.type.name;
    node.vcpus = wanted.type.vcpus;
    node.memory = wanted.type.memory;
    provision(std::move(node));
  }
}

void HeadCore::provision(Node node) {
  std::uniform_int_distribution<std::uint64_t> bits;
  node.id = NodeId{fmt::format("i-{:017x}", bits(random_) & 0xfff'ffff'ffff'ffffULL)};
  node.status = NodeStatus::pending;
  node.launched_at = node.idle_since = clock_.now();
  if (node.ordinal == 0) head_node_ = node.id;
  tell(node.ordinal == 0 ? "HeadNode" : fmt::format("ComputeNode {}", node.id),
       "CREATE_IN_PROGRESS", node.instance_type);
  state_.put_node(node);
  journal_->add(node);
  journal_->then([this, node] {
    if (shutting_down_ || state_.node(node.id) == nullptr) return;
    auto identity = os::issue_certificate(ca_, node.id.value);
    if (!identity) return provisioned(node.id, fail(identity.error()));
    provider_.provision({node.id,
                         node.ordinal,
                         node.environment,
                         InstanceType{node.instance_type, node.vcpus, node.memory},
                         {identity->certificate, identity->private_key, identity->ca_certificate}},
                        [this, id = node.id](Result<ProvisionedNode> result) {
                          provisioned(id, std::move(result));
                        });
  });
}

void HeadCore::provisioned(const NodeId& id, Result<ProvisionedNode> result) {
  const auto* known = state_.node(id);
  if (known == nullptr) return;
  if (result) {
    Node node = *known;
    node.address = result->address;
    node.hostname = result->hostname;
    state_.put_node(node);
    journal_->add(node);
    schedule_pass();
    return;
  }
  const auto why = result.error().message;
  const auto environment = known->environment;
  tell(environment.empty() ? "HeadNode" : fmt::format("ComputeNode {}", id), "CREATE_FAILED", why);
  journal_->gone(id);
  state_.remove_node(id);
  if (!ready_) {
    fail_creation(why);
    return;
  }
  backoff_until_[environment] = clock_.now() + kBackoffMs;
  state_.set_note(environment, fmt::format("A node could not be started: {}", why));
  rearm_timer();
}

/// Gives an idle node back.
void HeadCore::release(const NodeId& id, const std::string& why) {
  const auto* known = state_.node(id);
  if (known == nullptr || !state_.holders(id).empty() || !releasing_.insert(id).second) return;
  Node node = *known;
  node.status = NodeStatus::terminating;
  node.reason = why;
  state_.put_node(node);
  state_.set_note(node.environment, fmt::format("Gave back {}: {}", node.hostname, why));
  tell(fmt::format("ComputeNode {}", id), "DELETE_IN_PROGRESS", why);
  silence_.erase(id);
  provider_.terminate(id, [this, id](const Result<void>& done) {
    if (!done) os::log_error("node {}: {}", id, done.error().message);
    releasing_.erase(id);
    sessions_.erase(id);
    journal_->gone(id);
    state_.remove_node(id);
    tell(fmt::format("ComputeNode {}", id), "DELETE_COMPLETE", "");
    schedule_pass();
  });
}

/// A node is gone for good: its jobs hear of it, and the provider clears up.
void HeadCore::lose(const NodeId& id, const std::string& why) {
  const auto* known = state_.node(id);
  if (known == nullptr || known->status == NodeStatus::terminating || shutting_down_) return;
  os::log_warn("node {} is lost: {}", id, why);
  Node node = *known;
  node.status = NodeStatus::terminating;
  node.reason = why;
  state_.put_node(node);
  silence_.erase(id);
  sessions_.erase(id);
  std::vector<JobId> jobs;
  for (const auto* job : state_.holders(id)) jobs.push_back(job->id);
  for (const auto& job : jobs) apply(job, core::NodeLost{clock_.now(), id, why});
  tell(node.ordinal == 0 ? "HeadNode" : fmt::format("ComputeNode {}", id), "DELETE_COMPLETE", why);
  const bool was_head_node = id == head_node_;
  journal_->then([this, id, was_head_node] {
    provider_.terminate(id, [this, id, was_head_node](const Result<void>& done) {
      if (!done) os::log_error("node {}: {}", id, done.error().message);
      journal_->gone(id);
      state_.remove_node(id);
      if (shutting_down_) return;
      if (was_head_node && ready_) {
        Node again;
        again.instance_type = state_.cluster().head_node.name;
        again.vcpus = state_.cluster().head_node.vcpus;
        again.memory = state_.cluster().head_node.memory;
        provision(std::move(again));
      }
      schedule_pass();
    });
  });
  if (!ready_ && failure_.empty()) fail_creation(fmt::format("node {}: {}", node.hostname, why));
}

/// The head node, and of each environment what DesiredvCpus and MinvCpus ask for.
void HeadCore::first_nodes() {
  const auto& cluster = state_.cluster();
  Node head;
  head.instance_type = cluster.head_node.name;
  head.vcpus = cluster.head_node.vcpus;
  head.memory = cluster.head_node.memory;
  provision(std::move(head));
  for (const auto& environment : cluster.environments) {
    if (environment.instance_types.empty()) continue;
    const auto& type = environment.instance_types.front();
    const int wanted = std::max(environment.min_vcpus, environment.desired_vcpus);
    int count = 0;
    while (count * type.vcpus < wanted && (count + 1) * type.vcpus <= environment.max_vcpus)
      ++count;
    if (count > 0) {
      launch({environment.name, type, count, fmt::format("DesiredvCpus is {}", wanted)});
    }
  }
}

/// Whether the ranks of a job may outnumber the cores below its nodes. Nodes of one machine share
/// its cores, so it is the sum over all nodes that counts against the smallest machine.
bool HeadCore::more_ranks_than_cores(const Job& job) const {
  int ranks = 0;
  int cores = 0;
  for (const auto& run : job.attempts.back().nodes) {
    ranks += run.slots;
    const auto session = sessions_.find(run.node);
    if (session == sessions_.end()) return true;
    const int here = session->second.hardware_threads;
    cores = cores == 0 ? here : std::min(cores, here);
  }
  return ranks > cores;
}

}  // namespace cox::head
