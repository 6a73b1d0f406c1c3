#pragma once

#include <optional>
#include <string>
#include <vector>

#include "launcher/cluster/registry.hpp"
#include "launcher/config/config.hpp"
#include "runtime/base/result.hpp"

namespace cox::cli {

/// A cluster's file, read for a verb.
struct ClusterFile {
  std::string path;  ///< as the user named it
  std::string text;
  bool is_ini = false;
  config::Loaded loaded;

  /// True when a finding of this level or above is there.
  [[nodiscard]] bool has(config::Level level) const;
};

/// AWS_DEFAULT_REGION, else AWS_REGION, else empty.
[[nodiscard]] std::string environment_region();

/// Where a file of version 2 usually is: AWS_PCLUSTER_CONFIG_FILE, else ~/.parallelcluster/config.
[[nodiscard]] std::string usual_version2_file();

/// The content of a cluster's file. Errors: not_found or invalid_argument, naming it.
[[nodiscard]] Result<std::string> read_configuration(const std::string& path);

/// Reads it with AWS_DEFAULT_REGION (or AWS_REGION) of the environment. A version 2 verb takes any
/// file for INI that is not named .yaml or .yml; a version 3 verb one that begins with a [section].
/// Errors: not_found or invalid_argument when it cannot be read, naming it.
[[nodiscard]] Result<ClusterFile> read_cluster_file(const std::string& path,
                                                    const config::LoadOptions& options,
                                                    bool for_version2);

/// The file that a cluster was made from; nothing when it cannot be read any more.
[[nodiscard]] std::optional<config::ClusterConfig> stored_config(const cluster::Record& record);

/// What to say when the file asks for more vCPUs than this machine has. Pure.
[[nodiscard]] std::optional<config::Finding> overcommit(const config::ClusterConfig& config,
                                                        int machine_cpus);
/// The processors that this process may use.
[[nodiscard]] int machine_cpus();

}  // namespace cox::cli
