#pragma once

#include <signal.h>
#include <sys/types.h>

#include <string>
#include <vector>

#include "runtime/base/result.hpp"

namespace cox::agent {

/// Where a rank finds its socket for PMI-1.
inline constexpr int kPmiDescriptor = 3;

/// A rank, ready to be started.
struct RankStart {
  std::vector<std::string> argv;  ///< argv[0] is a path, unless `path` is set
  std::string path = {};          ///< the program, where argv[0] is only its name
  std::string directory = {};     ///< to start in; empty: where this process is
  std::vector<std::string> environment;
  int in = -1;
  int out = -1;
  int err = -1;
  int pmi = -1;
  std::vector<int> cpus;  ///< numbers of the operating system; empty: not bound
  sigset_t mask{};        ///< the rank's signal mask
};

/// Starts the rank in a process group of its own; it dies with this process. A program that cannot
/// be executed says so on `err` and ends with 126 or 127. Errors: unavailable.
[[nodiscard]] Result<pid_t> start_rank(const RankStart& rank);

}  // namespace cox::agent
