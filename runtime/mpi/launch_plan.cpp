#include "runtime/mpi/launch_plan.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

namespace cox::mpi {
namespace {

struct Suffix {
  std::string_view suffix;
  std::string_view compiler;
};

constexpr Suffix kCompilers[] = {
    {".c", "mpicc"},     {".cc", "mpicxx"},   {".cpp", "mpicxx"},  {".cxx", "mpicxx"},
    {".C", "mpicxx"},    {".f", "mpifort"},   {".f90", "mpifort"}, {".f95", "mpifort"},
    {".f03", "mpifort"}, {".f08", "mpifort"}, {".F90", "mpifort"},
};

/// Cores as a rankfile lists them: runs as "first-last", separated by commas.
std::string slot_list(std::vector<int> cores) {
  std::sort(cores.begin(), cores.end());
  std::string text;
  for (std::size_t begin = 0; begin < cores.size();) {
    auto end = begin + 1;
    while (end < cores.size() && cores[end] == cores[end - 1] + 1) ++end;
    if (begin > 0) text += ',';
    text += fmt::format("{}", cores[begin]);
    if (end - begin > 1) text += fmt::format("-{}", cores[end - 1]);
    begin = end;
  }
  return text;
}

}  // namespace

// Times are of a ring of 3 nodes x 2 ranks on two cores: 470 ms with none of this, 120 ms with all.
// All of it was tried with threads, large messages, one-sided access, shared windows, collectives
// and files. What is not here helped nothing, or harmed: an interface set by us makes Open MPI
// refuse a command line that excludes one; tcp alone is found without.
std::vector<EnvVar> tuned_environment(const NodePaths& paths, bool capture_ranks,
                                      bool more_ranks_than_cores) {
  std::vector<EnvVar> settings;
  const auto set = [&settings](std::string_view name, std::string value) {
    settings.push_back({std::string(name), std::move(value)});
  };
  // Ours, also within another scheduler's allocation.
  set("OMPI_MCA_plm", "rsh");
  set("OMPI_MCA_ras", "^slurm,gridengine");
  set("OMPI_MCA_plm_rsh_agent", paths.bin_dir + "/cox-rsh");
  // The agents know all nodes of the job: no node needs another one to start a third.
  set("OMPI_MCA_plm_rsh_no_tree_spawn", "1");
  if (capture_ranks) set("OMPI_MCA_orte_fork_agent", paths.bin_dir + "/cox-rank");
  if (!paths.interface.empty()) {
    set("OMPI_MCA_oob_tcp_if_include", paths.interface);
    set("OMPI_MCA_btl_tcp_if_include", paths.interface);
  }
  if (!paths.fast_fabric) {
    set("OMPI_MCA_pml", "ob1");  // with btl: 200 ms, for libraries of other networks
    set("OMPI_MCA_btl", "self,vader,tcp");
    // Debian leaves pt2pt out, and with it all one-sided access between nodes.
    set("OMPI_MCA_osc", "^ucx,monitoring");
  }
  set("OMPI_MCA_mpi_event_tick_rate", "1000");  // 25 ms: looks for messages each ms, not each 10
  set("PMIX_MCA_psec", "native");               // nobody asks for munge in vain
  set("PMIX_MCA_gds", "hash");                  // 20 ms: no shared-memory store for a few keys
  if (!paths.topology_file.empty()) {           // 50 ms; a file that is missing does no harm
    set("HWLOC_XMLFILE", paths.topology_file);
    set("HWLOC_THISSYSTEM", "1");
    set("HWLOC_PLUGINS_PATH", "/nonexistent");
  }
  // mpirun would bind the first ranks of every node to the machine's first cores.
  if (paths.nodes_share_cores) set("OMPI_MCA_hwloc_base_binding_policy", "none");
  if (more_ranks_than_cores) set("OMPI_MCA_mpi_yield_when_idle", "1");
  return settings;
}

Result<std::string> render_rankfile(std::span<const NodeSlots> nodes,
                                    std::span<const RankPlace> places) {
  std::string text;
  for (const auto& place : places) {
    if (place.node_index < 0 || static_cast<std::size_t>(place.node_index) >= nodes.size()) {
      return fail(Errc::invalid_argument, "rank {}: there is no node {}", place.rank,
                  place.node_index);
    }
    if (place.cores.empty()) {
      return fail(Errc::invalid_argument, "rank {} is not bound: a rankfile must bind every rank",
                  place.rank);
    }
    text += fmt::format("rank {}={} slot={}\n", place.rank,
                        nodes[static_cast<std::size_t>(place.node_index)].address,
                        slot_list(place.cores));
  }
  return text;
}

std::vector<std::string> mpirun_argv(const NodePaths& paths, const Layout& layout,
                                     std::string_view hostfile_path,
                                     std::span<const std::string> program) {
  std::vector<std::string> argv{paths.mpirun, "--allow-run-as-root", "--hostfile",
                                std::string(hostfile_path)};
  const bool whole_nodes =
      layout.map_by.empty() || layout.map_by == "slot" || layout.map_by == "node";
  if (layout.ranks_per_node > 0 && whole_nodes) {
    argv.insert(argv.end(), {"--map-by", fmt::format("ppr:{}:node", layout.ranks_per_node)});
    if (layout.map_by == "node") argv.insert(argv.end(), {"--rank-by", "node"});
  } else if (!layout.map_by.empty()) {
    argv.insert(argv.end(), {"--map-by", layout.map_by});
  }
  if (!layout.bind_to.empty()) argv.insert(argv.end(), {"--bind-to", layout.bind_to});
  argv.insert(argv.end(), program.begin(), program.end());
  return argv;
}

std::optional<std::string> compiler_for(std::string_view source_path) {
  const auto name = source_path.substr(source_path.rfind('/') + 1);  // npos + 1 is 0
  const auto dot = name.rfind('.');
  if (dot == std::string_view::npos || dot == 0) return std::nullopt;
  for (const auto& [suffix, compiler] : kCompilers) {
    if (name.substr(dot) == suffix) return std::string(compiler);
  }
  return std::nullopt;
}

std::vector<std::string> compile_argv(std::string_view compiler, std::string_view source,
                                      std::string_view output) {
  // A name that begins with '-' would be read as an option.
  const auto path = source.starts_with('-') ? fmt::format("./{}", source) : std::string(source);
  return {std::string(compiler), "-O2", "-o", std::string(output), path, "-lm"};
}

}  // namespace cox::mpi
