#include "launcher/cli/pcluster_file.hpp"

#include <sched.h>

#include <algorithm>
#include <cstdlib>

#include "runtime/os/files.hpp"

namespace cox::cli {

namespace {

// No cluster's file is larger; a wrong name on the command line may well be.
constexpr std::size_t kFileBytesMax = 1u << 20;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

}  // namespace

std::string environment_region() {
  const auto region = environment("AWS_DEFAULT_REGION");
  return region.empty() ? environment("AWS_REGION") : region;
}

std::string default_ini_path() {
  const char* named = std::getenv("AWS_PCLUSTER_CONFIG_FILE");
  if (named != nullptr && *named != '\0') return named;
  const char* home = std::getenv("HOME");
  return std::string(home != nullptr ? home : "") + "/.parallelcluster/config";
}

Result<std::string> read_configuration(const std::string& path) {
  auto text = os::read_file(path, kFileBytesMax);
  if (!text && text.error().code == Errc::not_found) {
    return fail(Errc::not_found, "the configuration file {} does not exist", path);
  }
  if (!text) return fail(within("the configuration file", text.error()));
  return text;
}

bool ClusterFile::has(config::Level level) const {
  return std::any_of(loaded.findings.begin(), loaded.findings.end(),
                     [&](const config::Finding& finding) { return finding.level >= level; });
}

Result<ClusterFile> read_cluster_file(const std::string& path, const config::LoadOptions& options,
                                      bool for_version2) {
  auto text = read_configuration(path);
  if (!text) return fail(text.error());
  ClusterFile file;
  file.path = path;
  file.text = std::move(*text);
  const bool named_yaml = path.ends_with(".yaml") || path.ends_with(".yml");
  file.is_ini = for_version2 ? !named_yaml : config::looks_like_ini(file.text);
  auto with_environment = options;
  with_environment.environment_region = environment_region();
  file.loaded = file.is_ini ? config::load_ini(file.text, with_environment)
                            : config::load_yaml(file.text, with_environment);
  return file;
}

std::optional<config::ClusterConfig> stored_config(const cluster::Record& record) {
  const auto text = os::read_file(cluster::directory_of(record.name) + "/config", kFileBytesMax);
  if (!text) return std::nullopt;
  const config::LoadOptions options{.region = record.region,
                                    .environment_region = {},
                                    .cluster_template = record.cluster_template};
  auto loaded = record.v2 ? config::load_ini(*text, options) : config::load_yaml(*text, options);
  if (loaded.config) {
    for (const auto& [key, value] : record.tags) loaded.config->tags[key] = value;
  }
  return std::move(loaded.config);
}

std::optional<config::Finding> overcommit(const config::ClusterConfig& config, int machine_cpus) {
  int declared = 0;
  config::Place place;
  for (const auto& queue : config.queues) {
    for (const auto& resource : queue.compute_resources) {
      const auto& source = resource.provider.empty() ? config.provider : resource.provider;
      if (source != "local") continue;
      if (declared == 0) place = resource.place;
      declared += resource.max_vcpus;
    }
  }
  if (declared <= machine_cpus) return std::nullopt;
  return config::Finding{
      config::Level::info, "LocalCapacityValidator", "", place,
      fmt::format("the cluster may grow to {} vCPUs and this machine has {}: nodes will share "
                  "processors, so programs run correctly but slower than on {} real ones",
                  declared, machine_cpus, declared)};
}

int machine_cpus() {
  cpu_set_t mine;
  if (::sched_getaffinity(0, sizeof mine, &mine) != 0) return 1;
  return CPU_COUNT(&mine);
}

}  // namespace cox::cli
