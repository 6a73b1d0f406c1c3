#pragma once

#include <string>

#include "runtime/base/result.hpp"
#include "runtime/os/fd.hpp"

/// What finds, starts and reaches a cluster's daemon, apart from what makes and removes clusters:
/// commands that only speak to the daemon do without all that needs.
namespace cox::cluster {

[[nodiscard]] std::string socket_of(const std::string& directory);

[[nodiscard]] bool is_there(const std::string& path);

/// A lock on a directory, held while the descriptor lives. Errors: not_found; with `wait` false
/// also unavailable, when somebody else holds it.
[[nodiscard]] Result<os::Fd> lock_directory(const std::string& path, bool wait);

/// True when somebody makes, serves or removes the cluster right now.
[[nodiscard]] bool is_attended(const std::string& directory);

/// Starts the daemon; returns when it serves. Errors: unavailable with its own words.
[[nodiscard]] Result<void> start_daemon(const std::string& directory);

}  // namespace cox::cluster
