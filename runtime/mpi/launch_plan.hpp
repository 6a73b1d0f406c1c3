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

/// Where the programs of the product and Open MPI are on a node, and what the node is like.
struct NodePaths {
  std::string bin_dir;  ///< holds cox-rsh and cox-rank
  std::string mpirun;   ///< "/usr/lib64/openmpi/bin/mpirun"
  /// hwloc's XML of the node, at this path on every node, readable for the jobs' users; empty:
  /// each program looks at the machine itself, which takes some 20 ms. A program of the job that
  /// uses hwloc sees what the file has, so it should have the devices too.
  std::string topology_file = {};
  /// The network interface that nodes reach each other by, where they have several; empty: Open
  /// MPI's own choice. Set, it forbids the job to name interfaces to exclude.
  std::string interface = {};
  /// The nodes have a faster network than TCP: the transports are Open MPI's own choice.
  bool fast_fabric = false;
  /// Nodes are parts of one machine, so that each sees all of its cores: ranks are not bound
  /// unless the job asks.
  bool nodes_share_cores = true;
};

/// Settings that make a script's own mpirun use our launcher and per-rank capture, the right
/// interface and the fast components. By environment only, so that command lines stay as they are;
/// the agent sets each only where the job has not, on every node of the job: what cox-rsh starts
/// needs them too. `more_ranks_than_cores`: the ranks of the job outnumber the cores that its nodes
/// really have (nodes of one machine share them), so ranks that wait must yield.
/// HWLOC_ variables do not travel with mpirun: each node's agent must set them.
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
  int ranks_per_node = 0;    ///< 0: as many as the node has slots
  std::string map_by = {};   ///< "", "slot", "hwthread", "core", "node", "socket", "numa",
                             ///< "ppr:N:" and one of "node", "socket", "numa", "core"
  std::string bind_to = {};  ///< "", "none", "core", "hwthread", "socket", "numa"
};

/// A node with its shape.
struct NodeShape {
  NodeSlots slots;
  Topology topology;
};

/// Rank → node → cores for the layout, as Open MPI 4.1's mpirun does it. Mapping, ranking and
/// binding are three separate steps.
///
/// Mapping fills one node after the other, by "node" one rank a node in turn. Within a node ranks
/// go round over the objects named ("socket", …). Without a word, up to two ranks are mapped and
/// bound by core, more of them by NUMA node. A word for binding alone takes the objects with the
/// fewest ranks, the lowest number first. Binding that was not asked for is left out when it would
/// put more ranks on an object than it has cores.
///
/// Where mpirun counts memory without cores as a NUMA node of its own, this does not.
///
/// Errors: invalid_argument for an unknown word, contradicting counts, ppr that does not go with
///         the slots, no nodes, or where a node has fewer cores than the binding that was asked for
///         needs; names the node.
/// Pure.
[[nodiscard]] Result<std::vector<RankPlace>> place_ranks(std::span<const NodeShape> nodes,
                                                         const Layout& layout);

/// An Open MPI rankfile of the places: `rank 0=10.0.0.5 slot=0-1`. Ranks without cores are an
/// error (a rankfile must bind). Source: mpirun(1), "Rankfiles". Pure.
[[nodiscard]] Result<std::string> render_rankfile(std::span<const NodeSlots> nodes,
                                                  std::span<const RankPlace> places);

/// argv of the mpirun that `awsbsub --mpi` runs: program and arguments after the options.
/// The ranks of a node are the slots of its line in the hostfile: where layout.ranks_per_node is
/// set, render the hostfile with it (needed where it is above the slots, or with a map_by of parts
/// of a node, for which mpirun has no such option).
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
