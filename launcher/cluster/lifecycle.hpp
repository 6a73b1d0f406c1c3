#pragma once

#include <functional>
#include <string>

#include "launcher/cluster/registry.hpp"
#include "launcher/config/config.hpp"
#include "runtime/base/result.hpp"
#include "runtime/os/fd.hpp"

/// A cluster's life on this host, as far as the command line drives it: its daemon does the rest.
///
/// Who makes or removes a cluster holds a lock on its directory meanwhile; who makes one holds a
/// lock on the state root while it looks whether the name is free. The kernel gives both back when
/// the program is killed, so what is left of a cluster that nobody is making can be told.
namespace cox::cluster {

inline constexpr const char* kVersion = "0.1.0";

/// A cluster to make.
struct CreateRequest {
  std::string name;
  std::string config_file;  ///< as the user named it, for messages
  std::string config_text;
  std::string cluster_template;  ///< v2
  config::ClusterConfig config;
  std::map<std::string, std::string> tags{};  ///< of the command line
};

/// Makes the cluster's directory and starts its daemon, which makes the rest; returns when the
/// daemon serves its API. On failure nothing of the cluster is left. A cluster of that name that is
/// CREATE_FAILED gives way, and so does one that was left half made or half removed.
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
/// Errors: invalid_argument when the cluster is another user's; unavailable when something of it
/// does not end.
[[nodiscard]] Result<void> remove(const std::string& name,
                                  const std::function<void(const std::string&)>& progress);

/// As current_record(); an update that a crash of the daemon has cut short is finished first.
[[nodiscard]] Result<Record> settle(const std::string& name);

/// True when there is anything of a cluster of that name, be it half made.
[[nodiscard]] bool exists(const std::string& name);

/// The record, with the status as it is by now: CREATE_FAILED or DELETE_FAILED where the record
/// speaks of something in progress and nobody is at it any more.
/// Errors: not_found.
[[nodiscard]] Result<Record> current_record(const std::string& name);

/// Why a name cannot be a cluster's, if it cannot: pattern ^[a-zA-Z][a-zA-Z0-9-]+$, at most 60.
[[nodiscard]] Result<void> check_name(const std::string& name);

}  // namespace cox::cluster
