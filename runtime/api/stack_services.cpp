#include "runtime/api/stack_services.hpp"

#include <algorithm>
#include <boost/json.hpp>

#include "runtime/api/shapes.hpp"
#include "runtime/base/percent.hpp"
#include "runtime/base/text.hpp"

namespace cox::api {

namespace json = boost::json;

namespace {

constexpr const char* kRequestId = "00000000-0000-0000-0000-000000000000";
constexpr const char* kRequirements = "aws-parallelcluster-awsbatch-cli<2.0.0";
constexpr int kCpuUnits = 1024;        // of ECS, one vCPU
constexpr std::size_t kKeyMax = 1024;  // of S3
constexpr std::size_t kNameMax = 255;  // of a file

Arns arns_in(const View& view, const StackCall& call) {
  Request request;
  request.region = call.region;
  return arns_for(view, request);
}

std::string header_of(const StackCall& call, const std::string& name) {
  const auto found = call.headers.find(name);
  return found == call.headers.end() ? std::string() : found->second;
}

std::string escaped(std::string_view text) {
  std::string safe;
  for (const char c : text) {
    switch (c) {
      case '&':
        safe += "&amp;";
        break;
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      default:
        safe += c;
    }
  }
  return safe;
}

/// <name>inner</name>; the inner text is markup already.
std::string enclosed(std::string_view name, std::string_view inner) {
  return fmt::format("<{0}>{1}</{0}>", name, inner);
}

std::string element(std::string_view name, std::string_view text) {
  return enclosed(name, escaped(text));
}

StackAnswer xml(int status, const std::string& body, const std::string& error_type = "") {
  return {
      status, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" + body, error_type, "text/xml", {}};
}

StackAnswer query_error(int status, std::string_view code, std::string_view message) {
  const auto error = enclosed(
      "Error", element("Type", "Sender") + element("Code", code) + element("Message", message));
  return xml(status, enclosed("ErrorResponse", error + element("RequestId", kRequestId)),
             std::string(code));
}

StackAnswer ec2_error(std::string_view code, std::string_view message) {
  const auto error = enclosed("Error", element("Code", code) + element("Message", message));
  return xml(400,
             enclosed("Response", enclosed("Errors", error) + element("RequestID", kRequestId)),
             std::string(code));
}

/// "2024-01-31T15:29:25.000Z".
/// Source: Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days.
std::string iso_time(Millis at) {
  const auto seconds = at.value / 1000;
  const auto days = seconds / 86'400 + 719'468;  // since 0000-03-01, of times since 1970 only
  const auto era = days / 146'097;
  const auto of_era = days - era * 146'097;
  const auto year =
      (of_era - of_era / 1460 + of_era / 36'524 - of_era / 146'096) / 365;  // March to February
  const auto of_year = of_era - (365 * year + year / 4 - year / 100);
  const auto month = (5 * of_year + 2) / 153;  // 0: March
  const auto day = of_year - (153 * month + 2) / 5 + 1;
  const bool next_year = month >= 10;
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.000Z",
                     year + era * 400 + (next_year ? 1 : 0), next_year ? month - 9 : month + 3, day,
                     seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
}

/// The nodes that run jobs, all or of one environment.
std::vector<const Node*> hosts(const View& view, std::string_view environment) {
  std::vector<const Node*> list;
  for (const auto* node : view.nodes()) {
    if (node->environment.empty()) continue;
    if (environment.empty() || node->environment.value == environment) list.push_back(node);
  }
  return list;
}

std::map<std::string, std::string> read_form(std::string_view body) {
  std::map<std::string, std::string> form;
  for (const auto& pair : split(body, '&')) {
    const auto equals = pair.find('=');
    const auto value = equals == std::string::npos ? "" : pair.substr(equals + 1);
    form[form_decoded(pair.substr(0, equals))] = form_decoded(value);
  }
  return form;
}

// CloudFormation: the query protocol.

StackAnswer describe_stacks(const View& view, const StackCall& call) {
  const auto form = read_form(call.body);
  const auto action = form.find("Action");
  if (action == form.end() || action->second != "DescribeStacks") {
    return query_error(
        400, "InvalidAction",
        fmt::format("Of CloudFormation only DescribeStacks is served, not {}",
                    action == form.end() ? "a request without Action" : action->second));
  }
  const auto& cluster = view.cluster();
  const auto arns = arns_in(view, call);
  const auto id = fmt::format("arn:aws:cloudformation:{}:{}:stack/{}/{}", arns.region, arns.account,
                              cluster.stack_name, kRequestId);
  const auto asked = form.find("StackName");
  if (asked != form.end() && asked->second != cluster.name && asked->second != cluster.stack_name &&
      asked->second != id) {
    return query_error(400, "ValidationError",
                       fmt::format("Stack with id {} does not exist", asked->second));
  }
  const auto pair = [](const char* kind, std::string_view name, std::string_view value) {
    return enclosed("member", element(fmt::format("{}Key", kind), name) +
                                  element(fmt::format("{}Value", kind), value));
  };
  std::string head_address = "0.0.0.0";
  Millis created{0};
  for (const auto* node : view.nodes()) {
    if (!node->environment.empty()) continue;
    head_address = node->address;
    created = node->launched_at;
  }
  std::string parameters = pair("Parameter", "Scheduler", "awsbatch") +
                           pair("Parameter", "ProxyServer", "NONE") +
                           pair("Parameter", "ResourcesS3Bucket", files_bucket(cluster)) +
                           pair("Parameter", "ArtifactS3RootDirectory", cluster.name);
  std::string outputs = pair("Output", "HeadNodePrivateIP", head_address) +
                        pair("Output", "MasterPrivateIP", head_address) +
                        pair("Output", "BatchCliRequirements", kRequirements) +
                        pair("Output", "BatchJobDefinitionArn",
                             arns.of(kDefinitionKind, serial_definition(cluster) + ":1")) +
                        pair("Output", "BatchJobDefinitionMnpArn",
                             arns.of(kDefinitionKind, multi_node_definition(cluster) + ":1"));
  if (!cluster.environments.empty()) {
    outputs += pair("Output", "BatchComputeEnvironmentArn",
                    arns.of(kEnvironmentKind, cluster.environments.front().name.value));
  }
  if (!cluster.queues.empty()) {
    outputs +=
        pair("Output", "BatchJobQueueArn", arns.of(kQueueKind, cluster.queues.front().name.value));
  }
  const auto stack = enclosed(
      "member",
      element("StackId", id) +
          element("StackName",
                  asked == form.end() || asked->second == id ? cluster.stack_name : asked->second) +
          element("CreationTime", iso_time(created)) + element("StackStatus", "CREATE_COMPLETE") +
          enclosed("Parameters", parameters) + enclosed("Outputs", outputs));
  return xml(
      200,
      "<DescribeStacksResponse xmlns=\"http://cloudformation.amazonaws.com/doc/2010-05-15/\">" +
          enclosed("DescribeStacksResult", enclosed("Stacks", stack)) +
          enclosed("ResponseMetadata", element("RequestId", kRequestId)) +
          "</DescribeStacksResponse>");
}

// ECS: JSON 1.1.

StackAnswer ecs_answer(int status, const json::object& body, std::string error_type = "") {
  return {status, json::serialize(body), std::move(error_type), "application/x-amz-json-1.1", {}};
}

StackAnswer ecs_error(std::string_view code, std::string_view message) {
  return ecs_answer(400, {{"__type", code}, {"message", message}}, std::string(code));
}

json::array resources(int vcpus, MiB memory) {
  const auto resource = [](const char* name, std::int64_t value) {
    return json::object{{"name", name}, {"type", "INTEGER"}, {"integerValue", value}};
  };
  return {resource("CPU", std::int64_t{vcpus} * kCpuUnits), resource("MEMORY", memory.value)};
}

StackAnswer handle_ecs(const View& view, const StackCall& call) {
  boost::system::error_code error;
  const auto parsed = json::parse(call.body.empty() ? "{}" : call.body, error);
  if (error || !parsed.is_object()) {
    return ecs_error("SerializationException", "The request body is not a JSON object");
  }
  std::optional<Error> complaint;
  const Members body(parsed.get_object(), "", complaint);
  const auto arns = arns_in(view, call);
  auto environment = body.text("cluster").value_or("");
  if (environment.starts_with("arn:")) environment.erase(0, environment.find('/') + 1);
  constexpr std::string_view kSuffix = "_Batch";
  if (environment.ends_with(kSuffix)) {
    environment.resize(environment.size() - kSuffix.size());
  }
  const auto& known = view.cluster().environments;
  if (std::none_of(known.begin(), known.end(),
                   [&](const auto& each) { return each.name.value == environment; })) {
    return ecs_error("ClusterNotFoundException", "Cluster not found.");
  }
  const auto arn_of = [&](const Node& node) {
    return arns.ecs("container-instance", fmt::format("{}_Batch/{}", node.environment, node.id));
  };
  constexpr std::string_view kService = "AmazonEC2ContainerServiceV20141113.";
  const auto asked_for = header_of(call, "x-amz-target");
  const std::string_view target = asked_for;
  const auto operation = target.starts_with(kService) ? target.substr(kService.size()) : "";
  json::array list;
  if (operation == "ListContainerInstances") {
    for (const auto* node : hosts(view, environment)) list.emplace_back(arn_of(*node));
    return ecs_answer(200, {{"containerInstanceArns", list}});
  }
  if (operation != "DescribeContainerInstances") {
    return ecs_error("UnknownOperationException", fmt::format("{} is not served", asked_for));
  }
  const auto asked = body.texts("containerInstances");
  if (complaint) return ecs_error("InvalidParameterException", complaint->message);
  for (const auto* node : hosts(view, environment)) {
    const auto arn = arn_of(*node);
    if (std::find(asked.begin(), asked.end(), arn) == asked.end() &&
        std::find(asked.begin(), asked.end(), node->id.value) == asked.end()) {
      continue;
    }
    const auto load = view.load(node->id);
    const json::object type{{"name", "ecs.instance-type"}, {"value", node->instance_type}};
    list.push_back(json::object{
        {"containerInstanceArn", arn},
        {"ec2InstanceId", node->id.value},
        {"status", node->status == NodeStatus::up ? "ACTIVE" : to_string(node->status)},
        {"attributes", json::array{type}},
        {"registeredResources", resources(node->vcpus, node->memory)},
        {"remainingResources", resources(load.free_vcpus, load.free_memory)},
        {"runningTasksCount", load.running_jobs},
        {"pendingTasksCount", load.pending_jobs}});
  }
  return ecs_answer(200, {{"containerInstances", list}, {"failures", json::array{}}});
}

// EC2: its own query protocol.

StackAnswer handle_ec2(const View& view, const StackCall& call) {
  const auto form = read_form(call.body);
  const auto action = form.find("Action");
  if (action == form.end() || action->second != "DescribeInstances") {
    return ec2_error("InvalidAction", "Of EC2 only DescribeInstances is served");
  }
  std::vector<std::string> asked;
  for (const auto& [name, value] : form) {
    if (name.starts_with("InstanceId.")) asked.push_back(value);
  }
  const auto region = arns_in(view, call).region;
  std::string items;
  for (const auto* node : view.nodes()) {
    const auto wanted = std::find(asked.begin(), asked.end(), node->id.value);
    if (!asked.empty() && wanted == asked.end()) continue;
    if (wanted != asked.end()) asked.erase(wanted);
    const bool up = node->status == NodeStatus::up;
    items += enclosed(
        "item", element("instanceId", node->id.value) +
                    enclosed("instanceState", element("code", up ? "16" : "0") +
                                                  element("name", up ? "running" : "pending")) +
                    element("privateDnsName",
                            fmt::format("{}.{}.compute.internal", node->hostname, region)) +
                    element("privateIpAddress", node->address) +
                    element("instanceType", node->instance_type) +
                    element("launchTime", iso_time(node->launched_at)));
  }
  if (!asked.empty()) {
    return ec2_error("InvalidInstanceID.NotFound",
                     fmt::format("The instance ID '{}' does not exist", asked.front()));
  }
  const auto reservation = enclosed("item", element("reservationId", "r-00000000000000000") +
                                                element("ownerId", view.cluster().account) +
                                                enclosed("instancesSet", items));
  return xml(200, "<DescribeInstancesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">" +
                      element("requestId", kRequestId) +
                      enclosed("reservationSet", items.empty() ? "" : reservation) +
                      "</DescribeInstancesResponse>");
}

// S3: PutObject into the cluster's own bucket.

StackAnswer s3_error(int status, std::string_view code, std::string_view message) {
  return xml(status, enclosed("Error", element("Code", code) + element("Message", message)),
             std::string(code));
}

StackAnswer upload_too_large() {
  return s3_error(400, "EntityTooLarge",
                  fmt::format("A job's file may have {} bytes at most", kUploadBytesMax));
}

/// A file of a job gets the key's last part as its name, so every part must be a plain one.
bool is_plain_part(std::string_view part) {
  return part != "." && part != ".." && part.size() <= kNameMax &&
         std::none_of(part.begin(), part.end(),
                      [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

bool is_plain_key(std::string_view key) {
  const auto parts = split(key, '/');
  return std::all_of(parts.begin(), parts.end(),
                     [](const std::string& part) { return is_plain_part(part); });
}

StackOutcome handle_s3(const View& view, const StackCall& call) {
  const std::string_view target = call.target;
  const auto mark = target.find('?');
  auto path = percent_decoded(target.substr(0, mark));
  const auto bucket = files_bucket(view.cluster());
  // https://BUCKET.host/key as well as https://host/BUCKET/key.
  if (!header_of(call, "host").starts_with(bucket + ".")) {
    if (!path.starts_with("/" + bucket + "/")) {
      return s3_error(
          404, "NoSuchBucket",
          fmt::format("Of S3 there is only the bucket {} here, for jobs' files", bucket));
    }
    path.erase(0, bucket.size() + 1);
  }
  const auto query = mark == std::string_view::npos ? "" : target.substr(mark + 1);
  const bool is_put = query.empty() || query == "x-id=PutObject";
  if (call.method != "PUT" || !is_put || path.size() < 2 ||
      !header_of(call, "x-amz-copy-source").empty()) {
    return s3_error(501, "NotImplemented",
                    "Of S3 only PutObject is served: files of at most 8 MiB for jobs");
  }
  if (header_of(call, "content-encoding").find("aws-chunked") != std::string::npos) {
    return s3_error(501, "NotImplemented",
                    "aws-chunked uploads are not served: set "
                    "AWS_REQUEST_CHECKSUM_CALCULATION=when_required");
  }
  const auto key = std::string_view(path).substr(1);
  if (key.size() > kKeyMax) {
    return s3_error(400, "KeyTooLongError", "Your key is too long");
  }
  if (!is_plain_key(key)) {
    return s3_error(400, "InvalidArgument",
                    "No part of a key may be . or .., hold control characters or be longer than "
                    "255 bytes: it names a job's file");
  }
  if (call.body.size() > kUploadBytesMax) return upload_too_large();
  return KeepUpload{fmt::format("s3://{}{}", bucket, path)};
}

}  // namespace

std::string files_bucket(const ClusterSettings& cluster) { return cluster.name; }

bool is_stack_service(std::string_view service) {
  return service == "s3" || service == "cloudformation" || service == "ecs" || service == "ec2";
}

std::string service_claimed(const std::map<std::string, std::string>& headers) {
  const auto found = headers.find("authorization");
  if (found == headers.end()) return "";
  const std::string_view text = found->second;
  const auto end = text.find("/aws4_request");
  if (end == std::string_view::npos || end == 0) return "";
  const auto start = text.rfind('/', end - 1);
  return start == std::string_view::npos ? ""
                                         : std::string(text.substr(start + 1, end - start - 1));
}

StackAnswer render_refusal(std::string_view service, const Answer& refusal) {
  boost::system::error_code error;
  const auto body = json::parse(refusal.body, error);
  const auto* message =
      error || !body.is_object() ? nullptr : body.get_object().if_contains("message");
  const std::string text =
      message != nullptr && message->is_string() ? std::string(message->get_string()) : "";
  // S3 has names of its own for these.
  const std::string_view code =
      refusal.error_type == "InvalidSignatureException"     ? "SignatureDoesNotMatch"
      : refusal.error_type == "UnrecognizedClientException" ? "InvalidAccessKeyId"
                                                            : std::string_view(refusal.error_type);
  auto given = service == "s3"    ? s3_error(refusal.status, code, text)
               : service == "ecs" ? ecs_error(refusal.error_type, text)
               : service == "ec2" ? ec2_error(refusal.error_type, text)
                                  : query_error(refusal.status, refusal.error_type, text);
  given.status = refusal.status;
  return given;
}

StackAnswer render_too_large(std::string_view service) {
  if (service == "s3") return upload_too_large();
  return {413, R"({"message":"the request is too large"})", "", "application/json", {}};
}

StackOutcome handle_stack_service(const View& view, const StackCall& call) {
  if (call.service == "s3") return handle_s3(view, call);
  if (call.service == "cloudformation") return describe_stacks(view, call);
  if (call.service == "ecs") return handle_ecs(view, call);
  return handle_ec2(view, call);
}

StackAnswer render_kept(const std::string& sha256) {
  // Of S3 an ETag is any text that changes with the content.
  return {200, "", "", "application/xml", {{"ETag", fmt::format("\"{}\"", sha256.substr(0, 32))}}};
}

StackAnswer render_not_kept(const Error& error) {
  if (error.code == Errc::conflict) return s3_error(403, "QuotaExceeded", error.message);
  return s3_error(500, "InternalError", error.message);
}

}  // namespace cox::api
