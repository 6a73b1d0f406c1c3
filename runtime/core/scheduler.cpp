#include "runtime/core/scheduler.hpp"

#include "runtime/core/serving.hpp"

namespace cox::core {

namespace {

const JobQueue* queue_of(const ClusterSettings& cluster, const QueueName& name) {
  for (const auto& queue : cluster.queues) {
    if (queue.name == name) return &queue;
  }
  return nullptr;
}

const ComputeEnvironment* environment_of(const ClusterSettings& cluster,
                                         const ComputeEnvironmentName& name) {
  for (const auto& environment : cluster.environments) {
    if (environment.name == name) return &environment;
  }
  return nullptr;
}

}  // namespace

std::vector<const ComputeEnvironment*> environments_of(const ClusterSettings& cluster,
                                                       const Job& job) {
  std::vector<const ComputeEnvironment*> list;
  const auto* queue = queue_of(cluster, job.spec->queue);
  if (queue == nullptr) return list;
  for (const auto& name : queue->environments) {
    if (const auto* environment = environment_of(cluster, name)) list.push_back(environment);
  }
  return list;
}

std::optional<Fit> smallest_fit(const ComputeEnvironment& environment, const JobSpec& spec) {
  const int nodes = spec.nodes.value_or(1);
  for (const auto& type : environment.instance_types) {
    const std::int64_t all = std::int64_t{type.vcpus} * nodes;
    if (type.vcpus >= spec.vcpus && type.memory >= spec.memory && all <= environment.max_vcpus) {
      return Fit{type, nodes};
    }
  }
  return std::nullopt;
}

}  // namespace cox::core
