#include "launcher/cli/pcluster_nodes.hpp"

#include <sys/stat.h>

#include <boost/json.hpp>

#include "launcher/cli/connection.hpp"
#include "launcher/cluster/registry.hpp"

namespace cox::cli {

namespace json = boost::json;

namespace {

/// ECS's words of an instance as EC2's.
std::string ec2_state(const std::string& status) {
  if (status == "ACTIVE" || status == "silent") return "running";
  if (status == "terminating") return "shutting-down";
  return status == "up" ? "running" : "pending";
}

/// When the node's directory was made.
std::int64_t launch_time(const std::string& cluster, const std::string& node) {
  struct stat seen {};
  const auto path = cluster::directory_of(cluster) + "/nodes/" + node + "/pid";
  if (::stat(path.c_str(), &seen) != 0) return 0;
  return std::int64_t{seen.st_mtim.tv_sec} * 1000 + seen.st_mtim.tv_nsec / 1'000'000;
}

}  // namespace

Result<std::vector<NodeShown>> list_nodes(const std::string& cluster) {
  auto connection = Connection::open(cluster);
  if (!connection) return fail(connection.error());
  const auto about = connection->get("cluster");
  if (!about) return fail(about.error());
  const auto nodes = connection->get("nodes");
  if (!nodes) return fail(nodes.error());
  std::vector<NodeShown> list;
  if (const auto* head = object_of(about->as_object(), "headNode")) {
    list.push_back({text_of(*head, "id"),
                    "HeadNode",
                    text_of(*head, "instanceType"),
                    text_of(*head, "address"),
                    text_of(*head, "state"),
                    int_of(*head, "launchTime"),
                    {}});
  }
  const auto* array = nodes->if_array();
  if (array == nullptr) return fail(Errc::internal, "the cluster's answer holds no nodes");
  for (const auto& value : *array) {
    const auto& node = value.as_object();
    const auto id = text_of(node, "ec2InstanceId");
    list.push_back({id, "ComputeNode", text_of(node, "instanceType"),
                    text_of(node, "privateIpAddress"), ec2_state(text_of(node, "status")),
                    launch_time(cluster, id), text_of(node, "computeEnvironment")});
  }
  return list;
}

}  // namespace cox::cli
