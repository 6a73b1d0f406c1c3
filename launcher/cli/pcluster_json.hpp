#pragma once

#include <boost/json/fwd.hpp>
#include <string>
#include <vector>

#include "launcher/cluster/registry.hpp"
#include "launcher/config/config.hpp"
#include "runtime/base/result.hpp"

/// The shapes of pcluster version 3's answers.
namespace cox::cli {

/// As Python's json.dumps(value, indent=2), with members in their own order. Pure.
[[nodiscard]] std::string pretty(const boost::json::value& value);

/// ClusterInfoSummary: in create, delete and list. Pure.
[[nodiscard]] boost::json::object cluster_summary(const cluster::Record& record);

/// The head's word for its fleet, "ENABLED" or "DISABLED", as the file's scheduler has it: Slurm's
/// fleets are RUNNING or STOPPED. Pure.
[[nodiscard]] std::string fleet_status(const cluster::Record& record, const std::string& fleet);

/// What update-compute-fleet's status means to the head: "ENABLED" or "DISABLED". Errors:
/// invalid_argument for a status that the file's scheduler does not take. Pure.
[[nodiscard]] Result<std::string> wanted_fleet(const cluster::Record& record,
                                               const std::string& status);

/// DescribeClusterResponse. `api`: what GET /cox/v1/cluster says, or null where nobody serves the
/// cluster; `config`: its file, where that can still be read. Pure.
[[nodiscard]] boost::json::object cluster_description(const cluster::Record& record,
                                                      const boost::json::value& api,
                                                      const config::ClusterConfig* config);

/// The original's code for why a creation failed, found by known words of the reason:
/// "OnNodeStartExecutionFailure". Pure.
[[nodiscard]] std::string failure_code(const std::string& reason);

/// ValidationMessages: {level, type, message}. All faults of the schema become one entry, whose
/// message is the printed form of marshmallow's nested messages. Pure.
[[nodiscard]] boost::json::array validation_messages(const std::vector<config::Finding>& findings);

/// arn:aws:cloudformation:<region>:<account>:stack/<name>/<uuid>; the uuid follows from the name
/// and the time of creation. Pure.
[[nodiscard]] std::string stack_arn(const cluster::Record& record);

}  // namespace cox::cli
