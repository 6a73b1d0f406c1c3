#include "runtime/api/api.hpp"

#include <boost/json.hpp>

#include "runtime/api/shape_rules.hpp"
#include "runtime/api/shapes.hpp"

namespace cox::api {

namespace json = boost::json;

namespace {

constexpr std::size_t kDescribedMax = 100;
constexpr std::int64_t kReasonMax = 1024;
constexpr std::size_t kTrialWork = 20'000;  ///< what may be tried for one answer's waiting jobs

Answer describe_jobs(const View& view, const Request& request, const json::object& object) {
  std::optional<Error> complaint;
  const Members body(object, "", complaint);
  const auto ids = body.texts("jobs");
  if (!body.has("jobs")) body.complain("jobs must not be empty");
  if (ids.size() > kDescribedMax) {
    body.complain(fmt::format("jobs can't have more than {} ids", kDescribedMax));
  }
  if (complaint) return render_error(*complaint);

  const auto arns = arns_for(view, request);
  json::array list;
  for (const auto& id : ids) {
    const auto ref = parse_job_ref(short_name(arns, id, "job"));
    const auto* job = view.find(ref.id);
    if (job == nullptr || !may_see(*job, request.user)) continue;
    if (ref.node_index && (!job->is_multi_node() || *ref.node_index >= job->node_count())) continue;
    list.push_back(job_object(view, arns, *job, ref.node_index, kTrialWork / ids.size()));
  }
  return json_answer({{"jobs", std::move(list)}});
}

/// CancelJob and TerminateJob: what does not exist, or belongs to somebody else, is answered 200
/// as AWS does, and nothing happens.
Outcome end_job(const View& view, const Request& request, const json::object& object,
                bool only_waiting) {
  std::optional<Error> complaint;
  const Members body(object, "", complaint);
  const auto id = body.required_text("jobId");
  const auto reason = body.required_text("reason");
  if (length_of(reason) > kReasonMax) {
    body.complain(fmt::format("reason can't be longer than {} characters", kReasonMax));
  }
  if (complaint) return render_error(*complaint);
  const auto ref = parse_job_ref(short_name(arns_for(view, request), id, "job"));
  const auto* job = view.find(ref.id);
  if (job == nullptr || !may_see(*job, request.user) || is_terminal(job->status)) {
    return render_killed();
  }
  return KillJob{ref.id, reason, only_waiting};
}

Outcome handle_batch(const View& view, const Request& request, std::string_view operation,
                     const json::object& body) {
  const auto arns = arns_for(view, request);
  if (operation == "submitjob") {
    const auto token = read_client_token(request, body);
    if (!token) return render_error(token.error());
    if (auto answer = submitted_before(view, request, *token)) return *answer;
    auto spec = read_submission(view, request, body);
    if (!spec) return render_error(spec.error());
    spec->client_token = token->token;
    spec->request_digest = token->digest;
    return SubmitJob{std::move(*spec)};
  }
  if (operation == "describejobs") return describe_jobs(view, request, body);
  if (operation == "listjobs") return list_jobs(view, request, body);
  if (operation == "canceljob") return end_job(view, request, body, true);
  if (operation == "terminatejob") return end_job(view, request, body, false);
  if (operation == "describejobqueues") return describe_job_queues(view, arns, body);
  if (operation == "describecomputeenvironments") {
    return describe_compute_environments(view, arns, body);
  }
  if (operation == "describejobdefinitions") return describe_job_definitions(view, request, body);
  if (operation == "describeschedulingpolicies") {
    return describe_scheduling_policies(view, arns, body);
  }
  if (operation == "listschedulingpolicies") return list_scheduling_policies(view, arns, body);
  if (operation == "getjobqueuesnapshot") return job_queue_snapshot(view, request, body);
  using Change = Outcome (*)(const View&, const Request&, const json::object&);
  static const std::map<std::string_view, Change> changes{
      {"createcomputeenvironment", create_compute_environment},
      {"updatecomputeenvironment", update_compute_environment},
      {"deletecomputeenvironment", delete_compute_environment},
      {"createjobqueue", create_job_queue},
      {"updatejobqueue", update_job_queue},
      {"deletejobqueue", delete_job_queue},
      {"createschedulingpolicy", create_scheduling_policy},
      {"updateschedulingpolicy", update_scheduling_policy},
      {"deleteschedulingpolicy", delete_scheduling_policy},
      {"registerjobdefinition", register_job_definition},
      {"deregisterjobdefinition", deregister_job_definition}};
  if (const auto change = changes.find(operation); change != changes.end()) {
    return change->second(view, request, body);
  }
  return Answer{
      404,
      json::serialize(json::object{{"message", fmt::format("Unknown operation {}", operation)}}),
      "UnknownOperationException"};
}

}  // namespace

Outcome handle(const View& view, const Request& request) {
  const bool is_logs = !request.amz_target.empty();
  const bool is_tags = !is_logs && request.target.starts_with("/v1/tags/");
  if (is_tags && (request.method == "GET" || request.method == "DELETE")) {
    return handle_tags(view, request, {});
  }
  if (request.method != "POST") {
    return Answer{405, R"({"message":"Only POST is served here"})", "UnknownOperationException"};
  }
  boost::system::error_code error;
  const auto parsed =
      request.body.empty() ? json::value(json::object{}) : json::parse(request.body, error);
  if (error || !parsed.is_object()) {
    constexpr std::string_view kText = "The request body is not a JSON object";
    if (is_logs) return logs_error("SerializationException", kText);
    return Answer{400, json::serialize(json::object{{"message", kText}}), "SerializationException"};
  }
  if (is_logs) {
    const auto& body = parsed.get_object();
    constexpr std::string_view kLogs = "Logs_20140328.";
    const std::string_view target = request.amz_target;
    const auto operation = target.starts_with(kLogs) ? target.substr(kLogs.size()) : "";
    if (operation == "GetLogEvents") return get_log_events(body);
    if (operation == "DescribeLogStreams") return describe_log_streams(view, request, body);
    if (operation == "DescribeLogGroups") return describe_log_groups(view, request, body);
    if (operation == "FilterLogEvents") return filter_log_events(view, request, body);
    return logs_error("UnknownOperationException",
                      fmt::format("{} is not served", request.amz_target));
  }
  if (is_tags) return handle_tags(view, request, parsed.get_object());
  constexpr std::string_view kRoot = "/v1/";
  const std::string_view target = request.target;
  return handle_batch(view, request,
                      target.starts_with(kRoot) ? target.substr(kRoot.size()) : target,
                      parsed.get_object());
}

Answer render_submitted(const View& view, const JobId& id, const JobSpec& spec,
                        const std::string& region) {
  const Arns arns{region.empty() ? view.cluster().region : region, view.cluster().account};
  return json_answer(
      {{"jobArn", arns.of("job", id.value)}, {"jobName", spec.name}, {"jobId", id.value}});
}

Answer render_killed() { return {200, "{}", ""}; }

Answer render_error(const Error& error) {
  const bool ours = error.code == Errc::internal || error.code == Errc::unavailable;
  auto answer = client_exception(error.message);
  if (ours) {
    answer.status = 500;
    answer.error_type = "ServerException";
  }
  return answer;
}

}  // namespace cox::api
