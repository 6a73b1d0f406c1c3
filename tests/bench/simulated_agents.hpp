#pragma once

#include <sys/types.h>

#include "runtime/base/ids.hpp"
#include "runtime/os/frame_link.hpp"

/// Agents of many nodes in one process: they speak the real wire over real TLS and run nothing.
namespace cox::bench {

struct NodeToPlay {
  NodeId node;
  os::TlsIdentity identity;
};

/// Has the agents' process play this node, too.
void tell_agents(int to_agents, const NodeToPlay& node);

/// How the agents' jobs go: SIGUSR1 to the process turns one into the other.
enum class Jobs : bool {
  end,   ///< each has ended as soon as it was launched
  stay,  ///< none ends until that signal
};

/// Starts the agents' process: it reads from `from_head`, dials this port of 127.0.0.1, and dials
/// again where a connection is lost. It ends with this process.
[[nodiscard]] pid_t start_agents(int from_head, int port, Jobs jobs);

}  // namespace cox::bench
