#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "launcher/config/config.hpp"
#include "launcher/config/ini_checker.hpp"
#include "launcher/config/ini_keys.hpp"
#include "launcher/config/rules.hpp"
#include "launcher/config/tree.hpp"
#include "runtime/base/text.hpp"

/// ParallelCluster v2's INI file.
namespace cox::config {

namespace {

class IniLoader : private IniChecker {
 public:
  IniLoader(std::string_view text, const LoadOptions& options)
      : IniChecker(text), options_(options) {}

  Loaded run() {
    read_general();
    const auto* cluster = find_cluster(options_.cluster_template);
    if (cluster == nullptr || !check_scheduler(*cluster)) return finish(false);
    check_section(*cluster);
    read_cluster(*cluster);
    if (config_.scheduler == "slurm") {
      read_slurm(*cluster);
    } else {
      read_batch(*cluster);
    }
    read_network(*cluster);
    read_storage(*cluster);
    read_others(*cluster);
    check_unsupported(*cluster);
    apply_rules(*cluster);
    return finish(true);
  }

 private:
  Loaded finish(bool has_cluster) {
    check_titles();
    drop_notes_on_faults();
    const bool usable = has_cluster && !stands_in_the_way(findings_);
    keep_readable(findings_);
    Loaded loaded;
    if (usable) loaded.config = std::move(config_);
    loaded.findings = std::move(findings_);
    return loaded;
  }

  /// What only AWS would do is not said of a key that has a fault.
  void drop_notes_on_faults() {
    const auto faulty = fault_places();
    std::erase_if(findings_, [&](const Finding& finding) {
      return finding.level == Level::info &&
             faulty.contains({finding.place.line, finding.place.column});
    });
  }

  [[nodiscard]] std::set<std::pair<int, int>> fault_places() const {
    std::set<std::pair<int, int>> places;
    for (const auto& finding : findings_) {
      if (finding.level != Level::error) continue;
      places.insert({finding.place.line, finding.place.column});
    }
    return places;
  }

  /// [aws], [global] and [aliases].
  void read_general() {
    config_.v2 = true;
    for (const auto* type : {"aws", "global", "aliases"}) {
      if (const auto* section = find(type, "")) check_section(*section);
    }
    if (const auto* aws = find("aws", "")) {
      config_.region = aws->get("aws_region_name");
      origins_["Region"] = {aws, "aws_region_name"};
    }
    // In this order: the option, the environment, the file.
    if (!options_.environment_region.empty()) config_.region = options_.environment_region;
    if (!options_.region.empty()) config_.region = options_.region;
    if (config_.region.empty()) config_.region = "us-east-1";
    if (const auto* aliases = find("aliases", "")) {
      for (const auto& value : aliases->values) config_.ssh_alias[value.key] = value.text;
    }
    if (const auto* global = find("global", "")) {
      config_.sanity_check = ini_boolean(global->get("sanity_check", "true")).value_or(true);
    }
  }

  /// A file of a scheduler that is not there is told so, and nothing else.
  bool check_scheduler(const IniSection& cluster) {
    const auto scheduler = cluster.get("scheduler");
    config_.scheduler = scheduler == "slurm" ? "slurm" : "awsbatch";
    if (scheduler.empty() || scheduler == "awsbatch" || scheduler == "slurm") return true;
    const auto place = cluster.place_of("scheduler");
    if (scheduler == "sge" || scheduler == "torque") {
      complain(place,
               fmt::format("scheduler = {} is not served, as ParallelCluster 2.11.5 and later do "
                           "not; awsbatch and slurm are",
                           scheduler),
               "SchedulerValidator");
      return false;
    }
    const auto near = nearest(scheduler, {"awsbatch", "slurm", "sge", "torque"});
    complain(place,
             fmt::format("There is no scheduler {}{}", scheduler,
                         near ? fmt::format("; did you mean {}?", *near) : ""),
             "SchedulerValidator");
    return false;
  }

