#pragma once

#include <boost/json/fwd.hpp>
#include <string>
#include <vector>

#include "launcher/cli/connection.hpp"
#include "launcher/cli/output.hpp"

/// Jobs as DescribeJobs and ListJobs tell them, and as awsbstat shows them.
namespace cox::cli {

inline constexpr const char* kLiveStatuses = "SUBMITTED,PENDING,RUNNABLE,STARTING,RUNNING";
inline constexpr const char* kAllStatuses =
    "SUBMITTED,PENDING,RUNNABLE,STARTING,RUNNING,SUCCEEDED,FAILED";

/// DescribeJobs of these ids, a hundred a call. Ids that the service does not know are left out.
[[nodiscard]] Result<std::vector<boost::json::object>> describe(
    Connection& connection, const std::vector<std::string>& ids);

/// The last part of an ARN; an id as it is. Pure.
[[nodiscard]] std::string short_id(const std::string& id_or_arn);

/// Ids of words typed, ARNs made short, each once. Pure.
[[nodiscard]] std::vector<std::string> short_ids(const std::vector<std::string>& words);

/// Children of an array, 0 for what is none. Pure.
[[nodiscard]] int array_size_of(const boost::json::object& job);
/// Nodes of a multi-node job's parent, 0 for what is none. Pure.
[[nodiscard]] int node_count_of(const boost::json::object& job);
[[nodiscard]] bool is_parent(const boost::json::object& job);
/// "ID:0" … of an array, "ID#0" … of a multi-node job. Pure.
[[nodiscard]] std::vector<std::string> children_of(const boost::json::object& job);

/// "ID"; "ID [size]" of an array's parent; "ID *n" of a multi-node job's. Pure.
[[nodiscard]] std::string shown_id(const boost::json::object& job);

/// By state, then the text of startedAt, "-" before dates, then the id. Pure.
void sort_by_status(std::vector<boost::json::object>& jobs);
/// By the place of the id, or of the parent's, in `ids`; below one parent by the id's text. Pure.
void sort_by_ids(std::vector<boost::json::object>& jobs, const std::vector<std::string>& ids);

/// "SUBMITTED, running" → the states in their order, each once; all for ALL. Unknown words stay,
/// at the end. Pure.
[[nodiscard]] std::vector<std::string> statuses_of(const std::string& list);

// The table and the details of the original. Pure but for the local time zone.
[[nodiscard]] std::string render_jobs(const std::vector<boost::json::object>& jobs, bool colour);
[[nodiscard]] std::string render_job_details(const std::vector<boost::json::object>& jobs,
                                             bool colour);

}  // namespace cox::cli
