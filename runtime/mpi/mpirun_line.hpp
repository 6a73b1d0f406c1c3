#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/result.hpp"
#include "runtime/model/job.hpp"

/// A command line of Open MPI 4.1's mpirun, as far as our own mpirun takes it.
namespace cox::mpi {

/// A host that a line or a hostfile names. 0 slots: it does not say how many.
struct NamedHost {
  std::string name;
  int slots = 0;

  friend bool operator==(const NamedHost&, const NamedHost&) = default;
};

/// One program of the line; `:` stands between several.
struct MpirunProgram {
  int ranks = 0;                 ///< 0: as many as there are slots
  std::vector<NamedHost> hosts;  ///< of -H, in order; each host once
  std::string hostfile;
  std::vector<EnvVar> exports;          ///< -x NAME=VALUE
  std::vector<std::string> passed;      ///< -x NAME
  std::string directory;                ///< empty: mpirun's own
  std::vector<std::string> words;       ///< program and arguments
  std::vector<EnvVar> parameters = {};  ///< --mca NAME VALUE

  friend bool operator==(const MpirunProgram&, const MpirunProgram&) = default;
};

struct MpirunLine {
  std::vector<MpirunProgram> programs;
  std::string map_by;   ///< "", "slot", "node", "core", "hwthread", "socket", "numa"
  int per_node = 0;     ///< ranks of each node, of -N or ppr:N:node; 0: not said
  std::string rank_by;  ///< "", "slot", "node"
  std::string bind_to;  ///< "", "none", "core", "hwthread", "socket", "numa"
  bool oversubscribe = false;
  bool tag_output = false;
  bool timestamp_output = false;
  bool report_bindings = false;
  bool quiet = false;
  bool allow_root = false;
  std::string output_directory;  ///< of --output-filename
  bool output_copied = true;     ///< to mpirun's own output as well

  friend bool operator==(const MpirunLine&, const MpirunLine&) = default;
};

/// Reads the words after "mpirun". Errors: invalid_argument for whatever is not fully understood,
/// with a clause that says what: the line is then for the real mpirun, which also complains about
/// what is wrong. Source: orterun.c and mpirun(1) of Open MPI 4.1. Pure.
[[nodiscard]] Result<MpirunLine> read_mpirun_line(std::span<const std::string> words);

/// The hosts of a hostfile. Errors: as above, for all but `HOST [slots=N]` and comments. Pure.
[[nodiscard]] Result<std::vector<NamedHost>> read_hostfile(std::string_view text);

/// True of an MCA parameter that ranks alone read, so that it may be handed to them unseen: one of
/// the MPI layer or its transports. Those of placement and launch are not. Pure.
[[nodiscard]] bool is_ranks_parameter(std::string_view name);

/// The parameters that a file of them sets, for is_ranks_parameter(). Pure.
[[nodiscard]] std::vector<std::string> parameters_in(std::string_view text);

}  // namespace cox::mpi
