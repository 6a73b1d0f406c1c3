#include "launcher/config/schema.hpp"

/// The table of keys. Source: ParallelCluster 3.12's schema, the part that holds for awsbatch.
namespace cox::config {

namespace {

using enum KeyKind;

constexpr std::string_view kVolumeTypes = "standard|io1|io2|gp2|st1|sc1|gp3";

void add_cluster_keys(std::vector<SchemaKey>& keys) {
  const SchemaKey more[] = {
      {"Region", text},
      {"CustomS3Bucket", text},
      {"AdditionalResources", text},
      {"Image", map, true},
      {"Image/Os", text, true,
       "alinux2|alinux2023|ubuntu2004|ubuntu2204|rhel8|rocky8|rhel9|rocky9"},
      {"Image/CustomAmi", text, false, "ami-"},
      {"Tags", list, false, "#40"},
      {"Tags[]/Key", text, true, "~128"},
      {"Tags[]/Value", text, true, "~256"},
      {"Imds", map},
      {"Imds/ImdsSupport", text, false, "v1.0|v2.0"},
      {"Iam", map},
      {"Iam/ResourcePrefix", text},
      {"Iam/PermissionsBoundary", text, false, "arn:policy"},
      {"Iam/Roles", map},
      {"Iam/Roles/LambdaFunctionsRole", text},
      {"AdditionalPackages", map},
      {"AdditionalPackages/IntelSoftware", map},
      {"AdditionalPackages/IntelSoftware/IntelHpcPlatform", boolean},
      {"DeploymentSettings", map},
      {"DeploymentSettings/DefaultUserHome", text, false, "Shared|Local"},
      {"DeploymentSettings/DisableSudoAccessForDefaultUser", boolean},
      {"DeploymentSettings/LambdaFunctionsVpcConfig", map},
      {"DeploymentSettings/LambdaFunctionsVpcConfig/SecurityGroupIds", texts, true, "#5 sg-"},
      {"DeploymentSettings/LambdaFunctionsVpcConfig/SubnetIds", texts, true, "#16 subnet-"},
      {"DevSettings", map},
      {"DevSettings/NodePackage", text},
      {"DevSettings/AwsBatchCliPackage", text},
      {"DevSettings/ClusterTemplate", text},
      {"DevSettings/InstanceTypesData", text},
      {"DevSettings/ComputeStartupTimeMetricEnabled", boolean},
      {"DevSettings/Cookbook", map},
      {"DevSettings/Cookbook/ExtraChefAttributes", text},
      {"DevSettings/Cookbook/ChefCookbook", text},
      {"DevSettings/Timeouts", map},
      {"DevSettings/Timeouts/HeadNodeBootstrapTimeout", integer, false, ">=1"},
      {"DevSettings/Timeouts/ComputeNodeBootstrapTimeout", integer, false, ">=1"},
      {"DevSettings/AmiSearchFilters", map},
      {"DevSettings/AmiSearchFilters/Owner", text},
      {"DevSettings/AmiSearchFilters/Tags", list},
      {"DevSettings/AmiSearchFilters/Tags[]/Key", text, true, "~128"},
      {"DevSettings/AmiSearchFilters/Tags[]/Value", text, true, "~256"},
      {"Monitoring", map},
      {"Monitoring/DetailedMonitoring", boolean},
      {"Monitoring/Alarms", map},
      {"Monitoring/Alarms/Enabled", boolean},
      {"Monitoring/Dashboards", map},
      {"Monitoring/Dashboards/CloudWatch", map},
      {"Monitoring/Dashboards/CloudWatch/Enabled", boolean},
      {"Monitoring/Logs", map},
      {"Monitoring/Logs/Rotation", map},
      {"Monitoring/Logs/Rotation/Enabled", boolean},
      {"Monitoring/Logs/CloudWatch", map},
      {"Monitoring/Logs/CloudWatch/Enabled", boolean},
      {"Monitoring/Logs/CloudWatch/DeletionPolicy", text, false, "Delete|Retain"},
      {"Monitoring/Logs/CloudWatch/RetentionInDays", integer, false,
       "0|1|3|5|7|14|30|60|90|120|150|180|365|400|545|731|1827|3653"},
      // Known, and refused with awsbatch as a whole.
      {"DirectoryService", any},
      {"LoginNodes", any},
      // Our own, below one key: a file without it is a plain ParallelCluster file.
      {"Coxswain", map},
      {"Coxswain/Provider", text},
      {"Coxswain/ScaledownIdletime", integer, false, ">=-1"},
  };
  keys.insert(keys.end(), std::begin(more), std::end(more));
}

void add_head_node_keys(std::vector<SchemaKey>& keys) {
  const SchemaKey more[] = {
      {"HeadNode", map, true},
      {"HeadNode/InstanceType", text, true},
      {"HeadNode/DisableSimultaneousMultithreading", boolean},
      {"HeadNode/SharedStorageType", text, false, "Ebs|Efs"},
      {"HeadNode/Networking", map, true},
      {"HeadNode/Networking/SubnetId", text, true, "subnet-"},
      {"HeadNode/Networking/ElasticIp", scalar},
      {"HeadNode/Networking/SecurityGroups", texts, false, "sg-"},
      {"HeadNode/Networking/AdditionalSecurityGroups", texts, false, "sg-"},
      {"HeadNode/Networking/Proxy", map},
      {"HeadNode/Networking/Proxy/HttpProxyAddress", text},
      {"HeadNode/Ssh", map},
      {"HeadNode/Ssh/KeyName", text},
      {"HeadNode/Ssh/AllowedIps", text},
      {"HeadNode/LocalStorage", map},
      {"HeadNode/LocalStorage/EphemeralVolume", map},
      {"HeadNode/LocalStorage/EphemeralVolume/MountDir", text},
      {"HeadNode/LocalStorage/RootVolume", map},
      {"HeadNode/LocalStorage/RootVolume/Encrypted", boolean},
      {"HeadNode/LocalStorage/RootVolume/Iops", integer},
      {"HeadNode/LocalStorage/RootVolume/VolumeType", text, false, kVolumeTypes},
      {"HeadNode/LocalStorage/RootVolume/Size", integer},
      {"HeadNode/LocalStorage/RootVolume/DeleteOnTermination", boolean},
      {"HeadNode/LocalStorage/RootVolume/Throughput", integer},
      {"HeadNode/Iam", map},
      {"HeadNode/Iam/InstanceProfile", text, false, "arn:instance-profile"},
      {"HeadNode/Iam/InstanceRole", text, false, "arn:role"},
      {"HeadNode/Iam/S3Access", list},
      {"HeadNode/Iam/S3Access[]/BucketName", text, true, "bucket"},
      {"HeadNode/Iam/S3Access[]/KeyName", text},
      {"HeadNode/Iam/S3Access[]/EnableWriteAccess", boolean},
      {"HeadNode/Iam/AdditionalIamPolicies", list},
      {"HeadNode/Iam/AdditionalIamPolicies[]/Policy", text, true, "arn:policy"},
      {"HeadNode/Image", map},
      {"HeadNode/Image/CustomAmi", text, false, "ami-"},
      {"HeadNode/Imds", map},
      {"HeadNode/Imds/Secured", boolean},
      {"HeadNode/Dcv", map},
      {"HeadNode/Dcv/Enabled", boolean},
      {"HeadNode/Dcv/Port", integer},
      {"HeadNode/Dcv/AllowedIps", text},
      {"HeadNode/CustomActions", map},
      {"HeadNode/CustomActions/OnNodeStart", map},
      {"HeadNode/CustomActions/OnNodeStart/Script", text},
      {"HeadNode/CustomActions/OnNodeStart/Args", texts},
      {"HeadNode/CustomActions/OnNodeStart/Sequence", list},
      {"HeadNode/CustomActions/OnNodeStart/Sequence[]/Script", text, true},
      {"HeadNode/CustomActions/OnNodeStart/Sequence[]/Args", texts},
      {"HeadNode/CustomActions/OnNodeConfigured", map},
      {"HeadNode/CustomActions/OnNodeConfigured/Script", text},
      {"HeadNode/CustomActions/OnNodeConfigured/Args", texts},
      {"HeadNode/CustomActions/OnNodeConfigured/Sequence", list},
      {"HeadNode/CustomActions/OnNodeConfigured/Sequence[]/Script", text, true},
      {"HeadNode/CustomActions/OnNodeConfigured/Sequence[]/Args", texts},
      {"HeadNode/CustomActions/OnNodeUpdated", any},
  };
  keys.insert(keys.end(), std::begin(more), std::end(more));
}

void add_scheduling_keys(std::vector<SchemaKey>& keys) {
  const SchemaKey more[] = {
      {"Scheduling", map, true},
      {"Scheduling/Scheduler", text, true, "slurm|awsbatch"},
      {"Scheduling/ScalingStrategy", text, false,
       "all-or-nothing|best-effort|greedy-all-or-nothing"},
      {"Scheduling/AwsBatchSettings", map},
      {"Scheduling/SlurmSettings", any},
      {"Scheduling/SlurmQueues", any},
      {"Scheduling/AwsBatchQueues", list, true, "#1!"},
      {"Scheduling/AwsBatchQueues[]/Name", text, true},
      {"Scheduling/AwsBatchQueues[]/CapacityType", text, false, "CAPACITY_BLOCK|ONDEMAND|SPOT"},
      {"Scheduling/AwsBatchQueues[]/Networking", map, true},
      {"Scheduling/AwsBatchQueues[]/Networking/SubnetIds", texts, true, "#1! subnet-"},
      {"Scheduling/AwsBatchQueues[]/Networking/SecurityGroups", texts, false, "sg-"},
      {"Scheduling/AwsBatchQueues[]/Networking/AdditionalSecurityGroups", texts, false, "sg-"},
      {"Scheduling/AwsBatchQueues[]/Networking/AssignPublicIp", boolean},
      {"Scheduling/AwsBatchQueues[]/ComputeResources", list, true, "#1!"},
      {"Scheduling/AwsBatchQueues[]/ComputeResources[]/Name", text, true},
      {"Scheduling/AwsBatchQueues[]/ComputeResources[]/InstanceTypes", texts, true},
      {"Scheduling/AwsBatchQueues[]/ComputeResources[]/MinvCpus", integer, false, ">=0"},
      {"Scheduling/AwsBatchQueues[]/ComputeResources[]/DesiredvCpus", integer, false, ">=0"},
      {"Scheduling/AwsBatchQueues[]/ComputeResources[]/MaxvCpus", integer, false, ">=1"},
      {"Scheduling/AwsBatchQueues[]/ComputeResources[]/SpotBidPercentage", integer, false,
       "1..100"},
  };
  keys.insert(keys.end(), std::begin(more), std::end(more));
}

void add_storage_keys(std::vector<SchemaKey>& keys) {
  const SchemaKey more[] = {
      {"SharedStorage", list},
      {"SharedStorage[]/Name", text, true, "~30"},
      {"SharedStorage[]/MountDir", text, true},
      {"SharedStorage[]/StorageType", text, true,
       "Ebs|FsxLustre|FsxOpenZfs|FsxOntap|Efs|FileCache"},
      {"SharedStorage[]/EbsSettings", map},
      {"SharedStorage[]/EbsSettings/Encrypted", boolean},
      {"SharedStorage[]/EbsSettings/DeletionPolicy", text, false, "Delete|Retain|Snapshot"},
      {"SharedStorage[]/EbsSettings/Iops", integer},
      {"SharedStorage[]/EbsSettings/KmsKeyId", text},
      {"SharedStorage[]/EbsSettings/VolumeType", text, false, kVolumeTypes},
      {"SharedStorage[]/EbsSettings/Size", integer},
      {"SharedStorage[]/EbsSettings/Throughput", integer},
      {"SharedStorage[]/EbsSettings/VolumeId", text, false, "vol-"},
      {"SharedStorage[]/EbsSettings/SnapshotId", text, false, "snap-"},
      {"SharedStorage[]/EbsSettings/Raid", map},
      {"SharedStorage[]/EbsSettings/Raid/Type", integer, true, "0|1"},
      {"SharedStorage[]/EbsSettings/Raid/NumberOfVolumes", integer, false, "2..5"},
      {"SharedStorage[]/EfsSettings", map},
      {"SharedStorage[]/EfsSettings/IamAuthorization", boolean},
      {"SharedStorage[]/EfsSettings/PerformanceMode", text, false, "generalPurpose|maxIO"},
      {"SharedStorage[]/EfsSettings/FileSystemId", text, false, "fs-"},
      {"SharedStorage[]/EfsSettings/AccessPointId", text, false, "fsap-"},
      {"SharedStorage[]/EfsSettings/ProvisionedThroughput", integer, false, "1..1024"},
      {"SharedStorage[]/EfsSettings/Encrypted", boolean},
      {"SharedStorage[]/EfsSettings/EncryptionInTransit", boolean},
      {"SharedStorage[]/EfsSettings/ThroughputMode", text, false, "provisioned|bursting"},
      {"SharedStorage[]/EfsSettings/DeletionPolicy", text, false, "Delete|Retain"},
      {"SharedStorage[]/EfsSettings/KmsKeyId", text},
      // Of storage types that awsbatch does not have.
      {"SharedStorage[]/FsxLustreSettings", any},
      {"SharedStorage[]/FsxOntapSettings", any},
      {"SharedStorage[]/FsxOpenZfsSettings", any},
      {"SharedStorage[]/FileCacheSettings", any},
  };
  keys.insert(keys.end(), std::begin(more), std::end(more));
}

std::vector<SchemaKey> make_schema() {
  std::vector<SchemaKey> keys;
  add_cluster_keys(keys);
  add_head_node_keys(keys);
  add_scheduling_keys(keys);
  add_storage_keys(keys);
  return keys;
}

}  // namespace

const std::vector<SchemaKey>& schema() {
  static const std::vector<SchemaKey> keys = make_schema();
  return keys;
}

}  // namespace cox::config
