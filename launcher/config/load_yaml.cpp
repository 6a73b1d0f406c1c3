#include <algorithm>

#include "launcher/config/config.hpp"
#include "launcher/config/rules.hpp"
#include "launcher/config/schema.hpp"
#include "runtime/base/text.hpp"

namespace cox::config {

namespace {

constexpr const char* kDefaultRegion = "us-east-1";

std::string text_at(const Tree& tree, std::initializer_list<std::string_view> path,
                    std::string absent = "") {
  const Tree* at = &tree;
  for (const auto& key : path) {
    at = at->find(key);
    if (at == nullptr) return absent;
  }
  return at->kind == Tree::Kind::scalar ? at->scalar : absent;
}

int int_at(const Tree& tree, std::string_view key, int absent) {
  const auto* value = tree.find(key);
  const auto number = value != nullptr ? to_integer(*value) : std::nullopt;
  return number && *number >= -1 && *number <= 100'000'000 ? static_cast<int>(*number) : absent;
}

std::string user_of(const std::string& os) {
  if (os.starts_with("ubuntu")) return "ubuntu";
  if (os.starts_with("rocky")) return "rocky";
  return "ec2-user";
}

ComputeResource read_resource(const Tree& tree) {
  ComputeResource resource;
  resource.place = tree.place;
  resource.name = text_at(tree, {"Name"});
  if (const auto* types = tree.find("InstanceTypes")) {
    if (!types->items.empty()) resource.place = types->items.front().place;
    for (const auto& item : types->items) resource.instance_types.push_back(item.scalar);
  }
  resource.min_vcpus = int_at(tree, "MinvCpus", 0);
  resource.max_vcpus = int_at(tree, "MaxvCpus", 10);
  resource.desired_vcpus = int_at(tree, "DesiredvCpus", resource.min_vcpus);
  return resource;
}

/// What awsbatch adds to the schema: how many queues, resources, subnets; what excludes what.
void check_awsbatch(const Tree& tree, std::vector<Finding>& findings) {
  const auto add = [&](std::string path, Place place, const char* rule, std::string text) {
    findings.push_back({Level::error, rule, std::move(path), place, std::move(text)});
  };
  constexpr const char* kSchema = "ConfigSchemaValidator";
  const auto& scheduling = *tree.find("Scheduling");
  if (text_at(scheduling, {"Scheduler"}) == "slurm") {
    add("Scheduling.Scheduler", scheduling.find("Scheduler")->place, "SchedulerValidator",
        "files with Scheduler: slurm are not served by this version: use awsbatch");
    return;
  }
  for (const auto& entry : scheduling.entries) {
    if (entry.key.starts_with("Slurm")) {
      add("Scheduling." + entry.key, entry.place, kSchema, "Only for Scheduler: slurm.");
    }
  }
  const auto* queues = scheduling.find("AwsBatchQueues");
  if (queues == nullptr || queues->items.size() != 1) {
    add("Scheduling.AwsBatchQueues", queues != nullptr ? queues->place : scheduling.place, kSchema,
        "AwsBatchQueues must hold exactly one queue.");
  }
  for (std::size_t i = 0; queues != nullptr && i < queues->items.size(); ++i) {
    const auto* resources = queues->items[i].find("ComputeResources");
    if (resources != nullptr && resources->items.size() != 1) {
      add(fmt::format("Scheduling.AwsBatchQueues[{}].ComputeResources", i), resources->place,
          kSchema, "ComputeResources must hold exactly one compute resource.");
    }
  }
  const auto os = text_at(tree, {"Image", "Os"});
  if (os != "alinux2" && os != "alinux2023") {
    add("Image.Os", tree.find("Image")->find("Os")->place, "SchedulerOsValidator",
        fmt::format("scheduler awsbatch supports alinux2 and alinux2023, not {}", os));
  }
  if (text_at(tree, {"HeadNode", "Imds", "Secured"}) != "false") {
    add("HeadNode.Imds.Secured", tree.find("HeadNode")->place, "HeadNodeImdsValidator",
        "IMDS Secured cannot be enabled with scheduler awsbatch: write HeadNode/Imds/Secured: "
        "false");
  }
  for (const auto* key : {"LoginNodes", "DirectoryService"}) {
    if (const auto* value = tree.find(key)) {
      add(key, value->place, "SchedulerValidator",
          fmt::format("{} is not supported with awsbatch", key));
    }
  }
}

ClusterConfig read_config(const Tree& tree, const LoadOptions& options) {
  ClusterConfig config;
  const auto in_file = text_at(tree, {"Region"});
  config.region = !options.region.empty()              ? options.region
                  : !in_file.empty()                   ? in_file
                  : options.environment_region.empty() ? kDefaultRegion
                                                       : options.environment_region;
  config.os = text_at(tree, {"Image", "Os"}, "alinux2");
  config.os_user = user_of(config.os);
  config.head_instance_type = text_at(tree, {"HeadNode", "InstanceType"});
  config.key_name = text_at(tree, {"HeadNode", "Ssh", "KeyName"});
  config.provider = text_at(tree, {"Coxswain", "Provider"}, "local");
  if (const auto* own = tree.find("Coxswain")) {
    config.scaledown_idle_minutes =
        int_at(*own, "ScaledownIdletime", config.scaledown_idle_minutes);
  }
  if (const auto* tags = tree.find("Tags")) {
    for (const auto& tag : tags->items)
      config.tags[text_at(tag, {"Key"})] = text_at(tag, {"Value"});
  }
  if (const auto* queues = tree.find("Scheduling")->find("AwsBatchQueues")) {
    for (const auto& item : queues->items) {
      Queue queue;
      queue.name = text_at(item, {"Name"});
      queue.spot = text_at(item, {"CapacityType"}) == "SPOT";
      if (const auto* resources = item.find("ComputeResources")) {
        for (const auto& resource : resources->items) {
          queue.compute_resources.push_back(read_resource(resource));
        }
      }
      config.queues.push_back(std::move(queue));
    }
  }
  if (const auto* storages = tree.find("SharedStorage")) {
    for (const auto& item : storages->items) {
      SharedStorage storage;
      storage.name = text_at(item, {"Name"});
      storage.as_configured = text_at(item, {"MountDir"});
      storage.mount_dir = storage.as_configured.starts_with("/") ? storage.as_configured
                                                                 : "/" + storage.as_configured;
      storage.type = text_at(item, {"StorageType"});
      const auto* ebs = item.find("EbsSettings");
      if (storage.type == "Ebs" && ebs != nullptr && ebs->find("Raid") != nullptr)
        storage.type = "Raid";
      storage.file_system_id = text_at(item, {"EfsSettings", "FileSystemId"});
      config.shared.push_back(std::move(storage));
    }
  }
  return config;
}

}  // namespace

Loaded load_yaml(std::string_view text, const LoadOptions& options) {
  Loaded loaded;
  const auto tree = parse_yaml(text);
  if (!tree) {
    loaded.findings.push_back(tree.error());
    return loaded;
  }
  if (tree->kind != Tree::Kind::map) {
    loaded.findings.push_back(
        {Level::error,
         "ConfigSchemaValidator",
         "",
         {},
         tree->kind == Tree::Kind::empty ? "the file is empty" : "the file is not a map of keys"});
    return loaded;
  }
  loaded.findings = check_schema(*tree);
  const auto failed = [&loaded] {
    return std::any_of(loaded.findings.begin(), loaded.findings.end(),
                       [](const Finding& finding) { return finding.level == Level::error; });
  };
  if (!failed()) check_awsbatch(*tree, loaded.findings);
  if (failed()) {
    std::stable_sort(
        loaded.findings.begin(), loaded.findings.end(), [](const Finding& a, const Finding& b) {
          return std::pair(a.place.line, a.place.column) < std::pair(b.place.line, b.place.column);
        });
    return loaded;
  }
  auto config = read_config(*tree, options);
  const auto in_file = text_at(*tree, {"Region"});
  if (!options.region.empty() && !in_file.empty() && options.region != in_file) {
    loaded.findings.push_back(
        {Level::error, "RegionValidator", "Region", tree->find("Region")->place,
         fmt::format("the file says {}, the option says {}", in_file, options.region)});
  }
  auto rules = check_rules(config);
  loaded.findings.insert(loaded.findings.end(), rules.begin(), rules.end());
  if (!failed()) loaded.config = std::move(config);
  return loaded;
}

}  // namespace cox::config
