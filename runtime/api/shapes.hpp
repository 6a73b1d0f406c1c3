#pragma once

#include <boost/json.hpp>
#include <functional>
#include <map>
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
  /// Of a log group, up to its name.
  [[nodiscard]] std::string logs() const;
};
[[nodiscard]] Arns arns_for(const View& view, const Request& request);

/// The name within an ARN ("…:job-queue/NAME" → NAME), or the text itself. An ARN of another
/// account, partition or region stays as it is: nothing here has that name.
[[nodiscard]] std::string short_name(const Arns& here, std::string_view name_or_arn,
                                     std::string_view kind);

/// True when the list is empty or names it, by name or ARN.
[[nodiscard]] bool is_asked_for(const Arns& here, const std::vector<std::string>& asked,
                                std::string_view kind, std::string_view name);

/// The cluster's own job definitions, revision 1.
[[nodiscard]] std::string serial_definition(const ClusterSettings& cluster);
[[nodiscard]] std::string multi_node_definition(const ClusterSettings& cluster);

/// A definition as submissions use it: of the cluster's own, or of a client's.
struct FoundDefinition {
  std::string name;
  int revision = 1;
  std::string body;  ///< JSON, as JobDefinition::body
};
/// By name (the newest active revision), "name:revision" or ARN; nothing unless it is ACTIVE.
[[nodiscard]] std::optional<FoundDefinition> find_definition(const View& view, const Arns& here,
                                                             std::string_view given);
/// The body of a job's definition, whatever its status; empty when it is not known.
/// One of the two that come with the cluster; by its name, or with its revision.
[[nodiscard]] bool is_own_definition(const ClusterSettings& cluster, std::string_view definition);
[[nodiscard]] boost::json::object definition_body(const View& view, std::string_view definition);
/// Of a multi-node definition: the container of the innermost range that holds the node.
[[nodiscard]] boost::json::object container_of_node(const boost::json::object& body, int node_index,
                                                    int nodes);

/// One page of a list: up to maxResults items behind the one that nextToken names.
struct Page {
  std::size_t results = 100;
  std::string after;  ///< key of the last item shown; empty: from the start
};
/// Complains of a maxResults outside 1 to `most` and of a token that was never given out.
[[nodiscard]] Page read_page(const boost::json::object& body, std::optional<Error>& complaint,
                             std::int64_t most = 100);
[[nodiscard]] std::string token_for(std::string_view key);

/// Gathers a page of items, each under a key that no other has; they may come in any order.
class Pager {
 public:
  explicit Pager(Page page) : page_(std::move(page)) {}

  void add(std::string key, std::function<boost::json::object()> render) {
    if (key > page_.after) items_.emplace(std::move(key), render());
  }
  /// {name: [items in the keys' order], "nextToken"}
  [[nodiscard]] Answer answer(std::string_view name) const;

 private:
  Page page_;
  std::map<std::string, boost::json::object> items_;
};

/// A name that is none: AWS's words for it.
[[nodiscard]] Answer refuse_name(std::string_view name);

[[nodiscard]] bool may_see(const Job& job, const JobUser& user);

[[nodiscard]] Answer json_answer(const boost::json::object& body);
[[nodiscard]] Answer client_exception(std::string_view message);

/// SubmitJob's body as a job. Errors: invalid_argument or not_found in AWS's words.
[[nodiscard]] Result<JobSpec> read_submission(const View& view, const Request& request,
                                              const boost::json::object& body);

/// A job, or one node of a multi-node job, as DescribeJobs shows it.
[[nodiscard]] boost::json::object job_object(const View& view, const Arns& arns, const Job& job,
                                             std::optional<int> node_index, std::size_t work = 0);
/// Why the job waits, as render_waiting() has it; DescribeJobs shows it below "coxswain". `work`:
/// of View::waiting().
[[nodiscard]] boost::json::object waiting_object(const View& view, const Job& job,
                                                 std::size_t work);
/// All of that in one line, for statusReason.
[[nodiscard]] std::string waiting_sentence(const boost::json::object& waiting);

/// A client's token, and the digest of the request that it came with; both empty: none.
struct ClientToken {
  std::string token;
  std::string digest;
};
/// Errors: invalid_argument for a token that is none.
[[nodiscard]] Result<ClientToken> read_client_token(const Request& request,
                                                    const boost::json::object& body);
