#include "launcher/config/config.hpp"

namespace cox::config {

ClusterSettings to_settings(const ClusterConfig& config, const std::string& name) {
  ClusterSettings settings;
  settings.name = name;
  settings.v2 = config.v2;
  settings.stack_name = config.v2 ? "parallelcluster-" + name : name;
  settings.region = config.region;
  settings.os_user = config.os_user;
  settings.head_node = find_instance_type(config.head_instance_type)
                           .value_or(InstanceType{config.head_instance_type, 2, MiB{1024}});
  const auto arn = [&](std::string_view kind, const std::string& what) {
    return fmt::format("arn:aws:batch:{}:{}:{}/{}", config.region, settings.account, kind, what);
  };
  for (const auto& queue : config.queues) {
    JobQueue made;
    made.name = QueueName{queue.name};
    made.arn = arn("job-queue", queue.name);
    for (const auto& resource : queue.compute_resources) {
      ComputeEnvironment environment;
      environment.name = ComputeEnvironmentName{name + "-" + resource.name};
      environment.arn = arn("compute-environment", environment.name.value);
      environment.spot = queue.spot;
      environment.min_vcpus = resource.min_vcpus;
      environment.desired_vcpus = resource.desired_vcpus;
      environment.max_vcpus = resource.max_vcpus;
      environment.instance_types =
          expand_instance_types(resource.instance_types).value_or(std::vector<InstanceType>{});
      const int minutes = config.scaledown_idle_minutes;
      environment.idle_ms_before_release = minutes < 0 ? -1 : std::int64_t{60'000} * minutes;
      made.environments.push_back(environment.name);
      settings.environments.push_back(std::move(environment));
    }
    settings.queues.push_back(std::move(made));
  }
  for (const auto& storage : config.shared) {
    settings.shared.push_back(
        {storage.mount_dir, storage.as_configured, storage.type, storage.file_system_id});
  }
  return settings;
}

}  // namespace cox::config
