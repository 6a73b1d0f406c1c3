#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/// What an update would change: two texts of a cluster's file held against each other, and what may
/// be changed while the cluster is there.
namespace cox::config {

/// When a key may change. Source: ParallelCluster's update policies; what is applied at once here
/// and not there (idle time, queues and storage that are added) is supported.
enum class UpdatePolicy : std::uint8_t {
  supported,
  ignored,       ///< neither checked nor shown; applied all the same
  unsupported,   ///< of this cluster never
  fleet_stop,    ///< while the compute resource has no nodes
  fleet_resize,  ///< not below what is running
  add_only,      ///< may come, not go or change
  empty_to_go,   ///< may come; go while it has no nodes
};

/// One difference.
struct Change {
  std::string parameter;  ///< "Scheduling.AwsBatchQueues[q].ComputeResources[r].MaxvCpus"
  std::string requested;  ///< as written; "-" where there is none; a list's words with commas
  std::string current;
  UpdatePolicy policy = UpdatePolicy::unsupported;
  std::string queue;  ///< names of what it is about; empty: of nothing below Scheduling, or of all
  std::string resource;
  bool in_nodes = false;  ///< fleet_resize: counts nodes, not vCPUs

  friend bool operator==(const Change&, const Change&) = default;
};

/// The differences of two YAML files, in the order of the requested one's keys, then what is gone.
/// Lists of named things are compared by name. Texts that cannot be read have none. Pure.
[[nodiscard]] std::vector<Change> compare_yaml(std::string_view current,
                                               std::string_view requested);

/// The same of two INI files: of the sections that the cluster's template uses. `*_template`: -t of
/// either; empty: [global] cluster_template, else "default". Parameters: "[vpc public] ssh_from".
[[nodiscard]] std::vector<Change> compare_ini(std::string_view current,
                                              const std::string& current_template,
                                              std::string_view requested,
                                              const std::string& requested_template);

/// What runs of a compute resource.
struct RunningCapacity {
  std::string queue;
  std::string resource;
  int vcpus = 0;
  int nodes = 0;
};

/// A change that cannot be made as things are.
struct Refusal {
  Change change;
  std::string message;  ///< why, and what to do
};

/// Which of the changes must wait or can never be made. Pure.
[[nodiscard]] std::vector<Refusal> refusals(const std::vector<Change>& changes,
                                            const std::vector<RunningCapacity>& running);

}  // namespace cox::config