/// The answer to a submission that was made before with this token, the same or not.
[[nodiscard]] std::optional<Answer> submitted_before(const View& view, const Request& request,
                                                     const ClientToken& token);

/// The same as a ListJobs summary.
[[nodiscard]] boost::json::object job_summary(const Arns& arns, const Job& job,
                                              std::optional<int> node_index);

[[nodiscard]] Answer list_jobs(const View& view, const Request& request,
                               const boost::json::object& body);
[[nodiscard]] Answer describe_job_queues(const View& view, const Arns& arns,
                                         const boost::json::object& body);
[[nodiscard]] Answer describe_compute_environments(const View& view, const Arns& arns,
                                                   const boost::json::object& body);
[[nodiscard]] Answer describe_job_definitions(const View& view, const Request& request,
                                              const boost::json::object& body);
[[nodiscard]] Outcome register_job_definition(const View& view, const Request& request,
                                              const boost::json::object& body);
[[nodiscard]] Outcome deregister_job_definition(const View& view, const Request& request,
                                                const boost::json::object& body);
[[nodiscard]] Outcome create_compute_environment(const View& view, const Request& request,
                                                 const boost::json::object& body);
[[nodiscard]] Outcome update_compute_environment(const View& view, const Request& request,
                                                 const boost::json::object& body);
[[nodiscard]] Outcome delete_compute_environment(const View& view, const Request& request,
                                                 const boost::json::object& body);
[[nodiscard]] Outcome create_job_queue(const View& view, const Request& request,
                                       const boost::json::object& body);
[[nodiscard]] Outcome update_job_queue(const View& view, const Request& request,
                                       const boost::json::object& body);
[[nodiscard]] Outcome delete_job_queue(const View& view, const Request& request,
                                       const boost::json::object& body);
[[nodiscard]] Answer job_queue_snapshot(const View& view, const Request& request,
                                        const boost::json::object& body);
[[nodiscard]] Outcome create_scheduling_policy(const View& view, const Request& request,
                                               const boost::json::object& body);
[[nodiscard]] Outcome update_scheduling_policy(const View& view, const Request& request,
                                               const boost::json::object& body);
[[nodiscard]] Outcome delete_scheduling_policy(const View& view, const Request& request,
                                               const boost::json::object& body);
[[nodiscard]] Answer describe_scheduling_policies(const View& view, const Arns& arns,
                                                  const boost::json::object& body);
[[nodiscard]] Answer list_scheduling_policies(const View& view, const Arns& arns,
                                              const boost::json::object& body);
/// The policy that an ARN names, or null.
[[nodiscard]] const SchedulingPolicy* find_policy(const View& view, const Arns& here,
                                                  std::string_view arn);
/// Complains of a kRunningLimitTag that is no number.
void check_running_limit(const std::map<std::string, std::string>& tags,
                         std::optional<Error>& complaint);
/// Jobs of a queue that have not ended, of all users.
[[nodiscard]] std::vector<JobId> unfinished_jobs(const View& view, const QueueName& queue);
/// /v1/tags/{arn}: GET, POST and DELETE. `body` of a POST only.
[[nodiscard]] Outcome handle_tags(const View& view, const Request& request,
                                  const boost::json::object& body);
/// "tags" as a JSON object.
[[nodiscard]] boost::json::object tags_object(const std::map<std::string, std::string>& tags);
/// AccessDeniedException unless the request is of somebody who may change what is everybody's.
[[nodiscard]] std::optional<Answer> refuse_stranger(const Request& request);
[[nodiscard]] Outcome get_log_events(const boost::json::object& body);
[[nodiscard]] Outcome describe_log_streams(const View& view, const Request& request,
                                           const boost::json::object& body);
[[nodiscard]] Answer describe_log_groups(const View& view, const Request& request,
                                         const boost::json::object& body);
[[nodiscard]] Outcome filter_log_events(const View& view, const Request& request,
                                        const boost::json::object& body);
/// Complains of characters that CloudWatch Logs has in no name.
void check_log_names(std::string_view group, const std::vector<std::string>& streams,
                     std::optional<Error>& complaint);
/// CloudWatch Logs' error shape: the code is in the body.
[[nodiscard]] Answer logs_error(std::string_view type, std::string_view message);

}  // namespace cox::api
