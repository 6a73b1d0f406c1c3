#pragma once

#include <boost/json/fwd.hpp>
#include <string>
#include <vector>

#include "launcher/cli/pcluster_watch.hpp"
#include "launcher/cluster/registry.hpp"
#include "runtime/base/result.hpp"

namespace cox::cli {

/// What happened to a cluster's parts.
struct StackHistory {
  std::vector<ResourceEvent> events;  ///< oldest first
  std::string head_id;                ///< the head node's instance id; empty: there is none
};

/// GetStackEventsResponseContent: at most `page` events, newest first as CloudFormation lists them.
/// The nextToken is the eventId of the last one shown, so that what happens meanwhile does not move
/// the pages. `token`: empty for the first page.
/// Errors: invalid_argument when the token is no event's. Pure.
[[nodiscard]] Result<boost::json::object> stack_events_page(const cluster::Record& record,
                                                            const StackHistory& history,
                                                            const std::string& token,
                                                            std::size_t page);

/// What the cluster's head has seen; where there is no head any more, what the record says.
[[nodiscard]] StackHistory history_of(const cluster::Record& record);

}  // namespace cox::cli
