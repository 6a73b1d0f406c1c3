#include <algorithm>

#include "launcher/config/config.hpp"
#include "launcher/config/rules.hpp"
#include "launcher/config/schema.hpp"
#include "runtime/base/text.hpp"

/// ParallelCluster v3's YAML file.
namespace cox::config {

namespace {

constexpr const char* kDefaultRegion = "us-east-1";
constexpr int kMostVcpus = 100'000'000;

std::string text_at(const Tree& tree, std::string_view path, std::string absent = "") {
  const auto* found = find_path(tree, path);
  return found != nullptr && found->kind == Tree::Kind::scalar ? found->scalar : absent;
}

int int_at(const Tree& tree, std::string_view key, int absent) {
  const auto* value = tree.find(key);
  const auto number = value != nullptr ? to_integer(*value) : std::nullopt;
  return number ? static_cast<int>(std::clamp<std::int64_t>(*number, -1, kMostVcpus)) : absent;
}

const std::vector<Tree>& items_at(const Tree& tree, std::string_view path) {
  static const std::vector<Tree> none;
  const auto* found = find_path(tree, path);
  return found != nullptr ? found->items : none;
}

ComputeResource read_resource(const Tree& tree) {
  ComputeResource resource;
  resource.place = tree.place;
  resource.name = text_at(tree, "Name");
  for (const auto& item : items_at(tree, "InstanceTypes")) {
    resource.instance_types.push_back(item.scalar);
  }
  resource.min_vcpus = int_at(tree, "MinvCpus", 0);
  // One that is there and is no number has its fault already: nothing is held against it.
  const auto* most = tree.find("MaxvCpus");
  resource.max_vcpus = int_at(tree, "MaxvCpus", most != nullptr ? kMostVcpus : 10);
  resource.desired_vcpus = int_at(tree, "DesiredvCpus", resource.min_vcpus);
  return resource;
}

Queue read_queue(const Tree& tree) {
  Queue queue;
  queue.name = text_at(tree, "Name");
  queue.spot = text_at(tree, "CapacityType") == "SPOT";
  for (const auto& item : items_at(tree, "ComputeResources")) {
    queue.compute_resources.push_back(read_resource(item));
  }
  return queue;
}

SharedStorage read_storage(const Tree& tree) {
  SharedStorage storage;
  storage.name = text_at(tree, "Name");
  storage.as_configured = text_at(tree, "MountDir");
  storage.mount_dir =
      storage.as_configured.starts_with("/") ? storage.as_configured : "/" + storage.as_configured;
  storage.type = text_at(tree, "StorageType");
  if (storage.type == "Ebs" && find_path(tree, "EbsSettings.Raid") != nullptr) {
    storage.type = "Raid";
  }
  storage.file_system_id = text_at(tree, "EfsSettings.FileSystemId");
  return storage;
}

ClusterConfig read_config(const Tree& tree, const LoadOptions& options) {
  ClusterConfig config;
  config.region = options.region;
  if (config.region.empty()) config.region = text_at(tree, "Region");
  if (config.region.empty()) config.region = options.environment_region;
  if (config.region.empty()) config.region = kDefaultRegion;
  config.os = text_at(tree, "Image.Os", "alinux2");
  config.os_user = user_of_os(config.os);
  config.head_instance_type = text_at(tree, "HeadNode.InstanceType");
  config.key_name = text_at(tree, "HeadNode.Ssh.KeyName");
  config.provider = text_at(tree, "Coxswain.Provider", "local");
  if (const auto* own = tree.find("Coxswain")) {
    config.scaledown_idle_minutes =
        int_at(*own, "ScaledownIdletime", config.scaledown_idle_minutes);
  }
  for (const auto& tag : items_at(tree, "Tags")) {
    config.tags[text_at(tag, "Key")] = text_at(tag, "Value");
  }
  for (const auto& item : items_at(tree, "Scheduling.AwsBatchQueues")) {
    config.queues.push_back(read_queue(item));
  }
  for (const auto& item : items_at(tree, "SharedStorage")) {
    config.shared.push_back(read_storage(item));
  }
  return config;
}

/// The rules' findings, each with its place in the file.
std::vector<Finding> placed_rules(const Tree& tree, const ClusterConfig& config) {
  auto findings = check_rules(config);
  for (auto& finding : findings) finding.place = place_of(tree, finding.path);
  return findings;
}

}  // namespace

Loaded load_yaml(std::string_view text, const LoadOptions& options) {
  Loaded loaded;
  const auto tree = parse_yaml(text, loaded.findings);
  if (!tree) return loaded;
  if (tree->kind != Tree::Kind::map) {
    const auto* why = tree->kind == Tree::Kind::empty
                          ? "the file is empty"
                          : "the file is not a map of keys, such as `Region: us-east-1`";
    loaded.findings.push_back({Level::error, kTextRule, "", {}, why});
    return loaded;
  }
  if (text_at(*tree, "Scheduling.Scheduler") == "slurm") {
    loaded.findings = {{Level::error, "SchedulerValidator", "Scheduling.Scheduler",
                        place_of(*tree, "Scheduling.Scheduler"),
                        "the scheduler slurm is not served by this version, only awsbatch is"}};
    return loaded;
  }
  auto faults = check_schema(*tree);
  loaded.findings.insert(loaded.findings.end(), faults.begin(), faults.end());
  add_consequences(loaded.findings, check_relations(*tree));
  auto config = read_config(*tree, options);
  const auto in_file = text_at(*tree, "Region");
  if (!options.region.empty() && !in_file.empty() && options.region != in_file) {
    loaded.findings.push_back(
        {Level::error, "RegionValidator", "Region", place_of(*tree, "Region"),
         fmt::format("the file says {}, the option says {}", in_file, options.region)});
  }
  add_consequences(loaded.findings, placed_rules(*tree, config));
  sort_by_place(loaded.findings);
  if (!stands_in_the_way(loaded.findings)) loaded.config = std::move(config);
  return loaded;
}

}  // namespace cox::config
