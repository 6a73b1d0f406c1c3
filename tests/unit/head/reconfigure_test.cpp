#include <gtest/gtest.h>

#include "runtime/head/state.hpp"

namespace cox::head {
namespace {

ClusterSettings settings(int min, int max) {
  ComputeEnvironment environment;
  environment.name = ComputeEnvironmentName{"c-small"};
  environment.min_vcpus = min;
  environment.max_vcpus = max;
  environment.instance_types = {{"c4.large", 2, MiB{3840}}};
  JobQueue queue;
  queue.name = QueueName{"q"};
  queue.environments = {environment.name};
  ClusterSettings made;
  made.name = "c";
  made.environments = {environment};
  made.queues = {queue};
  return made;
}

Node node_of(int ordinal) {
  Node node;
  node.id = NodeId{"i-" + std::to_string(ordinal)};
  node.ordinal = ordinal;
  node.environment = ComputeEnvironmentName{"c-small"};
  node.vcpus = 2;
  node.status = NodeStatus::up;
  return node;
}

TEST(TakeOver, FollowsWhatTheFileHasChangedTwiceOver) {
  State state(settings(0, 4));

  for (int i = 0; i < 2; ++i) {
    const auto changed = state.take_over(settings(0, 4), settings(2, 8));

    EXPECT_TRUE(changed.put.empty());
    EXPECT_TRUE(changed.gone.empty());
    EXPECT_EQ(state.cluster().environments, settings(2, 8).environments);
    EXPECT_EQ(state.cluster().queues, settings(2, 8).queues);
  }
}

TEST(TakeOver, LeavesWhatAClientHasSetWhereTheFileSaysTheSame) {
  State state(settings(0, 4));
  auto queue = state.cluster().queues.front();
  queue.priority = 7;
  state.put(queue);
  auto environment = state.cluster().environments.front();
  environment.max_vcpus = 6;
  state.put(environment);

  const auto changed = state.take_over(settings(0, 4), settings(2, 4));

  EXPECT_EQ(state.cluster().queues.front().priority, 7);
  EXPECT_EQ(state.cluster().environments.front().max_vcpus, 6);
  EXPECT_EQ(state.cluster().environments.front().min_vcpus, 2);
  EXPECT_EQ(changed.put.size(), 2u) << "both are stored, and to be stored anew";
}

TEST(MayTakeOver, NamesTheVcpusThatRun) {
  State state(settings(0, 8));
  state.put_node(node_of(1));
  state.put_node(node_of(2));

  EXPECT_TRUE(state.may_take_over(settings(0, 8), settings(0, 4)));
  const auto refused = state.may_take_over(settings(0, 8), settings(0, 2));

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(), (Error{Errc::conflict,
                                    "compute environment c-small has nodes of 4 vCPUs: MaxvCpus "
                                    "cannot become 2"}));
}

TEST(MayTakeOver, KeepsAnEnvironmentThatHasNodes) {
  State state(settings(0, 8));
  state.put_node(node_of(1));
  auto without = settings(0, 8);
  without.environments.clear();

  const auto refused = state.may_take_over(settings(0, 8), without);

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message,
            "compute environment c-small has nodes of 2 vCPUs: it cannot go");
}

TEST(MayTakeOver, DoesNotTakeAClientsName) {
  State state(settings(0, 8));
  JobQueue made;
  made.name = QueueName{"theirs"};
  made.from_file = false;
  state.put(made);
  auto more = settings(0, 8);
  more.queues.push_back(made);

  const auto refused = state.may_take_over(settings(0, 8), more);

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(), (Error{Errc::conflict, "there is a job queue theirs already"}));
}

}  // namespace
}  // namespace cox::head
