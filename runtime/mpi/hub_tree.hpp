#pragma once

namespace cox::mpi {

/// How many nodes meet at one of a directly launched job.
inline constexpr int kHubFanOut = 16;

/// Where the nodes of a job meet: a tree with node 0 as its root. With a fan-out of 2:
///
///          0
///      1       2
///    3   4   5   6
///
/// Fan-out 0: all meet at node 0. Pure.
struct HubTree {
  int nodes = 1;
  int fan_out = 0;

  /// Of any node but 0: where it meets the others.
  [[nodiscard]] int parent(int node) const { return fan_out == 0 ? 0 : (node - 1) / fan_out; }
  [[nodiscard]] bool has_children(int node) const {
    return fan_out == 0 ? node == 0 && nodes > 1 : node * fan_out + 1 < nodes;
  }
  /// The node, and all that meet there or further below.
  [[nodiscard]] bool is_within(int node, int top) const {
    while (node > top) node = parent(node);
    return node == top;
  }
};

}  // namespace cox::mpi