  int count(const IniSection& section, std::string_view key, int absent) {
    const auto value = to_int(section.get(key));
    return value && *value >= -1 && *value <= 100'000'000 ? static_cast<int>(*value) : absent;
  }

  /// pre_install's or post_install's script.
  std::vector<CustomAction> action(const IniSection& cluster, const std::string& key) {
    const auto script = cluster.get(key);
    if (script.empty() || script == "NONE") {
      if (!cluster.get(key + "_args").empty()) {
        complain(cluster.place_of(key + "_args"),
                 fmt::format("{}_args: there is no {} that takes them.", key, key),
                 "CustomActionValidator", Level::warning);
      }
      return {};
    }
    if (const auto fault = script_fault(script); !fault.empty()) {
      complain(cluster.place_of(key), fmt::format("{}: {}", key, fault), "UrlValidator");
    }
    // Version 2 gives the script's name as its first argument.
    auto words = words_of_arguments(cluster.get(key + "_args"));
    if (!words.empty()) words.insert(words.begin(), script);
    return {{script, std::move(words)}};
  }

  void read_cluster(const IniSection& cluster) {
    config_.os = cluster.get("base_os", "alinux2");
    config_.os_user = user_of_os(config_.os);
    config_.key_name = cluster.get("key_name");
    config_.head_instance_type = cluster.get("master_instance_type", "t3.micro");
    origins_["HeadNode.InstanceType"] = {&cluster, "master_instance_type"};
    config_.head_actions.on_node_start = action(cluster, "pre_install");
    config_.head_actions.on_node_configured = action(cluster, "post_install");
    if (const auto* tags = cluster.find("tags")) {
      std::vector<Finding> ignored;  // the section's check has told them
      const auto tree = parse_yaml(tags->text, ignored);
      for (const auto& entry : tree ? tree->entries : std::vector<Tree::Entry>{}) {
        config_.tags[entry.key] = entry.value.scalar;
      }
    }
  }

  std::vector<std::string> instance_types_of(const IniSection& cluster) {
    // As many as there are types; each that is unknown is held against all of them.
    constexpr std::size_t kTypesMax = 300;
    std::vector<std::string> types;
    for (const auto& word : split(cluster.get("compute_instance_type", "optimal"), ',')) {
      types.emplace_back(trim(word));
    }
    if (types.size() > kTypesMax) {
      complain(
          cluster.place_of("compute_instance_type"),
          fmt::format("compute_instance_type names {} types: more than there are", types.size()));
      types.resize(kTypesMax);
    }
    return types;
  }

  void read_batch(const IniSection& cluster) {
    Queue queue;
    queue.name = "batch-queue";
    queue.spot = cluster.get("cluster_type") == "spot";
    ComputeResource resource;
    resource.name = "batch-compute";
    resource.place = cluster.place;
    resource.instance_types = instance_types_of(cluster);
    resource.min_vcpus = count(cluster, "min_vcpus", 0);
    resource.desired_vcpus = count(cluster, "desired_vcpus", 4);
    resource.max_vcpus = count(cluster, "max_vcpus", 10);
    queue.compute_resources.push_back(std::move(resource));
    config_.queues.push_back(std::move(queue));
    const std::string path = "Scheduling.AwsBatchQueues[0].ComputeResources[0]";
    origins_[path] = {&cluster, ""};
    origins_[path + ".MinvCpus"] = {&cluster, "min_vcpus"};
    origins_[path + ".DesiredvCpus"] = {&cluster, "desired_vcpus"};
    origins_[path + ".MaxvCpus"] = {&cluster, "max_vcpus"};
    for (std::size_t i = 0; i < config_.queues[0].compute_resources[0].instance_types.size(); ++i) {
      origins_[fmt::format("{}.InstanceTypes[{}]", path, i)] = {&cluster, "compute_instance_type"};
    }
  }

