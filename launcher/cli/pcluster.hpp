#pragma once

#include <functional>
#include <string>
#include <vector>

#include "launcher/cli/program.hpp"
#include "launcher/cluster/lifecycle.hpp"
#include "launcher/config/config.hpp"
#include "runtime/base/result.hpp"

/// What the verbs of ParallelCluster 2 and 3 share.
namespace cox::cli {

/// A cluster's file, read and checked.
struct ConfigFile {
  std::string name;  ///< as given
  std::string text;
  bool readable = false;
  config::Loaded loaded;
};

/// Reads a file; `v2` says which format is meant. Errors: not_found and the like for the file
/// itself.
[[nodiscard]] Result<ConfigFile> read_config(const std::string& path, bool v2,
                                             const config::LoadOptions& options);

/// A line where the nodes declare more vCPUs than this machine has; else empty.
[[nodiscard]] std::string overcommit_note(const config::ClusterConfig& config);

/// `pcluster ssh`: `words` is what follows the name: options of ssh, then a command. Returns its
/// status.
int ssh_to_head_node(const std::string& cluster, const std::vector<std::string>& words,
                     Streams streams);

// The verbs by version. The first word is the verb's first argument.
int run_v2(const std::string& verb, const std::vector<std::string>& args, Streams streams);
int run_v3(const std::string& verb, const std::vector<std::string>& args, Streams streams);
[[nodiscard]] bool is_v3_verb(const std::string& verb);
[[nodiscard]] bool is_v2_verb(const std::string& verb);

/// Follows the making of a cluster until it is there or has failed. `progress` gets "<resource> -
/// <state>". Returns the failure, if it failed.
[[nodiscard]] Result<void> follow_creation(const std::string& cluster,
                                           const std::function<void(const std::string&)>& progress);

}  // namespace cox::cli
