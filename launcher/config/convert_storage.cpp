#include "launcher/config/ini_converter.hpp"
#include "runtime/base/text.hpp"

/// The conversion of shared storage, logs and the head node.
namespace cox::config {

using enum KeyPair::As;

YamlNode IniConverter::storage_item(const char* type, const char* storage_type,
                                    const std::string& label) const {
  YamlNode item;
  item.set("Name", YamlNode::text(label));
  item.set("StorageType", YamlNode::text(storage_type));
  copy(section(type, label), item, {{"shared_dir", "MountDir"}});
  return item;
}

YamlNode IniConverter::storage() const {
  YamlNode list;
  const auto disks = labels(*cluster_, "ebs");
  if (disks.empty()) {
    const auto directory = get("shared_dir");
    YamlNode item;
    item.set("MountDir", YamlNode::text(directory.empty() ? "/shared" : directory));
    item.set("Name", YamlNode::text("default-ebs"));
    item.set("StorageType", YamlNode::text("Ebs"));
    list.add(std::move(item));
  }
  for (const auto& label : disks) list.add(disk(label, disks.size() == 1));
  for (const auto& label : labels(*cluster_, "raid")) list.add(raid(label));
  for (const auto& label : labels(*cluster_, "efs")) list.add(efs(label));
  for (const auto& label : labels(*cluster_, "fsx")) list.add(lustre(label));
  return list;
}

YamlNode IniConverter::disk(const std::string& label, bool is_only) const {
  auto item = storage_item("ebs", "Ebs", label);
  const auto& from = section("ebs", label);
  if (is_only && !get("shared_dir").empty()) {
    item.replace("MountDir", YamlNode::text(get("shared_dir")));
  } else if (from.get("shared_dir").empty()) {
    item.set("MountDir", YamlNode::text("/shared"));
  }
  YamlNode settings;
  copy(from, settings,
       {{"encrypted", "Encrypted", boolean},
        {"volume_type", "VolumeType"},
        {"volume_size", "Size", integer},
        {"volume_iops", "Iops", integer},
        {"ebs_snapshot_id", "SnapshotId"},
        {"ebs_kms_key_id", "KmsKeyId"},
        {"ebs_volume_id", "VolumeId"},
        {"volume_throughput", "Throughput", integer}});
  item.set("EbsSettings", std::move(settings));
  return item;
}

YamlNode IniConverter::raid(const std::string& label) const {
  auto item = storage_item("raid", "Ebs", label);
  const auto& from = section("raid", label);
  YamlNode settings;
  copy(from, settings,
       {{"encrypted", "Encrypted", boolean},
        {"volume_type", "VolumeType"},
        {"volume_size", "Size", integer},
        {"volume_iops", "Iops", integer},
        {"ebs_kms_key_id", "KmsKeyId"},
        {"volume_throughput", "Throughput", integer}});
  YamlNode array;
  copy(from, array,
       {{"num_of_raid_volumes", "NumberOfVolumes", integer}, {"raid_type", "Type", integer}});
  settings.set("Raid", std::move(array));
  item.set("EbsSettings", std::move(settings));
  return item;
}

YamlNode IniConverter::efs(const std::string& label) const {
  auto item = storage_item("efs", "Efs", label);
  YamlNode settings;
  copy(section("efs", label), settings,
       {{"encrypted", "Encrypted", boolean},
        {"performance_mode", "PerformanceMode"},
        {"efs_fs_id", "FileSystemId"},
        {"efs_kms_key_id", "KmsKeyId"},
        {"provisioned_throughput", "ProvisionedThroughput", integer},
        {"throughput_mode", "ThroughputMode"}});
  item.set("EfsSettings", std::move(settings));
  return item;
}

YamlNode IniConverter::lustre(const std::string& label) const {
  auto item = storage_item("fsx", "FsxLustre", label);
  YamlNode settings;
  copy(section("fsx", label), settings,
       {{"auto_import_policy", "AutoImportPolicy"},
        {"fsx_fs_id", "FileSystemId"},
        {"fsx_kms_key_id", "KmsKeyId"},
        {"storage_capacity", "StorageCapacity", integer},
        {"deployment_type", "DeploymentType"},
        {"storage_type", "StorageType"},
        {"imported_file_chunk_size", "ImportedFileChunkSize", integer},
        {"data_compression_type", "DataCompressionType"},
        {"export_path", "ExportPath"},
        {"import_path", "ImportPath"},
        {"weekly_maintenance_start_time", "WeeklyMaintenanceStartTime"},
        {"automatic_backup_retention_days", "AutomaticBackupRetentionDays", integer},
        {"copy_tags_to_backups", "CopyTagsToBackups", boolean},
        {"daily_automatic_backup_start_time", "DailyAutomaticBackupStartTime"},
        {"per_unit_storage_throughput", "PerUnitStorageThroughput", integer},
        {"fsx_backup_id", "BackupId"},
        {"drive_cache_type", "DriveCacheType"}});
  item.set("FsxLustreSettings", std::move(settings));
  return item;
}

YamlNode IniConverter::monitoring() const {
  YamlNode monitoring;
  for (const auto& label : labels(*cluster_, "cw_log")) {
    YamlNode watch;
    copy(section("cw_log", label), watch,
         {{"enable", "Enabled", boolean}, {"retention_days", "RetentionInDays", integer}});
    YamlNode logs;
    logs.set("CloudWatch", std::move(watch));
    monitoring.set("Logs", std::move(logs));
  }
  for (const auto& label : labels(*cluster_, "dashboard")) {
    YamlNode watch;
    copy(section("dashboard", label), watch, {{"enable", "Enabled", boolean}});
    YamlNode dashboards;
    dashboards.set("CloudWatch", std::move(watch));
    monitoring.set("Dashboards", std::move(dashboards));
  }
  return monitoring;
}

YamlNode IniConverter::head_networking() const {
  YamlNode networking;
  copy(*vpc_, networking,
       {{"master_subnet_id", "SubnetId"}, {"use_public_ips", "ElasticIp", boolean}});
  YamlNode proxy;
  copy(*cluster_, proxy, {{"proxy_server", "HttpProxyAddress"}});
  networking.set("Proxy", std::move(proxy));
  for (const auto& [key, name] : {std::pair("vpc_security_group_id", "SecurityGroups"),
                                  std::pair("additional_sg", "AdditionalSecurityGroups")}) {
    if (!vpc_->get(key).empty()) networking.set(name, YamlNode::texts({vpc_->get(key)}));
  }
  return networking;
}

YamlNode IniConverter::local_storage(const char* root_size) const {
  YamlNode root;
  copy(*cluster_, root, {{root_size, "Size", integer}});
  YamlNode ephemeral;
  copy(*cluster_, ephemeral, {{"ephemeral_dir", "MountDir"}});
  YamlNode storage;
  storage.set("RootVolume", std::move(root));
  storage.set("EphemeralVolume", std::move(ephemeral));
  return storage;
}

YamlNode IniConverter::actions() const {
  YamlNode actions;
  for (const auto& [key, name] :
       {std::pair("pre_install", "OnNodeStart"), std::pair("post_install", "OnNodeConfigured")}) {
    if (get(key).empty()) continue;
    YamlNode action;
    copy(*cluster_, action, {{key, "Script"}});
    // Version 2 gives the script's name as its first argument.
    auto words = words_of_arguments(get(std::string(key) + "_args"));
    if (!words.empty()) {
      words.insert(words.begin(), get(key));
      action.set("Args", YamlNode::texts(words));
    }
    actions.set(name, std::move(action));
  }
  return actions;
}

namespace {

/// arn:aws:s3:::bucket/key → bucket and key; no key for all of a bucket.
std::pair<std::string, std::string> bucket_and_key(const std::string& arn) {
  if (arn == "*") return {"*", ""};
  const std::string mark = ":s3:::";
  const auto at = arn.find(mark);
  if (at == std::string::npos) return {};
  const auto path = arn.substr(at + mark.size());
  const auto end = path.find_first_of("/*");
  const auto bucket = path.substr(0, end);
  auto key = end == std::string::npos ? "" : path.substr(end);
  if (key.starts_with("/")) key = key.substr(1);
  if (key == "*") key.clear();
  return {bucket.empty() ? "*" : bucket, key};
}

}  // namespace

YamlNode IniConverter::permissions() const {
  YamlNode iam;
  if (const auto role = get("ec2_iam_role"); !role.empty()) {
    iam.set("InstanceRole", YamlNode::text(arn_of_role(role)));
  }
  YamlNode policies;
  for (const auto& word : split(get("additional_iam_policies"), ',')) {
    if (trim(word).empty()) continue;
    YamlNode policy;
    policy.set("Policy", YamlNode::text(trim(word)));
    policies.add(std::move(policy));
  }
  iam.set("AdditionalIamPolicies", std::move(policies));
  YamlNode access;
  for (const auto* key : {"s3_read_resource", "s3_read_write_resource"}) {
    if (get(key).empty()) continue;
    const auto [bucket, name] = bucket_and_key(get(key));
    if (bucket.empty()) throw Fault{fmt::format("{} = {} names no bucket", key, get(key))};
    YamlNode item;
    if (std::string_view(key) == "s3_read_write_resource") {
      item.set("EnableWriteAccess", YamlNode::boolean(true));
    }
    item.set("BucketName", YamlNode::text(bucket));
    if (!name.empty()) item.set("KeyName", YamlNode::text(name));
    access.add(std::move(item));
  }
  iam.set("S3Access", std::move(access));
  return iam;
}

YamlNode IniConverter::head_node() const {
  YamlNode head;
  const auto type = get("master_instance_type");
  head.set("InstanceType", YamlNode::text(type.empty() ? "t3.micro" : type));
  head.set("Networking", head_networking());
  copy(*cluster_, head, {{"disable_hyperthreading", "DisableSimultaneousMultithreading", boolean}});
  YamlNode ssh;
  copy(*cluster_, ssh, {{"key_name", "KeyName"}});
  copy(*vpc_, ssh, {{"ssh_from", "AllowedIps"}});
  head.set("Ssh", std::move(ssh));
  head.set("LocalStorage", local_storage("master_root_volume_size"));
  for (const auto& label : labels(*cluster_, "dcv")) {
    const auto& from = section("dcv", label);
    YamlNode dcv;
    if (from.get("enable") == "master") dcv.set("Enabled", YamlNode::boolean(true));
    copy(from, dcv, {{"port", "Port", integer}, {"access_from", "AllowedIps"}});
    head.set("Dcv", std::move(dcv));
  }
  head.set("CustomActions", actions());
  head.set("Iam", permissions());
  if (get("scheduler") == "awsbatch") {
    YamlNode imds;
    imds.set("Secured", YamlNode::boolean(false));
    head.set("Imds", std::move(imds));
  }
  return head;
}

}  // namespace cox::config
