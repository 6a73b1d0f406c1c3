#include <algorithm>
#include <boost/json.hpp>

#include "runtime/api/shapes.hpp"

/// Nodes, and single jobs, for our own routes.
namespace cox::api {

namespace json = boost::json;

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
