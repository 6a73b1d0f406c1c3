#include "runtime/core/lending.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/core/world.hpp"

/// Nodes that are lent for a time, in allocations.
namespace cox::core {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

/// An environment of small nodes, lent for an hour where nobody says otherwise.
World lent_world(int max_vcpus, Lending lending = {3600, 0}) {
  auto cluster = cluster_of({environment_of("ce", 0, max_vcpus, {kSmall})});
  cluster.lent[ComputeEnvironmentName{"ce"}] = lending;
  return World(std::move(cluster));
}

JobSpec timed(JobSpec spec, int timeout_s) {
  spec.timeout_s = timeout_s;
  return spec;
}

// How long.

TEST(LentFor, AJobsTimeoutWithTimeToStartAndStop) {
  const Lending lending{3600, 0};

  EXPECT_EQ(seconds_asked(lending, timed(spec_of(), 600)), 600 + 30 + 90);
  EXPECT_EQ(seconds_asked(lending, timed(spec_of(), 7200)), 7200 + 30 + 90);
  EXPECT_EQ(seconds_asked(lending, spec_of()), 3600);
}

TEST(LentFor, NoLongerThanThereIs) {
  const Lending lending{3600, 1800};

  EXPECT_EQ(seconds_asked(lending, spec_of()), 1800);
  EXPECT_TRUE(is_lent_for(lending, timed(spec_of(), 1800 - 120)));
  EXPECT_FALSE(is_lent_for(lending, timed(spec_of(), 1800 - 119)));
  EXPECT_TRUE(is_lent_for(lending, spec_of()));
}

struct LastsCase {
  const char* name;
  int left_s;
  int lent_s;
  int timeout_s;  ///< 0: none
  bool lasts;

