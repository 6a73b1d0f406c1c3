#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "tests/unit/core/world.hpp"

namespace cox::core {
namespace {

using Lines = std::vector<std::string>;

struct ScaleCase {
  const char* name;
  std::function<void(World&)> before;
  Lines plan;

  friend void PrintTo(const ScaleCase& c, std::ostream* out) { *out << c.name; }
};

constexpr Millis kLater{kThen.value + 60'000};  ///< when a node idle since kThen may go

void with_minimum(World& world, int vcpus) { world.cluster.environments[0].min_vcpus = vcpus; }
void with_maximum(World& world, int vcpus) { world.cluster.environments[0].max_vcpus = vcpus; }

const ScaleCase kScales[] = {
    {"nothing_for_nobody", [](World&) {}, {}},
    {"up_by_the_smallest_type_that_fits",
     [](World& w) { w.waits("w1", spec_of(1)).waits("w2", spec_of(3)); },
     {"launch 1 large in ce: job w2 waits", "launch 1 small in ce: job w1 waits"}},
    {"up_all_at_once_for_a_wide_job",
     [](World& w) { w.waits("w1", wide_spec(3, 2)); },
     {"launch 3 small in ce: job w1 waits"}},
    {"up_by_what_jobs_need_together",
     [](World& w) {
       for (const auto* id : {"w1", "w2", "w3"}) w.waits(id, spec_of(1));
     },
     {"launch 2 small in ce: job w1 waits"}},
    {"up_by_memory_too",
     [](World& w) {
       for (const auto* id : {"w1", "w2"}) w.waits(id, spec_of(1, MiB{1500}));
     },
     {"launch 2 small in ce: job w1 waits"}},
    {"up_by_what_is_missing_only",
     [](World& w) {
       w.node("n1", kSmall).node("n2", kSmall, NodeStatus::pending).waits("w1", wide_spec(3, 2));
     },
     {"launch 1 small in ce: job w1 waits"}},
    {"up_past_a_node_that_is_silent",
     [](World& w) { w.node("n1", kSmall, NodeStatus::silent).waits("w1", spec_of(2)); },
     {"launch 1 small in ce: job w1 waits"}},
    {"up_past_a_node_that_goes",
     [](World& w) { w.node("n1", kSmall, NodeStatus::terminating).waits("w1", spec_of(2)); },
     {"launch 1 small in ce: job w1 waits"}},
    {"not_up_for_what_is_on_its_way",
     [](World& w) {
       w.node("n1", kSmall, NodeStatus::pending).waits("w1", spec_of(1)).waits("w2", spec_of(1));
     },
     {}},
    {"up_to_the_maximum_and_no_further",
     [](World& w) {
       with_maximum(w, 5);
       for (const auto* id : {"w1", "w2", "w3"}) w.waits(id, spec_of(2));
     },
     {"launch 2 small in ce: job w1 waits"}},
    {"not_up_for_what_can_never_be_held",
     [](World& w) { w.waits("w1", spec_of(9)).waits("w2", wide_spec(4, 4)); },
     {}},
    {"not_up_where_it_is_off",
     [](World& w) {
       w.cluster.environments[0].enabled = false;
       with_minimum(w, 4);
       w.waits("w1", spec_of(1));
     },
     {}},
    {"not_up_for_a_wide_job_on_spot",
     [](World& w) {
       w.cluster.environments[0].spot = true;
       w.waits("w1", wide_spec(2, 1)).waits("w2", spec_of(1));
     },
     {"launch 1 small in ce: job w2 waits"}},
    {"up_in_part_where_busy_nodes_will_give_the_rest",
     [](World& w) {
       with_maximum(w, 6);
       w.node("n1", kSmall).runs("r1", spec_of(2), {"n1"}).waits("w1", wide_spec(3, 2));
     },
     {"launch 2 small in ce: job w1 waits"}},
    {"up_to_the_minimum_for_nobody",
     [](World& w) { with_minimum(w, 3); },
     {"launch 2 small in ce: MinvCpus is 3"}},
    {"up_to_the_minimum_counting_what_is_there",
     [](World& w) {
       with_minimum(w, 4);
       w.node("n1", kSmall, NodeStatus::pending);
     },
     {"launch 1 small in ce: MinvCpus is 4"}},
    {"down_by_nodes_that_were_idle_for_long",
     [](World& w) {
       w.node("n1", kSmall).node("n2", kSmall).idle_since("n2", kThen + 1);
       w.now = kLater;
     },
     {"release n1"}},
    {"not_down_by_a_node_that_holds_a_job",
     [](World& w) {
       w.node("n1", kLarge).runs("r1", spec_of(1), {"n1"});
       w.now = kLater;
     },
     {}},
    {"not_down_by_a_node_that_a_job_waits_to_take",
     [](World& w) {
       w.node("n1", kSmall).waits("w1", spec_of(2));
       w.now = kLater;
     },
     {}},
    {"not_down_below_the_minimum",
     [](World& w) {
       with_minimum(w, 3);
       w.node("n1", kSmall).node("n2", kSmall).node("n3", kSmall);
       w.now = kLater;
     },
     {"release n1"}},
    {"never_down_where_the_idle_time_is_negative",
     [](World& w) {
       w.cluster.environments[0].idle_ms_before_release = -1;
       w.node("n1", kSmall);
       w.now = kLater;
     },
     {}},
    {"at_once_down_where_the_idle_time_is_nothing",
     [](World& w) {
       w.cluster.environments[0].idle_ms_before_release = 0;
       w.node("n1", kSmall).node("n2", kSmall, NodeStatus::pending);
     },
     {"release n1"}},
    {"down_to_make_room_for_a_larger_type",
     [](World& w) {
       with_maximum(w, 4);
       with_minimum(w, 2);
       w.node("n1", kSmall).waits("w1", spec_of(4));
     },
     {"release n1"}},
    {"down_by_no_more_than_the_room_that_is_wanted",
     [](World& w) {
       w.node("n1", kLarge).node("n2", kSmall).node("n3", kSmall).node("n4", kSmall);
       w.runs("r1", spec_of(1), {"n1"}).waits("w1", wide_spec(2, 4));
     },
     {"release n2"}},
    {"not_down_where_that_makes_no_room_yet",
     [](World& w) {
       w.node("n1", kSmall).node("n2", kSmall).node("n3", kSmall);
       w.runs("r1", spec_of(2), {"n1"}).waits("w1", wide_spec(3, 4));
     },
     {}},
};

class Scale : public testing::TestWithParam<ScaleCase> {};

TEST_P(Scale, Goes) {
  World world(cluster_of({environment_of("ce", 0, 12, {kSmall, kLarge})}));
  GetParam().before(world);

  EXPECT_EQ(shown(scale(world.snapshot())), GetParam().plan);
}

INSTANTIATE_TEST_SUITE_P(, Scale, testing::ValuesIn(kScales),
                         [](const auto& test) { return test.param.name; });

TEST(ScaleOfTwo, GrowsTheFirstEnvironmentWithRoom) {
  World world(cluster_of(
      {environment_of("first", 0, 2, {kSmall}), environment_of("second", 0, 8, {kLarge})}));
  world.waits("w1", spec_of(2)).waits("w2", wide_spec(2, 2)).waits("w3", spec_of(2));

  EXPECT_EQ(shown(scale(world.snapshot())), (Lines{"launch 1 small in first: job w1 waits",
                                                   "launch 2 large in second: job w2 waits"}));
}

TEST(ScaleOfTwo, GrowsTheSecondWhereTheFirstIsFullAndBusy) {
  World world(cluster_of(
      {environment_of("first", 0, 2, {kSmall}), environment_of("second", 0, 8, {kSmall})}));
  world.node("n1", kSmall, NodeStatus::up, "first").runs("r1", spec_of(2), {"n1"});
  world.waits("w1", spec_of(2));

  EXPECT_EQ(shown(scale(world.snapshot())), Lines{"launch 1 small in second: job w1 waits"});
}

TEST(ScaleOfTwo, GivesNothingBackInTheFirstForAJobThatTheSecondTakes) {
  World world(cluster_of(
      {environment_of("first", 0, 4, {kSmall, kLarge}), environment_of("second", 0, 8, {kLarge})}));
  world.node("n1", kSmall, NodeStatus::up, "first").waits("w1", spec_of(4));

  EXPECT_EQ(shown(scale(world.snapshot())), Lines{"launch 1 large in second: job w1 waits"});
}

TEST(ScaleOfTwo, GivesAJobToOneOfThemOnly) {
  World world(cluster_of(
      {environment_of("first", 0, 2, {kSmall}), environment_of("second", 0, 8, {kSmall})}));
  world.node("n1", kSmall, NodeStatus::pending, "first").waits("w1", spec_of(2));

  EXPECT_EQ(shown(scale(world.snapshot())), Lines{});
}

}  // namespace
}  // namespace cox::core
