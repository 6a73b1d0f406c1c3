#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/result.hpp"
#include "runtime/model/cluster.hpp"

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
  int pilot_seconds = 3600;  ///< walltime where jobs have no timeouts
  int max_seconds = 0;       ///< the partition's MaxTime at creation; 0: no limit
  std::vector<std::string>
      environments{};  ///< names of compute environments, by the file: not kept

  friend bool operator==(const SlurmPlan&, const SlurmPlan&) = default;
};

/// A time as Slurm writes and reads it, in seconds: "90" (minutes), "1:30", "1:00:00", "2-12",
/// "2-12:30:00"; kNoTimeLimit for "UNLIMITED" and its like; nothing for what is none.
inline constexpr int kNoTimeLimit = 0x3fffffff;
[[nodiscard]] std::optional<int> slurm_seconds(std::string_view text);

/// How the site's nodes are lent: what ExtraArgs say of the time goes for all pilots.
[[nodiscard]] Lending lending_of(const SlurmPlan& plan);
/// Says so of the environments whose nodes come from the site.
void apply_site(const SlurmPlan& plan, ClusterSettings& settings);

/// JSON and back. Errors: invalid_argument.
[[nodiscard]] std::string render_site(const SlurmPlan& plan);
[[nodiscard]] Result<SlurmPlan> parse_site(const std::string& text);

/// <cluster directory>/slurm/plan.json. Nothing when the cluster has no such nodes.
[[nodiscard]] Result<std::optional<SlurmPlan>> load_site(const std::string& cluster_directory);
[[nodiscard]] Result<void> save_site(const std::string& cluster_directory, const SlurmPlan& plan);

}  // namespace cox::provider
