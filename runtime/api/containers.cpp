#include <algorithm>
#include <boost/json.hpp>

#include "runtime/api/container_shapes.hpp"
#include "runtime/api/shapes.hpp"

/// Job definition → the container that a node makes of it.
namespace cox::api {

namespace json = boost::json;

namespace {

const json::array& list_in(const json::object& object, std::string_view name) {
  static const json::array none;
  const auto* value = object.if_contains(name);
  return value != nullptr && value->is_array() ? value->get_array() : none;
}

bool flag_in(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  return value != nullptr && value->is_bool() && value->get_bool();
}

std::vector<ContainerMount> mounts_in(const json::object& properties) {
  std::vector<ContainerMount> mounts;
  for (const auto& value : list_in(properties, "mountPoints")) {
    const auto& point = value.as_object();
    ContainerMount mount{"", text_in(point, "containerPath"), flag_in(point, "readOnly")};
    for (const auto& each : list_in(properties, "volumes")) {
      const auto& volume = each.as_object();
      if (text_in(volume, "name") != text_in(point, "sourceVolume")) continue;
      if (const auto* host = volume.if_contains("host")) {
        mount.source = text_in(host->as_object(), "sourcePath");
      }
    }
    mounts.push_back(std::move(mount));
  }
  return mounts;
}

std::string permissions_of(const json::object& device) {
  std::string letters;
  for (const auto& word : texts_in(device, "permissions")) {
    letters += word == "READ" ? 'r' : word == "WRITE" ? 'w' : 'm';
  }
  return letters;
}

void read_linux(const json::object& parameters, Container& container) {
  container.init = flag_in(parameters, "initProcessEnabled");
  container.shared_memory_mib = integer_in(parameters, "sharedMemorySize", 0);
  for (const auto& value : list_in(parameters, "tmpfs")) {
    const auto& tmpfs = value.as_object();
    container.tmpfs.push_back({text_in(tmpfs, "containerPath"), integer_in(tmpfs, "size", 0),
                               texts_in(tmpfs, "mountOptions")});
  }
  for (const auto& value : list_in(parameters, "devices")) {
    const auto& device = value.as_object();
    container.devices.push_back(
        {text_in(device, "hostPath"), text_in(device, "containerPath"), permissions_of(device)});
  }
}

}  // namespace

Container container_of(const View& view, const Job& job, int node_index) {
  Container container;
  // The cluster's own have no image. This is asked of each job that is about to start.
  if (!view.cluster().containers || is_own_definition(view.cluster(), job.spec->definition.get())) {
    return container;
  }
  const auto definition = definition_body(view, job.spec->definition.get());
  json::object properties;
  if (job.is_multi_node()) {
    properties = container_of_node(definition, node_index, job.node_count());
  } else if (const auto* single = definition.if_contains("containerProperties")) {
    properties = single->as_object();
  }
  container.image = text_in(properties, "image");
  if (container.image.empty()) return container;
  container.user = text_in(properties, "user");
  container.mounts = mounts_in(properties);
  container.read_only_root = flag_in(properties, "readonlyRootFilesystem");
  container.privileged = flag_in(properties, "privileged");
  for (const auto& value : list_in(properties, "ulimits")) {
    const auto& limit = value.as_object();
    container.limits.push_back({text_in(limit, "name"), integer_in(limit, "softLimit", 0),
                                integer_in(limit, "hardLimit", 0)});
  }
  if (const auto* parameters = properties.if_contains("linuxParameters")) {
    read_linux(parameters->as_object(), container);
  }
  for (const auto& shared : view.cluster().shared) {
    const bool covered =
        std::any_of(container.mounts.begin(), container.mounts.end(),
                    [&](const ContainerMount& each) { return each.target == shared.mount_dir; });
    if (!covered) container.mounts.push_back({shared.mount_dir, shared.mount_dir, false});
  }
  return container;
}

}  // namespace cox::api
