#pragma once

#include <functional>
#include <string>
#include <vector>

#include "runtime/base/result.hpp"
#include "runtime/model/cluster.hpp"

namespace cox {

/// What an agent needs to prove that it is the node: PEM texts.
struct NodeIdentity {
  std::string certificate;
  std::string private_key;
  std::string ca_certificate;
};

/// A node to bring up. The head chooses id and ordinal, so that asking twice is harmless.
struct NodeRequest {
  NodeId id;
  int ordinal = 0;  ///< small and unique among live nodes of the cluster; 0 is the head node
  ComputeEnvironmentName environment;  ///< empty for the head node
  InstanceType type;
  NodeIdentity identity;
  std::string allocation = {};  ///< nodes with the same are asked for as one; empty: not lent
  int lent_s = 0;               ///< for how long
};

/// A node that the provider has started, or has asked for where somebody else decides when. Its
/// agent may not have dialled home yet.
struct ProvisionedNode {
  NodeId id;
  std::string address;  ///< empty: its agent will tell
  std::string hostname;
  int vcpus = 0;  ///< what it really has, where that is not its type's; 0: the type's
  MiB memory = {};
};

/// Where nodes come from. Calls return at once; the answers come on the head's event loop.
class NodeProvider {
 public:
  virtual ~NodeProvider() = default;

  /// Starts a node. Errors: unavailable when it could not be started; nothing of it is left then.
  virtual void provision(NodeRequest request,
                         std::function<void(Result<ProvisionedNode>)> done) = 0;

  /// Ends a node with all its processes and removes what it had. Ending a node that does not
  /// exist succeeds.
  virtual void terminate(const NodeId& id, std::function<void(Result<void>)> done) = 0;

  /// Called on the loop when a node ended without terminate(): its id and a clause saying how
  /// ("its agent was killed by signal 9"). Set once, before the first provision().
  virtual void on_node_ended(std::function<void(NodeId, std::string)> handler) = 0;

  /// Called on the loop when a node that was asked for still has to wait, and why: a clause, or
  /// nothing once it waits no more.
  virtual void on_node_waiting(std::function<void(NodeId, std::string)> /*handler*/) {}

  /// Called on the loop when lent_until() is another for this node.
  virtual void on_node_lent(std::function<void(NodeId)> /*handler*/) {}
  /// When a lent node will be taken away, as far as is known; never later than it is.
  [[nodiscard]] virtual Millis lent_until(const NodeId& /*id*/) const { return {}; }

  /// Whether a node that has not been heard of may still be waiting for its turn: then its silence
  /// means nothing.
  [[nodiscard]] virtual bool may_wait(const NodeId& /*id*/) const { return false; }

  /// The directory, on this machine, that the node's agent knows as its scratch directory; empty
  /// where it is on another, or cannot be seen.
  [[nodiscard]] virtual std::string scratch_here(const NodeId& /*id*/) const { return {}; }

  /// The node's agent has gone silent: a provider that looks from time to time looks now.
  virtual void suspect(const NodeId& /*id*/) {}

  /// After a restart of the head: which of these nodes still exist.
  [[nodiscard]] virtual std::vector<NodeId> adopt(const std::vector<Node>& known) = 0;
};

}  // namespace cox
