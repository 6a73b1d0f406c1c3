#include <algorithm>

#include "launcher/config/config.hpp"
#include "launcher/config/rules.hpp"

namespace cox::config {

Result<std::vector<InstanceType>> offered_types(const ComputeResource& resource) {
  auto types = expand_instance_types(resource.instance_types);
  if (!types) return types;
  for (auto& type : *types) {
    if (resource.cores_only) type.vcpus = std::max(1, type.vcpus / threads_per_core(type.name));
    if (resource.memory_mib > 0) type.memory = MiB{resource.memory_mib};
  }
  return types;
}

std::string environment_name(const ClusterConfig& config, const std::string& cluster,
                             std::size_t queue, std::size_t resource) {
  const auto& owner = config.queues[queue];
  const auto& name = owner.compute_resources[resource].name;
  // The original has one queue with awsbatch, and names without it; Slurm's resources are named
  // within their queue.
  if (queue == 0 && config.scheduler == "awsbatch") return fmt::format("{}-{}", cluster, name);
  return fmt::format("{}-{}-{}", cluster, owner.name, name);
}

namespace {

NodeScripts scripts_of(const CustomActions& actions, int limit_s) {
  NodeScripts scripts{{}, limit_s};
  for (const auto& each : actions.on_node_start) {
    scripts.list.push_back({"OnNodeStart", each.script, each.args});
  }
  for (const auto& each : actions.on_node_configured) {
    scripts.list.push_back({"OnNodeConfigured", each.script, each.args});
  }
  return scripts;
}

}  // namespace

ClusterSettings to_settings(const ClusterConfig& config, const std::string& name) {
  ClusterSettings settings;
  settings.name = name;
  settings.v2 = config.v2;
  settings.stack_name = config.v2 ? "parallelcluster-" + name : name;
  settings.region = config.region;
  settings.os_user = config.os_user;
  settings.history_days = config.history_days;
  settings.log_retention_days = config.log_retention_days;
  settings.containers = config.containers == "podman";
  settings.head_node = find_instance_type(config.head_instance_type)
                           .value_or(InstanceType{config.head_instance_type, 2, MiB{1024}});
  settings.scripts[ComputeEnvironmentName{}] =
      scripts_of(config.head_actions, config.head_start_limit_s);
  const auto arn = [&](std::string_view kind, const std::string& what) {
    return fmt::format("arn:aws:batch:{}:{}:{}/{}", config.region, settings.account, kind, what);
  };
  // As a stack's tags come to be those of its resources.
  auto tags = config.tags;
  tags["parallelcluster:cluster-name"] = name;
  for (std::size_t q = 0; q < config.queues.size(); ++q) {
    const auto& queue = config.queues[q];
    JobQueue made;
    made.tags = queue.tags;
    made.tags.insert(tags.begin(), tags.end());
    made.name = QueueName{queue.name};
    made.max_running = queue.max_running;
    made.arn = arn("job-queue", queue.name);
    for (std::size_t r = 0; r < queue.compute_resources.size(); ++r) {
      const auto& resource = queue.compute_resources[r];
      ComputeEnvironment environment;
      environment.tags = resource.tags;
      environment.tags.insert(made.tags.begin(), made.tags.end());
      environment.name = ComputeEnvironmentName{environment_name(config, name, q, r)};
      environment.arn = arn("compute-environment", environment.name.value);
      environment.spot = queue.spot;
      environment.min_vcpus = resource.min_vcpus;
      environment.desired_vcpus = resource.desired_vcpus;
      environment.max_vcpus = resource.max_vcpus;
      environment.instance_types = offered_types(resource).value_or(std::vector<InstanceType>{});
      const int minutes = config.scaledown_idle_minutes;
      environment.idle_ms_before_release = minutes < 0 ? -1 : std::int64_t{60'000} * minutes;
      settings.scripts[environment.name] = scripts_of(queue.actions, config.node_start_limit_s);
      made.environments.push_back(environment.name);
      settings.environments.push_back(std::move(environment));
    }
    settings.queues.push_back(std::move(made));
  }
  for (const auto& storage : config.shared) {
    // Jobs know of disks, RAID arrays and EFS; the rest are directories like disks to them.
    const bool known = storage.type == "Efs" || storage.type == "Raid";
    settings.shared.push_back({storage.mount_dir, storage.as_configured,
                               known ? storage.type : "Ebs", storage.file_system_id,
                               storage.source == "staged"});
  }
  return settings;
}

}  // namespace cox::config
