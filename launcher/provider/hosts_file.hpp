#pragma once

#include <map>
#include <string>

#include "runtime/base/ids.hpp"
#include "runtime/base/result.hpp"

namespace cox::provider {

/// One line of the hosts file that all nodes of a cluster share.
struct HostLine {
  std::string address;
  std::string hostname;

  friend bool operator==(const HostLine&, const HostLine&) = default;
};

/// 127.0.0.1 localhost, then the nodes by address as numbers. Pure.
[[nodiscard]] std::string render_hosts(const std::map<NodeId, HostLine>& nodes);

/// Replaces the content of the file and keeps the file itself: nodes have it bound over their
/// /etc/hosts, so a rename would leave them with the old one. Made if absent (0644); written in one
/// call, under flock, and cut to length afterwards, so a reader sees whole lines.
[[nodiscard]] Result<void> write_hosts(const std::string& path,
                                       const std::map<NodeId, HostLine>& nodes);

}  // namespace cox::provider
