#pragma once

#include <string>
#include <utility>
#include <vector>

#include "runtime/core/lifecycle.hpp"
#include "runtime/core/scheduler.hpp"

/// Jobs in every state and small clusters, for the tests of the core.
namespace cox::core {

inline constexpr Millis kThen{1'700'000'000'000};  ///< when everything was submitted

inline NodeRun run_on(const std::string& node) {
  NodeRun run;
  run.node = NodeId{node};
  run.hostname = "host-" + node;
  return run;
}

inline JobSpec spec_of(int vcpus = 1, MiB memory = MiB{128}) {
  JobSpec spec;
  spec.queue = QueueName{"q"};
  spec.vcpus = vcpus;
  spec.memory = memory;
  return spec;
}

inline JobSpec wide_spec(int nodes, int vcpus = 1) {
  auto spec = spec_of(vcpus);
  spec.nodes = nodes;
  return spec;
}

/// The job after all these events; an event that is refused ends the test's process.
inline Job follow(Job job, const std::vector<JobEvent>& events) {
  for (const auto& event : events) job = after(std::move(job), event).value();
  return job;
}

inline Job submitted(const std::string& id, JobSpec spec, std::vector<JobId> waits_for = {}) {
  Job blank;
  blank.id = JobId{id};
  return follow(std::move(blank), {Submitted{kThen, std::move(spec), {}, std::move(waits_for)}});
}

inline Placed placed_on(int attempt, const std::vector<std::string>& nodes) {
  Placed event{kThen + 1, attempt, {}, "mpirun"};
  for (const auto& node : nodes) event.nodes.push_back(run_on(node));
  return event;
}

inline InstanceType type_of(const std::string& name, int vcpus, MiB memory = MiB{0}) {
  return {name, vcpus, memory.value > 0 ? memory : MiB{vcpus * 1024}};
}

inline const InstanceType kSmall = type_of("small", 2);
inline const InstanceType kLarge = type_of("large", 4);

inline ComputeEnvironment environment_of(const std::string& name, int min_vcpus, int max_vcpus,
                                         std::vector<InstanceType> types) {
  ComputeEnvironment environment;
  environment.name = ComputeEnvironmentName{name};
  environment.min_vcpus = min_vcpus;
  environment.max_vcpus = max_vcpus;
  environment.instance_types = std::move(types);
  environment.idle_ms_before_release = 60'000;
  return environment;
}

/// One queue, "q", over the environments in their order.
inline ClusterSettings cluster_of(std::vector<ComputeEnvironment> environments) {
  ClusterSettings cluster;
  cluster.name = "tutor";
  JobQueue queue;
  queue.name = QueueName{"q"};
  for (const auto& environment : environments) queue.environments.push_back(environment.name);
  cluster.queues = {queue};
  cluster.environments = std::move(environments);
  return cluster;
}

inline Node node_of(const std::string& id, const std::string& environment, const InstanceType& type,
                    NodeStatus status = NodeStatus::up) {
  Node node;
  node.id = NodeId{id};
  node.environment = ComputeEnvironmentName{environment};
  node.instance_type = type.name;
  node.vcpus = type.vcpus;
  node.memory = type.memory;
  node.status = status;
  node.launched_at = kThen;
  node.idle_since = kThen;
  return node;
}

}  // namespace cox::core
