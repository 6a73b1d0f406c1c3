#include "launcher/config/update_policies.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "launcher/config/ini_text.hpp"
#include "runtime/base/text.hpp"

/// When keys may change. Source: ParallelCluster 3.12's schema and 2.11's mappings.
namespace cox::config {

namespace {

using enum UpdatePolicy;

using Row = std::pair<std::string_view, UpdatePolicy>;

constexpr auto kKeys = std::to_array<Row>({
    {"AdditionalResources", supported},
    {"Coxswain/Containers", supported},
    {"Coxswain/HistoryDays", supported},
    {"Coxswain/Queues", supported},
    {"Coxswain/ScaledownIdletime", supported},
    {"DeploymentSettings/DisableSudoAccessForDefaultUser", fleet_stop},
    {"DevSettings/ClusterTemplate", supported},
    {"DevSettings/ComputeStartupTimeMetricEnabled", supported},
    {"DevSettings/InstanceTypesData", supported},
    {"DevSettings/Timeouts/ComputeNodeBootstrapTimeout", supported},
    {"DirectoryService", fleet_stop},
    {"HeadNode/CustomActions/OnNodeUpdated", supported},
    {"HeadNode/Dcv/AllowedIps", supported},
    {"HeadNode/Iam", supported},
    {"HeadNode/Iam/InstanceProfile", unsupported},
    {"HeadNode/Networking/AdditionalSecurityGroups", supported},
    {"HeadNode/Networking/SecurityGroups", supported},
    {"HeadNode/Ssh/AllowedIps", supported},
    {"Iam", supported},
    {"Iam/ResourcePrefix", unsupported},
    {"LoginNodes", supported},
    {"Monitoring/Alarms", supported},
    {"Monitoring/Dashboards", supported},
    {"Monitoring/DetailedMonitoring", fleet_stop},
    {"Monitoring/Logs/CloudWatch/DeletionPolicy", supported},
    {"Monitoring/Logs/CloudWatch/RetentionInDays", supported},
    {"Scheduling/AwsBatchQueues", empty_to_go},
    {"Scheduling/AwsBatchQueues[]", fleet_stop},
    {"Scheduling/AwsBatchQueues[]/ComputeResources", empty_to_go},
    {"Scheduling/AwsBatchQueues[]/ComputeResources[]", fleet_stop},
    {"Scheduling/AwsBatchQueues[]/ComputeResources[]/DesiredvCpus", ignored},
    {"Scheduling/AwsBatchQueues[]/ComputeResources[]/MaxvCpus", fleet_resize},
    {"Scheduling/AwsBatchQueues[]/ComputeResources[]/MinvCpus", supported},
    {"Scheduling/AwsBatchQueues[]/ComputeResources[]/SpotBidPercentage", supported},
    {"Scheduling/AwsBatchQueues[]/Networking/AdditionalSecurityGroups", supported},
    {"Scheduling/AwsBatchQueues[]/Networking/AssignPublicIp", unsupported},
    {"Scheduling/AwsBatchQueues[]/Networking/SecurityGroups", supported},
    {"Scheduling/AwsBatchSettings", fleet_stop},
    {"Scheduling/ScalingStrategy", supported},
    {"Scheduling/SlurmQueues", empty_to_go},
    {"Scheduling/SlurmQueues[]", fleet_stop},
    {"Scheduling/SlurmQueues[]/ComputeResources", empty_to_go},
    {"Scheduling/SlurmQueues[]/ComputeResources[]", fleet_stop},
    {"Scheduling/SlurmQueues[]/ComputeResources[]/CustomSlurmSettings", supported},
    {"Scheduling/SlurmQueues[]/ComputeResources[]/DynamicNodePriority", supported},
    {"Scheduling/SlurmQueues[]/ComputeResources[]/HealthChecks", supported},
    {"Scheduling/SlurmQueues[]/ComputeResources[]/MaxCount", fleet_resize},
    {"Scheduling/SlurmQueues[]/ComputeResources[]/MinCount", supported},
    {"Scheduling/SlurmQueues[]/ComputeResources[]/StaticNodePriority", supported},
    {"Scheduling/SlurmQueues[]/CustomSlurmSettings", supported},
    {"Scheduling/SlurmQueues[]/HealthChecks", supported},
    {"Scheduling/SlurmQueues[]/Iam", supported},
    {"Scheduling/SlurmQueues[]/Iam/InstanceProfile", fleet_stop},
    {"Scheduling/SlurmQueues[]/JobExclusiveAllocation", supported},
    {"Scheduling/SlurmQueues[]/Networking/AdditionalSecurityGroups", supported},
    {"Scheduling/SlurmQueues[]/Networking/AssignPublicIp", unsupported},
    {"Scheduling/SlurmQueues[]/Networking/SecurityGroups", supported},
    {"Scheduling/SlurmSettings", fleet_stop},
    {"Scheduling/SlurmSettings/CustomSlurmSettings", supported},
    {"Scheduling/SlurmSettings/CustomSlurmSettingsIncludeFile", supported},
    {"Scheduling/SlurmSettings/Database/DatabaseName", supported},
    {"Scheduling/SlurmSettings/Dns", unsupported},
    {"Scheduling/SlurmSettings/ExternalSlurmdbd", supported},
    {"Scheduling/SlurmSettings/QueueUpdateStrategy", ignored},
    {"Scheduling/SlurmSettings/ScaledownIdletime", supported},
    {"SharedStorage", add_only},
    {"SharedStorage[]", unsupported},
    {"SharedStorage[]/EbsSettings/DeletionPolicy", supported},
    {"SharedStorage[]/EbsSettings/Iops", supported},
    {"SharedStorage[]/EbsSettings/Throughput", supported},
    {"SharedStorage[]/EfsSettings/DeletionPolicy", supported},
    {"SharedStorage[]/EfsSettings/ProvisionedThroughput", supported},
    {"SharedStorage[]/EfsSettings/ThroughputMode", supported},
    {"SharedStorage[]/FsxLustreSettings/AutomaticBackupRetentionDays", supported},
    {"SharedStorage[]/FsxLustreSettings/DailyAutomaticBackupStartTime", supported},
    {"SharedStorage[]/FsxLustreSettings/DataCompressionType", supported},
    {"SharedStorage[]/FsxLustreSettings/DeletionPolicy", supported},
    {"SharedStorage[]/FsxLustreSettings/WeeklyMaintenanceStartTime", supported},
});

constexpr auto kIniKeys = std::to_array<Row>({
    {"aliases", ignored},
    {"aws", ignored},
    {"cluster/additional_iam_policies", supported},
    {"cluster/cluster_type", fleet_stop},
    {"cluster/compute_instance_type", fleet_stop},
    {"cluster/compute_root_volume_size", fleet_stop},
    {"cluster/desired_vcpus", ignored},
    {"cluster/ebs_settings", ignored},  // the sections that it names are compared
    {"cluster/efs_settings", ignored},
    {"cluster/initial_queue_size", supported},
    {"cluster/maintain_initial_size", supported},
    {"cluster/max_queue_size", fleet_resize},
    {"cluster/max_vcpus", fleet_resize},
    {"cluster/min_vcpus", supported},
    {"cluster/post_install", fleet_stop},
    {"cluster/post_install_args", fleet_stop},
    {"cluster/pre_install", fleet_stop},
    {"cluster/pre_install_args", fleet_stop},
    {"cluster/queue_settings", ignored},
    {"cluster/raid_settings", ignored},
    {"cluster/s3_read_resource", supported},
    {"cluster/s3_read_write_resource", supported},
    {"cluster/scaling_settings", ignored},
    {"cluster/spot_bid_percentage", supported},
    {"cluster/spot_price", supported},
    {"compute_resource", fleet_stop},
    {"cw_log/retention_days", supported},
    {"dashboard/enable", supported},
    {"dcv/access_from", supported},
    {"ebs", add_only},
    {"ebs/volume_iops", supported},
    {"ebs/volume_throughput", supported},
    {"efs", add_only},
    {"efs/provisioned_throughput", supported},
    {"efs/throughput_mode", supported},
    {"global", ignored},
    {"queue", fleet_stop},
    {"raid", add_only},
    {"scaling/scaledown_idletime", supported},
    {"vpc/additional_sg", supported},
    {"vpc/compute_subnet_id", fleet_stop},
    {"vpc/ssh_from", supported},
    {"vpc/use_public_ips", fleet_stop},
    {"vpc/vpc_security_group_id", fleet_stop},
});

template <class Table>
UpdatePolicy nearest(const Table& table, std::string path) {
  while (!path.empty()) {
    const auto found =
        std::find_if(table.begin(), table.end(), [&](const Row& row) { return row.first == path; });
    if (found != table.end()) return found->second;
    const auto slash = path.rfind('/');
    const auto list = path.ends_with("[]") ? path.size() - 2 : std::string::npos;
    path.resize(list != std::string::npos ? list : slash == std::string::npos ? 0 : slash);
  }
  return unsupported;
}

Tree scalar(const std::string& text) {
  Tree made;
  made.kind = Tree::Kind::scalar;
  made.scalar = text;
  return made;
}

Tree map_of(const IniSection& section) {
  Tree made;
  made.kind = Tree::Kind::map;
  for (const auto& value : section.values) {
    made.entries.push_back({value.key, value.place, scalar(value.text)});
  }
  return made;
}

}  // namespace

UpdatePolicy policy_of_key(const std::string& path) { return nearest(kKeys, path); }

UpdatePolicy policy_of_ini_key(const std::string& path) {
  // The label does not matter: "vpc public/ssh_from" is as any vpc's.
  const auto slash = path.find('/');
  const auto title = path.substr(0, slash);
  const auto type = title.substr(0, title.find(' '));
  return nearest(kIniKeys, slash == std::string::npos ? type : type + path.substr(slash));
}

Tree used_sections(std::string_view text, const std::string& cluster_template) {
  std::vector<Finding> findings;
  const auto sections = parse_ini(text, findings);
  const auto find = [&](const std::string& type, const std::string& label) {
    const auto found = std::find_if(sections.begin(), sections.end(), [&](const auto& section) {
      return section.type == type && section.label == label;
    });
    return found == sections.end() ? nullptr : &*found;
  };
  const auto* global = find("global", "");
  const auto label = !cluster_template.empty() ? cluster_template
                     : global != nullptr       ? global->get("cluster_template", "default")
                                               : std::string("default");
  Tree used;
  used.kind = Tree::Kind::map;
  std::set<const IniSection*> taken;
  const auto take = [&](const auto& self, const IniSection* section) -> void {
    if (section == nullptr || !taken.insert(section).second) return;
    const auto title = section->type == "cluster" ? section->type : section->title();
    used.entries.push_back({title, section->place, map_of(*section)});
    for (const auto& value : section->values) {
      constexpr std::string_view kSettings = "_settings";
      if (!value.key.ends_with(kSettings)) continue;
      const auto type = value.key.substr(0, value.key.size() - kSettings.size());
      for (const auto& each : split(value.text, ','))
        self(self, find(type, std::string(trim(each))));
    }
  };
  for (const auto* type : {"aws", "aliases"}) take(take, find(type, ""));
  take(take, find("cluster", label));
  return used;
}

}  // namespace cox::config
