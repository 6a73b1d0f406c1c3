#include <algorithm>
#include <set>

#include "launcher/config/config.hpp"
#include "launcher/config/ini_keys.hpp"
#include "launcher/config/ini_text.hpp"
#include "launcher/config/rules.hpp"
#include "launcher/config/tree.hpp"
#include "runtime/base/text.hpp"

/// ParallelCluster v2's INI file.
namespace cox::config {

namespace {

constexpr const char* kResource = "Scheduling.AwsBatchQueues[0].ComputeResources[0]";

class IniLoader {
 public:
  IniLoader(std::string_view text, const LoadOptions& options) : options_(options) {
    sections_ = parse_ini(text, loaded_.findings);
  }

  Loaded run() {
    read_general();
    const auto* cluster = find_cluster();
    if (cluster == nullptr) return finish();
    if (!check_scheduler(*cluster)) return finish();
    check_section(*cluster);
    read_cluster(*cluster);
    read_network(*cluster);
    read_storage(*cluster);
    read_others(*cluster);
    check_unsupported(*cluster);
    apply_rules(*cluster);
    return finish();
  }

 private:
  void complain(Place place, std::string text, const char* rule = kIniRule) {
    loaded_.findings.push_back({Level::error, rule, "", place, std::move(text)});
  }

  Loaded finish() {
    // Sections that nothing leads to, but for misspelt ones, are another cluster's.
    for (const auto& section : sections_) {
      if (find_ini_keys(section.type) != nullptr || section.type == "fsx" ||
          section.type == "queue" || section.type == "compute_resource") {
        continue;
      }
      std::vector<std::string> types;
      for (const auto& known : ini_schema()) types.emplace_back(known.type);
      const auto near = nearest(section.type, types);
      complain(section.place, fmt::format("The section [{}] is not known{}", section.title(),
                                          near ? fmt::format("; did you mean [{}]?", *near) : ""));
    }
    sort_by_place(loaded_.findings);
    if (has_cluster_ && !stands_in_the_way(loaded_.findings)) loaded_.config = std::move(config_);
    return std::move(loaded_);
  }

  [[nodiscard]] const IniSection* find(std::string_view type, std::string_view label) const {
    for (const auto& section : sections_) {
      if (section.type == type && section.label == label) return &section;
    }
    return nullptr;
  }

