#include "launcher/config/compare.hpp"

#include <gtest/gtest.h>

namespace cox::config {
namespace {

constexpr const char* kFile = R"(Region: us-west-2
HeadNode:
  InstanceType: t3.micro
  Imds: {Secured: false}
SharedStorage:
  - {Name: data, StorageType: Ebs, MountDir: /shared}
Scheduling:
  Scheduler: awsbatch
  AwsBatchQueues:
    - Name: q
      ComputeResources:
        - {Name: r, InstanceTypes: [c4.large], MinvCpus: 0, DesiredvCpus: 0, MaxvCpus: 10}
)";

std::string with(const std::string& from, const std::string& to) {
  std::string text = kFile;
  return text.replace(text.find(from), from.size(), to);
}

std::vector<std::string> messages(const std::vector<Refusal>& refused) {
  std::vector<std::string> list;
  for (const auto& each : refused) list.push_back(each.message);
  return list;
}

const std::string kResource = "Scheduling.AwsBatchQueues[q].ComputeResources[r]";

TEST(CompareYaml, SameFilesHaveNoChanges) {
  EXPECT_TRUE(compare_yaml(kFile, kFile).empty());
  EXPECT_TRUE(compare_yaml(kFile, with("Secured: false", "Secured: False")).empty());
}

TEST(CompareYaml, NamesTheParameterAndBothValues) {
  const auto changes = compare_yaml(kFile, with("MaxvCpus: 10", "MaxvCpus: 16"));

  EXPECT_EQ(changes, (std::vector<Change>{{kResource + ".MaxvCpus", "16", "10",
                                           UpdatePolicy::fleet_resize, "q", "r"}}));
}

TEST(CompareYaml, AnAbsentValueIsADash) {
  const auto gone = compare_yaml(kFile, with("Region: us-west-2\n", ""));
  const auto added = compare_yaml(with("Region: us-west-2\n", ""), kFile);

  EXPECT_EQ(gone,
            (std::vector<Change>{{"Region", "-", "us-west-2", UpdatePolicy::unsupported, "", ""}}));
  EXPECT_EQ(added,
            (std::vector<Change>{{"Region", "us-west-2", "-", UpdatePolicy::unsupported, "", ""}}));
}

TEST(CompareYaml, AnItemIsShownAsJson) {
  const auto queue = std::string(kFile).find("    - Name: q");
  const auto changes = compare_yaml(std::string(kFile).substr(0, queue) + "    []\n", kFile);

  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].requested,
            R"({"Name":"q","ComputeResources":[{"Name":"r","InstanceTypes":["c4.large"],)"
            R"("MinvCpus":0,"DesiredvCpus":0,"MaxvCpus":10}]})");
}

TEST(CompareYaml, AnItemMoreIsOneChangeOfTheList) {
  const auto changes = compare_yaml(
      kFile,
      with("Scheduling:", "  - {Name: more, StorageType: Efs, MountDir: /more}\nScheduling:"));

  EXPECT_EQ(changes,
            (std::vector<Change>{{"SharedStorage",
                                  R"({"Name":"more","StorageType":"Efs","MountDir":"/more"})", "-",
                                  UpdatePolicy::add_only, "", ""}}));
  EXPECT_TRUE(refusals(changes, {}).empty());
}

TEST(CompareYaml, DesiredVcpusIsAppliedAndNotShown) {
  const auto changes = compare_yaml(kFile, with("DesiredvCpus: 0", "DesiredvCpus: 3"));

  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].policy, UpdatePolicy::ignored);
}

struct PolicyCase {
  const char* name;
  const char* from;
  const char* to;
  int vcpus;
  std::vector<std::string> want;
  friend void PrintTo(const PolicyCase& c, std::ostream* out) { *out << c.name; }
};

const PolicyCase kPolicies[] = {
    {"min_may_rise", "MinvCpus: 0", "MinvCpus: 4", 8, {}},
    {"max_may_fall_to_what_runs", "MaxvCpus: 10", "MaxvCpus: 8", 8, {}},
    {"max_may_not_fall_below_what_runs",
     "MaxvCpus: 10",
     "MaxvCpus: 4",
     8,
     {kResource + ".MaxvCpus cannot become 4: 8 vCPUs are running. Take at least 8, or stop the "
                  "compute fleet with pcluster update-compute-fleet."}},
    {"types_may_change_without_nodes", "[c4.large]", "[c4.large, c5.large]", 0, {}},
    {"types_may_not_change_with_nodes",
     "[c4.large]",
     "[c4.large, c5.large]",
     2,
     {kResource + ".InstanceTypes cannot be changed while nodes are there (2 vCPUs). Stop the "
                  "compute fleet with pcluster update-compute-fleet, with a minimum of 0, and "
                  "update the cluster when its nodes are gone."}},
    {"head_node_never_changes",
     "t3.micro",
     "t3.medium",
     0,
     {"HeadNode.InstanceType cannot be changed of a cluster that is there. Restore t3.micro, or "
      "make a new cluster."}},
    {"storage_does_not_go",
     "  - {Name: data, StorageType: Ebs, MountDir: /shared}\n",
     "",
     0,
     {"SharedStorage cannot be taken away or changed: nodes and jobs use it. Restore "
      R"({"Name":"data","StorageType":"Ebs","MountDir":"/shared"}.)"}},
};

class Policies : public testing::TestWithParam<PolicyCase> {};

TEST_P(Policies, RefuseWithTheReasonAndWhatToDo) {
  const auto& c = GetParam();

  const auto refused = refusals(compare_yaml(kFile, with(c.from, c.to)), {{"q", "r", c.vcpus, 1}});

  EXPECT_EQ(messages(refused), c.want);
}

INSTANTIATE_TEST_SUITE_P(, Policies, testing::ValuesIn(kPolicies),
                         [](const auto& test) { return test.param.name; });

TEST(CompareIni, ComparesTheSectionsThatTheTemplateUses) {
  const std::string now =
      "[cluster a]\nmax_vcpus = 4\nvpc_settings = v\n[cluster b]\nmax_vcpus = 2\n[vpc v]\n"
      "ssh_from = 0.0.0.0/0\nmaster_subnet_id = subnet-1\n";
  const std::string next =
      "[cluster a]\nmax_vcpus = 6\nvpc_settings = v\n[cluster b]\nmax_vcpus = 9\n[vpc v]\n"
      "ssh_from = 10.0.0.0/8\nmaster_subnet_id = subnet-2\n";

  const auto changes = compare_ini(now, "a", next, "a");

  EXPECT_EQ(changes,
            (std::vector<Change>{
                {"[cluster] max_vcpus", "6", "4", UpdatePolicy::fleet_resize, "", ""},
                {"[vpc v] ssh_from", "10.0.0.0/8", "0.0.0.0/0", UpdatePolicy::supported, "", ""},
                {"[vpc v] master_subnet_id", "subnet-2", "subnet-1", UpdatePolicy::unsupported, "",
                 ""}}));
}

}  // namespace
}  // namespace cox::config
