#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/result.hpp"
#include "runtime/mpi/mpirun_line.hpp"

namespace cox::mpi {

/// A node of the job that mpirun was called in.
struct JobNode {
  std::string address;
  std::string hostname;

  friend bool operator==(const JobNode&, const JobNode&) = default;
};

/// Where mpirun was called.
struct MpirunSite {
  std::vector<JobNode> nodes;  ///< the job's, by index
  int own = 0;                 ///< the node mpirun runs on
  int own_cores = 1;           ///< its slots, where nothing names it
  /// The text of a hostfile by the path that the line has.
  std::function<Result<std::string>(const std::string&)> read_file;
};

/// Where ranks go. Nodes are counted as a launch counts them: mpirun's own is 0, others as they are
/// first used.
struct MpirunPlaces {
  std::vector<std::string> names;  ///< by node of the launch: as the line has it; empty: its own
  std::vector<int> job_nodes;      ///< by node of the launch: index in the job
  std::vector<int> node_of_rank;   ///< by rank: node of the launch
  std::vector<int> program_of_rank;
  int slots = 0;                     ///< of all nodes that mpirun knows: the universe's size
  std::vector<bool> oversubscribed;  ///< by node of the launch: more ranks than slots
};

/// Rank → node as Open MPI 4.1's mpirun has it for the line: its node comes first among the nodes
/// that it knows, others as they are named. Errors: invalid_argument for whatever is not fully
/// understood, and for what mpirun refuses: the line is then for the real one. Pure.
[[nodiscard]] Result<MpirunPlaces> place_line(const MpirunLine& line, const MpirunSite& site);

}  // namespace cox::mpi
