#pragma once

#include <string>
#include <vector>

#include "launcher/cli/pcluster_file.hpp"
#include "launcher/cluster/registry.hpp"
#include "launcher/config/compare.hpp"

/// What both families' update have in common.
namespace cox::cli {

/// What a file would change of a cluster, and what of that cannot be.
struct UpdatePlan {
  std::vector<config::Change> changes;
  std::vector<config::Refusal> refusals;

  /// Without those that are not shown.
  [[nodiscard]] std::vector<config::Change> shown() const;
};

/// Holds the file against the cluster's. `cluster_template`: v2 -t. Errors: unavailable when the
/// cluster's file or daemon cannot be asked; invalid_argument for a file of the other version.
[[nodiscard]] Result<UpdatePlan> plan_update(const cluster::Record& record, const ClusterFile& file,
                                             const std::string& cluster_template);

/// Has the daemon begin. Errors: conflict or invalid_argument with the daemon's words.
[[nodiscard]] Result<void> begin_update(const cluster::Record& record, const ClusterFile& file,
                                        const std::string& cluster_template);

/// The record once the update has ended, whichever way.
[[nodiscard]] Result<cluster::Record> await_update(const std::string& name);

/// "conflict" of an update while something else is under way; empty where nothing is. Pure.
[[nodiscard]] std::string obstacle_to_update(const cluster::Record& record);

/// The plan as a table: parameter, old and new value, and whether it can be. Pure.
[[nodiscard]] std::string render_changes(const UpdatePlan& plan);

}  // namespace cox::cli
