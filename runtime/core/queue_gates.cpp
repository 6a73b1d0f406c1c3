#include "runtime/core/queue_gates.hpp"

#include <algorithm>
#include <cmath>

#include "runtime/core/fair_share.hpp"

namespace cox::core {

namespace {

int vcpus_of(const Job& job) { return job.spec->vcpus * job.node_count(); }

/// vCPUs that the queue's environments can have.
int vcpus_for(const ClusterSettings& cluster, const JobQueue& queue) {
  int sum = 0;
  for (const auto& environment : cluster.environments) {
    const bool serves = std::find(queue.environments.begin(), queue.environments.end(),
                                  environment.name) != queue.environments.end();
    if (serves && environment.enabled) sum += environment.max_vcpus;
  }
  return sum;
}

}  // namespace

QueueGates::QueueGates(const Snapshot& snapshot) : QueueGates(snapshot, uses_in(snapshot)) {}

/// Of queues that may have a gate.
std::map<QueueName, QueueUse> QueueGates::uses_in(const Snapshot& snapshot) {
  std::map<QueueName, QueueUse> uses;
  for (const auto& queue : snapshot.cluster->queues) {
    const auto shares = snapshot.shares.find(queue.name);
    const bool reserves = shares != snapshot.shares.end() && shares->second.policy->reservation > 0;
    if (running_limit(queue) == 0 && !reserves) continue;
    uses[queue.name].shares = reserves ? active_shares(snapshot, queue.name).size() : 0;
  }
  if (uses.empty()) return uses;
  for (const auto* job : snapshot.active) {
    const auto use = uses.find(job->spec->queue);
    if (use == uses.end()) continue;
    ++use->second.jobs;
    use->second.vcpus += vcpus_of(*job);
  }
  return uses;
}

QueueGates::QueueGates(const Snapshot& snapshot, const std::map<QueueName, QueueUse>& uses) {
  for (const auto& queue : snapshot.cluster->queues) {
    const auto shares = snapshot.shares.find(queue.name);
    const int reservation =
        shares == snapshot.shares.end() ? 0 : shares->second.policy->reservation;
    const int limit = running_limit(queue);
    if (limit == 0 && reservation == 0) continue;
    const auto known = uses.find(queue.name);
    const auto use = known == uses.end() ? QueueUse{} : known->second;
    auto& gate = gates_[queue.name];
    gate.jobs = use.jobs;
    gate.vcpus = use.vcpus;
    if (limit > 0) gate.jobs_max = limit;
    if (reservation > 0) {
      const double all = vcpus_for(*snapshot.cluster, queue);
      const double kept = std::pow(reservation / 100.0, static_cast<double>(use.shares));
      gate.vcpus_max = static_cast<int>(std::floor(all * (1 - kept) + 1e-9));
    }
  }
}

std::optional<Block> QueueGates::shut(const Job& job) const {
  const auto found = gates_.empty() ? gates_.end() : gates_.find(job.spec->queue);
  if (found == gates_.end()) return std::nullopt;
  const auto& gate = found->second;
  Block block;
  block.queue = job.spec->queue;
  if (gate.jobs_max && gate.jobs >= *gate.jobs_max) {
    block.kind = BlockKind::queue_limit;
    block.wanted = *gate.jobs_max;
    block.have = gate.jobs;
    return block;
  }
  if (gate.vcpus_max && gate.vcpus > 0 && gate.vcpus + vcpus_of(job) > *gate.vcpus_max) {
    block.kind = BlockKind::share_reservation;
    block.wanted = vcpus_of(job);
    block.have = std::max(0, *gate.vcpus_max - gate.vcpus);
    return block;
  }
  return std::nullopt;
}

void QueueGates::passed(const Job& job) {
  const auto found = gates_.empty() ? gates_.end() : gates_.find(job.spec->queue);
  if (found == gates_.end()) return;
  ++found->second.jobs;
  found->second.vcpus += vcpus_of(job);
}

}  // namespace cox::core
