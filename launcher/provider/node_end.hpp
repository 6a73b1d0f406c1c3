#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "launcher/provider/node_files.hpp"
#include "runtime/base/ids.hpp"
#include "runtime/base/result.hpp"
#include "runtime/os/event_loop.hpp"

namespace cox::provider {

/// Watches for the end of a process, child or not. Dropping it ends the watch.
class ProcessWatch {
 public:
  virtual ~ProcessWatch() = default;
  /// SIGKILL, to this very process and to no later one of its number.
  virtual void kill() = 0;
};

/// `ended` is called once, on the loop. Errors: not_found when the process is no more.
[[nodiscard]] Result<std::unique_ptr<ProcessWatch>> watch_process(os::EventLoop& loop,
                                                                  const ProcessMark& mark,
                                                                  std::function<void()> ended);

/// "its agent was killed by signal 9", "its agent ended with exit code 1: <last line of its log>".
[[nodiscard]] std::string describe_end(std::optional<int> wait_status,
                                       const std::string& agent_log);

/// The removal of a node, under way. Dropping it waits for the part that uses the disk.
class NodeRemoval {
 public:
  virtual ~NodeRemoval() = default;
};

/// Kills the node's first process where it lives (the kernel then ends all below it and undoes
/// mounts and network), and removes its cgroup and directory. `done` is called on the loop. A node
/// of which there is nothing left is fine.
[[nodiscard]] std::unique_ptr<NodeRemoval> remove_node(os::EventLoop& loop,
                                                       const std::string& cluster_directory,
                                                       const std::string& cluster_name,
                                                       const NodeId& id,
                                                       std::function<void(Result<void>)> done);

}  // namespace cox::provider
