#include "launcher/cli/submit_request.hpp"

#include <boost/json.hpp>

#include "launcher/cli/connection.hpp"
#include "launcher/cli/exit_codes.hpp"

namespace cox::cli {

namespace json = boost::json;

namespace {

json::object variable(const std::string& name, const std::string& value) {
  return {{"name", name}, {"value", value}};
}

json::object container_overrides(const SubmitOptions& options, const Target& target,
                                 const std::string& job_name, const Payload& payload,
                                 std::int64_t now_ms) {
  json::object overrides{{"command", json::array(payload.command.begin(), payload.command.end())}};
  // 0 leaves the definition's figure.
  if (options.vcpus.value_or(1) != 0) overrides["vcpus"] = options.vcpus.value_or(1);
  if (options.memory != 0) overrides["memory"] = options.memory;
  json::array environment;
  for (const auto& [name, value] : payload.environment)
    environment.push_back(variable(name, value));
  for (const auto& [name, value] : payload.staging) environment.push_back(variable(name, value));
  // With a client token the request must be the same each time, and so must the folder's name.
  const auto mark =
      options.client_token.empty() ? std::to_string(now_ms) : encoded(options.client_token);
  environment.push_back(
      variable("PCLUSTER_JOB_S3_URL",
               fmt::format("s3://{}/batch/job-{}-{}/", target.cluster, job_name, mark)));
  overrides["environment"] = std::move(environment);
  return overrides;
}

json::array depends_on(const std::string& text) {
  json::array list;
  if (text.empty()) return list;
  const auto dependencies = parse_depends_on(text).value();
  for (const auto& dependency : dependencies) {
    json::object entry;
    if (!dependency.job_id.empty()) entry["jobId"] = dependency.job_id;
    if (!dependency.type.empty()) entry["type"] = dependency.type;
    list.push_back(std::move(entry));
  }
  return list;
}

}  // namespace

json::object submit_request(const SubmitOptions& options, const Target& target,
                            const std::string& job_name, const Payload& payload, json::array files,
                            std::int64_t now_ms) {
  const bool multi_node = options.is_multi_node();
  json::object request{
      {"jobName", job_name},
      {"jobQueue", target.queue},
      {"jobDefinition", multi_node ? target.multi_node_definition : target.definition},
      {"dependsOn", depends_on(options.depends_on)},
      {"retryStrategy", json::object{{"attempts", options.retry_attempts}}}};
  if (options.timeout) {
    request["timeout"] = json::object{{"attemptDurationSeconds", *options.timeout}};
  }
  if (!options.share.empty()) request["shareIdentifier"] = options.share;
  if (options.priority) request["schedulingPriorityOverride"] = *options.priority;
  if (!options.client_token.empty()) request["clientToken"] = options.client_token;
  auto overrides = container_overrides(options, target, job_name, payload, now_ms);
  if (multi_node) {
    json::object range{{"targetNodes", "0:"}, {"containerOverrides", std::move(overrides)}};
    request["nodeOverrides"] = json::object{
        {"numNodes", *options.nodes}, {"nodePropertyOverrides", json::array{std::move(range)}}};
  } else {
    request["containerOverrides"] = std::move(overrides);
    request["arrayProperties"] =
        options.array_size ? json::object{{"size", *options.array_size}} : json::object{};
  }
  json::object extension{{"files", std::move(files)}, {"slotsPerNode", options.vcpus.value_or(0)}};
  if (options.mpi) {
    json::object mpi{{"ranksPerNode", options.ranks_per_node},
                     {"mapBy", options.map_by},
                     {"bindTo", options.bind_to}};
    const auto& [library, why_unknown] = payload.linkage;
    if (options.mpi_launch != "auto") mpi["launch"] = options.mpi_launch;
    if (!library.empty()) mpi["library"] = library;
    if (!why_unknown.empty()) mpi["whyUnknown"] = why_unknown;
    extension["mpi"] = std::move(mpi);
  }
  request["coxswain"] = std::move(extension);
  return request;
}

int exit_status_of(const json::object& job) {
  if (text_of(job, "status") == "SUCCEEDED") return kDone;
  const auto* container = object_of(job, "container");
  auto code = container != nullptr ? int_of(*container, "exitCode") : 0;
  const auto* attempts = job.if_contains("attempts");
  if (code == 0 && attempts != nullptr && !attempts->as_array().empty()) {
    const auto* last = object_of(attempts->as_array().back().as_object(), "container");
    if (last != nullptr) code = int_of(*last, "exitCode");
  }
  return code > 0 && code < 256 ? static_cast<int>(code) : kFailed;
}

std::string failure_of(const json::object& job) {
  auto text = text_of(job, "statusReason");
  const auto* attempts = job.if_contains("attempts");
  if (attempts == nullptr || attempts->as_array().empty()) return text;
  const auto* container = object_of(attempts->as_array().back().as_object(), "container");
  const auto reason = container != nullptr ? text_of(*container, "reason") : "";
  return reason.empty() || reason == text ? text : fmt::format("{}: {}", text, reason);
}

}  // namespace cox::cli
