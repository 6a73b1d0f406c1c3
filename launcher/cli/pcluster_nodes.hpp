#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/base/result.hpp"

namespace cox::cli {

/// A node, as pcluster shows instances.
struct NodeShown {
  std::string id;
  std::string type;  ///< "HeadNode", "ComputeNode"
  std::string instance_type;
  std::string address;
  std::string state;  ///< EC2's: pending, running, shutting-down
  std::int64_t launched_at_ms = 0;
  std::string environment{};  ///< compute environment; empty: the head node
};

/// The cluster's nodes, the head node first. Errors: not_found, unavailable.
[[nodiscard]] Result<std::vector<NodeShown>> list_nodes(const std::string& cluster);

}  // namespace cox::cli
