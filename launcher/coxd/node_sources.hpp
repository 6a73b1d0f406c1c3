#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "launcher/provider/local_provider.hpp"
#include "launcher/provider/slurm_provider.hpp"
#include "launcher/provider/ssh_provider.hpp"
#include "runtime/ports/node_provider.hpp"

namespace cox::coxd {

/// The providers of one cluster behind one: each compute environment has its own, and a node is of
/// its environment's. The head node, which has none, is a local one where there are such.
class NodeSources : public NodeProvider {
 public:
  /// Any may be missing, but one of the first two, which has the head node.
  NodeSources(std::unique_ptr<provider::LocalProvider> local,
              std::unique_ptr<provider::SshProvider> ssh,
              std::unique_ptr<provider::SlurmProvider> slurm);

  void provision(NodeRequest request, std::function<void(Result<ProvisionedNode>)> done) override;
  void terminate(const NodeId& id, std::function<void(Result<void>)> done) override;
  void on_node_ended(std::function<void(NodeId, std::string)> handler) override;
  void on_node_waiting(std::function<void(NodeId, std::string)> handler) override;
  void on_node_lent(std::function<void(NodeId)> handler) override;
  [[nodiscard]] Millis lent_until(const NodeId& id) const override;
  [[nodiscard]] bool may_wait(const NodeId& id) const override;
  void suspect(const NodeId& id) override;
  [[nodiscard]] std::string scratch_here(const NodeId& id) const override;
  std::vector<NodeId> adopt(const std::vector<Node>& known) override;

  /// Shows more directories {directory here, path in nodes} to local nodes, as
  /// LocalProvider::share(). Hosts share what they share already.
  void share(std::vector<std::pair<std::string, std::string>> more,
             std::function<void(Result<void>)> done);
  /// Whether there is a provider so called ("local", "ssh", "slurm") that could serve a compute
  /// environment of this name.
  [[nodiscard]] bool can_serve(const ComputeEnvironmentName& environment,
                               std::string_view provider) const;
  /// From now on nodes of the site's environments, and of no others, come from the site.
  void serve_by_site(const provider::SlurmPlan& site);
  /// Which host of the ssh provider's plan the node is on.
  [[nodiscard]] std::optional<std::size_t> host_of(const NodeId& id) const;
  void unshare(const std::vector<std::pair<std::string, std::string>>& paths);

  /// Ends all nodes and starts no more. `done` gets a sentence for each host on which something
  /// may be left.
  void end_all(const std::function<void(std::vector<std::string>)>& done);

 private:
  std::unique_ptr<provider::LocalProvider> local_;
  std::unique_ptr<provider::SshProvider> ssh_;
  std::unique_ptr<provider::SlurmProvider> slurm_;
};

}  // namespace cox::coxd
