#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

#include "launcher/config/config.hpp"
#include "tests/unit/config/samples.hpp"

namespace cox::config {
namespace {

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

/// Level and text of what is said of a region.
std::string said_of_region(const std::string& region) {
  for (const auto& finding : load_yaml("Region: " + region + "\n", {}).findings) {
    if (finding.rule == "RegionValidator") {
      return std::string(to_string(finding.level)) + " " + finding.text;
    }
  }
  return {};
}

TEST(LoadYaml, KnowsTheRegionsAndTakesOneThatMayBeNew) {
  EXPECT_EQ(said_of_region("eu-central-1"), "");
  EXPECT_EQ(said_of_region("us-gov-west-1"), "");
  EXPECT_EQ(said_of_region("us-wset-2"),
            "WARNING AWS has no region us-wset-2; did you mean us-west-2?");
  EXPECT_EQ(said_of_region("mars"), "ERROR AWS has no region mars");
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
  } kKnown[] = {{"t3.micro", 2, 1024},           {"c4.8xlarge", 36, 61440},
                {"c5.9xlarge", 36, 73728},       {"c5n.18xlarge", 72, 196608},
                {"c6gn.16xlarge", 64, 131072},   {"m4.10xlarge", 40, 163840},
                {"m5.metal", 96, 393216},        {"m6g.xlarge", 4, 16384},
                {"r4.large", 2, 15616},          {"r5.24xlarge", 96, 786432},
                {"hpc6a.48xlarge", 96, 393216},  {"hpc7a.96xlarge", 192, 786432},
                {"p3.8xlarge", 32, 249856},      {"p5.48xlarge", 192, 2097152},
                {"g4dn.xlarge", 4, 16384},       {"c6i.32xlarge", 128, 262144},
                {"c7a.medium", 1, 2048},         {"m8g.48xlarge", 192, 786432},
                {"i3en.6xlarge", 24, 196608},    {"x1e.xlarge", 4, 124928},
                {"inf2.8xlarge", 32, 131072},    {"m7i-flex.large", 2, 8192},
                {"r7iz.metal-16xl", 64, 524288}, {"c8i.96xlarge", 384, 786432},
                {"r8a.48xlarge", 192, 1572864},  {"i7ie.3xlarge", 12, 98304},
                {"d3en.12xlarge", 48, 196608},   {"p6-b200.48xlarge", 192, 2097152}};
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
            "f.yaml:2:4: error: A.B: is wrong [Rule]\n   é:bad\n    ^\n");
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
