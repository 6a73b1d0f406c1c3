#pragma once

#include <string>

#include "runtime/base/result.hpp"
#include "runtime/os/fd.hpp"

namespace cox::provider {

/// A new network namespace with the cluster's bridge: 10.0.0.1/16, up. The calling thread's own
/// network stays as it is (a thread of its own makes the new one). Needs CAP_SYS_ADMIN.
[[nodiscard]] Result<os::Fd> make_bridge_network();

/// What a node's network is made of.
struct NodeLink {
  std::string link_name;  ///< of the bridge's end
  std::string address;
  std::string mac;
};

/// Moves the calling process from the bridge's network into a new one of its own, with eth0 on the
/// bridge, the default route by the bridge's address and the metadata address on lo.
/// Errors: unavailable, naming what could not be made. Nothing is left on the bridge when the
/// process ends.
[[nodiscard]] Result<void> enter_node_network(const os::Fd& bridge_network, const NodeLink& link);

}  // namespace cox::provider