  /// Either queues with their resources, or one of each that the cluster's own keys describe.
  void read_slurm(const IniSection& cluster) {
    const bool cores_only = ini_boolean(cluster.get("disable_hyperthreading")).value_or(false);
    if (!cluster.has("queue_settings")) {
      ComputeResource resource;
      resource.name = "default-resource";
      resource.place = cluster.place;
      resource.instance_types = {cluster.get("compute_instance_type", "t3.micro")};
      resource.cores_only = cores_only;
      const int initial = count(cluster, "initial_queue_size", 0);
      const bool kept = ini_boolean(cluster.get("maintain_initial_size")).value_or(false);
      resource.min_count = kept ? initial : 0;
      resource.max_count = count(cluster, "max_queue_size", 10);
      if (initial > resource.max_count) {
        complain(cluster.place_of("initial_queue_size"),
                 fmt::format("initial_queue_size ({}) must not be above max_queue_size ({})",
                             initial, resource.max_count));
      }
      count_vcpus(resource);
      Queue queue;
      queue.name = "default-queue";
      queue.compute_resources.push_back(std::move(resource));
      config_.queues.push_back(std::move(queue));
      name_origins("Scheduling.SlurmQueues[0].ComputeResources[0]", cluster,
                   "compute_instance_type", "max_queue_size");
    }
    for (const auto* section : follow(cluster, "queue")) read_slurm_queue(*section, cores_only);
    for (auto& queue : config_.queues) queue.actions = config_.head_actions;
  }

  void name_origins(const std::string& path, const IniSection& section, const char* type,
                    const char* most) {
    origins_[path] = {&section, ""};
    origins_[path + ".InstanceType"] = {&section, type};
    origins_[path + ".MaxCount"] = {&section, most};
  }

  void read_slurm_queue(const IniSection& section, bool cores_only) {
    Queue queue;
    queue.name = section.label;
    const auto path = fmt::format("Scheduling.SlurmQueues[{}]", config_.queues.size());
    origins_[path] = {&section, ""};
    for (const auto* each : follow(section, "compute_resource")) {
      name_origins(fmt::format("{}.ComputeResources[{}]", path, queue.compute_resources.size()),
                   *each, "instance_type", "max_count");
      ComputeResource resource;
      resource.name = each->label;
      resource.place = each->place;
      resource.instance_types = {each->get("instance_type")};
      resource.cores_only = ini_boolean(section.get("disable_hyperthreading")).value_or(cores_only);
      resource.min_count = count(*each, "min_count", 0);
      resource.max_count = count(*each, "max_count", 10);
      count_vcpus(resource);
      const int initial = count(*each, "initial_count", resource.min_count);
      const bool outside = initial < resource.min_count || initial > resource.max_count;
      if (initial >= 0 && outside) {  // below 0 the section's check has told
        complain(each->place_of("initial_count"),
                 fmt::format("initial_count ({}) must be from min_count ({}) to max_count ({})",
                             initial, resource.min_count, resource.max_count));
      } else if (initial > resource.min_count) {
        complain(each->place_of("initial_count"),
                 "initial_count: a node more than min_count is made when a job needs it.",
                 "AwsOnlyValidator", Level::info);
      }
      queue.compute_resources.push_back(std::move(resource));
    }
    config_.queues.push_back(std::move(queue));
  }

  void read_network(const IniSection& cluster) {
    for (const auto* vpc : follow(cluster, "vpc")) {
      if (vpc->has("compute_subnet_cidr") && vpc->has("compute_subnet_id")) {
        complain(vpc->place_of("compute_subnet_cidr"),
                 "compute_subnet_cidr and compute_subnet_id cannot be given together");
      }
    }
  }

