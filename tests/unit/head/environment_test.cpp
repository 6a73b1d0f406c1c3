#include "runtime/head/environment.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/mpi/direct_plan.hpp"

namespace cox::head {
namespace {

using testing::IsEmpty;

ClusterSettings settings() {
  ClusterSettings cluster;
  cluster.name = "tutor";
  cluster.stack_name = "tutor";
  cluster.region = "eu-west-1";
  return cluster;
}

/// A job on nodes 10.0.0.11, 10.0.0.12, … with two slots each.
Job placed(JobSpec spec, int attempt = 1, std::optional<int> array_index = {}) {
  spec.queue = QueueName{"tutor-queue"};
  spec.command = {"run.sh", "a b"};
  Job job;
  job.id = JobId{array_index ? fmt::format("u:{}", *array_index) : "u"};
  job.spec = std::move(spec);
  job.array_index = array_index;
  Attempt current;
  current.number = attempt;
  for (int i = 0; i < job.node_count(); ++i) {
    NodeRun run;
    run.node = NodeId{fmt::format("i-{}", i)};
    run.address = fmt::format("10.0.0.{}", 11 + i);
    run.hostname = fmt::format("ip-10-0-0-{}", 11 + i);
    run.environment = ComputeEnvironmentName{"tutor-ce"};
    run.slots = 2;
    current.nodes.push_back(std::move(run));
  }
  job.attempts.push_back(std::move(current));
  return job;
}

/// "NAME=value" lines.
std::vector<std::string> lines(const std::vector<EnvVar>& variables) {
  std::vector<std::string> list;
  for (const auto& each : variables) list.push_back(each.name + "=" + each.value);
  return list;
}

using Lines = std::vector<std::string>;

Lines with(Lines first, const Lines& rest) {
  first.insert(first.end(), rest.begin(), rest.end());
  return first;
}

const Lines kOfCluster = {"PCLUSTER_AWS_REGION=eu-west-1",  "PCLUSTER_STACK_NAME=tutor",
                          "PCLUSTER_SHARED_DIRS=NONE",      "PCLUSTER_RAID_SHARED_DIR=NONE",
                          "PCLUSTER_EFS_SHARED_DIRS=NONE",  "PCLUSTER_EFS_FS_IDS=NONE",
                          "PCLUSTER_HEAD_NODE_IP=10.0.0.10"};

TEST(PartEnvironment, NamesASingleJobAndItsCluster) {
  const auto cluster = settings();

  EXPECT_EQ(lines(part_environment(placed({}, 2), 0, {&cluster, "10.0.0.10"})),
            with({"AWS_BATCH_JOB_ID=u", "AWS_BATCH_JOB_ATTEMPT=2", "AWS_BATCH_JQ_NAME=tutor-queue",
                  "AWS_BATCH_CE_NAME=tutor-ce"},
                 kOfCluster));
}

TEST(PartEnvironment, NamesAnArrayChildByItsIndex) {
  const auto cluster = settings();
  JobSpec spec;
  spec.array_size = 4;

  EXPECT_EQ(lines(part_environment(placed(spec, 1, 3), 0, {&cluster, "10.0.0.10"})),
            with({"AWS_BATCH_JOB_ID=u:3", "AWS_BATCH_JOB_ATTEMPT=1",
                  "AWS_BATCH_JQ_NAME=tutor-queue", "AWS_BATCH_CE_NAME=tutor-ce",
                  "AWS_BATCH_JOB_ARRAY_INDEX=3", "AWS_BATCH_JOB_ARRAY_SIZE=4"},
                 kOfCluster));
}

TEST(PartEnvironment, TellsEveryNodeButTheMainOneWhereThatIs) {
  const auto cluster = settings();
  JobSpec spec;
  spec.nodes = 2;
  const auto of_node = [&](int index) {
    return lines(part_environment(placed(spec), index, {&cluster, "10.0.0.10"}));
  };
  const Lines common = {"AWS_BATCH_JOB_ATTEMPT=1", "AWS_BATCH_JQ_NAME=tutor-queue",
                        "AWS_BATCH_CE_NAME=tutor-ce", "AWS_BATCH_JOB_NUM_NODES=2"};

  EXPECT_EQ(of_node(0),
            with(with(with({"AWS_BATCH_JOB_ID=u#0"}, common),
                      {"AWS_BATCH_JOB_NODE_INDEX=0", "AWS_BATCH_JOB_MAIN_NODE_INDEX=0"}),
                 kOfCluster));
  EXPECT_EQ(of_node(1), with(with(with({"AWS_BATCH_JOB_ID=u#1"}, common),
                                  {"AWS_BATCH_JOB_NODE_INDEX=1", "AWS_BATCH_JOB_MAIN_NODE_INDEX=0",
                                   "AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS=10.0.0.11"}),
                             kOfCluster));
}

TEST(PartEnvironment, ListsSharedDirectoriesAsTheyWereConfigured) {
  auto cluster = settings();
  cluster.shared = {{"/shared", "shared", "Ebs", ""},
                    {"/efs", "/efs", "Efs", "fs-1"},
                    {"/more", "/more", "Ebs", ""},
                    {"/raid", "/raid", "Raid", ""}};
  const auto list = lines(part_environment(placed({}), 0, {&cluster, "10.0.0.10"}));

  EXPECT_THAT(list, testing::IsSupersetOf(
                        {"PCLUSTER_SHARED_DIRS=shared,/more", "PCLUSTER_RAID_SHARED_DIR=/raid",
                         "PCLUSTER_EFS_SHARED_DIRS=/efs", "PCLUSTER_EFS_FS_IDS=fs-1"}));
}

TEST(PartEnvironment, UsesTheNamesOfTheOlderVersionForItsClusters) {
  auto cluster = settings();
  cluster.v2 = true;
  cluster.stack_name = "parallelcluster-tutor";

  EXPECT_THAT(lines(part_environment(placed({}), 0, {&cluster, "10.0.0.10"})),
              testing::ElementsAre("AWS_BATCH_JOB_ID=u", "AWS_BATCH_JOB_ATTEMPT=1",
                                   "AWS_BATCH_JQ_NAME=tutor-queue", "AWS_BATCH_CE_NAME=tutor-ce",
                                   "PCLUSTER_AWS_REGION=eu-west-1",
                                   "PCLUSTER_STACK_NAME=parallelcluster-tutor",
                                   "PCLUSTER_SHARED_DIRS=NONE", "PCLUSTER_RAID_SHARED_DIR=NONE",
                                   "PCLUSTER_EFS_SHARED_DIR=NONE", "PCLUSTER_EFS_FS_ID=NONE",
                                   "PCLUSTER_MASTER_IP=10.0.0.10", "MASTER_IP=10.0.0.10"));
}

TEST(MakePrepare, TellsANodeAllOfTheJobsNodes) {
  const auto cluster = settings();
  JobSpec spec;
  spec.nodes = 2;
  spec.vcpus = 2;
  spec.memory = MiB{300};
  spec.environment = {{"A", "b"}};

  const auto prepare = make_prepare(placed(spec, 3), 1, {&cluster, "10.0.0.10"});

  ASSERT_TRUE(prepare) << prepare.error().message;
  EXPECT_EQ(prepare->part, (wire::PartKey{JobId{"u"}, 3, 1}));
  EXPECT_EQ(prepare->command, (std::vector<std::string>{"run.sh", "a b"}));
  EXPECT_EQ(prepare->vcpus, 2);
  EXPECT_EQ(prepare->memory_mib, 300);
  EXPECT_TRUE(prepare->multi_node);
  EXPECT_EQ(prepare->directory, "job-u#1");
  EXPECT_EQ(prepare->hostfile, "10.0.0.11 slots=2\n10.0.0.12 slots=2\n");
  EXPECT_EQ(prepare->peers,
            (std::vector<wire::Peer>{{0, NodeId{"i-0"}, "10.0.0.11", "ip-10-0-0-11", 2},
                                     {1, NodeId{"i-1"}, "10.0.0.12", "ip-10-0-0-12", 2}}));
  EXPECT_EQ(prepare->environment.front(), (EnvVar{"A", "b"}));
}

TEST(MakePrepare, GivesASingleJobNoHostfile) {
  const auto cluster = settings();

  const auto prepare = make_prepare(placed({}), 0, {&cluster, "10.0.0.10"});

  ASSERT_TRUE(prepare) << prepare.error().message;
  EXPECT_EQ(prepare->hostfile, "");
  EXPECT_EQ(prepare->directory, "job-u");
  EXPECT_FALSE(prepare->multi_node);
}

TEST(MakePrepare, HandsTheContainerOnButStartsNoRanksInIt) {
  const auto cluster = settings();
  PartContext context{&cluster, "10.0.0.10"};
  context.container.image = "python:3";

  const auto prepare = make_prepare(placed({}), 0, context);
  ASSERT_TRUE(prepare) << prepare.error().message;
  EXPECT_EQ(prepare->container.image, "python:3");

  JobSpec spec;
  spec.mpi = MpiRun{};
  const auto refused = make_prepare(placed(spec), 0, context);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::invalid_argument);
}

TEST(MakePrepare, RunsMpirunOnTheMainNodeOnlyWhereTheProductDoes) {
  const auto cluster = settings();
  JobSpec spec;
  spec.nodes = 2;
  spec.mpi = MpiRun{};
  PartContext context{&cluster, "10.0.0.10"};
  context.paths.mpirun = "/usr/lib64/openmpi/bin/mpirun";
  const auto main = make_prepare(placed(spec), 0, context);
  const auto other = make_prepare(placed(spec), 1, context);

  ASSERT_TRUE(main) << main.error().message;
  ASSERT_EQ(main->command.size(), 3u);
  EXPECT_EQ(main->command[0], "/bin/sh");
  EXPECT_THAT(main->command[2], testing::StartsWith("exec /usr/lib64/openmpi/bin/mpirun "));
  EXPECT_THAT(main->command[2], testing::HasSubstr("\"$HOME/hostfile\""));
  EXPECT_THAT(main->command[2], testing::EndsWith(" \"$HOME\"/run.sh 'a b'"));
  EXPECT_THAT(other->command, IsEmpty());
  EXPECT_EQ(main->directory, "");
}

TEST(MakePrepare, GivesEveryNodeTheSeatsOfADirectLaunchAndItsOwnCores) {
  const auto cluster = settings();
  JobSpec spec;
  spec.nodes = 2;
  spec.mpi = MpiRun{};
  spec.mpi.edit()->library = "openmpi";
  const mpi::NodePaths paths{.bin_dir = "/opt/cox", .mpirun = "/opt/mpi/bin/mpirun"};
  const PartContext context{&cluster, "10.0.0.10", false, {{0, {0}}, {0, {1}}, {1, {0, 1}}},
                            {},       paths};

  const auto main = make_prepare(placed(spec), 0, context);
  const auto other = make_prepare(placed(spec), 1, context);

  ASSERT_TRUE(main && other);
  EXPECT_EQ(main->seats, (std::vector<wire::Seat>{{0, {0}}, {0, {1}}, {1, {}}}));
  EXPECT_EQ(other->seats, (std::vector<wire::Seat>{{0, {}}, {0, {}}, {1, {0, 1}}}));
  EXPECT_EQ(main->command, placed(spec).spec->command) << "the program itself, not mpirun";
  EXPECT_EQ(other->command, main->command);
  EXPECT_EQ(main->mpi_library, "openmpi");
  EXPECT_EQ(main->mpi_environment, mpi::direct_defaults(paths, "openmpi", false));
}

TEST(MakePrepare, FailsWhereTheHostfileCannotBeMade) {
  const auto cluster = settings();
  JobSpec spec;
  spec.nodes = 1;
  auto job = placed(spec);
  job.attempts.back().nodes[0].address = "";

  const auto prepare = make_prepare(job, 0, {&cluster, "10.0.0.10"});

  ASSERT_FALSE(prepare);
  EXPECT_EQ(prepare.error().code, Errc::invalid_argument);
}

}  // namespace
}  // namespace cox::head
