#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runtime/base/result.hpp"

/// The Slurm site of a cluster. Pure but for load and save.
namespace cox::provider {

struct SlurmPlan {
  std::string tag;      ///< names what the cluster has at the site; nobody can guess it
  std::string cluster;  ///< name: the pilot jobs are called by it
  std::string stage;    ///< directory of the cluster's that the site's nodes see at the same path
  std::string partition{};  ///< empty, as the next two: the site's default
  std::string account{};
  std::string qos{};
  std::vector<std::string> extra_args{};
  int pilot_seconds = 3600;                 ///< walltime where jobs have no timeouts
  std::vector<std::string> environments{};  ///< names of compute environments

  friend bool operator==(const SlurmPlan&, const SlurmPlan&) = default;
};

/// JSON and back. Errors: invalid_argument.
[[nodiscard]] std::string render_site(const SlurmPlan& plan);
[[nodiscard]] Result<SlurmPlan> parse_site(const std::string& text);

/// <cluster directory>/slurm/plan.json. Nothing when the cluster has no such nodes.
[[nodiscard]] Result<std::optional<SlurmPlan>> load_site(const std::string& cluster_directory);
[[nodiscard]] Result<void> save_site(const std::string& cluster_directory, const SlurmPlan& plan);

}  // namespace cox::provider
