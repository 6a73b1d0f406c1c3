#include "launcher/config/ini_keys.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "launcher/config/key_rule.hpp"
#include "launcher/config/tree.hpp"
#include "runtime/base/text.hpp"

namespace cox::config {

namespace {

using enum IniKind;

constexpr std::string_view kVolumeTypes = "standard|io1|io2|gp2|gp3|st1|sc1";
constexpr std::string_view kAnyCount = "0..100000000";
constexpr std::string_view kDisk = "sizes and speeds a volume";

/// Text that only AWS does something with.
IniKey on_aws(const char* name, std::string_view note, std::string_view rule = {}) {
  return {name, text, rule, false, note};
}

IniKey disk(const char* name, IniKind kind = text, std::string_view rule = {}) {
  return {name, kind, rule, false, kDisk};
}

/// What names other sections, the cluster's storage, its nodes.
std::vector<IniKey> cluster_keys() {
  return {{"scheduler", text, {}, true},
          {"base_os", choice, "alinux2|centos7|ubuntu1804|ubuntu2004", true},
          {"vpc_settings", text, {}, true},
          {"key_name"},
          {"master_instance_type"},
          {"master_root_volume_size", integer, "35..100000", false, kDisk},
          {"compute_root_volume_size", integer, "35..100000", false, kDisk},
          {"compute_instance_type"},
          {"min_vcpus", integer, kAnyCount},
          {"desired_vcpus", integer, kAnyCount},
          {"max_vcpus", integer, "1..100000000"},
          {"spot_bid_percentage", number, "0..100", false, "bounds what spot instances may cost"},
          {"cluster_type", choice, "ondemand|spot"},
          {"initial_queue_size", integer, kAnyCount},
          {"max_queue_size", integer, "1..100000000"},
          {"maintain_initial_size", boolean},
          {"spot_price", number, ">=0", false, "bounds what spot instances may cost"},
          {"shared_dir"},
          {"scaling_settings"},
          {"ebs_settings"},
          {"efs_settings"},
          {"raid_settings"},
          {"fsx_settings"},
          {"dcv_settings"},
          {"cw_log_settings"},
          {"dashboard_settings"},
          {"queue_settings"},
          {"pre_install"},
          {"pre_install_args"},
          {"post_install"},
          {"post_install_args"},
          {"tags", json},
          {"disable_hyperthreading", boolean}};
}

/// What a local cluster has no use for.
std::vector<IniKey> cluster_keys_of_aws() {
  constexpr std::string_view kEfa = "gives the instances Elastic Fabric Adapters";
  constexpr std::string_view kPlaced = "places the instances near each other";
  return {
      on_aws("ephemeral_dir", "mounts the instances' own disks"),
      {"encrypted_ephemeral", boolean, {}, false, "encrypts the instances' own disks"},
      {"placement", choice, "cluster|compute", false, kPlaced},
      on_aws("placement_group", kPlaced),
      on_aws("proxy_server", "sends the instances' HTTP requests to AWS through a proxy"),
      on_aws("ec2_iam_role", "grants the instances access to services of AWS"),
      on_aws("additional_iam_policies", "grants the instances access to services of AWS"),
      on_aws("s3_read_resource", "lets the instances read a bucket", "arn:s3"),
      on_aws("s3_read_write_resource", "lets the instances write to a bucket", "arn:s3"),
      on_aws("custom_ami", "starts the instances from this image", "ami-"),
      {"extra_json", json, {}, false, "changes the set-up of the instances"},
      {"enable_efa", choice, "compute", false, kEfa},
      {"enable_efa_gdr", choice, "compute", false, kEfa},
      {"enable_intel_hpc_platform", boolean, {}, false, "installs Intel's libraries"},
      on_aws("cluster_resource_bucket", "keeps the cluster's files in this bucket"),
      on_aws("iam_lambda_role", "names the role of the functions that clean up"),
      on_aws("template_url", "takes another CloudFormation template"),
      on_aws("hit_template_url", "takes another CloudFormation template"),
      on_aws("cw_dashboard_template_url", "takes another CloudFormation template"),
      on_aws("additional_cfn_template", "makes more resources from a CloudFormation template"),
      on_aws("custom_chef_cookbook", "changes the set-up of the instances"),
      {"instance_types_data", json},
      {"disable_cluster_dns", boolean, {}, false, "leaves the nodes without names in Route 53"}};
}

std::vector<IniKey> all_cluster_keys() {
  auto keys = cluster_keys();
  const auto more = cluster_keys_of_aws();
  keys.insert(keys.end(), more.begin(), more.end());
  return keys;
}

std::vector<IniKey> lustre_keys() {
  return {{"shared_dir", text, {}, true},
          {"fsx_fs_id", text, "fs-/17"},
          disk("storage_capacity", integer, kAnyCount),
          disk("fsx_kms_key_id"),
          disk("imported_file_chunk_size", integer, "1..512000"),
          disk("export_path"),
          disk("import_path"),
          disk("weekly_maintenance_start_time", text, "week-time"),
          disk("deployment_type", choice, "SCRATCH_1|SCRATCH_2|PERSISTENT_1"),
          disk("per_unit_storage_throughput", integer, kAnyCount),
          disk("daily_automatic_backup_start_time", text, "time"),
          disk("automatic_backup_retention_days", integer, "0..35"),
          disk("copy_tags_to_backups", boolean),
          disk("fsx_backup_id", text, "backup-/x8-"),
          disk("auto_import_policy", choice, "NEW|NEW_CHANGED"),
          disk("storage_type", choice, "HDD|SSD"),
          disk("drive_cache_type", choice, "READ"),
          disk("data_compression_type", choice, "LZ4")};
}

std::vector<IniSectionKeys> storage_sections() {
  return {{"ebs",
           {{"shared_dir"},
            disk("volume_type", choice, kVolumeTypes),
            disk("volume_size", integer, kAnyCount),
            disk("volume_iops", integer, kAnyCount),
            disk("volume_throughput", integer, kAnyCount),
            disk("encrypted", boolean),
            disk("ebs_kms_key_id"),
            {"ebs_snapshot_id", text, "snap-"},
            {"ebs_volume_id", text, "vol-"}},
           5},
          {"efs",
           {{"shared_dir", text, {}, true},
            {"efs_fs_id", text, "fs-"},
            disk("performance_mode", choice, "generalPurpose|maxIO"),
            disk("throughput_mode", choice, "bursting|provisioned"),
            disk("provisioned_throughput", number, "0..1024"),
            disk("encrypted", boolean),
            disk("efs_kms_key_id")}},
          {"raid",
           {{"shared_dir", text, {}, true},
            disk("raid_type", choice, "0|1"),
            disk("num_of_raid_volumes", integer, "2..5"),
            disk("volume_type", choice, kVolumeTypes),
            disk("volume_size", integer, kAnyCount),
            disk("volume_iops", integer, kAnyCount),
            disk("volume_throughput", integer, kAnyCount),
            disk("encrypted", boolean),
            disk("ebs_kms_key_id")}},
          {"fsx", lustre_keys()}};
}

std::vector<IniSectionKeys> make_schema() {
  std::vector<IniSectionKeys> sections{
      {"aws", {{"aws_access_key_id"}, {"aws_secret_access_key"}, {"aws_region_name"}}},
      {"global", {{"cluster_template"}, {"update_check", boolean}, {"sanity_check", boolean}}},
      {"aliases", {{"ssh"}}},
      {"scaling", {{"scaledown_idletime", integer, "-1..1000000"}}},
      {"vpc",
       {{"vpc_id", text, "vpc-", true},
        {"master_subnet_id", text, "subnet-", true},
        on_aws("ssh_from", "lets only these addresses reach port 22", "cidr"),
        on_aws("additional_sg", "filters the instances' traffic", "sg-"),
        {"compute_subnet_id", text, "subnet-"},
        on_aws("compute_subnet_cidr", "makes a subnet for the nodes", "cidr"),
        {"use_public_ips", boolean, {}, false, "gives the instances public addresses"},
        on_aws("vpc_security_group_id", "filters the instances' traffic", "sg-")}},
      {"cluster", all_cluster_keys()},
      {"dcv",
       {{"enable", choice, "master", true, "serves a remote desktop on the head node"},
        {"port", integer, "1..65535"},
        {"access_from", text, "cidr"}}},
      {"cw_log",
       {{"enable", boolean},
        {"retention_days", choice, "1|3|5|7|14|30|60|90|120|150|180|365|400|545|731|1827|3653"}}},
      {"dashboard", {{"enable", boolean, {}, false, "makes a CloudWatch dashboard"}}},
      {"queue",
       {{"compute_resource_settings", text, {}, true},
        {"compute_type", choice, "ondemand|spot"},
        on_aws("placement_group", "places the instances near each other"),
        {"enable_efa", boolean, {}, false, "gives the instances Elastic Fabric Adapters"},
        {"enable_efa_gdr", boolean, {}, false, "gives the instances Elastic Fabric Adapters"},
        {"disable_hyperthreading", boolean}},
       5},
      {"compute_resource",
       {{"instance_type", text, {}, true},
        {"min_count", integer, kAnyCount},
        {"max_count", integer, "1..100000000"},
        {"initial_count", integer, kAnyCount},
        {"spot_price", number, ">=0", false, "bounds what spot instances may cost"}},
       3},
  };
  for (auto& section : storage_sections()) sections.push_back(std::move(section));
  return sections;
}

std::optional<std::string> number_fault_of(const IniKey& key, const std::string& value) {
  double parsed = 0;
  const auto* end = value.data() + value.size();
  const auto [stop, error] = std::from_chars(value.data(), end, parsed);
  if (error == std::errc{} && stop == end && !number_fault(key.rule, parsed)) return std::nullopt;
  const auto range = range_of(key.rule);
  return range && range->most
             ? fmt::format("must be a number from {} to {}, not '{}'", range->least, *range->most,
                           value)
             : fmt::format("must be a number that is not negative, not '{}'", value);
}

std::optional<std::string> integer_fault_of(const IniKey& key, const std::string& value) {
  const auto parsed = to_int(value);
  if (parsed && !integer_fault(key.rule, *parsed)) return std::nullopt;
  const auto range = range_of(key.rule).value_or(Range{});
  return fmt::format("must be a whole number from {} to {}, not '{}'", range.least,
                     range.most.value_or(0), value);
}

}  // namespace

const std::vector<IniSectionKeys>& ini_schema() {
  static const std::vector<IniSectionKeys> schema = make_schema();
  return schema;
}

const IniSectionKeys* find_ini_keys(std::string_view type) {
  for (const auto& section : ini_schema()) {
    if (type == section.type) return &section;
  }
  return nullptr;
}

std::optional<bool> ini_boolean(std::string_view value) {
  const auto word = to_lower(value);
  if (word == "true" || word == "yes" || word == "on" || word == "1") return true;
  if (word == "false" || word == "no" || word == "off" || word == "0") return false;
  return std::nullopt;
}

std::optional<std::string> ini_fault(const IniKey& key, const std::string& value) {
  switch (key.kind) {
    case text:
      // An empty value is one that is not there.
      if (value.empty() || value == "NONE") return std::nullopt;
      if (const auto fault = text_fault(key.rule, value)) return "is wrong: " + *fault;
      return std::nullopt;
    case boolean:
      if (ini_boolean(value)) return std::nullopt;
      return fmt::format("must be true or false, not '{}'", value);
    case number:
      return number_fault_of(key, value);
    case integer:
      return integer_fault_of(key, value);
    case choice: {
      const auto allowed = split(key.rule, '|');
      if (std::find(allowed.begin(), allowed.end(), value) != allowed.end()) return std::nullopt;
      const auto near = nearest_word(value, allowed);
      return fmt::format("must be one of {}, not '{}'{}", join(allowed, ", "), value,
                         near ? "; did you mean " + *near + "?" : "");
    }
    case json: {
      // JSON is a part of YAML.
      std::vector<Finding> faults;
      const auto tree = parse_yaml(value, faults);
      if (tree && tree->kind == Tree::Kind::map && faults.empty()) return std::nullopt;
      return fmt::format("must be a JSON map such as {{\"key\": \"value\"}}, not '{}'", value);
    }
  }
  return std::nullopt;
}

}  // namespace cox::config
