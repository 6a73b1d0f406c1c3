#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "launcher/cli/connection.hpp"
#include "launcher/cluster/registry.hpp"
#include "runtime/base/result.hpp"

namespace cox::cli {

/// Something that happened to a part of a cluster, in CloudFormation's words.
struct ResourceEvent {
  std::string resource;  ///< "HeadNode"
  std::string state;     ///< "CREATE_COMPLETE"
  std::string reason;
  std::int64_t at_ms = 0;

  friend bool operator==(const ResourceEvent&, const ResourceEvent&) = default;
};

/// One line of /cox/v1/events. Pure.
[[nodiscard]] Result<ResourceEvent> parse_event(std::string_view line);

/// How a cluster's making ended.
struct Creation {
  bool complete = false;
  std::vector<ResourceEvent> failures;  ///< the cluster's own reason last
};

/// Follows a cluster's making to its end; `seen` hears of each event, from the first.
/// Errors: unavailable when the cluster's daemon went away in the middle.
[[nodiscard]] Result<Creation> follow_creation(
    const std::string& name, const std::function<void(const ResourceEvent&)>& seen);

}  // namespace cox::cli
