#pragma once

#include <sys/types.h>

#include <string>

#include "runtime/os/fd.hpp"

/// A head in a process of its own, over nodes that cost nothing: what is measured is the head.
namespace cox::bench {

struct HeadSetting {
  std::string directory;  ///< the head's own, on a disk
  int nodes = 1;          ///< compute nodes, all there from the start
  int vcpus = 2;          ///< of each
};

/// What outlives a head, as the keeper of a real one has it: the sockets that clients and agents
/// dial, and the way to the agents' process.
struct Belongings {
  os::Fd api_listener;
  os::Fd agent_listener;
  os::Fd to_agents;  ///< "start the agent of this node", as simulated_agents.hpp reads it
};

/// Starts the head's process. With `first` it makes its cluster, else it finds the one it left.
/// It ends with this process.
[[nodiscard]] pid_t start_head(const HeadSetting& setting, const Belongings& belongings);

/// Kills the process and waits for its end.
void kill_process(pid_t pid);

/// Bytes of memory that the process has of its own and in use. Source: proc(5), smaps_rollup,
/// Anonymous.
[[nodiscard]] long memory_of(pid_t pid);
/// CPU time that the process has used, in seconds.
[[nodiscard]] double cpu_seconds_of(pid_t pid);

}  // namespace cox::bench
