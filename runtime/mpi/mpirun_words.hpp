#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/mpi/topology.hpp"

/// What Open MPI 4.1's mpirun writes itself.
namespace cox::mpi {

/// How the first rank that failed did.
struct FailedRank {
  enum class How { exit_code, signal, no_finalize };
  How how = How::exit_code;
  int rank = 0;
  int number = 0;  ///< exit code or signal
  std::string host;
  std::int64_t pid = 0;  ///< mpirun has none of ranks on its own node
};

/// What mpirun says at the end, framed by lines. `called`: its own name; `family`: the number it
/// gives the job. Source: help-orterun.txt of Open MPI 4.1. Pure.
[[nodiscard]] std::string failure_text(const FailedRank& failed, std::string_view called,
                                       unsigned family);

/// What --tag-output and --timestamp-output put before each line. `stamp`: as ctime(3) without its
/// line end; empty: no time is asked for. Source: iof_base_output.c. Pure.
[[nodiscard]] std::string line_tag(int rank, int stream, bool tagged, std::string_view stamp);

inline constexpr std::string_view kNotBound = "is not bound (or bound to all available processors)";

/// What --report-bindings says of a rank that is bound to these cores, by their logical numbers:
/// `bound to socket 0[core 1[hwt 0-1]]: [../BB]`. Source: opal_hwloc_base_cset2str(). Pure.
[[nodiscard]] std::string binding_text(const Topology& topology, const std::vector<int>& cores);

}  // namespace cox::mpi
