#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/result.hpp"
#include "runtime/model/job.hpp"
#include "runtime/mpi/hostfile.hpp"
#include "runtime/mpi/topology.hpp"

namespace cox::mpi {

/// Where the programs of the product and Open MPI are on a node.
struct NodePaths {
  std::string bin_dir;  ///< holds cox-rsh and cox-rank
  std::string mpirun;   ///< "/usr/lib64/openmpi/bin/mpirun"
};

/// Settings that make a script's own mpirun use our launcher and per-rank capture, the right
/// interface and the fast components. By environment only, so that command lines stay as they are;
/// the agent sets each only where the job has not. `more_ranks_than_cores` adds what spinning
/// ranks need on a crowded machine (mpi_yield_when_idle).
/// Source: mpirun(1) and ompi_info of Open MPI 4.1. Pure.
[[nodiscard]] std::vector<EnvVar> tuned_environment(const NodePaths& paths, bool capture_ranks,
                                                    bool more_ranks_than_cores);

/// One rank's place.
struct RankPlace {
  int rank = 0;
  int node_index = 0;
  std::vector<int> cores;  ///< logical core numbers on the node, by hwloc; empty: not bound

  friend bool operator==(const RankPlace&, const RankPlace&) = default;
};

/// How ranks are to be laid out: mpirun's words. Empty strings: mpirun's defaults.
struct Layout {
  int ranks_per_node = 0;  ///< 0: as many as the node has slots
  std::string map_by;      ///< "", "slot", "core", "node", "socket", "numa", "ppr:N:node"
  std::string bind_to;     ///< "", "none", "core", "hwthread", "socket", "numa"
};

/// A node with its shape.
struct NodeShape {
  NodeSlots slots;
  Topology topology;
};

/// Rank → node → cores for the layout. Mapping, ranking and binding are three separate steps.
/// Errors: invalid_argument for an unknown word, or where a node has fewer cores than binding asks.
/// Pure.
[[nodiscard]] Result<std::vector<RankPlace>> place_ranks(std::span<const NodeShape> nodes,
                                                         const Layout& layout);

/// An Open MPI rankfile of the places: `rank 0=10.0.0.5 slot=0-1`. Ranks without cores are an
/// error (a rankfile must bind). Source: mpirun(1), "Rankfiles". Pure.
[[nodiscard]] Result<std::string> render_rankfile(std::span<const NodeSlots> nodes,
                                                  std::span<const RankPlace> places);

/// argv of the mpirun that `awsbsub --mpi` runs: program and arguments after the options.
/// Pure.
[[nodiscard]] std::vector<std::string> mpirun_argv(const NodePaths& paths, const Layout& layout,
                                                   std::string_view hostfile_path,
                                                   std::span<const std::string> program);

/// Which wrapper compiles a source, by its suffix: .c mpicc; .cc .cpp .cxx .C mpicxx; .f .f90 .f95
/// .f03 .f08 .F90 mpifort. Nothing for any other suffix (a binary). Pure.
[[nodiscard]] std::optional<std::string> compiler_for(std::string_view source_path);

/// `mpicc -O2 -o OUT SOURCE -lm`: argv. Pure.
[[nodiscard]] std::vector<std::string> compile_argv(std::string_view compiler,
                                                    std::string_view source,
                                                    std::string_view output);

}  // namespace cox::mpi
