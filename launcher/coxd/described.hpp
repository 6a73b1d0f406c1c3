#pragma once

#include <optional>
#include <string>

#include "launcher/cluster/registry.hpp"
#include "launcher/config/config.hpp"
#include "launcher/provider/slurm_site.hpp"
#include "launcher/provider/ssh_plan.hpp"
#include "runtime/base/result.hpp"
#include "runtime/model/cluster.hpp"

namespace cox::coxd {

/// A cluster as its directory describes it.
struct Described {
  cluster::Record record;
  config::ClusterConfig config;
  ClusterSettings settings;
  std::optional<provider::SshPlan> hosts;   ///< where some nodes are hosts
  std::optional<provider::SlurmPlan> site;  ///< where some come from Slurm
};

/// What the record, this text of a cluster's file, its hosts and its Slurm site make. Errors:
/// invalid_argument, with the first thing that stands in the way.
[[nodiscard]] Result<Described> describe(cluster::Record record, const std::string& text,
                                         std::optional<provider::SshPlan> hosts,
                                         std::optional<provider::SlurmPlan> site);

/// The cluster of a directory. Errors too: not_found when it has no record or file.
[[nodiscard]] Result<Described> describe(const std::string& directory);

/// <cluster directory>/shared/<name>: where a shared directory's content is.
[[nodiscard]] std::string directory_of(const std::string& directory,
                                       const config::SharedStorage& storage);

/// A directory that is shared by all nodes: as root anybody's, like /tmp, because jobs run as the
/// users who submitted them.
[[nodiscard]] Result<void> make_shared_directory(const std::string& path);

}  // namespace cox::coxd
