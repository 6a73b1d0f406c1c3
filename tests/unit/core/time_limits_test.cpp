#include "runtime/core/time_limits.hpp"

#include <gtest/gtest.h>

namespace cox::core {
namespace {

constexpr const char* kTooLarge = "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE";
const Millis kThen{1'700'000'000'000};

Block block(BlockKind kind, int wanted = 1, int have = 1, std::string note = "") {
  return {kind, ComputeEnvironmentName{"small"}, wanted, have, JobId{}, std::move(note)};
}

TEST(BlockedCause, IsNoneForAJobThatWillStart) {
  EXPECT_EQ(blocked_cause({}), "");
  EXPECT_EQ(blocked_cause({block(BlockKind::nodes_busy)}), "");
  EXPECT_EQ(blocked_cause(
                {block(BlockKind::no_environment_fits, 9, 8), block(BlockKind::nodes_starting)}),
            "");
}

TEST(BlockedCause, TellsAJobThatIsTooLargeFromOneThatNoNodeHolds) {
  EXPECT_EQ(blocked_cause({block(BlockKind::no_environment_fits, 9, 8)}), kTooLarge);
  EXPECT_EQ(blocked_cause({block(BlockKind::no_environment_fits, 9, 8),
                           block(BlockKind::no_environment_fits, 9, 16)}),
            "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT");
}

TEST(BlockedCause, IsCapacityWhereNodesDoNotStart) {
  EXPECT_EQ(blocked_cause({block(BlockKind::nodes_busy, 1, 0, "nodes do not start")}),
            "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY");
}

TEST(HeadOfAQueue, CountsFromTheChangeOfJobOrCause) {
  const HeadOfQueue before{JobId{"a"}, kTooLarge, kThen, kThen + 1};
  const auto now = kThen + 5;
  EXPECT_EQ(seen_again(before, JobId{"a"}, kTooLarge, now), before);
  EXPECT_EQ(seen_again(before, JobId{"a"}, "", now), (HeadOfQueue{JobId{"a"}, "", kThen, now}));
  EXPECT_EQ(seen_again(before, JobId{"b"}, kTooLarge, now),
            (HeadOfQueue{JobId{"b"}, kTooLarge, now, now}));
}

TEST(HeadOfAQueue, IsTheSameAfterItWasWrittenDown) {
  const HeadsOfQueues heads{{QueueName{"q1"}, {JobId{"a:1"}, kTooLarge, kThen, kThen + 1}},
                            {QueueName{"q2"}, {JobId{"b"}, "", kThen + 2, kThen + 2}}};
  EXPECT_EQ(heads_from_text(to_text(heads)), heads);
  EXPECT_EQ(heads_from_text("\nq a x 1 c\nq a 1\n"), HeadsOfQueues{});
}

TEST(LimitActions, AreDueAfterTheirTimeAndForTheirCause) {
  JobQueue queue;
  queue.limit_actions = {{kTooLarge, 600, false}, {"too long for us", 900, true}};
  const HeadOfQueue large{JobId{"a"}, kTooLarge, kThen, kThen};
  const HeadOfQueue waiting{JobId{"a"}, "", kThen, kThen + 7};
  EXPECT_EQ(due_action(queue, large, kThen + 599'999), nullptr);
  EXPECT_EQ(due_action(queue, large, kThen + 600'000), &queue.limit_actions[0]);
  EXPECT_EQ(due_action(queue, waiting, kThen + 899'999), nullptr);
  EXPECT_EQ(due_action(queue, waiting, kThen + 900'000), &queue.limit_actions[1]);
  EXPECT_EQ(next_action(queue, large), kThen + 600'000);
  EXPECT_EQ(next_action(queue, waiting), kThen + 900'000);
  EXPECT_EQ(next_action(JobQueue{}, large), std::nullopt);
}

}  // namespace
}  // namespace cox::core
