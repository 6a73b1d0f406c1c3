#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/model/job.hpp"
#include "runtime/mpi/launch_plan.hpp"

/// The direct road: agents start the ranks themselves and serve PMI-1 to them, without mpirun.
namespace cox::mpi {

/// Which MPI library a program is linked to, of those that the direct road serves.
struct Linkage {
  std::string library;      ///< "openmpi", "mpich"; empty: none that is known to work
  std::string why_unknown;  ///< a clause, where library is empty

  friend bool operator==(const Linkage&, const Linkage&) = default;
};

/// Reads the program's file: linked to libmpi.so.40 or libmpich.so.12 of the system, and to one of
/// them only. A program that names its own library path may load another build of the library, and
/// one that starts further ranks needs what PMI-1 has not: both are unknown. Pure.
[[nodiscard]] Linkage linkage_of(std::string_view program_bytes);

/// What the choice of the road depends on.
struct RoadQuestion {
  std::string asked;  ///< "direct", "mpirun"; anything else: what is best
  Linkage linkage;
  std::span<const EnvVar> environment;  ///< the job's own
  std::string node_without_flux;        ///< host whose Open MPI lacks the component; empty: none
  std::string cannot_place;             ///< why ranks cannot be placed; empty: they can
};

struct Road {
  bool direct = false;
  std::string text;  ///< for people: "direct: Open MPI, PMI-1", "mpirun: asked for"

  friend bool operator==(const Road&, const Road&) = default;
};

/// Direct where it was asked for or is known to work, mpirun otherwise; says why. Pure.
[[nodiscard]] Road choose_road(const RoadQuestion& question);

/// Settings of the direct road that the job may overrule: the fast components, and for MPICH a
/// library of ours that mends its end. `library`: as Linkage. Source: ompi_info of Open MPI 4.1.
/// Pure.
[[nodiscard]] std::vector<EnvVar> direct_defaults(const NodePaths& paths, std::string_view library,
                                                  bool more_ranks_than_cores);

/// A rank as its node starts it.
struct RankSeat {
  int rank = 0;
  int size = 1;                   ///< ranks of the job
  int universe = 0;               ///< slots that there are; 0: as many as ranks
  std::vector<int> local_ranks;   ///< those of this node, in order; holds `rank`
  int pmi_descriptor = 3;         ///< the rank's end of its socket
  std::string pmi_library = {};   ///< path of the PMI library for Open MPI's flux component
  std::string session_directory;  ///< on tmpfs, the rank's alone with those of its node and job
  std::uint32_t job_number = 0;   ///< see job_number()
};

/// What a rank must see; whatever the job has set of it is replaced.
/// Source: Open MPI 4.1: schizo, ess, pmix (flux), orte, btl vader; PMI-1's environment. Pure.
[[nodiscard]] std::vector<EnvVar> rank_environment(const RankSeat& seat);

/// A number for an attempt, by which Open MPI tells jobs apart: 31 bits, of which bit 15 must not
/// be set (the library masks it, and its ranks would not know each other). Never 0. Pure.
[[nodiscard]] std::uint32_t job_number(std::string_view attempt);

/// PMI_process_mapping of ranks on nodes: `(vector,(0,3,2))` are three nodes of two ranks each,
/// from node 0 on. Source: MPICH's PMI. Pure.
[[nodiscard]] std::string process_mapping(std::span<const int> node_of_rank);

}  // namespace cox::mpi
