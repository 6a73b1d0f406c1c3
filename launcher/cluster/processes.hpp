#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "runtime/base/result.hpp"
#include "runtime/os/fd.hpp"

/// The processes of a cluster, held so that no other one of the same number is ever meant.
namespace cox::cluster {

/// A process that was alive when it was looked for.
struct HeldProcess {
  int pid = 0;
  os::Fd handle;  ///< pidfd
};

/// The coxd processes whose command line names this cluster's directory: keeper and head.
[[nodiscard]] std::vector<HeldProcess> daemons_of(const std::string& cluster_directory);

/// The first processes of the cluster's nodes that are alive.
[[nodiscard]] std::vector<HeldProcess> nodes_of(const std::string& cluster_directory);

/// The cluster directory of a coxd, from its /proc/<pid>/cmdline (words that end with a 0 each);
/// empty for another program. Pure.
[[nodiscard]] std::string served_directory(const std::string& command_line);

/// False when it has not ended within the time.
[[nodiscard]] bool wait_for_end(const HeldProcess& process, std::chrono::milliseconds time);

/// SIGKILL, and waits. Errors: unavailable when one does not end, or may not be killed.
[[nodiscard]] Result<void> kill_all(const std::vector<HeldProcess>& processes,
                                    std::chrono::milliseconds time);

}  // namespace cox::cluster
