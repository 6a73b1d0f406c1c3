#pragma once

#include <string>
#include <vector>

#include "runtime/agent/mpirun_order.hpp"
#include "runtime/mpi/mpirun_line.hpp"
#include "runtime/wire/message.hpp"

namespace cox::agent {

/// How a launch went.
struct LaunchEnd {
  int exit_code = 0;
  std::string not_launched;  ///< why nothing was started; empty: it was
};

/// What a launch of our mpirun is to do.
struct LaunchTask {
  std::string called;  ///< mpirun's own name
  wire::PartKey part;  ///< that it runs in
  mpi::MpirunLine line;
  MpirunOrder order;  ///< of its own node; others get theirs from it
};

/// Launches, passes everything on, and waits for the end. Other nodes are asked to take part first:
/// where one cannot, nothing is started anywhere.
[[nodiscard]] LaunchEnd launch_ranks(LaunchTask task);

/// The body of the program on another node, started by launch_ranks() there: reads its order from
/// stdin. Returns its exit status.
[[nodiscard]] int run_mpirun_node();

}  // namespace cox::agent
