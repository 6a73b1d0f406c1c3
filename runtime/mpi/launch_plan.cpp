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

std::vector<EnvVar> tuned_environment(const NodePaths& paths, bool capture_ranks,
                                      bool more_ranks_than_cores) {
  std::vector<EnvVar> settings;
  const auto set = [&settings](std::string_view name, std::string value) {
    settings.push_back({fmt::format("OMPI_MCA_{}", name), std::move(value)});
  };
  set("plm_rsh_agent", paths.bin_dir + "/cox-rsh");
  // The agents know all nodes of the job: no node needs another one to start a third.
  set("plm_rsh_no_tree_spawn", "1");
  if (capture_ranks) set("orte_fork_agent", paths.bin_dir + "/cox-rank");
  if (!paths.interface.empty()) {
    set("oob_tcp_if_include", paths.interface);
    set("btl_tcp_if_include", paths.interface);
  }
  if (!paths.fast_fabric) {
    set("pml", "ob1");
    set("btl", "self,vader,tcp");
  }
  set("mpi_event_tick_rate", "1000");
  if (more_ranks_than_cores) set("mpi_yield_when_idle", "1");
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
  if (!layout.map_by.empty()) argv.insert(argv.end(), {"--map-by", layout.map_by});
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
