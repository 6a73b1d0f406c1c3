#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <tuple>

#include "launcher/config/config.hpp"

namespace cox::config {
namespace {

constexpr const char* kYaml = R"(Region: us-west-2
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

constexpr const char* kIni = R"([aws]
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

ClusterConfig good(const Loaded& loaded) {
  EXPECT_TRUE(loaded.config.has_value())
      << (loaded.findings.empty() ? "" : loaded.findings[0].text);
  return loaded.config.value_or(ClusterConfig{});
}

std::vector<std::string> names_of(const std::vector<ComputeEnvironmentName>& environments) {
  std::vector<std::string> names;
  for (const auto& each : environments) names.push_back(each.value);
  return names;
}

/// The texts of the errors.
std::vector<std::string> errors_of(const Loaded& loaded) {
  std::vector<std::string> texts;
  for (const auto& finding : loaded.findings) {
    if (finding.level == Level::error) texts.push_back(finding.text);
  }
  return texts;
}

TEST(LoadYaml, ReadsWhatACallerNeeds) {
  const auto config = good(load_yaml(kYaml, {}));
  EXPECT_FALSE(config.v2);
  EXPECT_EQ(config.region, "us-west-2");
  EXPECT_EQ(config.os, "alinux2023");
  EXPECT_EQ(config.os_user, "ec2-user");
  EXPECT_EQ(config.head_instance_type, "m5.large");
  EXPECT_EQ(config.key_name, "key-batch");
  EXPECT_EQ(config.scaledown_idle_minutes, 3);
  EXPECT_EQ(config.tags.at("team"), "7");
  ASSERT_EQ(config.queues.size(), 1u);
  EXPECT_TRUE(config.queues[0].spot);
  const auto& resource = config.queues[0].compute_resources.at(0);
  EXPECT_EQ(resource.instance_types, (std::vector<std::string>{"c4.large", "m4"}));
  EXPECT_EQ(resource.min_vcpus, 2);
  EXPECT_EQ(resource.desired_vcpus, 2) << "MinvCpus where the file does not say";
  EXPECT_EQ(resource.max_vcpus, 24);
  ASSERT_EQ(config.shared.size(), 3u);
  EXPECT_EQ(config.shared[0].mount_dir, "/data");
  EXPECT_EQ(config.shared[0].as_configured, "data");
  EXPECT_EQ(config.shared[1].file_system_id, "fs-01234567");
  EXPECT_EQ(config.shared[2].type, "Raid");
}

TEST(LoadYaml, TakesTheRegionFromOptionFileEnvironment) {
  const std::string without(kYaml + std::string_view(kYaml).find('\n') + 1);
  EXPECT_EQ(good(load_yaml(kYaml, {.environment_region = "eu-west-1"})).region, "us-west-2");
  EXPECT_EQ(good(load_yaml(without, {.environment_region = "eu-west-1"})).region, "eu-west-1");
  EXPECT_EQ(good(load_yaml(without, {.region = "ap-east-1"})).region, "ap-east-1");
  EXPECT_EQ(good(load_yaml(without, {})).region, "us-east-1");
  const auto both = load_yaml(kYaml, {.region = "ap-east-1"});
  EXPECT_FALSE(both.config.has_value());
  EXPECT_EQ(errors_of(both),
            std::vector<std::string>{"the file says us-west-2, the option says ap-east-1"});
}

constexpr const char* kSlurm = R"(Region: eu-west-1
Image: {Os: ubuntu2204}
HeadNode:
  InstanceType: t3.micro
  Networking: {SubnetId: subnet-01234567}
  CustomActions:
    OnNodeStart: {Script: /a.sh, Args: [x, y]}
    OnNodeUpdated: {Script: /u.sh}
Scheduling:
  Scheduler: slurm
  SlurmSettings: {ScaledownIdletime: 7}
  SlurmQueues:
    - Name: small
      CapacityType: SPOT
      Networking: {SubnetIds: [subnet-01234567]}
      CustomActions:
        OnNodeConfigured:
          Sequence: [{Script: /b.sh}, {Script: /c.sh, Args: [z]}]
      ComputeResources:
        - {Name: one, InstanceType: c5.xlarge, MinCount: 1, MaxCount: 4}
        - {Name: two, Instances: [{InstanceType: m5.large}, {InstanceType: c5.large}]}
    - Name: wide
      Networking: {SubnetIds: [subnet-01234567]}
      ComputeResources:
        - Name: one
          InstanceType: c5.18xlarge
          MaxCount: 2
          DisableSimultaneousMultithreading: true
          SchedulableMemory: 100000
Monitoring:
  Logs: {CloudWatch: {RetentionInDays: 30}}
)";

TEST(LoadYaml, MakesEachSlurmQueueAJobQueueOfItsResourcesInOrder) {
  const auto config = good(load_yaml(kSlurm, {}));
  EXPECT_EQ(config.scheduler, "slurm");
  EXPECT_EQ(config.os_user, "ubuntu");
  EXPECT_EQ(config.scaledown_idle_minutes, 7);
  EXPECT_EQ(config.log_retention_days, 30);
  const auto settings = to_settings(config, "demo");
  ASSERT_EQ(settings.queues.size(), 2u);
  EXPECT_EQ(settings.queues[0].name.value, "small");
  EXPECT_EQ(names_of(settings.queues[0].environments),
            (std::vector<std::string>{"demo-small-one", "demo-small-two"}));
  EXPECT_EQ(names_of(settings.queues[1].environments), (std::vector<std::string>{"demo-wide-one"}));
  ASSERT_EQ(settings.environments.size(), 3u);
  const auto& one = settings.environments[0];
  EXPECT_EQ(std::tuple(one.min_vcpus, one.desired_vcpus, one.max_vcpus), std::tuple(4, 4, 16))
      << "nodes times the type's vCPUs";
  EXPECT_FALSE(one.spot) << "with Slurm, spot is a matter of price alone";
  const auto& two = settings.environments[1];
  EXPECT_EQ(std::tuple(two.min_vcpus, two.max_vcpus), std::tuple(0, 20)) << "MaxCount is 10";
  EXPECT_EQ(two.instance_types,
            (std::vector<InstanceType>{{"c5.large", 2, MiB{4096}}, {"m5.large", 2, MiB{8192}}}));
  const auto& wide = settings.environments[2];
  EXPECT_EQ(wide.instance_types, (std::vector<InstanceType>{{"c5.18xlarge", 36, MiB{100000}}}))
      << "cores in place of hardware threads, and the memory that jobs may take";
  EXPECT_EQ(wide.max_vcpus, 72);
  EXPECT_EQ(wide.idle_ms_before_release, 7 * 60'000);
}

TEST(LoadYaml, ReadsCustomActionsInTheirOrder) {
  const auto config = good(load_yaml(kSlurm, {}));
  EXPECT_EQ(config.head_actions.on_node_start, (std::vector<CustomAction>{{"/a.sh", {"x", "y"}}}));
  EXPECT_EQ(config.head_actions.on_node_updated, (std::vector<CustomAction>{{"/u.sh", {}}}));
  EXPECT_TRUE(config.head_actions.on_node_configured.empty());
  EXPECT_EQ(config.queues.at(0).actions.on_node_configured,
            (std::vector<CustomAction>{{"/b.sh", {}}, {"/c.sh", {"z"}}}));
}

std::string with(std::string text, const std::string& part, const std::string& instead) {
  const auto at = text.find(part);
  EXPECT_NE(at, std::string::npos) << part;
  return text.replace(at, part.size(), instead);
}

TEST(LoadYaml, ReadsItsOwnKeys) {
  const auto text = with(kYaml, "  Provider: local\n", R"(  Provider: ssh
  Containers: host
  ComputeResources: [{Name: small, Provider: local}]
  Ssh:
    User: alice
    IdentityFile: ~/.ssh/id
    KnownHostsFile: ./known
    Hosts:
    - 10.0.0.11
    - {Host: 10.0.0.12, Port: 2222, vCpus: 2, Memory: 4096, ProxyJump: gate, ComputeResource: small}
  Slurm: {Partition: p, Account: a, Qos: q, ExtraArgs: [--exclusive], PilotSeconds: 600}
  SharedStorage:
  - {MountDir: /data, Source: staged}
  - {MountDir: home2, Source: "nas:/export"}
)");
  const LoadOptions options{.providers = {"local", "ssh", "slurm"}};
  const auto config = good(load_yaml(text, options));
  EXPECT_EQ(config.provider, "ssh");
  EXPECT_EQ(config.containers, "host");
  EXPECT_EQ(config.queues.at(0).compute_resources.at(0).provider, "local");
  EXPECT_EQ(config.ssh.user, "alice");
  EXPECT_EQ(config.ssh.identity_file, "~/.ssh/id");
  EXPECT_EQ(config.ssh.known_hosts_file, "./known");
  ASSERT_EQ(config.ssh.hosts.size(), 2u);
  EXPECT_EQ(config.ssh.hosts[0].host, "10.0.0.11");
  EXPECT_EQ(config.ssh.hosts[0].user, "alice");
  const auto& host = config.ssh.hosts[1];
  EXPECT_EQ(std::tuple(host.host, host.port, host.vcpus, host.memory_mib, host.proxy_jump,
                       host.compute_resource),
            std::tuple("10.0.0.12", 2222, 2, 4096, "gate", "small"));
  EXPECT_EQ(std::tuple(config.slurm.partition, config.slurm.account, config.slurm.qos,
                       config.slurm.extra_args, config.slurm.pilot_seconds),
            std::tuple("p", "a", "q", std::vector<std::string>{"--exclusive"}, 600));
  ASSERT_EQ(config.shared.size(), 4u) << "a directory more";
  EXPECT_EQ(config.shared[0].source, "staged");
  EXPECT_EQ(config.shared[1].source, "existing");
  EXPECT_EQ(config.shared[3].mount_dir, "/home2");
  EXPECT_EQ(config.shared[3].source, "nas:/export");
  EXPECT_EQ(
      errors_of(load_yaml(text, {.providers = {"slurm"}})),
      (std::vector<std::string>{"provider ssh is not served by this version, only slurm is",
                                "provider local is not served by this version, only slurm is"}));
}

TEST(LoadYaml, TakesASiteForTheProviderOfASlurmFile) {
  const LoadOptions options{.providers = {"local", "slurm"}};
  const std::string site = "Coxswain: {Slurm: {Partition: p}}\n";
  EXPECT_EQ(good(load_yaml(kSlurm, options)).provider, "local");
  EXPECT_EQ(good(load_yaml(kSlurm + site, options)).provider, "slurm");
  EXPECT_EQ(
      errors_of(load_yaml(kSlurm + site, {})),
      std::vector<std::string>{"provider slurm is not served by this version, only local is"});
}

TEST(LoadYaml, NamesTheEnvironmentsOfSeveralQueues) {
  const auto text = with(kYaml, "Coxswain:", R"(    - Name: queue2
      Networking: {SubnetIds: [subnet-0123456789abcdef1]}
      ComputeResources:
        - {Name: small, InstanceTypes: [c4.large]}
        - {Name: large, InstanceTypes: [c4.8xlarge], MaxvCpus: 72}
Coxswain:)");
  const auto settings = to_settings(good(load_yaml(text, {})), "demo");
  ASSERT_EQ(settings.queues.size(), 2u);
  EXPECT_EQ(names_of(settings.queues[0].environments), (std::vector<std::string>{"demo-small"}));
  EXPECT_EQ(names_of(settings.queues[1].environments),
            (std::vector<std::string>{"demo-queue2-small", "demo-queue2-large"}));
  EXPECT_EQ(settings.environments.size(), 3u);
}

TEST(LoadYaml, SaysAtMostFiveHundredThings) {
  std::string text = "Tags:\n";
  for (int i = 0; i < 2000; ++i) text += "  - {}\n";
  const auto loaded = load_yaml(text, {});
  ASSERT_EQ(loaded.findings.size(), 501u);
  EXPECT_EQ(loaded.findings.back().text.substr(4),
            " more findings are not shown: mend these first.");
}

TEST(LoadYaml, ResolvesAnchorsAndMergesMaps) {
  const std::string text = R"(Region: &r us-west-2
Image: {Os: alinux2}
HeadNode: &head
  InstanceType: t3.micro
  Networking: {SubnetId: subnet-01234567}
  Imds: {Secured: false}
Scheduling:
  Scheduler: awsbatch
  AwsBatchQueues:
    - Name: queue1
      Networking: {SubnetIds: [subnet-01234567]}
      ComputeResources:
        - <<: {Name: merged, MaxvCpus: 3}
          MaxvCpus: 5
          InstanceTypes: [c4.large]
CustomS3Bucket: *r
)";
  const auto config = good(load_yaml(text, {}));
  EXPECT_EQ(config.queues.at(0).compute_resources.at(0).name, "merged");
  EXPECT_EQ(config.queues.at(0).compute_resources.at(0).max_vcpus, 5) << "own keys win";
}

TEST(LoadIni, ReadsTheSectionThatIsAskedFor) {
  const auto config = good(load_ini(kIni, {.cluster_template = "two"}));
  EXPECT_TRUE(config.v2);
  EXPECT_EQ(config.region, "eu-west-1");
  EXPECT_EQ(config.head_instance_type, "c4.large");
  EXPECT_FALSE(config.sanity_check);
  EXPECT_EQ(config.ssh_alias.at("ssh"), "ssh {CFN_USER}@{MASTER_IP} {ARGS}");
  EXPECT_EQ(config.scaledown_idle_minutes, 4);
  EXPECT_EQ(config.tags, (std::map<std::string, std::string>{{"a", "b"}, {"c", "d"}}));
  const auto& queue = config.queues.at(0);
  EXPECT_TRUE(queue.spot);
  const auto& resource = queue.compute_resources.at(0);
  EXPECT_EQ(resource.instance_types, (std::vector<std::string>{"c5.xlarge", "m4"}));
  EXPECT_EQ(resource.min_vcpus, 1);
  EXPECT_EQ(resource.desired_vcpus, 4);
  EXPECT_EQ(resource.max_vcpus, 16);
  ASSERT_EQ(config.shared.size(), 2u) << "NONE is not used";
  EXPECT_EQ(config.shared[0].as_configured, "own") << "the cluster's, where there is one [ebs]";
  EXPECT_EQ(config.shared[0].mount_dir, "/own");
  EXPECT_EQ(config.shared[1].type, "Efs");
  EXPECT_EQ(config.shared[1].file_system_id, "fs-01234567");
}

TEST(LoadIni, HasVersion2sDefaults) {
  const auto config = good(load_ini(kIni, {.environment_region = "ap-east-1"}));
  EXPECT_EQ(config.region, "ap-east-1") << "the environment goes before the file";
  EXPECT_EQ(config.head_instance_type, "t3.micro");
  const auto& resource = config.queues.at(0).compute_resources.at(0);
  EXPECT_EQ(resource.instance_types, std::vector<std::string>{"optimal"});
  EXPECT_EQ(resource.min_vcpus, 0);
  EXPECT_EQ(resource.desired_vcpus, 4);
  EXPECT_EQ(resource.max_vcpus, 10);
  ASSERT_EQ(config.shared.size(), 1u);
  EXPECT_EQ(config.shared[0].as_configured, "/shared");
  EXPECT_EQ(config.shared[0].type, "Ebs");
}

TEST(LoadIni, ReadsSlurmsQueues) {
  const std::string text = R"([cluster default]
scheduler = slurm
base_os = centos7
vpc_settings = v
queue_settings = small, gpu
disable_hyperthreading = true
post_install = /x.sh
post_install_args = "a b" c
cw_log_settings = l
[vpc v]
vpc_id = vpc-01234567
master_subnet_id = subnet-01234567
[queue small]
compute_resource_settings = a, b
disable_hyperthreading = false
[queue gpu]
compute_resource_settings = g
[compute_resource a]
instance_type = c5.large
min_count = 1
max_count = 4
[compute_resource b]
instance_type = c5.xlarge
[compute_resource g]
instance_type = p3.8xlarge
max_count = 2
[cw_log l]
retention_days = 30
)";
  const auto config = good(load_ini(text, {}));
  EXPECT_EQ(config.os_user, "centos");
  EXPECT_EQ(config.log_retention_days, 30);
  EXPECT_EQ(config.queues.at(1).actions.on_node_configured,
            (std::vector<CustomAction>{{"/x.sh", {"a", "b", "c"}}}));
  const auto settings = to_settings(config, "demo");
  ASSERT_EQ(settings.environments.size(), 3u);
  EXPECT_EQ(settings.environments[0].name.value, "demo-small-a");
  EXPECT_EQ(settings.environments[0].min_vcpus, 2);
  EXPECT_EQ(settings.environments[0].max_vcpus, 8);
  EXPECT_EQ(settings.environments[1].max_vcpus, 40) << "max_count is 10";
  EXPECT_EQ(settings.environments[2].instance_types.at(0).vcpus, 16) << "cores";
  EXPECT_EQ(settings.environments[2].max_vcpus, 32);
  EXPECT_EQ(settings.queues.at(1).name.value, "gpu");
}

