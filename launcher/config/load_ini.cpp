#include <algorithm>
#include <map>

#include "launcher/config/config.hpp"
#include "launcher/config/rules.hpp"
#include "launcher/config/schema.hpp"
#include "runtime/base/text.hpp"

/// ParallelCluster v2's INI file.
namespace cox::config {

namespace {

struct Value {
  std::string text;
  Place place;  ///< of the key
};

struct Section {
  std::string type;   ///< "cluster"
  std::string label;  ///< "awsbatch"; empty for aws, global, aliases
  Place place;
  std::map<std::string, Value> values;

  [[nodiscard]] std::string title() const { return label.empty() ? type : type + " " + label; }
  [[nodiscard]] std::string get(const std::string& key, std::string absent = "") const {
    const auto found = values.find(key);
    return found == values.end() ? absent : found->second.text;
  }
};

/// The keys of each section.
const std::map<std::string, std::vector<std::string>>& known_keys() {
  static const std::map<std::string, std::vector<std::string>> keys{
      {"aws", {"aws_access_key_id", "aws_secret_access_key", "aws_region_name"}},
      {"global", {"cluster_template", "update_check", "sanity_check"}},
      {"aliases", {"ssh"}},
      {"scaling", {"scaledown_idletime"}},
      {"vpc",
       {"vpc_id", "master_subnet_id", "ssh_from", "additional_sg", "compute_subnet_id",
        "compute_subnet_cidr", "use_public_ips", "vpc_security_group_id"}},
      {"cluster",
       {"scheduler",
        "base_os",
        "vpc_settings",
        "key_name",
        "master_instance_type",
        "master_root_volume_size",
        "compute_root_volume_size",
        "compute_instance_type",
        "min_vcpus",
        "desired_vcpus",
        "max_vcpus",
        "spot_bid_percentage",
        "cluster_type",
        "initial_queue_size",
        "max_queue_size",
        "maintain_initial_size",
        "spot_price",
        "shared_dir",
        "ephemeral_dir",
        "encrypted_ephemeral",
        "placement",
        "placement_group",
        "proxy_server",
        "ec2_iam_role",
        "additional_iam_policies",
        "s3_read_resource",
        "s3_read_write_resource",
        "pre_install",
        "pre_install_args",
        "post_install",
        "post_install_args",
        "custom_ami",
        "tags",
        "extra_json",
        "disable_hyperthreading",
        "enable_efa",
        "enable_efa_gdr",
        "enable_intel_hpc_platform",
        "cluster_resource_bucket",
        "iam_lambda_role",
        "template_url",
        "hit_template_url",
        "cw_dashboard_template_url",
        "additional_cfn_template",
        "custom_chef_cookbook",
        "instance_types_data",
        "scaling_settings",
        "ebs_settings",
        "efs_settings",
        "raid_settings",
        "fsx_settings",
        "dcv_settings",
        "cw_log_settings",
        "dashboard_settings",
        "queue_settings",
        "disable_cluster_dns"}},
      {"ebs",
       {"shared_dir", "volume_type", "volume_size", "volume_iops", "volume_throughput", "encrypted",
        "ebs_kms_key_id", "ebs_snapshot_id", "ebs_volume_id"}},
      {"efs",
       {"shared_dir", "efs_fs_id", "performance_mode", "throughput_mode", "provisioned_throughput",
        "encrypted", "efs_kms_key_id"}},
      {"raid",
       {"shared_dir", "raid_type", "num_of_raid_volumes", "volume_type", "volume_size",
        "volume_iops", "volume_throughput", "encrypted", "ebs_kms_key_id"}},
      {"fsx", {}},
      {"dcv", {"enable", "port", "access_from"}},
      {"cw_log", {"enable", "retention_days"}},
      {"dashboard", {"enable"}},
      {"queue",
       {"compute_resource_settings", "compute_type", "placement_group", "enable_efa",
        "disable_hyperthreading"}},
      {"compute_resource",
       {"instance_type", "min_count", "max_count", "initial_count", "spot_price"}}};
  return keys;
}

class Reader {
 public:
  explicit Reader(std::vector<Finding>& findings) : findings_(findings) {}

  std::vector<Section> read(std::string_view text) {
    int number = 0;
    for (const auto& raw : split(text, '\n')) {
      ++number;
      read_line(raw, number);
    }
    return std::move(sections_);
  }

 private:
  void complain(Place place, std::string text) {
    findings_.push_back({Level::error, "IniValidator", "", place, std::move(text)});
  }

