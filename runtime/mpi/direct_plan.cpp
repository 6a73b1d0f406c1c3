#include "runtime/mpi/direct_plan.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

#include "runtime/base/text.hpp"
#include "runtime/mpi/elf.hpp"

namespace cox::mpi {
namespace {

constexpr std::string_view kOpenMpi = "libmpi.so.40";
constexpr std::string_view kMpich = "libmpich.so.12";

/// Calls that start or find further ranks, in C and in Fortran.
constexpr std::array<std::string_view, 12> kDynamicCalls = {
    "MPI_Comm_spawn",   "MPI_Comm_spawn_multiple", "MPI_Comm_accept",   "MPI_Comm_connect",
    "MPI_Publish_name", "MPI_Lookup_name",         "mpi_comm_spawn_",   "mpi_comm_spawn_multiple_",
    "mpi_comm_accept_", "mpi_comm_connect_",       "mpi_publish_name_", "mpi_lookup_name_"};

/// Variables by which a job may load another MPI than the one its program was linked to.
constexpr std::array<std::string_view, 3> kOtherLibraries = {"LD_LIBRARY_PATH", "LD_PRELOAD",
                                                             "OPAL_PREFIX"};

bool needs(const ElfProgram& program, std::string_view library) {
  return std::find(program.needed.begin(), program.needed.end(), library) != program.needed.end();
}

std::string shown(const Linkage& linkage) {
  if (linkage.library == "openmpi") return "Open MPI";
  if (linkage.library == "mpich") return "MPICH";
  return "any MPI";
}

/// Why the direct road is not taken of our own accord; empty: it is.
std::string objection(const RoadQuestion& question) {
  if (question.linkage.library.empty()) return question.linkage.why_unknown;
  for (const auto& variable : question.environment) {
    const auto other = std::find(kOtherLibraries.begin(), kOtherLibraries.end(), variable.name);
    if (other != kOtherLibraries.end()) {
      return fmt::format("the job sets {}, so its MPI may be another one", variable.name);
    }
  }
  if (question.linkage.library == "openmpi" && !question.node_without_flux.empty()) {
    return fmt::format("Open MPI on {} has no flux component", question.node_without_flux);
  }
  if (!question.cannot_place.empty()) return question.cannot_place;
  return {};
}

}  // namespace

Linkage linkage_of(std::string_view program_bytes) {
  const auto program = read_elf(program_bytes);
  if (!program) return {"", fmt::format("the program is not known: {}", program.error().message)};
  const bool open_mpi = needs(*program, kOpenMpi);
  const bool mpich = needs(*program, kMpich);
  if (open_mpi == mpich) {
    return {"", open_mpi ? "the program is linked to two MPI libraries"
                         : "the program is linked to no MPI library that is known"};
  }
  if (!program->library_path.empty()) {
    return {"", fmt::format("the program looks for libraries in {}", program->library_path)};
  }
  for (const auto call : kDynamicCalls) {
    if (program->has_name(call)) return {"", fmt::format("the program uses {}", call)};
  }
  return {open_mpi ? "openmpi" : "mpich", ""};
}

Road choose_road(const RoadQuestion& question) {
  if (question.asked == "mpirun") return {false, "mpirun: asked for"};
  if (question.asked == "direct") {
    return {true, fmt::format("direct: asked for, {} by PMI-1", shown(question.linkage))};
  }
  const auto why_not = objection(question);
  if (!why_not.empty()) return {false, "mpirun: " + why_not};
  return {true, fmt::format("direct: {} by PMI-1", shown(question.linkage))};
}

std::vector<EnvVar> direct_defaults(const NodePaths& paths, std::string_view library,
                                    bool more_ranks_than_cores) {
  std::vector<EnvVar> settings;
  const auto set = [&settings](std::string_view name, std::string value) {
    settings.push_back({std::string(name), std::move(value)});
  };
  if (library == "mpich") set("LD_PRELOAD", paths.bin_dir + "/libcox-mpich.so");
  if (!paths.interface.empty()) set("OMPI_MCA_btl_tcp_if_include", paths.interface);
  if (!paths.fast_fabric) {
    set("OMPI_MCA_pml", "ob1");
    set("OMPI_MCA_btl", "self,vader,tcp");
    // Those that a rank would load and then not use: 8 of 32 ms.
    set("OMPI_MCA_coll", "^monitoring,sync,adapt,han");
    set("OMPI_MCA_osc", "^ucx,monitoring");  // sm and rdma alone: no window between nodes
  }
  set("OMPI_MCA_mpi_event_tick_rate", "1000");     // 28 ms: looks for messages each ms, not each 10
  set("OMPI_MCA_ess_base_stream_buffering", "1");  // by lines: else a killed rank's are lost
  if (more_ranks_than_cores) set("OMPI_MCA_mpi_yield_when_idle", "1");
  return settings;
}

std::vector<EnvVar> rank_environment(const RankSeat& seat) {
  std::vector<EnvVar> settings;
  const auto set = [&settings](std::string_view name, std::string value) {
    settings.push_back({std::string(name), std::move(value)});
  };
  const auto text = [](auto number) { return fmt::format("{}", number); };
  std::vector<std::string> local;
  for (const int rank : seat.local_ranks) local.push_back(text(rank));
  const auto place = std::find(seat.local_ranks.begin(), seat.local_ranks.end(), seat.rank);
  const auto local_rank = text(place - seat.local_ranks.begin());

  set("PMI_FD", text(seat.pmi_descriptor));
  set("PMI_RANK", text(seat.rank));
  set("PMI_SIZE", text(seat.size));
  set("PMI_SPAWNED", "0");
  set("COX_PMI_LOCAL_RANKS", join(local, ","));
  // Without schizo each rank would take itself for the only one.
  set("OMPI_MCA_schizo", "ompi");
  set("OMPI_MCA_ess", "pmi");
  set("OMPI_MCA_pmix", "flux");
  set("FLUX_JOB_ID", text(seat.job_number));
  set("FLUX_PMI_LIBRARY_PATH", seat.pmi_library);
  set("OMPI_MCA_orte_bound_at_launch", "1");  // the agent binds, or it was asked not to
  set("OMPI_MCA_orte_tmpdir_base", seat.session_directory);
  // Segments of ranks that are killed go with the directory.
  set("OMPI_MCA_btl_vader_backing_directory", seat.session_directory);
  set("OMPI_COMM_WORLD_SIZE", text(seat.size));
  set("OMPI_COMM_WORLD_RANK", text(seat.rank));
  set("OMPI_COMM_WORLD_LOCAL_SIZE", text(seat.local_ranks.size()));
  set("OMPI_COMM_WORLD_LOCAL_RANK", local_rank);
  set("OMPI_COMM_WORLD_NODE_RANK", local_rank);
  set("OMPI_UNIVERSE_SIZE", text(seat.universe > 0 ? seat.universe : seat.size));
  set("MPI_LOCALRANKID", local_rank);
  set("MPI_LOCALNRANKS", text(seat.local_ranks.size()));
  return settings;
}

std::uint32_t job_number(std::string_view attempt) {
  constexpr std::uint32_t kUsable = 0x7fff7fff;
  std::uint32_t hash = 2166136261U;  // FNV-1a
  for (const char byte : attempt) {
    hash = (hash ^ static_cast<unsigned char>(byte)) * 16777619U;
  }
  hash &= kUsable;
  return hash == 0 ? 1 : hash;
}

std::string process_mapping(std::span<const int> node_of_rank) {
  // Runs of ranks on one node; then runs of alike nodes that follow each other.
  struct Block {
    int node;
    int nodes;
    int ranks;
  };
  std::vector<Block> blocks;
  for (std::size_t begin = 0; begin < node_of_rank.size();) {
    auto end = begin + 1;
    while (end < node_of_rank.size() && node_of_rank[end] == node_of_rank[begin]) ++end;
    const int node = node_of_rank[begin];
    const int ranks = static_cast<int>(end - begin);
    if (!blocks.empty() && blocks.back().ranks == ranks &&
        blocks.back().node + blocks.back().nodes == node) {
      ++blocks.back().nodes;
    } else {
      blocks.push_back({node, 1, ranks});
    }
    begin = end;
  }
  std::string text = "(vector";
  for (const auto& block : blocks) {
    text += fmt::format(",({},{},{})", block.node, block.nodes, block.ranks);
  }
  return text + ")";
}

}  // namespace cox::mpi
