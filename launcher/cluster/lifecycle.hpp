#pragma once

#include <functional>
#include <string>

#include "launcher/cluster/registry.hpp"
#include "launcher/config/config.hpp"
#include "runtime/base/result.hpp"
#include "runtime/os/fd.hpp"

/// A cluster's life on this host, as far as the command line drives it: its daemon does the rest.
namespace cox::cluster {

inline constexpr const char* kVersion = "0.1.0";

/// A cluster to make.
struct CreateRequest {
  std::string name;
  std::string config_file;  ///< as the user named it, for messages
  std::string config_text;
  std::string cluster_template;  ///< v2
  config::ClusterConfig config;
};

/// Makes the cluster's directory and starts its daemon, which makes the rest; returns when the
/// daemon serves its API. On failure nothing of the cluster is left. A cluster of that name that
/// is CREATE_FAILED gives way.
/// Errors: conflict when the cluster exists; unavailable with the daemon's own words.
[[nodiscard]] Result<Record> create(const CreateRequest& request);

/// A connection to the cluster's API. Starts the daemon again when the cluster is complete and
/// nobody serves it (after a crash, or a restart of the machine).
/// Errors: not_found when there is no such cluster; unavailable when it cannot be served.
[[nodiscard]] Result<os::Fd> connect(const std::string& name);

/// Starts the daemon of a complete cluster that nobody serves. Does nothing when somebody does.
[[nodiscard]] Result<void> ensure_running(const std::string& name);

/// Ends the cluster's processes and removes all that it had, however much of it was ever made.
/// Removing what does not exist succeeds. `progress` hears of each step.
[[nodiscard]] Result<void> remove(const std::string& name,
                                  const std::function<void(const std::string&)>& progress);

/// Why a name cannot be a cluster's, if it cannot: pattern ^[a-zA-Z][a-zA-Z0-9-]+$, at most 60.
[[nodiscard]] Result<void> check_name(const std::string& name);

}  // namespace cox::cluster
