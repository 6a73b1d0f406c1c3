#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runtime/base/result.hpp"
#include "runtime/model/cluster.hpp"
#include "runtime/os/event_loop.hpp"
#include "runtime/os/fd.hpp"
#include "runtime/ports/node_provider.hpp"

/// Nodes that are namespaces on this machine: own network with eth0 on a bridge, host name,
/// process tree and mounts. All of a cluster lives below one keeper process; when that and the
/// nodes' first processes are gone, the kernel has removed every namespace, interface and mount.
namespace cox::provider {

/// What a local cluster is made of. Paths are on this machine.
struct LocalClusterPlan {
  std::string cluster_name;
  std::string directory;  ///< the cluster's directory; nodes' files are in <directory>/nodes/<id>
  std::string home_directory;  ///< shown to nodes as /home/<os_user>
  std::string api_directory;   ///< holds api.sock; shown to nodes as /run/coxswain/cluster
  std::string bin_directory;   ///< the product's programs; shown to nodes as /run/coxswain/bin
  std::string os_user;
  std::string region;
  std::vector<std::pair<std::string, std::string>> shared;  ///< {directory here, path in nodes}
};

/// The cluster's own name spaces, made once by its keeper: as root mounts only; as an ordinary user
/// a user namespace that maps the user to itself, with its capabilities kept over exec, and mounts.
/// Moves the calling process (which must have one thread) into them, and makes the network
/// namespace of the bridge with the address 10.0.0.1/16. Where nodes of the cluster are still
/// alive below `cluster_directory`, joins their user namespace and their bridge's network instead.
/// Also makes this process adopt orphans (PR_SET_CHILD_SUBREAPER).
/// Returns the network namespace of the bridge.
/// Errors: unavailable where the machine does not allow it, with what to do.
[[nodiscard]] Result<os::Fd> enter_cluster_namespaces(const std::string& cluster_directory);

/// A TCP socket listening on 10.0.0.1:9470 inside the bridge's network.
[[nodiscard]] Result<os::Fd> listen_in_network(const os::Fd& bridge_network);

/// A keeper's word on one of its children that ended; written to a pipe as it is, so that the
/// provider, in another process, can say how a node's first process ended.
struct ChildReport {
  int pid = 0;
  int wait_status = 0;
};

/// Provides local nodes; runs inside the cluster's name spaces. Each node is brought up by
/// `coxd --bring-up-node` (bring_up_node), whose child becomes the node's first process, cox-agent.
/// Keeps <directory>/nodes/<id>/pid and the shared hosts file <directory>/hosts.
class LocalProvider : public NodeProvider {
 public:
  /// Ends all nodes and starts no more. Nobody hears of their ends; `done` is called on the loop
  /// when nothing of them is left.
  virtual void end_all(std::function<void()> done) = 0;

  /// Shows more directories {directory here, path in nodes} to the nodes there are, and to those to
  /// come. `done` hears of the first node that could not get one; then none has it any more.
  virtual void share(std::vector<std::pair<std::string, std::string>> more,
                     std::function<void(Result<void>)> done) = 0;
  /// Takes them away again, as far as that goes.
  virtual void unshare(const std::vector<std::pair<std::string, std::string>>& paths) = 0;
};

/// `child_reports`: the reading end of a pipe of ChildReports, or none.
[[nodiscard]] std::unique_ptr<LocalProvider> make_local_provider(os::EventLoop& loop,
                                                                 LocalClusterPlan plan,
                                                                 const os::Fd& bridge_network,
                                                                 int head_port,
                                                                 os::Fd child_reports = {});

/// The body of `coxd --bring-up-node`: reads the node's description from descriptor 3, makes the
/// node around a child that becomes the agent, and writes the outcome to descriptor 4: the first
/// process's number, or why there is no node (nothing of it is left then). Descriptor 5 is the
/// bridge's network. Returns the exit status.
int bring_up_node();

/// The body of `coxd --share-directory PID SOURCE TARGET`: binds a directory of this machine at a
/// path of a node that runs; `coxd --unshare-directory PID TARGET` takes it away. One thread only:
/// the process enters the node's mounts. Doing it twice is harmless. Prints why it failed on
/// standard output; returns the exit status.
int share_directory(int pid, const std::string& source, const std::string& target);
int unshare_directory(int pid, const std::string& target);

/// The first process of a local node, as seen here; what `pcluster ssh` enters.
struct NodeEntry {
  int pid = 0;
  std::string os_user;
};
/// Errors: not_found when there is no such node, or its first process has ended.
[[nodiscard]] Result<NodeEntry> find_local_node(const std::string& cluster_directory,
                                                const NodeId& id);

/// Enters the node's name spaces as the calling user and runs `argv` there with this process's
/// terminal, its environment replaced by the node's login environment; returns its exit code.
/// An empty argv: a login shell. Otherwise the words are joined by blanks for a shell, as sshd
/// does. The exit code of a program that was ended by a signal is 128 + the signal. The calling
/// process stays in the node, where it can start no thread: it should end by _exit(). Errors:
/// unavailable when the node cannot be entered.
[[nodiscard]] Result<int> run_in_local_node(const NodeEntry& entry,
                                            const std::vector<std::string>& argv);

}  // namespace cox::provider