  void add_storage(const std::string& directory, const char* type, const IniSection& section,
                   const std::string& name = "", const char* id = nullptr) {
    // NONE: the section is there and not used.
    if (directory.empty() || directory == "NONE") return;
    SharedStorage storage;
    storage.name = name.empty() ? section.label : name;
    storage.as_configured = directory;
    storage.mount_dir = directory.starts_with("/") ? directory : "/" + directory;
    storage.type = type;
    if (id != nullptr) storage.file_system_id = section.get(id);
    for (const auto* holder : {"ebs_snapshot_id", "ebs_volume_id", "efs_fs_id", "fsx_fs_id",
                               "fsx_backup_id", "import_path"}) {
      if (section.get(holder, "NONE") == "NONE") continue;
      complain(section.place_of(holder),
               fmt::format("What is stored there on AWS is not here: {} begins empty. Copy in what "
                           "jobs need.",
                           directory),
               "SharedStorageContentValidator", Level::warning);
      break;
    }
    storage.path = fmt::format("SharedStorage[{}]", config_.shared.size());
    origins_[storage.path] = {&section, "shared_dir"};
    config_.shared.push_back(std::move(storage));
  }

  /// [ebs] of one label may leave its directory to the cluster's own; of several, each says.
  void read_disks(const IniSection& cluster) {
    const auto disks = follow(cluster, "ebs");
    const auto own = cluster.get("shared_dir");
    if (disks.empty() && !cluster.has("ebs_settings")) {
      return add_storage(own.empty() ? "/shared" : own, "Ebs", cluster, "default-ebs");
    }
    if (disks.size() == 1 && !own.empty()) {
      return add_storage(own, "Ebs", cluster, disks[0]->label);
    }
    const bool several = disks.size() > 1;
    if (several && !own.empty()) {
      complain(cluster.place_of("shared_dir"),
               "shared_dir of the cluster cannot be given with several ebs sections: each has its "
               "own");
    }
    for (const auto* disk : disks) {
      if (several && disk->get("shared_dir").empty()) {
        complain(disk->place,
                 fmt::format("The configuration parameter 'shared_dir' is required in the [{}] "
                             "section",
                             disk->title()));
      }
      add_storage(disk->get("shared_dir", several ? "" : "/shared"), "Ebs", *disk);
    }
  }

  void read_storage(const IniSection& cluster) {
    read_disks(cluster);
    for (const auto* section : follow(cluster, "efs")) {
      add_storage(section->get("shared_dir"), "Efs", *section, "", "efs_fs_id");
    }
    for (const auto* section : follow(cluster, "raid")) {
      add_storage(section->get("shared_dir"), "Raid", *section);
    }
    if (config_.scheduler == "awsbatch") return;
    for (const auto* section : follow(cluster, "fsx")) {
      add_storage(section->get("shared_dir"), "FsxLustre", *section, "", "fsx_fs_id");
    }
  }

  void read_others(const IniSection& cluster) {
    for (const auto* type : {"dcv", "dashboard"}) {
      [[maybe_unused]] const auto sections = follow(cluster, type);
    }
    config_.log_retention_days = 14;
    for (const auto* log : follow(cluster, "cw_log")) {
      config_.log_retention_days = count(*log, "retention_days", 14);
      config_.logs_enabled = ini_boolean(log->get("enable", "true")).value_or(true);
    }
    for (const auto* scaling : follow(cluster, "scaling")) {
      config_.scaledown_idle_minutes = count(*scaling, "scaledown_idletime", 10);
    }
  }

  /// Files keep such keys when their scheduler changes, and the original takes them.
  void say_of_other_scheduler(const IniSection& cluster, const char* key, const char* scheduler) {
    const auto* keys = find_ini_keys("cluster");
    const bool told = std::any_of(keys->keys.begin(), keys->keys.end(), [&](const IniKey& each) {
      return each.name == std::string_view(key) && !each.note.empty();
    });
    if (told) return;  // what it would do on AWS only
    complain(cluster.place_of(key),
             fmt::format("{} is for {} only: it does nothing here.", key, scheduler),
             "SchedulerValidator", Level::info);
  }

