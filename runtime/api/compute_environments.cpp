#include <algorithm>
#include <boost/json.hpp>

#include "runtime/api/shape_rules.hpp"
#include "runtime/api/shapes.hpp"
#include "runtime/api/sigv4.hpp"
#include "runtime/base/text.hpp"

/// Compute environments. Limits: API reference, CreateComputeEnvironment and ComputeResource.
namespace cox::api {

namespace json = boost::json;

namespace {

constexpr std::size_t kEnvironmentsMax = 50;
constexpr std::int64_t kVcpusMax = 1'000'000;
constexpr std::int64_t kIdleMs = 10 * 60'000;  // as the cluster's file has it by default
constexpr const char* kResources = "computeResources";

Shape common_resources() {
  static const Shape launch_template{text("launchTemplateId"), text("launchTemplateName"),
                                     text("version")};
  static const Shape configuration{required(text("imageType", 1, 256)),
                                   text("imageIdOverride", 1, 256),
                                   text("imageKubernetesVersion", 1, 256)};
  return {integer("minvCpus", 0, kVcpusMax),
          integer("desiredvCpus", 0, kVcpusMax),
          texts("instanceTypes", 1),
          text("imageId"),
          text("ec2KeyPair"),
          text("instanceRole"),
          text_map("tags"),
          text("placementGroup"),
          integer("bidPercentage", 1, 100),
          object("launchTemplate", launch_template),
          objects("ec2Configuration", configuration, 0, 2),
          texts("securityGroupIds", 0, 5)};
}

const Shape& create_shape() {
  static const Shape resources = [] {
    auto shape = common_resources();
    shape.push_back(required(word("type", {"EC2", "SPOT", "FARGATE", "FARGATE_SPOT"})));
    shape.push_back(
        word("allocationStrategy", {"BEST_FIT", "BEST_FIT_PROGRESSIVE", "SPOT_CAPACITY_OPTIMIZED",
                                    "SPOT_PRICE_CAPACITY_OPTIMIZED"}));
    shape.push_back(required(integer("maxvCpus", 1, kVcpusMax)));
    shape.push_back(required(texts("subnets", 1, 16)));
    shape.push_back(text("spotIamFleetRole"));
    return shape;
  }();
  static const Shape shape{required(text("computeEnvironmentName")),
                           required(word("type", {"MANAGED", "UNMANAGED"})),
                           word("state", {"ENABLED", "DISABLED"}),
                           integer("unmanagedvCpus", 0, kVcpusMax),
                           object(kResources, resources),
                           text("serviceRole"),
                           text_map("tags")};
  return shape;
}

const Shape& update_shape() {
  static const Shape resources = [] {
    auto shape = common_resources();
    shape.push_back(word("type", {"EC2", "SPOT", "FARGATE", "FARGATE_SPOT"}));
    shape.push_back(word("allocationStrategy", {"BEST_FIT_PROGRESSIVE", "SPOT_CAPACITY_OPTIMIZED",
                                                "SPOT_PRICE_CAPACITY_OPTIMIZED"}));
    shape.push_back(integer("maxvCpus", 1, kVcpusMax));
    shape.push_back(texts("subnets", 1, 16));
    shape.push_back(boolean("updateToLatestImageVersion"));
    return shape;
  }();
  static const Shape policy{boolean("terminateJobsOnUpdate"),
                            integer("jobExecutionTimeoutMinutes", 1, 360)};
  static const Shape shape{required(text("computeEnvironment")),
                           word("state", {"ENABLED", "DISABLED"}),
                           integer("unmanagedvCpus", 0, kVcpusMax),
                           object(kResources, resources),
                           text("serviceRole"),
                           object("updatePolicy", policy)};
  return shape;
}

const ComputeEnvironment* find_environment(const View& view, std::string_view name) {
  for (const auto& environment : view.cluster().environments) {
    if (environment.name.value == name) return &environment;
  }
  return nullptr;
}

/// Works checked computeResources into the environment.
void read_resources(const View& view, const json::object& given, ComputeEnvironment& environment,
                    std::optional<Error>& complaint) {
  const auto type = text_in(given, "type");
  if (type.starts_with("FARGATE")) {
    return complain(complaint, fmt::format("computeResources.type: this cluster has no {}", type));
  }
  if (!type.empty()) environment.spot = type == "SPOT";
  environment.min_vcpus = static_cast<int>(integer_in(given, "minvCpus", environment.min_vcpus));
  environment.max_vcpus = static_cast<int>(integer_in(given, "maxvCpus", environment.max_vcpus));
  environment.desired_vcpus =
      static_cast<int>(integer_in(given, "desiredvCpus", environment.desired_vcpus));
  if (environment.min_vcpus > environment.max_vcpus) {
    complain(complaint, "computeResources: minvCpus must not be above maxvCpus");
  }
  if (given.contains("desiredvCpus") && (environment.desired_vcpus < environment.min_vcpus ||
                                         environment.desired_vcpus > environment.max_vcpus)) {
    complain(complaint, "computeResources: desiredvCpus must be between minvCpus and maxvCpus");
  }
  if (!given.contains("instanceTypes")) return;
  auto types = view.instance_types(texts_in(given, "instanceTypes"));
  if (!types) return complain(complaint, types.error().message);
  environment.instance_types = std::move(*types);
}

/// What a MANAGED environment of EC2 or SPOT must have.
void check_managed(const json::object& given, std::optional<Error>& complaint) {
  for (const char* member : {"instanceTypes", "instanceRole"}) {
    if (!given.contains(member)) {
      complain(complaint, fmt::format("computeResources.{} must not be empty", member));
    }
  }
  if (!given.contains("securityGroupIds") && !given.contains("launchTemplate")) {
    complain(complaint, "computeResources.securityGroupIds must not be empty");
  }
  const auto strategy = text_in(given, "allocationStrategy");
  const bool spot = text_in(given, "type") == "SPOT";
  if (!spot && strategy.starts_with("SPOT_")) {
    complain(complaint, fmt::format("allocationStrategy {} is for type SPOT only", strategy));
  }
  if (!spot && given.contains("bidPercentage")) {
    complain(complaint, "bidPercentage is for type SPOT only");
  }
  if (spot && (strategy.empty() || strategy == "BEST_FIT") && !given.contains("spotIamFleetRole")) {
    complain(complaint, "spotIamFleetRole must be given for type SPOT with BEST_FIT");
  }
  if (const auto* chosen = given.if_contains("launchTemplate")) {
    const auto& one = chosen->as_object();
    if (one.contains("launchTemplateId") == one.contains("launchTemplateName")) {
      complain(complaint, "launchTemplate must have either launchTemplateId or launchTemplateName");
    }
  }
}

Outcome changed(const View& view, const Request& request, ComputeEnvironment environment) {
  ChangeCatalog change;
  const auto& name = environment.name.value;
  change.answer =
      json_answer({{"computeEnvironmentName", name},
                   {"computeEnvironmentArn", arns_for(view, request).of(kEnvironmentKind, name)}});
  change.put.emplace_back(std::move(environment));
  return change;
}

json::object resources_of(const View& view, const ComputeEnvironment& environment) {
  int vcpus = 0;
  for (const auto* node : view.nodes()) {
    if (node->environment == environment.name) vcpus += node->vcpus;
  }
  json::array types;
  for (const auto& type : environment.instance_types) types.emplace_back(type.name);
  json::object shown{
      {"type", environment.spot ? "SPOT" : "EC2"}, {"allocationStrategy", "BEST_FIT"},
      {"instanceTypes", std::move(types)},         {"subnets", json::array{}},
      {"securityGroupIds", json::array{}},         {"tags", json::object{}}};
  if (!environment.resources.empty()) {
    const auto given = json::parse(environment.resources);
    for (const auto& [name, value] : given.as_object()) {
      shown[name] = value;
    }
  }
  shown["minvCpus"] = environment.min_vcpus;
  shown["maxvCpus"] = environment.max_vcpus;
  shown["desiredvCpus"] = vcpus;
  return shown;
}

/// The update policy with AWS's defaults for what no client has set.
json::object policy_of(const ComputeEnvironment& environment) {
  json::object policy{{"terminateJobsOnUpdate", false}, {"jobExecutionTimeoutMinutes", 30}};
  if (environment.update_policy.empty()) return policy;
  const auto given = json::parse(environment.update_policy);
  for (const auto& [name, value] : given.as_object()) policy[name] = value;
  return policy;
}

/// The same for as long as the cluster has an environment of that name.
std::string uuid_of(const ClusterSettings& cluster, std::string_view name) {
  const auto hash = sha256_hex(fmt::format("{}/{}/{}", cluster.name, kEnvironmentKind, name));
  const std::string_view digits = hash;
  // Version 8 of RFC 9562: made in a way of one's own.
  return fmt::format("{}-{}-8{}-8{}-{}", digits.substr(0, 8), digits.substr(8, 4),
                     digits.substr(12, 3), digits.substr(15, 3), digits.substr(18, 12));
}

json::object described(const View& view, const Arns& arns, const ComputeEnvironment& environment) {
  const auto& name = environment.name.value;
  const auto note = view.environment_note(environment.name);
  json::object shown{{"computeEnvironmentName", name},
                     {"computeEnvironmentArn", arns.of(kEnvironmentKind, name)},
                     {"ecsClusterArn", arns.ecs("cluster", name + "_Batch")},
                     {"type", environment.managed ? "MANAGED" : "UNMANAGED"},
                     {"state", environment.enabled ? "ENABLED" : "DISABLED"},
                     {"status", "VALID"},
                     {"statusReason", note.empty() ? "ComputeEnvironment Healthy" : note},
                     {"containerOrchestrationType", "ECS"},
                     {"tags", tags_object(environment.tags)}};
  if (environment.managed) {
    shown[kResources] = resources_of(view, environment);
  } else {
    shown["unmanagedvCpus"] = environment.unmanaged_vcpus;
  }
  shown["uuid"] = uuid_of(view.cluster(), name);
  if (!environment.service_role.empty()) shown["serviceRole"] = environment.service_role;
  if (!environment.update_policy.empty()) shown["updatePolicy"] = policy_of(environment);
  return shown;
}

}  // namespace

Outcome create_compute_environment(const View& view, const Request& request,
                                   const json::object& asked) {
  std::optional<Error> complaint;
  const auto body = checked(asked, create_shape(), "", complaint);
  if (complaint) return render_error(*complaint);
  if (auto refused = refuse_stranger(request)) return *refused;
  ComputeEnvironment environment;
  environment.name = ComputeEnvironmentName{text_in(body, "computeEnvironmentName")};
  const auto& name = environment.name.value;
  if (!is_name(name)) return refuse_name(name);
  environment.from_file = false;
  environment.managed = text_in(body, "type") == "MANAGED";
  environment.enabled = text_in(body, "state") != "DISABLED";
  environment.service_role = text_in(body, "serviceRole");
  environment.unmanaged_vcpus = static_cast<int>(integer_in(body, "unmanagedvCpus", 0));
  environment.idle_ms_before_release = kIdleMs;
  environment.tags = map_in(body, "tags");
  check_tags(environment.tags, complaint);
  refuse_members(asked, {"eksConfiguration"}, complaint);
  const auto* resources = body.if_contains(kResources);
  if (environment.managed && resources == nullptr) {
    complain(complaint, "computeResources must be provided for a MANAGED compute environment");
  } else if (!environment.managed && resources != nullptr) {
    complain(complaint, "computeResources can't be given for an UNMANAGED compute environment");
  } else if (resources != nullptr) {
    read_resources(view, resources->as_object(), environment, complaint);
    check_managed(resources->as_object(), complaint);
    environment.resources = json::serialize(*resources);
  }
  if (environment.managed && body.contains("unmanagedvCpus")) {
    complain(complaint, "unmanagedvCpus is for UNMANAGED compute environments only");
  }
  if (find_environment(view, name) != nullptr) complain(complaint, "Object already exists");
  if (view.cluster().environments.size() >= kEnvironmentsMax) {
    complain(complaint, fmt::format("An account can't have more than {} compute environments",
                                    kEnvironmentsMax));
  }
  if (complaint) return render_error(*complaint);
  environment.arn = Arns{view.cluster().region, view.cluster().account}.of(kEnvironmentKind, name);
  return changed(view, request, std::move(environment));
}

Outcome update_compute_environment(const View& view, const Request& request,
                                   const json::object& asked) {
  std::optional<Error> complaint;
  const auto body = checked(asked, update_shape(), "", complaint);
  if (complaint) return render_error(*complaint);
  if (auto refused = refuse_stranger(request)) return *refused;
  const auto given =
      short_name(arns_for(view, request), text_in(body, "computeEnvironment"), kEnvironmentKind);
  const auto* found = find_environment(view, given);
  if (found == nullptr) {
    return client_exception(fmt::format("ComputeEnvironment {} does not exist", given));
  }
  auto environment = *found;
  if (const auto state = text_in(body, "state"); !state.empty()) {
    environment.enabled = state == "ENABLED";
  }
  if (body.contains("serviceRole")) environment.service_role = text_in(body, "serviceRole");
  if (const auto* policy = body.if_contains("updatePolicy")) {
    auto merged = policy_of(environment);
    for (const auto& [name, value] : policy->as_object()) merged[name] = value;
    environment.update_policy = json::serialize(merged);
  }
  if (body.contains("unmanagedvCpus")) {
    if (environment.managed) {
      complain(complaint, "unmanagedvCpus is for UNMANAGED compute environments only");
    }
    environment.unmanaged_vcpus = static_cast<int>(integer_in(body, "unmanagedvCpus", 0));
  }
  if (const auto* resources = body.if_contains(kResources)) {
    if (!environment.managed) {
      complain(complaint, "computeResources can't be given for an UNMANAGED compute environment");
    }
    read_resources(view, resources->as_object(), environment, complaint);
    auto merged = environment.resources.empty() ? json::object{}
                                                : json::parse(environment.resources).as_object();
    for (const auto& [name, value] : resources->as_object()) merged[name] = value;
    merged.erase("updateToLatestImageVersion");
    // Those of the file have no roles and networks of AWS's.
    if (!environment.from_file) check_managed(merged, complaint);
    environment.resources = json::serialize(merged);
  }
  if (complaint) return render_error(*complaint);
  return changed(view, request, std::move(environment));
}

Outcome delete_compute_environment(const View& view, const Request& request,
                                   const json::object& asked) {
  static const Shape shape{required(text("computeEnvironment"))};
  std::optional<Error> complaint;
  const auto body = checked(asked, shape, "", complaint);
  if (complaint) return render_error(*complaint);
  if (auto refused = refuse_stranger(request)) return *refused;
  const auto* environment = find_environment(
      view,
      short_name(arns_for(view, request), text_in(body, "computeEnvironment"), kEnvironmentKind));
  if (environment == nullptr) return json_answer({});
  for (const auto& queue : view.cluster().queues) {
    if (std::find(queue.environments.begin(), queue.environments.end(), environment->name) !=
        queue.environments.end()) {
      return client_exception("Cannot delete, found existing JobQueue relationship");
    }
  }
  if (environment->enabled) {
    return client_exception(fmt::format(
        "Cannot delete, ComputeEnvironment {} must be DISABLED first", environment->name));
  }
  if (environment->from_file) {
    return client_exception(fmt::format(
        "Cannot delete, ComputeEnvironment {} is of the cluster's own file", environment->name));
  }
  ChangeCatalog change;
  change.gone.push_back(key_of(*environment));
  change.answer = json_answer({});
  return change;
}

Answer describe_compute_environments(const View& view, const Arns& arns,
                                     const json::object& object) {
  static const Shape shape{texts("computeEnvironments", 0, 100), integer("maxResults", 1, 100),
                           text("nextToken")};
  std::optional<Error> complaint;
  const auto body = checked(object, shape, "", complaint);
  Pager pager(read_page(body, complaint));
  if (complaint) return render_error(*complaint);
  const auto asked = texts_in(body, "computeEnvironments");
  for (const auto& environment : view.cluster().environments) {
    if (!is_asked_for(arns, asked, kEnvironmentKind, environment.name.value)) continue;
    pager.add(environment.name.value, [&] { return described(view, arns, environment); });
  }
  return pager.answer("computeEnvironments");
}

}  // namespace cox::api
