#include "launcher/config/rules.hpp"

#include <algorithm>

#include "launcher/config/schema.hpp"

namespace cox::config {

namespace {

void add(std::vector<Finding>& findings, const char* rule, std::string path, Place place,
         std::string text) {
  findings.push_back({Level::error, rule, std::move(path), place, std::move(text)});
}

/// Queue and compute resource names: ^[a-z][a-z0-9\-]*$, at most 25, not "default".
bool is_good_name(const std::string& name) {
  return !name.empty() && name.size() <= 25 && name != "default" && name[0] >= 'a' &&
         name[0] <= 'z' && std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
         });
}

void check_resource(const ComputeResource& resource, std::vector<Finding>& findings,
                    const std::string& path) {
  constexpr const char* kSizes = "AwsBatchComputeResourceSizeValidator";
  constexpr const char* kTypes = "AwsBatchComputeInstanceTypeValidator";
  if (resource.desired_vcpus < resource.min_vcpus) {
    add(findings, kSizes, path, resource.place,
        "The number of desired vcpus must be greater than or equal to min vcpus.");
  }
  if (resource.desired_vcpus > resource.max_vcpus) {
    add(findings, kSizes, path, resource.place,
        "The number of desired vcpus must be fewer than or equal to max vcpus.");
  }
  if (resource.max_vcpus < resource.min_vcpus) {
    add(findings, kSizes, path, resource.place,
        "Max vcpus must be greater than or equal to min vcpus.");
  }
  for (const auto& word : resource.instance_types) {
    if (const auto expanded = expand_instance_types({word}); !expanded) {
      add(findings, kTypes, path + ".InstanceTypes", resource.place, expanded.error().message);
    }
  }
  if (resource.instance_types.size() == 1) {
    const auto type = find_instance_type(resource.instance_types[0]);
    if (type && type->vcpus > resource.max_vcpus) {
      add(findings, kTypes, path, resource.place,
          fmt::format("Max vcpus must be greater than or equal to {}, that is the number of vcpus "
                      "of {}.",
                      type->vcpus, type->name));
    }
  }
}

void check_storage(const ClusterConfig& config, std::vector<Finding>& findings) {
  for (std::size_t i = 0; i < config.shared.size(); ++i) {
    const auto& storage = config.shared[i];
    const auto path =
        config.v2 ? std::string("shared_dir") : fmt::format("SharedStorage[{}].MountDir", i);
    if (const auto fault = mount_dir_fault(storage.mount_dir)) {
      add(findings, "SharedStorageMountDirValidator", path, {}, *fault);
    }
    for (std::size_t k = 0; k < i; ++k) {
      const auto& other = config.shared[k].mount_dir;
      if (storage.mount_dir == other) {
        add(findings, "DuplicateMountDirValidator", path, {},
            fmt::format("Mount directory {} is used twice", other));
      } else if (storage.mount_dir.starts_with(other + "/") ||
                 other.starts_with(storage.mount_dir + "/")) {
        add(findings, "OverlappingMountDirValidator", path, {},
            fmt::format("Mount directories {} and {} lie one in the other", other,
                        storage.mount_dir));
      }
      if (storage.name == config.shared[k].name) {
        add(findings, "DuplicateNameValidator", path, {},
            fmt::format("Storage name {} is used twice", storage.name));
      }
    }
    if (storage.type.starts_with("Fsx") || storage.type == "FileCache") {
      add(findings, "AwsBatchFsxValidator", path, {},
          fmt::format("{} is not supported with AWS Batch", storage.type));
    }
  }
}

}  // namespace

std::vector<Finding> check_rules(const ClusterConfig& config) {
  std::vector<Finding> findings;
  for (std::size_t q = 0; q < config.queues.size(); ++q) {
    const auto& queue = config.queues[q];
    for (std::size_t r = 0; r < queue.compute_resources.size(); ++r) {
      const auto& resource = queue.compute_resources[r];
      const auto path =
          config.v2 ? std::string()
                    : fmt::format("Scheduling.AwsBatchQueues[{}].ComputeResources[{}]", q, r);
      check_resource(resource, findings, path);
      if (!config.v2 && !is_good_name(resource.name)) {
        add(findings, "NameValidator", path + ".Name", resource.place,
            fmt::format(
                "Invalid name '{}'. A name must begin with a lower-case letter, hold lower-case "
                "letters, digits and hyphens only, have at most 25 characters and not be "
                "'default'.",
                resource.name));
      }
    }
    if (!config.v2 && !is_good_name(queue.name)) {
      add(findings, "NameValidator", fmt::format("Scheduling.AwsBatchQueues[{}].Name", q), {},
          fmt::format(
              "Invalid name '{}'. A name must begin with a lower-case letter, hold lower-case "
              "letters, digits and hyphens only, have at most 25 characters and not be "
              "'default'.",
              queue.name));
    }
  }
  check_storage(config, findings);
  if (!find_instance_type(config.head_instance_type)) {
    const auto expanded = expand_instance_types({config.head_instance_type});
    add(findings, "InstanceTypeValidator",
        config.v2 ? "master_instance_type" : "HeadNode.InstanceType", {},
        expanded ? fmt::format("{} is not one instance type", config.head_instance_type)
                 : expanded.error().message);
  }
  if (config.provider != "local") {
    add(findings, "ProviderValidator", "Coxswain.Provider", {},
        fmt::format("provider {} is not there yet: this version makes local clusters only",
                    config.provider));
  }
  return findings;
}

}  // namespace cox::config