  void read_line(std::string_view raw, int number) {
    // A comment may follow a value when a blank stands before its mark.
    for (std::size_t i = 0; i < raw.size(); ++i) {
      const bool mark = raw[i] == '#' || raw[i] == ';';
      if (mark && (i == 0 || raw[i - 1] == ' ' || raw[i - 1] == '\t')) {
        raw = raw.substr(0, i);
        break;
      }
    }
    const auto line = trim(raw);
    if (line.empty()) return;
    const Place place{number, static_cast<int>(line.data() - raw.data()) + 1};
    if (line.front() == '[') return open_section(line, place);
    const auto mark = line.find_first_of("=:");
    if (mark == std::string_view::npos) {
      return complain(place,
                      fmt::format("this line is neither a [section] nor key = value: {}", line));
    }
    if (sections_.empty()) return complain(place, "a key stands before the first [section]");
    const std::string key(trim(line.substr(0, mark)));
    const auto added = sections_.back().values.emplace(
        key, Value{std::string(trim(line.substr(mark + 1))), place});
    if (!added.second) {
      complain(place,
               fmt::format("key {} stands twice in section [{}]", key, sections_.back().title()));
    }
  }

  void open_section(std::string_view line, Place place) {
    if (line.back() != ']')
      return complain(place, fmt::format("this section has no closing bracket: {}", line));
    const auto title = trim(line.substr(1, line.size() - 2));
    const auto blank = title.find_first_of(" \t");
    Section section;
    section.type = std::string(title.substr(0, blank));
    if (blank != std::string_view::npos) section.label = std::string(trim(title.substr(blank)));
    section.place = place;
    sections_.push_back(std::move(section));
  }

  std::vector<Finding>& findings_;
  std::vector<Section> sections_;
};

class IniLoader {
 public:
  IniLoader(std::string_view text, const LoadOptions& options) : options_(options) {
    sections_ = Reader(loaded_.findings).read(text);
  }

  Loaded run() {
    check_keys();
    ClusterConfig config;
    config.v2 = true;
    if (const auto* aws = find("aws", "")) config.region = aws->get("aws_region_name");
    if (const auto* aliases = find("aliases", "")) {
      for (const auto& [name, value] : aliases->values) config.ssh_alias[name] = value.text;
    }
    const auto* global = find("global", "");
    if (global != nullptr)
      config.sanity_check = to_lower(global->get("sanity_check", "true")) != "false";
    // In this order: the option, the environment, the file.
    if (!options_.environment_region.empty()) config.region = options_.environment_region;
    if (!options_.region.empty()) config.region = options_.region;
    if (config.region.empty()) config.region = "us-east-1";

    auto label = options_.cluster_template;
    if (label.empty() && global != nullptr) label = global->get("cluster_template");
    if (label.empty()) label = "default";
    const auto* cluster = find("cluster", label);
    if (cluster == nullptr) {
      complain({}, fmt::format("section [cluster {}] is not in the file", label));
      return finish();
    }
    read_cluster(*cluster, config);
    if (failed()) return finish();
    auto rules = check_rules(config);
    for (auto& finding : rules) {
      if (finding.place.line == 0) finding.place = cluster->place;
    }
    loaded_.findings.insert(loaded_.findings.end(), rules.begin(), rules.end());
    if (!failed()) loaded_.config = std::move(config);
    return finish();
  }

 private:
  void complain(Place place, std::string text) {
    loaded_.findings.push_back({Level::error, "IniValidator", "", place, std::move(text)});
  }

  [[nodiscard]] bool failed() const {
    return std::any_of(loaded_.findings.begin(), loaded_.findings.end(),
                       [](const Finding& finding) { return finding.level == Level::error; });
  }

  Loaded finish() {
    std::stable_sort(
        loaded_.findings.begin(), loaded_.findings.end(),
        [](const Finding& a, const Finding& b) { return a.place.line < b.place.line; });
    return std::move(loaded_);
  }

  [[nodiscard]] const Section* find(std::string_view type, std::string_view label) const {
    for (const auto& section : sections_) {
      if (section.type == type && section.label == label) return &section;
    }
    return nullptr;
  }

  void check_keys() {
    std::vector<std::string> types;
    for (const auto& [type, keys] : known_keys()) types.push_back(type);
    for (const auto& section : sections_) {
      const auto known = known_keys().find(section.type);
      if (known == known_keys().end()) {
        const auto near = nearest(section.type, types);
        complain(section.place,
                 fmt::format("Section [{}] is not known{}", section.title(),
                             near ? fmt::format("; did you mean [{}]?", *near) : ""));
        continue;
      }
      for (const auto& [key, value] : section.values) {
        if (section.type == "fsx" ||
            std::find(known->second.begin(), known->second.end(), key) != known->second.end()) {
          continue;
        }
        const auto near = nearest(key, known->second);
        complain(value.place,
                 fmt::format(
                     "The configuration parameter '{}' is not allowed in the [{}] section{}", key,
                     section.title(), near ? fmt::format("; did you mean '{}'?", *near) : ""));
      }
    }
  }

  int number(const Section& section, const std::string& key, int absent, int least, int most) {
    const auto found = section.values.find(key);
    if (found == section.values.end()) return absent;
    const auto value = to_int(found->second.text);
    if (value && *value >= least && *value <= most) return static_cast<int>(*value);
    complain(found->second.place, fmt::format("{} must be a whole number of at least {}, not {}",
                                              key, least, found->second.text));
    return absent;
  }

