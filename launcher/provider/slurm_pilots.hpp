#pragma once

#include <string>
#include <vector>

#include "runtime/base/ids.hpp"
#include "runtime/base/result.hpp"

/// What is written down of pilot jobs, so that they are found again after the head's end.
namespace cox::provider {

struct PilotRecord {
  std::string id;           ///< ours
  std::string job;          ///< Slurm's number; empty: it was being submitted
  std::string environment;  ///< name of its compute environment
  std::vector<NodeId> nodes;

  friend bool operator==(const PilotRecord&, const PilotRecord&) = default;
};

/// JSON and back. Pure. Errors: invalid_argument.
[[nodiscard]] std::string render_pilot(const PilotRecord& pilot);
[[nodiscard]] Result<PilotRecord> parse_pilot(const std::string& text);

/// <cluster directory>/slurm/pilots/<id>
[[nodiscard]] Result<void> save_pilot(const std::string& cluster_directory,
                                      const PilotRecord& pilot);
void forget_pilot(const std::string& cluster_directory, const std::string& id);
/// All that can be read, by id.
[[nodiscard]] std::vector<PilotRecord> load_pilots(const std::string& cluster_directory);

}  // namespace cox::provider
