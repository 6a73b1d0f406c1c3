#pragma once

#include <string>

namespace cox::coxd {

/// The keeper of a cluster: makes its name spaces and listening sockets, and keeps a worker
/// running until the cluster has ended. Adopts the nodes' first processes and waits for them.
///
/// `ready_fd` (or -1) gets one line: "ok" once the API is served, or why it is not.
/// Returns the exit status.
int run_keeper(const std::string& cluster_directory, int ready_fd);

}  // namespace cox::coxd
