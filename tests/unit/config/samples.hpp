#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "launcher/config/config.hpp"

/// Files that say much, and short words for what was read of them.
namespace cox::config {

inline constexpr const char* kYaml = R"(Region: us-west-2
Image:
  Os: alinux2023
HeadNode:
  InstanceType: m5.large
  Networking:
    SubnetId: subnet-0123456789abcdef0
    ElasticIp: true
  Ssh:
    KeyName: key-batch
  Imds:
    Secured: false
Tags:
  - Key: team
    Value: "7"
SharedStorage:
  - Name: one
    StorageType: Ebs
    MountDir: data
  - Name: two
    StorageType: Efs
    MountDir: /efs/here
    EfsSettings:
      FileSystemId: fs-01234567
  - Name: three
    StorageType: Ebs
    MountDir: /raid
    EbsSettings:
      Raid: {Type: 1, NumberOfVolumes: 2}
Scheduling:
  Scheduler: awsbatch
  AwsBatchQueues:
    - Name: queue1
      CapacityType: SPOT
      Networking:
        SubnetIds: [subnet-0123456789abcdef1]
      ComputeResources:
        - Name: small
          InstanceTypes: [c4.large, m4]
          MinvCpus: 2
          MaxvCpus: 24
          SpotBidPercentage: 80
Coxswain:
  Provider: local
  ScaledownIdletime: 3
)";

inline constexpr const char* kIni = R"([aws]
aws_region_name = eu-west-1
[aliases]
ssh = ssh {CFN_USER}@{MASTER_IP} {ARGS}
[global]
cluster_template = one
sanity_check = false
[cluster one]
scheduler = awsbatch
base_os = alinux2
vpc_settings = v
key_name = key
[cluster two]
scheduler = awsbatch   ; as well
base_os = alinux2
vpc_settings = v
compute_instance_type = c5.xlarge,  m4
master_instance_type = c4.large
min_vcpus = 1
desired_vcpus = 4
max_vcpus = 16
cluster_type = spot
tags = {"a": "b",
        "c": "d"}
ebs_settings = disk
efs_settings = files
raid_settings = none
scaling_settings = s
shared_dir = own
[ebs disk]
shared_dir = /disk
[efs files]
shared_dir = /files
efs_fs_id = fs-01234567
[raid none]
shared_dir = NONE
[scaling s]
scaledown_idletime = 4
[vpc v]
vpc_id = vpc-01234567
master_subnet_id = subnet-01234567
[queue of_another_cluster]
compute_resource_settings = x
)";

inline ClusterConfig good(const Loaded& loaded) {
  EXPECT_TRUE(loaded.config.has_value())
      << (loaded.findings.empty() ? "" : loaded.findings[0].text);
  return loaded.config.value_or(ClusterConfig{});
}

inline std::vector<std::string> names_of(const std::vector<ComputeEnvironmentName>& environments) {
  std::vector<std::string> names;
  for (const auto& each : environments) names.push_back(each.value);
  return names;
}

/// The texts of the errors.
inline std::vector<std::string> errors_of(const Loaded& loaded) {
  std::vector<std::string> texts;
  for (const auto& finding : loaded.findings) {
    if (finding.level == Level::error) texts.push_back(finding.text);
  }
  return texts;
}

/// The text with one part of it replaced.
inline std::string with(std::string text, const std::string& part, const std::string& instead) {
  const auto at = text.find(part);
  EXPECT_NE(at, std::string::npos) << part;
  return text.replace(at, part.size(), instead);
}

}  // namespace cox::config
