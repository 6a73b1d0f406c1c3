#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "launcher/provider/remote_cluster.hpp"
#include "launcher/provider/slurm_plan.hpp"
#include "runtime/os/event_loop.hpp"
#include "runtime/ports/node_provider.hpp"

/// Nodes that are parts of allocations of a Slurm site. Nodes that are asked for together are one
/// pilot job, submitted by sbatch; on each of its nodes srun starts an agent, which dials home.
/// Slurm decides when. A pilot is cancelled when its last node is given back.
namespace cox::provider {

/// Which nodes are of which pilot is kept in <cluster_directory>/slurm/pilots/<id>.
struct SlurmProviderOptions : RemoteCluster {
  SlurmPlan plan;
};

class SlurmProvider : public NodeProvider {
 public:
  /// True when nodes of this environment come from the site.
  [[nodiscard]] virtual bool serves(const ComputeEnvironmentName& environment) const = 0;
  /// From now on nodes of these environments come from the site, by their names.
  virtual void serve(std::vector<std::string> environments) = 0;
  [[nodiscard]] virtual bool knows(const NodeId& id) const = 0;
  /// Cancels all jobs of the cluster and removes what it has staged. `done` gets a sentence for
  /// each thing that could not be done in time.
  virtual void end_all(std::function<void(std::vector<std::string>)> done) = 0;
};

/// Errors: unavailable when the agent cannot be packed, or not put where the site's nodes see it.
[[nodiscard]] Result<std::unique_ptr<SlurmProvider>> make_slurm_provider(
    os::EventLoop& loop, SlurmProviderOptions options);

}  // namespace cox::provider
