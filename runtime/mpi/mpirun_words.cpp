#include "runtime/mpi/mpirun_words.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace cox::mpi {
namespace {

constexpr std::string_view kRule =
    "--------------------------------------------------------------------------\n";

constexpr std::string_view kAborted =
    "Primary job  terminated normally, but 1 process returned\n"
    "a non-zero exit code. Per user-direction, the job has been aborted.\n";

constexpr std::string_view kImproper =
    "{0} has exited due to process rank {1} with PID {3} on\n"
    "node {2} exiting improperly. There are three reasons this could occur:\n"
    "\n"
    "1. this process did not call \"init\" before exiting, but others in\n"
    "the job did. This can cause a job to hang indefinitely while it waits\n"
    "for all processes to call \"init\". By rule, if one process calls \"init\",\n"
    "then ALL processes must call \"init\" prior to termination.\n"
    "\n"
    "2. this process called \"init\", but exited without calling \"finalize\".\n"
    "By rule, all processes that call \"init\" MUST call \"finalize\" prior to\n"
    "exiting or it will be considered an \"abnormal termination\"\n"
    "\n"
    "3. this process called \"MPI_Abort\" or \"orte_abort\" and the mca parameter\n"
    "orte_create_session_dirs is set to false. In this case, the run-time cannot\n"
    "detect that the abort call was an abnormal termination. Hence, the only\n"
    "error message you will receive is this one.\n"
    "\n"
    "This may have caused other processes in the application to be\n"
    "terminated by signals sent by {0} (as reported here).\n"
    "\n"
    "You can avoid this message by specifying -quiet on the {0} command line.\n";

std::string framed(const std::string& text) { return fmt::format("{}{}{}", kRule, text, kRule); }

}  // namespace

std::string failure_text(const FailedRank& failed, std::string_view called, unsigned family) {
  using How = FailedRank::How;
  if (failed.how == How::no_finalize) {
    return framed(fmt::format(kImproper, called, failed.rank, failed.host, failed.pid));
  }
  if (failed.how == How::signal) {
    return framed(std::string(kAborted)) +
           framed(fmt::format(
               "{} noticed that process rank {} with PID {} on node {} exited on signal {} ({}).\n",
               called, failed.rank, failed.pid, failed.host, failed.number,
               ::strsignal(failed.number)));
  }
  return framed(std::string(kAborted)) +
         framed(fmt::format("{} detected that one or more processes exited with non-zero status, "
                            "thus causing\nthe job to be terminated. The first process to do so "
                            "was:\n\n  Process name: [[{},1],{}]\n  Exit code:    {}\n",
                            called, family, failed.rank, failed.number));
}

std::string binding_text(const Topology& topology, const std::vector<int>& cores) {
  std::string names;
  std::string map;
  std::size_t bound = 0;
  int package = -1;
  int packages = 0;
  for (const auto& core : topology.cores) {
    const bool first = core.package != package;
    if (first) {
      map += packages++ > 0 ? "][" : "[";
      package = core.package;
    }
    const bool is_bound = std::find(cores.begin(), cores.end(), core.index) != cores.end();
    const auto threads = std::max<std::size_t>(core.hardware_threads.size(), 1);
    map += (first ? "" : "/") + std::string(threads, is_bound ? 'B' : '.');
    if (!is_bound) continue;
    const auto range = threads > 1 ? fmt::format("0-{}", threads - 1) : "0";
    names += fmt::format("{}socket {}[core {}[hwt {}]]", bound++ > 0 ? ", " : "", packages - 1,
                         core.index, range);
  }
  if (bound == topology.cores.size()) {
    return std::string(kNotBound);
  }
  return fmt::format("bound to {}: {}]", names, map);
}

std::string line_tag(int rank, int stream, bool tagged, std::string_view stamp) {
  const auto* name = stream == 0 ? "stdout" : "stderr";
  if (tagged) return fmt::format("{}[1,{}]<{}>:", stamp, rank, name);
  return stamp.empty() ? std::string() : fmt::format("{}<{}>:", stamp, name);
}

}  // namespace cox::mpi