  void require(const Section& section, const std::string& key) {
    if (section.get(key).empty()) {
      complain(section.place,
               fmt::format("The configuration parameter '{}' is required in the [{}] section", key,
                           section.title()));
    }
  }

  void read_cluster(const Section& cluster, ClusterConfig& config) {
    for (const auto* key : {"scheduler", "base_os", "vpc_settings"}) require(cluster, key);
    const auto place_of = [&](const std::string& key) { return cluster.values.at(key).place; };
    const auto scheduler = cluster.get("scheduler");
    if (!scheduler.empty() && scheduler != "awsbatch") {
      complain(place_of("scheduler"),
               fmt::format("scheduler {} is not served by this version: use awsbatch", scheduler));
    }
    config.os = cluster.get("base_os", "alinux2");
    if (config.os != "alinux2") {
      complain(place_of("base_os"),
               fmt::format("scheduler awsbatch supports base_os alinux2, not {}", config.os));
    }
    if (const auto label = cluster.get("vpc_settings"); !label.empty()) {
      const auto* vpc = find("vpc", label);
      if (vpc == nullptr) {
        complain(place_of("vpc_settings"),
                 fmt::format("section [vpc {}] is not in the file", label));
      } else {
        require(*vpc, "vpc_id");
        require(*vpc, "master_subnet_id");
      }
    }
    config.key_name = cluster.get("key_name");
    config.head_instance_type = cluster.get("master_instance_type", "t3.micro");

    Queue queue;
    queue.name = "batch-queue";
    queue.spot = cluster.get("cluster_type") == "spot";
    ComputeResource resource;
    resource.name = "batch-compute";
    resource.place = cluster.place;
    for (const auto& word : split(cluster.get("compute_instance_type", "optimal"), ',')) {
      resource.instance_types.emplace_back(trim(word));
    }
    if (cluster.values.contains("compute_instance_type"))
      resource.place = place_of("compute_instance_type");
    constexpr int kMost = 100'000'000;
    resource.min_vcpus = number(cluster, "min_vcpus", 0, 0, kMost);
    resource.desired_vcpus = number(cluster, "desired_vcpus", 4, 0, kMost);
    resource.max_vcpus = number(cluster, "max_vcpus", 10, 1, kMost);
    queue.compute_resources.push_back(std::move(resource));
    config.queues.push_back(std::move(queue));
    read_storage(cluster, config);
    if (const auto label = cluster.get("scaling_settings"); !label.empty()) {
      if (const auto* scaling = find("scaling", label)) {
        config.scaledown_idle_minutes = number(*scaling, "scaledown_idletime", 10, -1, 1'000'000);
      }
    }
  }

  void add_storage(ClusterConfig& config, const std::string& name, const std::string& directory,
                   const std::string& type, const std::string& id) {
    SharedStorage storage;
    storage.name = name;
    storage.as_configured = directory;
    storage.mount_dir = directory.starts_with("/") ? directory : "/" + directory;
    storage.type = type;
    storage.file_system_id = id;
    config.shared.push_back(std::move(storage));
  }

  void read_storage(const Section& cluster, ClusterConfig& config) {
    const auto labels = cluster.get("ebs_settings");
    const auto of_cluster = cluster.get("shared_dir", "/shared");
    if (labels.empty()) {
      add_storage(config, "default-ebs", of_cluster, "Ebs", "");
    }
    const auto list = labels.empty() ? std::vector<std::string>{} : split(labels, ',');
    for (const auto& raw : list) {
      const std::string label(trim(raw));
      const auto* ebs = find("ebs", label);
      if (ebs == nullptr) {
        complain(cluster.values.at("ebs_settings").place,
                 fmt::format("section [ebs {}] is not in the file", label));
        continue;
      }
      add_storage(config, label, ebs->get("shared_dir", of_cluster), "Ebs", "");
    }
    for (const auto& [type, kind] : {std::pair{"efs", "Efs"}, std::pair{"raid", "Raid"}}) {
      const auto key = std::string(type) + "_settings";
      const auto label = cluster.get(key);
      if (label.empty()) continue;
      const auto* section = find(type, label);
      if (section == nullptr) {
        complain(cluster.values.at(key).place,
                 fmt::format("section [{} {}] is not in the file", type, label));
      } else if (section->get("shared_dir").empty()) {
        require(*section, "shared_dir");
      } else {
        add_storage(config, label, section->get("shared_dir"), kind, section->get("efs_fs_id"));
      }
    }
    if (cluster.values.contains("fsx_settings")) {
      complain(cluster.values.at("fsx_settings").place,
               "fsx_settings is not supported with awsbatch");
    }
  }

  const LoadOptions& options_;
  std::vector<Section> sections_;
  Loaded loaded_;
};

}  // namespace

Loaded load_ini(std::string_view text, const LoadOptions& options) {
  return IniLoader(text, options).run();
}

}  // namespace cox::config