TEST(LoadIni, MakesOneSlurmQueueOfTheClustersOwnKeys) {
  const auto text =
      with(with(kIni, "scheduler = awsbatch\n", "scheduler = slurm\n"), "key_name = key\n",
           "compute_instance_type = c5.xlarge\ninitial_queue_size = 2\n"
           "maintain_initial_size = true\n");
  const auto settings = to_settings(good(load_ini(text, {})), "demo");
  ASSERT_EQ(settings.environments.size(), 1u);
  EXPECT_EQ(settings.environments[0].name.value, "demo-default-queue-default-resource");
  EXPECT_EQ(settings.environments[0].min_vcpus, 8);
  EXPECT_EQ(settings.environments[0].max_vcpus, 40);
}

TEST(ToSettings, NamesThingsAsTheHeadKnowsThem) {
  const auto settings = to_settings(good(load_yaml(kYaml, {})), "demo");
  EXPECT_EQ(settings.stack_name, "demo");
  EXPECT_EQ(settings.os_user, "ec2-user");
  EXPECT_EQ(settings.head_node, (InstanceType{"m5.large", 2, MiB{8192}}));
  ASSERT_EQ(settings.queues.size(), 1u);
  EXPECT_EQ(settings.queues[0].name.value, "queue1");
  EXPECT_EQ(settings.queues[0].arn, "arn:aws:batch:us-west-2:123456789012:job-queue/queue1");
  ASSERT_EQ(settings.environments.size(), 1u);
  const auto& environment = settings.environments[0];
  EXPECT_EQ(environment.name.value, "demo-small");
  EXPECT_EQ(environment.arn, "arn:aws:batch:us-west-2:123456789012:compute-environment/demo-small");
  EXPECT_EQ(settings.queues[0].environments.at(0), environment.name);
  EXPECT_EQ(environment.idle_ms_before_release, 180'000);
  EXPECT_EQ(environment.instance_types.front(), (InstanceType{"c4.large", 2, MiB{3840}}));
  EXPECT_EQ(environment.instance_types.at(1).name, "m4.large");
  ASSERT_EQ(settings.shared.size(), 3u);
  EXPECT_EQ(settings.shared[0].as_configured, "data");
  const auto version2 = to_settings(good(load_ini(kIni, {})), "demo");
  EXPECT_EQ(version2.stack_name, "parallelcluster-demo");
  EXPECT_EQ(version2.environments.at(0).name.value, "demo-batch-compute");
  EXPECT_EQ(version2.queues.at(0).name.value, "batch-queue");
}

TEST(ToSettings, NeverReleasesWhereTheIdleTimeIsNegative) {
  auto config = good(load_yaml(kYaml, {}));
  config.scaledown_idle_minutes = -1;
  EXPECT_LT(to_settings(config, "demo").environments.at(0).idle_ms_before_release, 0);
}

// What AWS would refuse and a local cluster can do does not stand in the way of a configuration.
TEST(Findings, ThatCanBeSuppressedLeaveAConfiguration) {
  std::string text(kYaml);
  text.replace(text.find("alinux2023"), 10, "rocky9");
  const auto loaded = load_yaml(text, {});
  const auto os =
      std::find_if(loaded.findings.begin(), loaded.findings.end(),
                   [](const Finding& finding) { return finding.rule == "SchedulerOsValidator"; });
  ASSERT_NE(os, loaded.findings.end());
  EXPECT_EQ(os->level, Level::error);
  EXPECT_TRUE(can_be_suppressed(*os));
  EXPECT_EQ(errors_of(loaded).size(), 1u);
  EXPECT_EQ(good(loaded).os_user, "rocky");
}

TEST(InstanceTypes, ExpandToTheSmallestFirst) {
  const auto optimal = expand_instance_types({"optimal"});
  ASSERT_TRUE(optimal);
  EXPECT_EQ(optimal->front(), (InstanceType{"c4.large", 2, MiB{3840}}));
  for (std::size_t i = 0; i < optimal->size(); ++i) {
    const auto& type = (*optimal)[i];
    EXPECT_NE(std::string("cmr").find(type.name[0]), std::string::npos) << type.name;
    EXPECT_EQ(type.name.find(".metal"), std::string::npos) << type.name;
    if (i > 0) {
      EXPECT_LE((*optimal)[i - 1].vcpus, type.vcpus);
    }
  }
  const auto listed = expand_instance_types({"m5.large", "c4", "m5.large"});
  ASSERT_TRUE(listed);
  EXPECT_EQ(listed->size(), 6u) << "five sizes of c4 and m5.large, once";
}

TEST(InstanceTypes, HaveEc2sFigures) {
  const struct {
    const char* name;
    int vcpus;
    std::int64_t mib;
  } kKnown[] = {
      {"t3.micro", 2, 1024},        {"c4.8xlarge", 36, 61440},      {"c5.9xlarge", 36, 73728},
      {"c5n.18xlarge", 72, 196608}, {"c6gn.16xlarge", 64, 131072},  {"m4.10xlarge", 40, 163840},
      {"m5.metal", 96, 393216},     {"m6g.xlarge", 4, 16384},       {"r4.large", 2, 15616},
      {"r5.24xlarge", 96, 786432},  {"hpc6a.48xlarge", 96, 393216}, {"hpc7a.96xlarge", 192, 786432},
      {"p3.8xlarge", 32, 249856},   {"p5.48xlarge", 192, 2097152},  {"g4dn.xlarge", 4, 16384},
      {"c6i.32xlarge", 128, 262144}};
  for (const auto& known : kKnown) {
    const auto type = find_instance_type(known.name);
    ASSERT_TRUE(type) << known.name;
    EXPECT_EQ(*type, (InstanceType{known.name, known.vcpus, MiB{known.mib}}));
  }
  EXPECT_FALSE(find_instance_type("c4"));
  EXPECT_EQ(expand_instance_types({"c4.lagre"}).error().message,
            "instance type c4.lagre is not known; did you mean c4.large?");
}

TEST(Render, PutsTheCaretBelowTheFault) {
  const Finding finding{Level::error, "Rule", "A.B", {2, 4}, "is wrong"};
  EXPECT_EQ(render(finding, "f.yaml", "x\n\té:bad\r\n"),
            "f.yaml:2:4: error: A.B: is wrong\n   é:bad\n    ^\n");
  EXPECT_EQ(render_place(finding, "f.yaml", "x\nabcdef\n"), "  f.yaml:2:4\n  abcdef\n     ^\n");
  EXPECT_EQ(render({Level::warning, "Rule", "", {}, "is odd"}, "f.yaml", "x"),
            "f.yaml: warning: is odd [Rule]\n");
  const auto far =
      render({Level::error, "Rule", "", {1, 5001}, "far"}, "f", std::string(9000, 'x'));
  EXPECT_LT(far.size(), 400u) << "a line of a megabyte is not printed whole";
}

RC_GTEST_PROP(AnyText, IsReadWithoutAnError, (const std::string& text)) {
  const auto yaml = load_yaml(text, {});
  const auto ini = load_ini(text, {});
  RC_ASSERT(yaml.config.has_value() || !yaml.findings.empty());
  RC_ASSERT(ini.config.has_value() || !ini.findings.empty());
}

// One character of a good file changed: all is said with a place that the file has.
RC_GTEST_PROP(AnyChange, GivesPlacesInTheFile, ()) {
  const bool is_ini = *rc::gen::arbitrary<bool>();
  std::string text = is_ini ? kIni : kYaml;
  const auto at = *rc::gen::inRange<std::size_t>(0, text.size());
  const std::string characters = ":#-[]{}\t\n 'x&*!|>%@=;";
  text[at] = characters[*rc::gen::inRange<std::size_t>(0, characters.size())];
  const auto loaded = is_ini ? load_ini(text, {}) : load_yaml(text, {});
  const auto lines = std::count(text.begin(), text.end(), '\n') + 1;
  for (const auto& finding : loaded.findings) {
    RC_ASSERT(finding.place.line >= 0 && finding.place.line <= lines);
    RC_ASSERT(!render(finding, "f", text).empty());
  }
}

}  // namespace
}  // namespace cox::config
