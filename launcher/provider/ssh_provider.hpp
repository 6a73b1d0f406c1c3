#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "launcher/provider/remote_cluster.hpp"
#include "launcher/provider/ssh_plan.hpp"
#include "runtime/os/event_loop.hpp"
#include "runtime/ports/node_provider.hpp"

/// Nodes that are hosts, reached by ssh. The agent is copied to a host once, started there by ssh
/// and dials home by itself: straight, or by a tunnel through ssh where that does not lead here.
/// What ssh started lives on without it.
namespace cox::provider {

/// Which node is on which host is kept in <cluster_directory>/ssh/nodes/<id>.
struct SshProviderOptions : RemoteCluster {
  SshPlan plan;
};

class SshProvider : public NodeProvider {
 public:
  /// True when nodes of this environment are hosts; with the plan alone, also the head node (an
  /// empty name): a plain process here.
  [[nodiscard]] virtual bool serves(const ComputeEnvironmentName& environment) const = 0;
  [[nodiscard]] virtual bool knows(const NodeId& id) const = 0;
  /// Which of the plan's hosts the node is on; nothing for the head node and for others' nodes.
  [[nodiscard]] virtual std::optional<std::size_t> host_of(const NodeId& id) const = 0;
  /// Removes all that the cluster has on hosts. `done` gets a sentence for each host where that
  /// could not be done in time.
  virtual void end_all(std::function<void(std::vector<std::string>)> done) = 0;
};

/// Errors: unavailable when the agent cannot be packed.
[[nodiscard]] Result<std::unique_ptr<SshProvider>> make_ssh_provider(os::EventLoop& loop,
                                                                     SshProviderOptions options);

}  // namespace cox::provider
