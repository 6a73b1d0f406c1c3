#include "launcher/cluster/hosts.hpp"

#include <pwd.h>
#include <sys/random.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdlib>

namespace cox::cluster {

namespace {

std::string provider_of(const config::ClusterConfig& config,
                        const config::ComputeResource& resource) {
  return resource.provider.empty() ? config.provider : resource.provider;
}

std::string home_directory() {
  const char* home = std::getenv("HOME");
  if (home != nullptr && *home != '\0') return home;
  const auto* entry = ::getpwuid(::geteuid());
  return entry != nullptr ? entry->pw_dir : "/";
}

/// ssh runs in the daemon, whose directory is another one.
std::string absolute(const std::string& path, const std::string& base) {
  if (path.empty() || path.front() == '/') return path;
  if (path.starts_with("~/")) return home_directory() + path.substr(1);
  return base + "/" + (path.starts_with("./") ? path.substr(2) : path);
}

Result<std::string> new_tag() {
  std::array<std::uint8_t, 8> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    return fail(Errc::internal, "the machine has no randomness to give");
  }
  std::string tag;
  for (const auto byte : bytes) tag += fmt::format("{:02x}", byte);
  return tag;
}

/// The environment's name of the compute resource that is called so; of the first that is of hosts
/// for an empty name.
std::string environment_of(const config::ClusterConfig& config, const std::string& cluster,
                           const std::string& resource) {
  for (std::size_t q = 0; q < config.queues.size(); ++q) {
    const auto& resources = config.queues[q].compute_resources;
    for (std::size_t r = 0; r < resources.size(); ++r) {
      const bool named = resource.empty() ? provider_of(config, resources[r]) == "ssh"
                                          : resources[r].name == resource;
      if (named) return config::environment_name(config, cluster, q, r);
    }
  }
  return {};
}

}  // namespace

std::vector<std::string> environments_of(const config::ClusterConfig& config,
                                         const std::string& cluster, std::string_view provider) {
  std::vector<std::string> names;
  for (std::size_t q = 0; q < config.queues.size(); ++q) {
    const auto& resources = config.queues[q].compute_resources;
    for (std::size_t r = 0; r < resources.size(); ++r) {
      if (provider_of(config, resources[r]) == provider) {
        names.push_back(config::environment_name(config, cluster, q, r));
      }
    }
  }
  return names;
}

bool uses_site(const config::ClusterConfig& config) {
  return !environments_of(config, "", "slurm").empty();
}

Result<provider::SlurmPlan> plan_site(const config::ClusterConfig& config,
                                      const std::string& cluster,
                                      const std::string& cluster_directory) {
  auto tag = new_tag();
  if (!tag) return fail(tag.error());
  auto stage = cluster_directory + "/slurm/stage";
  for (const auto& storage : config.shared) {
    stage = fmt::format("{}/.coxswain-{}", storage.mount_dir, *tag);
    break;
  }
  return provider::SlurmPlan{.tag = std::move(*tag),
                             .cluster = cluster,
                             .stage = std::move(stage),
                             .partition = config.slurm.partition,
                             .account = config.slurm.account,
                             .qos = config.slurm.qos,
                             .extra_args = config.slurm.extra_args,
                             .pilot_seconds = config.slurm.pilot_seconds,
                             .environments = environments_of(config, cluster, "slurm")};
}

bool uses_hosts(const config::ClusterConfig& config) {
  return !environment_of(config, "", "").empty();
}

provider::Demands demands_of(const config::ClusterConfig& config) {
  provider::Demands demands;
  for (const auto& storage : config.shared) {
    if (storage.source == "staged") {
      demands.staged.push_back(storage.mount_dir);
      continue;
    }
    // What hosts mount, they share.
    demands.shared.push_back(storage.mount_dir);
  }
  return demands;
}

Result<provider::SshPlan> plan_hosts(const config::ClusterConfig& config,
                                     const std::string& cluster, const std::string& base) {
  auto tag = new_tag();
  if (!tag) return fail(tag.error());
  provider::SshPlan plan;
  plan.tag = std::move(*tag);
  for (const auto& queue : config.queues) {
    for (const auto& resource : queue.compute_resources) {
      plan.alone = plan.alone && provider_of(config, resource) != "local";
    }
  }
  for (const auto& storage : config.shared) {
    const bool mounted = storage.source != "existing" && storage.source != "staged";
    if (mounted && uses_hosts(config)) plan.mounts.push_back({storage.mount_dir, storage.source});
  }
  const auto& ssh = config.ssh;
  for (const auto& host : ssh.hosts) {
    if (!uses_hosts(config)) break;
    plan.hosts.push_back({.target = {.host = host.host,
                                     .user = host.user.empty() ? ssh.user : host.user,
                                     .port = host.port,
                                     .identity_file = absolute(ssh.identity_file, base),
                                     .known_hosts_file = absolute(ssh.known_hosts_file, base),
                                     .proxy_jump = host.proxy_jump},
                          .environment = environment_of(config, cluster, host.compute_resource),
                          .vcpus = host.vcpus,
                          .memory_mib = host.memory_mib,
                          .address = {},
                          .hostname = {}});
  }
  return plan;
}

}  // namespace cox::cluster
