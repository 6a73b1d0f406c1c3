#include <algorithm>
#include <boost/json.hpp>

#include "runtime/api/shapes.hpp"

/// Queues, compute environments, job definitions and nodes.
namespace cox::api {

namespace json = boost::json;

namespace {

bool is_asked_for(const std::vector<std::string>& asked, std::string_view kind,
                  std::string_view name) {
  return asked.empty() || std::any_of(asked.begin(), asked.end(), [&](const std::string& each) {
           return short_name(each, kind) == name;
         });
}

json::object definition_object(const Arns& arns, const std::string& name, bool multi_node) {
  json::object container{{"command", json::array{}},
                         {"environment", json::array{}},
                         {"volumes", json::array{}},
                         {"mountPoints", json::array{}},
                         {"ulimits", json::array{}},
                         {"resourceRequirements", json::array{}},
                         {"secrets", json::array{}},
                         {"vcpus", 1},
                         {"memory", 512},
                         {"privileged", true}};
  json::object shown{{"jobDefinitionName", name},
                     {"jobDefinitionArn", arns.of("job-definition", name + ":1")},
                     {"revision", 1},
                     {"status", "ACTIVE"},
                     {"type", multi_node ? "multinode" : "container"},
                     {"parameters", json::object{}},
                     {"tags", json::object{}},
                     {"containerOrchestrationType", "ECS"}};
  if (multi_node) {
    json::object range{{"targetNodes", "0:"}, {"container", std::move(container)}};
    shown["nodeProperties"] = json::object{
        {"numNodes", 1}, {"mainNode", 0}, {"nodeRangeProperties", json::array{std::move(range)}}};
  } else {
    shown["containerProperties"] = std::move(container);
  }
  return shown;
}

}  // namespace

Answer describe_job_queues(const View& view, const Arns& arns, const json::object& object) {
  std::optional<Error> complaint;
  const auto asked = Members(object, "", complaint).texts("jobQueues");
  if (complaint) return render_error(*complaint);
  json::array list;
  for (const auto& queue : view.cluster().queues) {
    if (!is_asked_for(asked, "job-queue", queue.name.value)) continue;
    json::array order;
    for (const auto& environment : queue.environments) {
      order.push_back(
          json::object{{"order", order.size() + 1},
                       {"computeEnvironment", arns.of("compute-environment", environment.value)}});
    }
    list.push_back(json::object{{"jobQueueName", queue.name.value},
                                {"jobQueueArn", arns.of("job-queue", queue.name.value)},
                                {"state", queue.enabled ? "ENABLED" : "DISABLED"},
                                {"status", "VALID"},
                                {"statusReason", "JobQueue Healthy"},
                                {"priority", queue.priority},
                                {"computeEnvironmentOrder", std::move(order)},
                                {"tags", json::object{}}});
  }
  return json_answer({{"jobQueues", std::move(list)}});
}

Answer describe_compute_environments(const View& view, const Arns& arns,
                                     const json::object& object) {
  std::optional<Error> complaint;
  const auto asked = Members(object, "", complaint).texts("computeEnvironments");
  if (complaint) return render_error(*complaint);
  json::array list;
  for (const auto& environment : view.cluster().environments) {
    if (!is_asked_for(asked, "compute-environment", environment.name.value)) continue;
    int vcpus = 0;
    for (const auto* node : view.nodes()) {
      if (node->environment == environment.name) vcpus += node->vcpus;
    }
    json::array types;
    for (const auto& type : environment.instance_types) types.emplace_back(type.name);
    const auto note = view.environment_note(environment.name);
    json::object resources{{"type", environment.spot ? "SPOT" : "EC2"},
                           {"allocationStrategy", "BEST_FIT"},
                           {"minvCpus", environment.min_vcpus},
                           {"maxvCpus", environment.max_vcpus},
                           {"desiredvCpus", vcpus},
                           {"instanceTypes", std::move(types)},
                           {"subnets", json::array{}},
                           {"securityGroupIds", json::array{}},
                           {"tags", json::object{}}};
    list.push_back(json::object{
        {"computeEnvironmentName", environment.name.value},
        {"computeEnvironmentArn", arns.of("compute-environment", environment.name.value)},
        {"ecsClusterArn", arns.ecs("cluster", environment.name.value + "_Batch")},
        {"type", "MANAGED"},
        {"state", environment.enabled ? "ENABLED" : "DISABLED"},
        {"status", "VALID"},
        {"statusReason", note.empty() ? "ComputeEnvironment Healthy" : note},
        {"computeResources", std::move(resources)},
        {"containerOrchestrationType", "ECS"},
        {"tags", json::object{}}});
  }
  return json_answer({{"computeEnvironments", std::move(list)}});
}

Answer describe_job_definitions(const View& view, const Arns& arns, const json::object& object) {
  std::optional<Error> complaint;
  const Members body(object, "", complaint);
  const auto asked = body.texts("jobDefinitions");
  const auto name = body.text("jobDefinitionName").value_or("");
  const auto status = body.text("status").value_or("ACTIVE");
  if (complaint) return render_error(*complaint);
  json::array list;
  const auto serial = serial_definition(view.cluster());
  for (const auto& each : {serial, multi_node_definition(view.cluster())}) {
    const bool listed = is_asked_for(asked, "job-definition", each + ":1") ||
                        is_asked_for(asked, "job-definition", each);
    if (!listed || (!name.empty() && name != each) || status != "ACTIVE") continue;
    list.push_back(definition_object(arns, each, each != serial));
  }
  return json_answer({{"jobDefinitions", std::move(list)}});
}

std::string render_nodes(const View& view) {
  const Arns arns{view.cluster().region, view.cluster().account};
  json::array list;
  for (const auto* node : view.nodes()) {
    if (node->environment.empty()) continue;  // the head node runs no jobs
    const auto load = view.load(node->id);
    const auto domain = fmt::format("{}.{}.compute.internal", node->hostname, arns.region);
    list.push_back(json::object{
        {"ec2InstanceId", node->id.value},
        {"containerInstanceArn",
         arns.ecs("container-instance", fmt::format("{}_Batch/{}", node->environment, node->id))},
        {"status", node->status == NodeStatus::up ? "ACTIVE" : to_string(node->status)},
        {"statusReason", node->reason},
        {"computeEnvironment", node->environment.value},
        {"instanceType", node->instance_type},
        {"privateIpAddress", node->address},
        {"publicIpAddress", "-"},
        {"privateDnsName", domain},
        {"publicDnsName", "-"},
        {"runningJobs", load.running_jobs},
        {"pendingJobs", load.pending_jobs},
        {"registeredCPUs", node->vcpus},
        {"registeredMemory", node->memory.value},
        {"availableCPUs", load.free_vcpus},
        {"availableMemory", load.free_memory.value}});
  }
  return json::serialize(list);
}

std::string render_job(const View& view, const JobRef& ref) {
  const auto* job = view.find(ref.id);
  if (job == nullptr) return "null";
  const Arns arns{view.cluster().region, view.cluster().account};
  return json::serialize(job_object(view, arns, *job, ref.node_index));
}

}  // namespace cox::api