  /// What awsbatch does not have, and what excludes what.
  void check_unsupported(const IniSection& cluster) {
    if (!cluster.get("instance_types_data").empty()) {
      complain(cluster.place_of("instance_types_data"),
               "instance_types_data is not taken over: nodes would offer other numbers of vCPUs "
               "than the file says. Leave it out",
               "NotServedValidator");
    }
    if (config_.scheduler == "slurm") {
      constexpr std::array kBatchKeys{"min_vcpus", "desired_vcpus", "max_vcpus",
                                      "spot_bid_percentage"};
      for (const auto* key : kBatchKeys) {
        if (!cluster.has(key)) continue;
        if (cluster.has("queue_settings")) {
          complain(cluster.place_of(key), fmt::format("{} is for awsbatch only", key));
        } else {
          say_of_other_scheduler(cluster, key, "awsbatch");
        }
      }
      for (const auto* key :
           {"compute_instance_type", "initial_queue_size", "max_queue_size",
            "maintain_initial_size", "cluster_type", "spot_price", "placement_group"}) {
        if (cluster.has("queue_settings") && cluster.has(key)) {
          complain(
              cluster.place_of(key),
              fmt::format("{} cannot be given with queue_settings: each queue has its own", key));
        }
      }
      return;
    }
    for (const auto* key : {"initial_queue_size", "max_queue_size", "maintain_initial_size"}) {
      if (cluster.has(key)) say_of_other_scheduler(cluster, key, "slurm");
    }
    for (const auto* key : {"fsx_settings", "queue_settings", "enable_efa", "enable_efa_gdr",
                            "disable_cluster_dns"}) {
      if (cluster.has(key)) {
        complain(cluster.place_of(key), fmt::format("{} is not supported with awsbatch", key));
      }
    }
    if (ini_boolean(cluster.get("disable_hyperthreading")).value_or(false)) {
      complain(cluster.place_of("disable_hyperthreading"),
               "disable_hyperthreading is not supported with awsbatch");
    }
    const auto os = cluster.get("base_os");
    if (os == "centos7" || os.starts_with("ubuntu")) {
      complain(cluster.place_of("base_os"),
               fmt::format("scheduler awsbatch supports the following operating systems: alinux2; "
                           "not {}",
                           os),
               "SchedulerOsValidator");
    }
  }

  /// Where a rule's path comes from in this file: the longest known part of it.
  [[nodiscard]] std::pair<const IniSection*, std::string> origin_of(std::string path,
                                                                    const IniSection& cluster) {
    while (!path.empty()) {
      if (const auto found = origins_.find(path); found != origins_.end()) return found->second;
      const auto dot = path.rfind('.');
      path = dot == std::string::npos ? "" : path.substr(0, dot);
    }
    return {&cluster, ""};
  }

  void apply_rules(const IniSection& cluster) {
    const auto faulty = fault_places();
    for (auto& finding : check_rules(config_, options_.providers)) {
      // Version 2 lets its labels be what they like.
      if (finding.rule == "NameValidator") continue;
      const auto [section, key] = origin_of(finding.path, cluster);
      finding.place = section->place_of(key);
      if (key == "desired_vcpus" && !section->has(key)) {
        finding.text += " desired_vcpus is 4 when the file does not say.";
        finding.place = section->place_of("max_vcpus");
      }
      finding.path.clear();
      const bool on_key = finding.place != section->place;
      const bool known = faulty.contains({finding.place.line, finding.place.column});
      if (!on_key || !known) findings_.push_back(std::move(finding));
    }
  }

  const LoadOptions& options_;
  ClusterConfig config_;
  /// Section and key that a path of version 3 comes from.
  std::map<std::string, std::pair<const IniSection*, std::string>> origins_;
};

}  // namespace

std::vector<std::string> words_of_arguments(std::string text) {
  std::erase_if(text, [](char c) { return c == '\'' || c == '"'; });
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c == '\t' || c == '\n'; }, ' ');
  auto words = split(text, ' ');
  std::erase(words, "");
  return words;
}

Loaded load_ini(std::string_view text, const LoadOptions& options) {
  return IniLoader(text, options).run();
}

}  // namespace cox::config
