#include "runtime/core/changes.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "tests/unit/core/world.hpp"

namespace cox::core {
namespace {

using Lines = std::vector<std::string>;

Lines changes_of(const World& world, const std::string& id) {
  Lines lines;
  for (const auto& each : smallest_changes(world.snapshot(), JobId{id}, 10'000)) {
    lines.push_back(to_sentence(each));
  }
  return lines;
}

TEST(SmallestChanges, NameTheMostVcpusThatStartNow) {
  World world(cluster_of({environment_of("ce", 0, 4, {kLarge})}));
  world.node("n1", kLarge).runs("r1", spec_of(1), {"n1"}).waits("w1", spec_of(4));
  EXPECT_EQ(changes_of(world, "w1"), (Lines{"--vcpus 3 in place of 4 starts at once"}));
}

TEST(SmallestChanges, NameTheMostMemoryThatStartsNow) {
  World world(cluster_of({environment_of("ce", 0, 2, {kSmall})}));
  world.node("n1", kSmall).runs("r1", spec_of(1, MiB{1000}), {"n1"});
  world.waits("w1", spec_of(1, MiB{1500}));
  EXPECT_EQ(changes_of(world, "w1"), (Lines{"--memory 1048 in place of 1500 starts at once"}));
}

TEST(SmallestChanges, NameBothWhereNeitherWouldDo) {
  World world(cluster_of({environment_of("ce", 0, 2, {kSmall})}));
  world.node("n1", kSmall).runs("r1", spec_of(1, MiB{1000}), {"n1"});
  world.waits("w1", spec_of(2, MiB{1500}));
  EXPECT_EQ(changes_of(world, "w1"),
            (Lines{"--vcpus 1 in place of 2 and --memory 1048 in place of 1500 start at once"}));
}

TEST(SmallestChanges, NameFewerNodes) {
  World world(cluster_of({environment_of("ce", 0, 6, {kSmall})}));
  world.node("n1", kSmall).node("n2", kSmall).node("n3", kSmall);
  world.runs("r1", spec_of(1), {"n2"}).waits("w1", wide_spec(3, 2));
  EXPECT_EQ(changes_of(world, "w1"), (Lines{"--nodes 2 in place of 3 starts at once"}));
}

TEST(SmallestChanges, NameATimeoutThatLetsItPass) {
  World world(cluster_of({environment_of("ce", 0, 4, {kSmall})}));
  world.node("n1", kSmall).node("n2", kSmall);
  auto timed = spec_of(2);
  timed.timeout_s = 600;
  world.runs("r1", timed, {"n1"});
  world.jobs.back() = follow(std::move(world.jobs.back()), {NodeStarted{kThen + 1000, 1, 0}});
  world.now = kThen + 1000;
  world.waits("w1", wide_spec(2, 2)).waits("w2", spec_of(1));
  EXPECT_EQ(changes_of(world, "w2"), (Lines{"--timeout 600 starts at once"}));
}

TEST(SmallestChanges, NameAnotherQueue) {
  World world(
      cluster_of({environment_of("ce", 0, 2, {kSmall}), environment_of("other", 0, 2, {kSmall})}));
  auto second = world.cluster.queues[0];
  world.cluster.queues[0].environments = {ComputeEnvironmentName{"ce"}};
  second.name = QueueName{"second"};
  second.environments = {ComputeEnvironmentName{"other"}};
  world.cluster.queues.push_back(second);
  world.node("n1", kSmall).node("n2", kSmall, NodeStatus::up, "other");
  world.runs("r1", spec_of(2), {"n1"}).waits("w1", spec_of(2));
  EXPECT_EQ(changes_of(world, "w1"), (Lines{"--job-queue second starts at once"}));
}

TEST(SmallestChanges, AreNoneWhereEverythingIsHeldAndForWhoDoesNotWait) {
  World world(cluster_of({environment_of("ce", 0, 2, {kSmall})}));
  world.node("n1", kSmall).runs("r1", spec_of(2), {"n1"}).waits("w1", spec_of(2));
  EXPECT_EQ(changes_of(world, "w1"), Lines{});
  EXPECT_EQ(changes_of(world, "r1"), Lines{});
  EXPECT_EQ(changes_of(world, "nobody"), Lines{});
}

TEST(HoldersOf, AreTheJobsOnItsNodes) {
  World world(
      cluster_of({environment_of("ce", 0, 4, {kSmall}), environment_of("other", 0, 2, {kSmall})}));
  world.node("n1", kSmall).node("n2", kSmall, NodeStatus::up, "other");
  world.runs("r1", spec_of(1), {"n1"}).runs("r2", spec_of(1), {"n2"}).waits("w1", spec_of(2));
  EXPECT_EQ(holders_of(world.snapshot(), ComputeEnvironmentName{"ce"}),
            (std::vector<JobId>{JobId{"r1"}}));
}

/// What is named does it, and one vCPU more does not.
RC_GTEST_PROP(SmallestChangesOf, AnyJobDoWhatTheySay, ()) {
  World world(cluster_of({environment_of("ce", 0, 16, {kLarge})}));
  for (int i = 0; i < 4; ++i) world.node(fmt::format("n{}", i), kLarge);
  for (int i = *rc::gen::inRange(0, 8); i > 0; --i) {
    world.waits(fmt::format("r{}", i), spec_of(*rc::gen::inRange(1, 5)));
  }
  world.carry_out(place(world.snapshot()));
  world.waits("w", spec_of(*rc::gen::inRange(2, 6)));
  const auto starts = [&](int vcpus) {
    world.find_job(JobId{"w"})->spec.edit().vcpus = vcpus;
    const auto plan = place(world.snapshot());
    return std::any_of(plan.placed.begin(), plan.placed.end(),
                       [](const Placement& each) { return each.job == JobId{"w"}; });
  };
  for (const auto& changes : smallest_changes(world.snapshot(), JobId{"w"}, 10'000)) {
    RC_ASSERT(changes.size() == 1u);
    if (changes[0].kind != ChangeKind::vcpus) continue;
    RC_ASSERT(starts(static_cast<int>(changes[0].to)));
    RC_ASSERT(changes[0].to + 1 == changes[0].from || !starts(static_cast<int>(changes[0].to) + 1));
  }
}

}  // namespace
}  // namespace cox::core
