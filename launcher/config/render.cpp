#include "launcher/config/config.hpp"
#include "runtime/base/text.hpp"

namespace cox::config {

std::string render(const Finding& finding, std::string_view file_name, std::string_view text) {
  const char* level = finding.level == Level::error     ? "error"
                      : finding.level == Level::warning ? "warning"
                                                        : "info";
  const auto what =
      finding.path.empty() ? finding.text : fmt::format("{}: {}", finding.path, finding.text);
  if (finding.place.line <= 0) return fmt::format("{}: {}: {}\n", file_name, level, what);
  auto shown = fmt::format("{}:{}:{}: {}: {}\n", file_name, finding.place.line,
                           finding.place.column, level, what);
  const auto lines = split(text, '\n');
  const auto index = static_cast<std::size_t>(finding.place.line) - 1;
  if (index >= lines.size()) return shown;
  auto line = lines[index];
  for (char& c : line) {
    if (c == '\t' || c == '\r') c = ' ';
  }
  const auto column =
      static_cast<std::size_t>(finding.place.column > 0 ? finding.place.column - 1 : 0);
  return shown + fmt::format("  {}\n  {}^\n", line, std::string(column, ' '));
}

bool looks_like_ini(std::string_view text) {
  for (const auto& raw : split(text, '\n')) {
    const auto line = trim(raw);
    if (line.empty() || line.front() == '#' || line.front() == ';') continue;
    return line.front() == '[' && line.find(']') != std::string_view::npos &&
           line.find(',') == std::string_view::npos;
  }
  return false;
}

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
