#include <gtest/gtest.h>

#include <tuple>

#include "tests/unit/config/samples.hpp"

// Several queues and compute resources, Slurm's, and our own keys.

namespace cox::config {
namespace {

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

TEST(LoadYaml, ReadsItsOwnKeys) {
  const auto text = with(kYaml, "  Provider: local\n", R"(  Provider: ssh
  Containers: host
  HistoryDays: 30
  Queues: [{Name: queue1, MaxRunningJobs: 4}]
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
  const auto settings = to_settings(config, "demo");
  EXPECT_EQ(settings.history_days, 30);
  EXPECT_EQ(running_limit(settings.queues.at(0)), 4);
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
      (std::vector<std::string>{"provider ssh is not served by this version, which has slurm",
                                "provider local is not served by this version, which has slurm"}));
}

TEST(LoadYaml, TakesASiteForTheProviderOfASlurmFile) {
  const LoadOptions options{.providers = {"local", "slurm"}};
  const std::string site = "Coxswain: {Slurm: {Partition: p}}\n";
  EXPECT_EQ(good(load_yaml(kSlurm, options)).provider, "local");
  EXPECT_EQ(good(load_yaml(kSlurm + site, options)).provider, "slurm");
  EXPECT_EQ(errors_of(load_yaml(kSlurm + site, {.providers = {"local", "ssh"}})),
            std::vector<std::string>{
                "provider slurm is not served by this version, which has local, ssh"});
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
            (std::vector<CustomAction>{{"/x.sh", {"/x.sh", "a", "b", "c"}}}));
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

}  // namespace
}  // namespace cox::config
