#pragma once

#include <boost/json/fwd.hpp>
#include <cstdint>

#include "launcher/cli/payload.hpp"
#include "launcher/cli/submission.hpp"

namespace cox::cli {

/// Where a job goes.
struct Target {
  std::string cluster;
  std::string queue;
  std::string definition;  ///< of ordinary jobs
  std::string multi_node_definition;
};

/// SubmitJob's body, with our own member "coxswain". `files`: what the uploads became; `now_ms`
/// names the job's folder, which is no more than a name here. Pure.
[[nodiscard]] boost::json::object submit_request(const SubmitOptions& options, const Target& target,
                                                 const std::string& job_name,
                                                 const Payload& payload, boost::json::array files,
                                                 std::int64_t now_ms);

/// The exit status that --wait gives for a job that has ended, as DescribeJobs tells it: 0, the
/// main node's exit code, or 1 where there is none. Pure.
[[nodiscard]] int exit_status_of(const boost::json::object& job);

/// Why a job failed, in one text: its reason, and the main node's where that says more. Pure.
[[nodiscard]] std::string failure_of(const boost::json::object& job);

}  // namespace cox::cli
