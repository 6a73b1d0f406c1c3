#pragma once

#include <boost/json/fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/api/api.hpp"

/// What the files of this room share: reading members of a request, names and ARNs, and the JSON of
/// a job. Only files of this room include it.
namespace cox::api {

/// Reads members of a JSON object and keeps the first complaint. A member of the wrong type reads
/// as absent, so that callers go on and report once, at the end.
class Members {
 public:
  /// `place` goes in front of messages: "containerOverrides.".
  Members(const boost::json::object& object, std::string place, std::optional<Error>& complaint)
      : object_(object), place_(std::move(place)), complaint_(complaint) {}

  [[nodiscard]] std::optional<std::string> text(std::string_view name) const;
  [[nodiscard]] std::string required_text(std::string_view name) const;
  [[nodiscard]] std::optional<std::int64_t> integer(std::string_view name) const;
  [[nodiscard]] std::optional<bool> boolean(std::string_view name) const;
  [[nodiscard]] std::vector<std::string> texts(std::string_view name) const;
  [[nodiscard]] const boost::json::object* object(std::string_view name) const;
  /// The objects of a list, empty when absent.
  [[nodiscard]] std::vector<const boost::json::object*> objects(std::string_view name) const;
  [[nodiscard]] bool has(std::string_view name) const;
  void complain(std::string text) const;

 private:
  const boost::json::value* find(std::string_view name) const;

  const boost::json::object& object_;
  std::string place_;
  std::optional<Error>& complaint_;
};

/// The account's ARNs in the region that the request was made for.
struct Arns {
  std::string region;
  std::string account;

  [[nodiscard]] std::string of(std::string_view kind, std::string_view name) const;
  [[nodiscard]] std::string ecs(std::string_view kind, std::string_view name) const;
};
[[nodiscard]] Arns arns_for(const View& view, const Request& request);

/// The name within an ARN ("…:job-queue/NAME" → NAME), or the text itself.
[[nodiscard]] std::string short_name(std::string_view name_or_arn, std::string_view kind);

/// The cluster's own job definitions, revision 1.
[[nodiscard]] std::string serial_definition(const ClusterSettings& cluster);
[[nodiscard]] std::string multi_node_definition(const ClusterSettings& cluster);

[[nodiscard]] bool may_see(const Job& job, const JobUser& user);

[[nodiscard]] Answer json_answer(const boost::json::object& body);
[[nodiscard]] Answer client_exception(std::string_view message);

/// SubmitJob's body as a job. Errors: invalid_argument or not_found in AWS's words.
[[nodiscard]] Result<JobSpec> read_submission(const View& view, const Request& request,
                                              const boost::json::object& body);

/// A job, or one node of a multi-node job, as DescribeJobs shows it.
[[nodiscard]] boost::json::object job_object(const View& view, const Arns& arns, const Job& job,
                                             std::optional<int> node_index);
/// The same as a ListJobs summary.
[[nodiscard]] boost::json::object job_summary(const Arns& arns, const Job& job,
                                              std::optional<int> node_index);

[[nodiscard]] Answer list_jobs(const View& view, const Request& request,
                               const boost::json::object& body);
[[nodiscard]] Answer describe_job_queues(const View& view, const Arns& arns,
                                         const boost::json::object& body);
[[nodiscard]] Answer describe_compute_environments(const View& view, const Arns& arns,
                                                   const boost::json::object& body);
[[nodiscard]] Answer describe_job_definitions(const View& view, const Arns& arns,
                                              const boost::json::object& body);
[[nodiscard]] Outcome get_log_events(const boost::json::object& body);
/// CloudWatch Logs' error shape: the code is in the body.
[[nodiscard]] Answer logs_error(std::string_view type, std::string_view message);

}  // namespace cox::api
