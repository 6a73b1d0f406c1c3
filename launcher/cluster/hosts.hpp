#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "launcher/config/config.hpp"
#include "launcher/provider/preflight.hpp"
#include "launcher/provider/slurm_plan.hpp"
#include "launcher/provider/ssh_plan.hpp"
#include "runtime/base/result.hpp"

/// Clusters whose nodes are hosts: which those are by the file.
namespace cox::cluster {

/// The names of the file's compute environments whose nodes come from this provider: local, ssh or
/// slurm.
[[nodiscard]] std::vector<std::string> environments_of(const config::ClusterConfig& config,
                                                       const std::string& cluster,
                                                       std::string_view provider);

/// True when some compute environment of the file is of hosts reached by ssh.
[[nodiscard]] bool uses_hosts(const config::ClusterConfig& config);

/// True when some compute environment of the file comes from a Slurm site.
[[nodiscard]] bool uses_site(const config::ClusterConfig& config);

/// The site as the file has it. What the nodes must see is put into the first shared directory;
/// without one into the cluster's own. The tag is a new one.
/// Errors: internal when there is no randomness.
[[nodiscard]] Result<provider::SlurmPlan> plan_site(const config::ClusterConfig& config,
                                                    const std::string& cluster,
                                                    const std::string& cluster_directory);

/// The hosts as the file has them; nothing of them is known yet. Paths are made absolute: "~/" by
/// the user's home, others by `base`, the file's directory. The tag is a new one.
/// Errors: internal when there is no randomness.
[[nodiscard]] Result<provider::SshPlan> plan_hosts(const config::ClusterConfig& config,
                                                   const std::string& cluster,
                                                   const std::string& base);

/// What the file asks of the hosts together: the directories that they share, and those that each
/// is to have for itself.
[[nodiscard]] provider::Demands demands_of(const config::ClusterConfig& config);

}  // namespace cox::cluster
