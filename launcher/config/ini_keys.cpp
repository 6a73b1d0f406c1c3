#include "launcher/config/ini_keys.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "launcher/config/tree.hpp"
#include "runtime/base/text.hpp"

namespace cox::config {

namespace {

using enum IniKind;

constexpr std::string_view kVolumeTypes = "standard|io1|io2|gp2|gp3|st1|sc1";
constexpr std::string_view kAnyCount = "0..100000000";

std::vector<IniKey> cluster_keys() {
  return {{"scheduler", text, {}, true},
          {"base_os", choice, "alinux2|centos7|ubuntu1804|ubuntu2004", true},
          {"vpc_settings", text, {}, true},
          {"key_name"},
          {"master_instance_type"},
          {"master_root_volume_size", integer, "35..100000"},
          {"compute_root_volume_size", integer, "35..100000"},
          {"compute_instance_type"},
          {"min_vcpus", integer, kAnyCount},
          {"desired_vcpus", integer, kAnyCount},
          {"max_vcpus", integer, "1..100000000"},
          {"spot_bid_percentage", number},
          {"cluster_type", choice, "ondemand|spot"},
          {"initial_queue_size", integer, kAnyCount},
          {"max_queue_size", integer, kAnyCount},
          {"maintain_initial_size", boolean},
          {"spot_price", number},
          {"shared_dir"},
          {"ephemeral_dir"},
          {"encrypted_ephemeral", boolean},
          {"placement", choice, "cluster|compute"},
          {"placement_group"},
          {"proxy_server"},
          {"ec2_iam_role"},
          {"additional_iam_policies"},
          {"s3_read_resource"},
          {"s3_read_write_resource"},
          {"pre_install"},
          {"pre_install_args"},
          {"post_install"},
          {"post_install_args"},
          {"custom_ami"},
          {"tags", json},
          {"extra_json", json},
          {"disable_hyperthreading", boolean},
          {"enable_efa", choice, "compute"},
          {"enable_efa_gdr", choice, "compute"},
          {"enable_intel_hpc_platform", boolean},
          {"cluster_resource_bucket"},
          {"iam_lambda_role"},
          {"template_url"},
          {"hit_template_url"},
          {"cw_dashboard_template_url"},
          {"additional_cfn_template"},
          {"custom_chef_cookbook"},
          {"instance_types_data", json},
          {"scaling_settings"},
          {"ebs_settings"},
          {"efs_settings"},
          {"raid_settings"},
          {"fsx_settings"},
          {"dcv_settings"},
          {"cw_log_settings"},
          {"dashboard_settings"},
          {"queue_settings"},
          {"disable_cluster_dns", boolean}};
}

std::vector<IniSectionKeys> make_schema() {
  return {
      {"aws", {{"aws_access_key_id"}, {"aws_secret_access_key"}, {"aws_region_name"}}},
      {"global", {{"cluster_template"}, {"update_check", boolean}, {"sanity_check", boolean}}},
      {"aliases", {{"ssh"}}},
      {"scaling", {{"scaledown_idletime", integer, "-1..1000000"}}},
      {"vpc",
       {{"vpc_id", text, {}, true},
        {"master_subnet_id", text, {}, true},
        {"ssh_from"},
        {"additional_sg"},
        {"compute_subnet_id"},
        {"compute_subnet_cidr"},
        {"use_public_ips", boolean},
        {"vpc_security_group_id"}}},
      {"cluster", cluster_keys()},
      {"ebs",
       {{"shared_dir"},
        {"volume_type", choice, kVolumeTypes},
        {"volume_size", integer, kAnyCount},
        {"volume_iops", integer, kAnyCount},
        {"volume_throughput", integer, kAnyCount},
        {"encrypted", boolean},
        {"ebs_kms_key_id"},
        {"ebs_snapshot_id"},
        {"ebs_volume_id"}}},
      {"efs",
       {{"shared_dir", text, {}, true},
        {"efs_fs_id"},
        {"performance_mode", choice, "generalPurpose|maxIO"},
        {"throughput_mode", choice, "bursting|provisioned"},
        {"provisioned_throughput", number},
        {"encrypted", boolean},
        {"efs_kms_key_id"}}},
      {"raid",
       {{"shared_dir", text, {}, true},
        {"raid_type", choice, "0|1"},
        {"num_of_raid_volumes", integer, "2..5"},
        {"volume_type", choice, kVolumeTypes},
        {"volume_size", integer, kAnyCount},
        {"volume_iops", integer, kAnyCount},
        {"volume_throughput", integer, kAnyCount},
        {"encrypted", boolean},
        {"ebs_kms_key_id"}}},
      {"dcv", {{"enable", choice, "master"}, {"port", integer, "1..65535"}, {"access_from"}}},
      {"cw_log",
       {{"enable", boolean},
        {"retention_days", choice, "1|3|5|7|14|30|60|90|120|150|180|365|400|545|731|1827|3653"}}},
      {"dashboard", {{"enable", boolean}}},
  };
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
      return std::nullopt;
    case boolean:
      if (ini_boolean(value)) return std::nullopt;
      return fmt::format("must be true or false, not '{}'", value);
    case number: {
      double parsed = 0;
      const auto* end = value.data() + value.size();
      const auto [stop, error] = std::from_chars(value.data(), end, parsed);
      if (error == std::errc{} && stop == end && parsed >= 0) return std::nullopt;
      return fmt::format("must be a number that is not negative, not '{}'", value);
    }
    case integer: {
      const auto dots = key.rule.find("..");
      const auto least = to_int(key.rule.substr(0, dots)).value_or(0);
      const auto most = to_int(key.rule.substr(dots + 2)).value_or(0);
      const auto parsed = to_int(value);
      if (parsed && *parsed >= least && *parsed <= most) return std::nullopt;
      return fmt::format("must be a whole number from {} to {}, not '{}'", least, most, value);
    }
    case choice: {
      const auto allowed = split(key.rule, '|');
      if (std::find(allowed.begin(), allowed.end(), value) != allowed.end()) return std::nullopt;
      const auto near = nearest(value, allowed);
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
