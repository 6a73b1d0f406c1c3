#pragma once

#include <span>
#include <string>

#include "runtime/base/result.hpp"

namespace cox::mpi {

/// One node's share of a multi-node job.
struct NodeSlots {
  std::string address;  ///< host name or IP by which the main node reaches this node
  int slots = 0;        ///< MPI processes placed here (not hardware threads)
};

/// Renders an Open MPI hostfile: one `<address> slots=<n>` line per node, in the given order.
///
/// Under mpirun's default by-slot mapping, rank 0 starts on the first line: pass the main node
/// first.
///
/// Errors: invalid_argument when `nodes` is empty, an address is empty or holds a blank, or a
///         slot count is below 1; the message names the node by its index.
/// Source: mpirun(1) of Open MPI 4.1, "Specifying Host Nodes".
/// Pure:   writes no file; the agent of the main node does.
[[nodiscard]] Result<std::string> render_hostfile(std::span<const NodeSlots> nodes);

}  // namespace cox::mpi