  /// [aws], [global] and [aliases].
  void read_general() {
    config_.v2 = true;
    config_.os_user = "ec2-user";
    for (const auto* type : {"aws", "global", "aliases"}) {
      if (const auto* section = find(type, "")) check_section(*section);
    }
    if (const auto* aws = find("aws", "")) config_.region = aws->get("aws_region_name");
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

  /// -t; else [global] cluster_template; else "default".
  const IniSection* find_cluster() {
    const auto* global = find("global", "");
    auto label = options_.cluster_template;
    Place place;
    if (label.empty() && global != nullptr && global->has("cluster_template")) {
      label = global->get("cluster_template");
      place = global->place_of("cluster_template");
    }
    if (label.empty()) label = "default";
    if (const auto* cluster = find("cluster", label)) return cluster;
    std::vector<std::string> labels;
    for (const auto& section : sections_) {
      if (section.type == "cluster") labels.push_back(section.label);
    }
    const auto near = nearest(label, labels);
    complain(place,
             fmt::format("The section [cluster {}] is not in the file{}", label,
                         near             ? fmt::format("; did you mean [cluster {}]?", *near)
                         : labels.empty() ? ""
                                          : fmt::format(": it has [cluster {}]; name one with -t",
                                                        join(labels, "], [cluster "))));
    return nullptr;
  }

  /// Another scheduler's file is told so, and nothing else.
  bool check_scheduler(const IniSection& cluster) {
    const auto scheduler = cluster.get("scheduler");
    if (scheduler.empty() || scheduler == "awsbatch") return true;
    const std::vector<std::string> known{"awsbatch", "slurm", "sge", "torque"};
    const bool is_known = std::find(known.begin(), known.end(), scheduler) != known.end();
    const auto near = nearest(scheduler, known);
    complain(cluster.place_of("scheduler"),
             is_known
                 ? fmt::format("scheduler = {} is not served by this version, only awsbatch is",
                               scheduler)
                 : fmt::format("There is no scheduler {}{}", scheduler,
                               near ? fmt::format("; did you mean {}?", *near) : ""),
             "SchedulerValidator");
    return false;
  }

  /// Unknown keys, values of wrong types, missing keys.
  void check_section(const IniSection& section) {
    const auto* known = find_ini_keys(section.type);
    if (known == nullptr || !checked_.insert(section.title()).second) return;
    std::vector<std::string> names;
    for (const auto& key : known->keys) names.emplace_back(key.name);
    for (const auto& value : section.values) {
      const auto key = std::find_if(known->keys.begin(), known->keys.end(),
                                    [&](const IniKey& each) { return value.key == each.name; });
      if (key == known->keys.end()) {
        const auto near = nearest(value.key, names);
        complain(
            value.place,
            fmt::format("The configuration parameter '{}' is not allowed in the [{}] section{}",
                        value.key, section.title(),
                        near ? fmt::format("; did you mean '{}'?", *near) : ""));
      } else if (const auto fault = ini_fault(*key, value.text)) {
        complain(value.place,
                 fmt::format("The configuration parameter '{}' {}", key->name, *fault));
      }
    }
    for (const auto& key : known->keys) {
      if (!key.required || !section.get(key.name).empty()) continue;
      complain(section.place_of(key.name),
               fmt::format("The configuration parameter '{}' is required in the [{}] section",
                           key.name, section.title()));
    }
  }

  /// The sections that a key's labels name; each is checked.
  std::vector<const IniSection*> follow(const IniSection& cluster, const std::string& type) {
    std::vector<const IniSection*> found;
    const auto key = type + "_settings";
    const auto* value = cluster.find(key);
    if (value == nullptr || value->text.empty()) return found;
    for (const auto& word : split(value->text, ',')) {
      const std::string label(trim(word));
      const auto* section = find(type, label);
      if (section != nullptr) {
        check_section(*section);
        found.push_back(section);
        continue;
      }
      std::vector<std::string> labels;
      for (const auto& each : sections_) {
        if (each.type == type) labels.push_back(each.label);
      }
      const auto near = nearest(label, labels);
      complain(value->place,
               fmt::format("{} names the section [{} {}], which is not in the file{}", key, type,
                           label, near ? fmt::format("; did you mean {}?", *near) : ""));
    }
    return found;
  }

  int count(const IniSection& section, std::string_view key, int absent) {
    const auto value = to_int(section.get(key));
    return value && *value >= -1 && *value <= 100'000'000 ? static_cast<int>(*value) : absent;
  }

  void read_cluster(const IniSection& cluster) {
    has_cluster_ = true;
    config_.os = cluster.get("base_os", "alinux2");
    config_.key_name = cluster.get("key_name");
    config_.head_instance_type = cluster.get("master_instance_type", "t3.micro");
    Queue queue;
    queue.name = "batch-queue";
    queue.spot = cluster.get("cluster_type") == "spot";
    ComputeResource resource;
    resource.name = "batch-compute";
    resource.place = cluster.place;
    for (const auto& word : split(cluster.get("compute_instance_type", "optimal"), ',')) {
      resource.instance_types.emplace_back(trim(word));
    }
    resource.min_vcpus = count(cluster, "min_vcpus", 0);
    resource.desired_vcpus = count(cluster, "desired_vcpus", 4);
    resource.max_vcpus = count(cluster, "max_vcpus", 10);
    queue.compute_resources.push_back(std::move(resource));
    config_.queues.push_back(std::move(queue));
    if (const auto* tags = cluster.find("tags")) {
      std::vector<Finding> ignored;  // the section's check has told them
      const auto tree = parse_yaml(tags->text, ignored);
      for (const auto& entry : tree ? tree->entries : std::vector<Tree::Entry>{}) {
        config_.tags[entry.key] = entry.value.scalar;
      }
    }
  }

  void read_network(const IniSection& cluster) {
    for (const auto* vpc : follow(cluster, "vpc")) {
      if (vpc->has("compute_subnet_cidr") && vpc->has("compute_subnet_id")) {
        complain(vpc->place_of("compute_subnet_cidr"),
                 "compute_subnet_cidr and compute_subnet_id cannot be given together");
      }
    }
  }

  void add_storage(const std::string& name, const std::string& directory, const char* type,
                   const std::string& id, Place place) {
    // NONE: the section is there and not used.
    if (directory.empty() || directory == "NONE") return;
    SharedStorage storage;
    storage.name = name;
    storage.as_configured = directory;
    storage.mount_dir = directory.starts_with("/") ? directory : "/" + directory;
    storage.type = type;
    storage.file_system_id = id;
    config_.shared.push_back(std::move(storage));
    storage_places_.push_back(place);
  }

  void read_storage(const IniSection& cluster) {
    const auto disks = follow(cluster, "ebs");
    const auto own = cluster.get("shared_dir");
    if (disks.empty() && !cluster.has("ebs_settings")) {
      add_storage("default-ebs", own.empty() ? "/shared" : own, "Ebs", "",
                  cluster.place_of("shared_dir"));
    } else if (disks.size() == 1 && !own.empty()) {
      add_storage(disks[0]->label, own, "Ebs", "", cluster.place_of("shared_dir"));
    } else {
      if (disks.size() > 1 && !own.empty()) {
        complain(
            cluster.place_of("shared_dir"),
            "shared_dir of the cluster cannot be given with several ebs sections: each has its "
            "own");
      }
      for (const auto* disk : disks) {
        const bool several = disks.size() > 1;
        if (several && disk->get("shared_dir").empty()) {
          complain(disk->place,
                   fmt::format(
                       "The configuration parameter 'shared_dir' is required in the [{}] section",
                       disk->title()));
        }
        add_storage(disk->label, disk->get("shared_dir", several ? "" : "/shared"), "Ebs", "",
                    disk->place_of("shared_dir"));
      }
    }
    for (const auto* section : follow(cluster, "efs")) {
      add_storage(section->label, section->get("shared_dir"), "Efs", section->get("efs_fs_id"),
                  section->place_of("shared_dir"));
    }
    for (const auto* section : follow(cluster, "raid")) {
      add_storage(section->label, section->get("shared_dir"), "Raid", "",
                  section->place_of("shared_dir"));
    }
  }

  void read_others(const IniSection& cluster) {
    for (const auto* type : {"dcv", "cw_log", "dashboard"}) {
      [[maybe_unused]] const auto sections = follow(cluster, type);
    }
    for (const auto* scaling : follow(cluster, "scaling")) {
      config_.scaledown_idle_minutes = count(*scaling, "scaledown_idletime", 10);
    }
  }

  /// What awsbatch does not have.
  void check_unsupported(const IniSection& cluster) {
    for (const auto* key : {"fsx_settings", "queue_settings", "enable_efa", "enable_efa_gdr"}) {
      if (cluster.has(key)) {
        complain(cluster.place_of(key), fmt::format("{} is not supported with awsbatch", key));
      }
    }
    if (ini_boolean(cluster.get("disable_hyperthreading")).value_or(false)) {
      complain(cluster.place_of("disable_hyperthreading"),
               "disable_hyperthreading is not supported with awsbatch");
    }
    if (const auto os = cluster.get("base_os");
        !os.empty() && os != "alinux2" && !ini_fault(*base_os(), os)) {
      complain(cluster.place_of("base_os"),
               fmt::format("scheduler awsbatch supports the following operating systems: alinux2; "
                           "not {}",
                           os),
               "SchedulerOsValidator");
    }
  }

  static const IniKey* base_os() {
    const auto& keys = find_ini_keys("cluster")->keys;
    return &*std::find_if(keys.begin(), keys.end(), [](const IniKey& key) {
      return key.name == std::string_view("base_os");
    });
  }

  /// The key of this file that a rule's path means.
  [[nodiscard]] std::string key_of(const std::string& path) const {
    const auto resource = std::string(kResource);
    if (path == resource + ".MinvCpus") return "min_vcpus";
    if (path == resource + ".DesiredvCpus") return "desired_vcpus";
    if (path == resource + ".MaxvCpus") return "max_vcpus";
    if (path.starts_with(resource + ".InstanceTypes")) return "compute_instance_type";
    if (path == "HeadNode.InstanceType") return "master_instance_type";
    return "";
  }

  void apply_rules(const IniSection& cluster) {
    const auto has_fault = [&](Place place) {
      return std::any_of(loaded_.findings.begin(), loaded_.findings.end(),
                         [&](const Finding& finding) { return finding.place == place; });
    };
    std::vector<Finding> more;
    for (auto& finding : check_rules(config_)) {
      const auto key = key_of(finding.path);
      finding.place = cluster.place_of(key);
      if (finding.path == "Region")
        finding.place = find("aws", "") ? find("aws", "")->place_of("aws_region_name") : Place{};
      for (std::size_t i = 0; i < storage_places_.size(); ++i) {
        if (finding.path.starts_with(fmt::format("SharedStorage[{}]", i))) {
          finding.place = storage_places_[i];
        }
      }
      if (key == "desired_vcpus" && !cluster.has(key)) {
        finding.text += " desired_vcpus is 4 when the file does not say.";
        finding.place = cluster.place_of("max_vcpus");
      }
      finding.path.clear();
      const bool on_key = finding.place != cluster.place;
      if (!on_key || !has_fault(finding.place)) more.push_back(std::move(finding));
    }
    loaded_.findings.insert(loaded_.findings.end(), more.begin(), more.end());
  }

  const LoadOptions& options_;
  std::vector<IniSection> sections_;
  std::set<std::string> checked_;
  std::vector<Place> storage_places_;  ///< of each shared storage's directory
  ClusterConfig config_;
  bool has_cluster_ = false;
  Loaded loaded_;
};

}  // namespace

Loaded load_ini(std::string_view text, const LoadOptions& options) {
  return IniLoader(text, options).run();
}

}  // namespace cox::config