  friend void PrintTo(const LastsCase& c, std::ostream* out) { *out << c.name; }
};

const LastsCase kLasts[] = {
    {"just_long_enough", 90, 720, 60, true},
    {"a_second_too_short", 89, 720, 60, false},
    {"without_timeout_what_is_left", 31, 3600, 0, true},
    {"without_timeout_not_the_last_moments", 29, 3600, 0, false},
    {"without_timeout_none_that_was_asked_for_another", 700, 720, 0, false},
};

class Lasts : public testing::TestWithParam<LastsCase> {};

TEST_P(Lasts, IsWhatIsLeftOfItsTime) {
  const auto& c = GetParam();
  auto node = node_of("n1", "ce", kSmall);
  node.lent_s = c.lent_s;
  node.lent_until = kThen + std::int64_t{1000} * c.left_s;
  auto spec = spec_of();
  if (c.timeout_s > 0) spec.timeout_s = c.timeout_s;

  EXPECT_EQ(lasts_for(node, Lending{3600, 0}, spec, kThen), c.lasts);
}

INSTANTIATE_TEST_SUITE_P(, Lasts, testing::ValuesIn(kLasts),
                         [](const auto& test) { return test.param.name; });

// Placing.

TEST(PlaceLent, GivesAWideJobTheNodesOfOneAllocation) {
  auto world = lent_world(20);
  world.node("a1", kSmall).lent("p1", 3600).node("b1", kSmall).lent("p2", 3600);
  world.node("b2", kSmall).lent("p2", 3600).node("c1", kSmall).lent("p3", 3600);
  world.waits("w1", wide_spec(2));

  EXPECT_THAT(shown(place(world.snapshot()).placed), ElementsAre("w1 on b1 b2"));
}

TEST(PlaceLent, LetsAWideJobWaitWhereItsNodesAreOfSeveral) {
  auto world = lent_world(20);
  world.node("a1", kSmall).lent("p1", 3600).node("b1", kSmall).lent("p2", 3600);
  world.waits("w1", wide_spec(2));

  const auto plan = place(world.snapshot());

  EXPECT_THAT(plan.placed, IsEmpty());
  EXPECT_THAT(shown(scale(world.snapshot())),
              ElementsAre("launch 2 small in ce: job w1 waits, 3600 s together"));
}

TEST(PlaceLent, TellsOfTheTimeThatIsLeft) {
  auto world = lent_world(2);
  world.node("a1", kSmall).lent("p1", 100);
  world.waits("w1", timed(spec_of(), 600));

  const auto plan = place(world.snapshot());

  EXPECT_THAT(
      shown(plan.blocked),
      ElementsAre("w1: free nodes of compute environment ce are taken away in 100 s: it may "
                  "take 630 s, with time to stop"));
  // It is of no use, and in the way.
  EXPECT_THAT(shown(scale(world.snapshot())), ElementsAre("release a1"));
}

TEST(PlaceLent, TellsThatNoNodeIsEverLentForSoLong) {
  auto world = lent_world(20, {3600, 3600});
  world.waits("w1", timed(spec_of(), 3600));

  EXPECT_THAT(shown(place(world.snapshot()).blocked),
              ElementsAre("w1: nodes of compute environment ce are lent for 3600 s at most: 3720 s "
                          "wanted, its timeout with time to start and stop"));
  EXPECT_THAT(shown(scale(world.snapshot())), IsEmpty());
}

TEST(PlaceLent, TakesOfAlikeNodesTheOneThatGoesFirst) {
  auto world = lent_world(20);
  world.node("a1", kSmall).lent("p1", 3600).node("b1", kSmall).lent("p2", 700);
  world.waits("w1", timed(spec_of(2), 600)).waits("w2", timed(spec_of(2), 1200));

  EXPECT_THAT(shown(place(world.snapshot()).placed), ElementsAre("w1 on b1", "w2 on a1"));
}

TEST(PlaceLent, LeavesAWideAllocationToAWideJob) {
  auto world = lent_world(20);
  world.node("a1", kSmall).lent("p1", 3600).node("a2", kSmall).lent("p1", 3600);
  world.node("b1", kSmall).lent("p2", 3600);
  world.waits("w1", spec_of()).waits("w2", wide_spec(2));

  EXPECT_THAT(shown(place(world.snapshot()).placed), ElementsAre("w1 on b1", "w2 on a1 a2"));
}

TEST(PlaceLent, KeepsTheNodesOfASmallAllocationUntilAWideJobHasRoom) {
  auto world = lent_world(4);
  world.node("a1", kSmall).lent("p1", 3600).node("b1", kSmall).lent("p2", 3600);
  world.runs("r1", spec_of(2), {"a1"});
  world.waits("w1", wide_spec(2)).waits("w2", spec_of(2));

  const auto plan = place(world.snapshot());

  EXPECT_THAT(plan.placed, IsEmpty());  // else those behind it would let it starve
  EXPECT_THAT(shown(scale(world.snapshot())), IsEmpty());
}

// Scaling.

TEST(ScaleLent, AsksForOneAllocationForAWideJobAndForEachOfTheOthers) {
  auto world = lent_world(20);
  world.waits("w1", timed(wide_spec(3), 600)).waits("w2", timed(spec_of(2), 60));
  world.waits("w3", spec_of(2));

  EXPECT_THAT(shown(scale(world.snapshot())),
              ElementsAre("launch 3 small in ce: job w1 waits, 720 s together",
                          "launch 1 small in ce: job w2 waits, 180 s",
                          "launch 1 small in ce: job w3 waits, 3600 s"));
}

TEST(ScaleLent, AsksForTheLongestOfTheJobsThatShareANode) {
  auto world = lent_world(20);
  world.waits("w1", timed(spec_of(1), 60)).waits("w2", timed(spec_of(1), 600));

  EXPECT_THAT(shown(scale(world.snapshot())),
              ElementsAre("launch 1 small in ce: job w1 waits, 720 s"));
}

TEST(ScaleLent, AsksForTheFullTimeWhereMoreWaitThanThereIsRoomFor) {
  auto world = lent_world(2);
  for (const auto* id : {"w1", "w2", "w3"}) world.waits(id, timed(spec_of(2), 60));

  EXPECT_THAT(shown(scale(world.snapshot())),
              ElementsAre("launch 1 small in ce: job w1 waits, 3600 s"));
}

TEST(ScaleLent, AsksForAnotherWhereTheTimeLeftIsTooShort) {
  auto world = lent_world(20);
  world.node("a1", kSmall).lent("p1", 100);
  world.waits("w1", timed(spec_of(), 600));

  EXPECT_THAT(shown(scale(world.snapshot())),
              ElementsAre("launch 1 small in ce: job w1 waits, 720 s"));
}

TEST(ScaleLent, AsksForNoneWhileOneThatIsLongEnoughIsOnItsWay) {
  auto world = lent_world(20);
  world.node("a1", kSmall, NodeStatus::pending).lent("p1", 720);
  world.nodes.back().lent_until = {};
  world.now = world.now + 100'000'000;  // Slurm has let it wait for a day
  world.waits("w1", timed(spec_of(), 600));

  EXPECT_THAT(shown(scale(world.snapshot())), IsEmpty());
}

TEST(ScaleLent, GivesUpWhatHasNotComeAndNobodyWaitsForAnyMore) {
  auto world = lent_world(20);
  world.node("a1", kSmall, NodeStatus::pending).lent("p1", 3600);
  world.node("a2", kSmall, NodeStatus::pending).lent("p1", 3600);
  world.now = world.now + 60'000;

  EXPECT_THAT(shown(scale(world.snapshot())), ElementsAre("release a1", "release a2"));

  world.waits("w1", spec_of());
  EXPECT_THAT(shown(scale(world.snapshot())), IsEmpty());
}

TEST(PlaceLent, TellsOfAnAllocationWhoseNodesComeOneAfterTheOther) {
  auto world = lent_world(8);
  world.node("a1", kSmall).lent("p1", 3600);
  world.node("a2", kSmall, NodeStatus::pending).lent("p1", 3600);
  world.node("a3", kSmall).lent("p1", 3600);
  world.waits("w1", wide_spec(3));

  EXPECT_THAT(shown(place(world.snapshot()).blocked),
              ElementsAre("w1: nodes of compute environment ce are starting: 3 of 3 there or on "
                          "their way"));
  EXPECT_THAT(shown(scale(world.snapshot())), IsEmpty());
}

TEST(ScaleLent, GivesAnAllocationBackWhenAllOfItIsIdle) {
  auto world = lent_world(20);
  world.node("a1", kSmall).lent("p1", 3600).node("a2", kSmall).lent("p1", 3600);
  world.node("b1", kSmall).lent("p2", 3600);
  world.runs("r1", spec_of(), {"a1"});
  world.now = world.now + 60'000;

  EXPECT_THAT(shown(scale(world.snapshot())), ElementsAre("release b1"));

  world.end(*world.find_job(JobId{"r1"}));
  world.idle_since("a1", world.now);
  EXPECT_THAT(shown(scale(world.snapshot())), ElementsAre("release b1"));
  world.now = world.now + 60'000;
  EXPECT_THAT(shown(scale(world.snapshot())),
              ElementsAre("release a1", "release a2", "release b1"));
}

TEST(ScaleLent, KeepsAnAllocationWithoutWhichThereWouldBeTooFew) {
  auto world = lent_world(20);
  world.cluster.environments.front().min_vcpus = 2;
  world.node("a1", kSmall).lent("p1", 3600).node("a2", kSmall).lent("p1", 3600);
  world.now = world.now + 60'000;

  EXPECT_THAT(shown(scale(world.snapshot())), IsEmpty());
}

TEST(ScaleLent, AsksForWhatMinvCpusWantsAsOne) {
  auto world = lent_world(20);
  world.cluster.environments.front().min_vcpus = 6;

  EXPECT_THAT(shown(scale(world.snapshot())),
              ElementsAre("launch 3 small in ce: MinvCpus is 6, 3600 s together"));
}

TEST(ScaleLent, MakesRoomForAWideJobByWholeAllocations) {
  auto world = lent_world(6);
  world.node("a1", kSmall).lent("p1", 3600).node("a2", kSmall).lent("p1", 3600);
  world.node("b1", kSmall).lent("p2", 3600);
  world.waits("w1", wide_spec(3));

  EXPECT_THAT(shown(scale(world.snapshot())),
              ElementsAre("release a1", "release a2", "release b1"));
}

// Setting aside.

TEST(SetAsideLent, IsTheAllocationThatIsFreeFirst) {
  const std::vector<LentPlace> places = {
      {.index = 0, .allocation = "a", .vcpus = 2, .jobs = 1, .suits = true, .free_at = kThen + 9},
      {.index = 1, .allocation = "a", .vcpus = 2, .suits = true, .is_free = true, .free_at = kThen},
      {.index = 2, .allocation = "b", .vcpus = 2, .jobs = 1, .suits = true, .free_at = kThen + 5},
      {.index = 3, .allocation = "b", .vcpus = 2, .jobs = 1, .suits = true, .free_at = kThen + 6}};

  const auto kept = to_set_aside(places, 2, 2, 0);

  EXPECT_THAT(kept.places, ElementsAre(2, 3));
  EXPECT_TRUE(kept.for_use);
  EXPECT_THAT(to_set_aside(places, 2, 2, 4).places, IsEmpty());  // a new one is faster
}

TEST(SetAsideLent, IsWhatMakesRoomWhereNoAllocationIsLargeEnough) {
  const std::vector<LentPlace> places = {
      {.index = 0, .allocation = "a", .vcpus = 2, .jobs = 1, .suits = true, .free_at = kNotKnown},
      {.index = 1, .allocation = "b", .vcpus = 2, .jobs = 1, .suits = true, .free_at = kThen + 5},
      {.index = 2,
       .allocation = "c",
       .vcpus = 2,
       .suits = true,
       .is_free = true,
       .free_at = kThen}};

  const auto kept = to_set_aside(places, 2, 2, 0);

  EXPECT_THAT(kept.places, ElementsAre(2, 1));
  EXPECT_FALSE(kept.for_use);
}

}  // namespace
}  // namespace cox::core
