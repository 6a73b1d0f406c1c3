#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "tests/unit/core/world.hpp"

namespace cox::core {
namespace {

using Lines = std::vector<std::string>;

struct PlaceCase {
  const char* name;
  std::function<void(World&)> before;
  Lines placed;
  Lines blocked;

  friend void PrintTo(const PlaceCase& c, std::ostream* out) { *out << c.name; }
};

/// The cluster: one environment "ce" of small (2 vCPUs) and large (4) nodes, 12 vCPUs at most.
ClusterSettings cluster_of_12() {
  return cluster_of({environment_of("ce", 0, 12, {kSmall, kLarge})});
}

void three_small(World& world) { world.node("n1", kSmall).node("n2", kSmall).node("n3", kSmall); }

const PlaceCase kPlaces[] = {
    {"a_job_on_a_free_node",
     [](World& w) { w.node("n1", kSmall).waits("w1", spec_of(2)); },
     {"w1 on n1"},
     {}},
    {"jobs_share_a_node_while_it_has_vcpus",
     [](World& w) {
       w.node("n1", kSmall);
       for (const auto* id : {"w1", "w2", "w3"}) w.waits(id, spec_of(1));
     },
     {"w1 on n1", "w2 on n1"},
     {"w3: nodes of compute environment ce are busy: 1 wanted, 0 free"}},
    {"jobs_share_a_node_while_it_has_memory",
     [](World& w) {
       w.node("n1", kSmall);
       for (const auto* id : {"w1", "w2"}) w.waits(id, spec_of(1, MiB{1500}));
     },
     {"w1 on n1"},
     {"w2: nodes of compute environment ce are busy: 1 wanted, 0 free"}},
    {"a_job_where_the_least_is_left_over",
     [](World& w) {
       w.node("n1", kLarge).node("n2", kSmall).node("n3", kSmall);
       w.runs("r1", spec_of(1), {"n3"}).waits("w1", spec_of(1)).waits("w2", spec_of(1));
     },
     {"w1 on n3", "w2 on n2"},
     {}},
    {"a_wide_job_on_whole_empty_nodes_only",
     [](World& w) {
       three_small(w);
       w.runs("r1", spec_of(1), {"n2"}).waits("w1", wide_spec(2, 1));
     },
     {"w1 on n1 n3"},
     {}},
    {"nothing_more_on_the_nodes_of_a_wide_job",
     [](World& w) { w.node("n1", kSmall).waits("w1", wide_spec(1, 1)).waits("w2", spec_of(1)); },
     {"w1 on n1"},
     {"w2: nodes of compute environment ce are busy: 1 wanted, 0 free"}},
    {"a_wide_job_all_at_once_or_not_at_all",
     [](World& w) {
       three_small(w);
       w.runs("r1", spec_of(2), {"n3"}).waits("w1", wide_spec(3, 2));
     },
     {},
     {"w1: nodes of compute environment ce are busy: 3 wanted, 2 free"}},
    {"no_narrow_job_on_what_a_wide_one_waits_for",
     [](World& w) {
       w.cluster.environments[0].max_vcpus = 6;
       three_small(w);
       w.runs("r1", spec_of(1), {"n3"}).waits("w1", wide_spec(3, 2)).waits("w2", spec_of(1));
     },
     {},
     {"w1: compute environment ce is full: 2 more vCPUs wanted, 0 left up to MaxvCpus",
      "w2: nodes of compute environment ce are kept free for job w1, which was first"}},
    {"a_narrow_job_past_a_wide_one_where_that_does_no_harm",
     [](World& w) {
       w.node("n1", kSmall).node("n2", kLarge);
       w.runs("r1", spec_of(1), {"n2"}).waits("w1", wide_spec(2, 4)).waits("w2", spec_of(1));
     },
     {"w2 on n1"},
     {"w1: nodes of compute environment ce are busy: 2 wanted, 0 free"}},
    {"no_narrow_job_on_small_nodes_that_must_go_for_a_large_one",
     [](World& w) {
       w.cluster.environments[0].max_vcpus = 4;
       w.node("n1", kSmall).node("n2", kSmall).runs("r1", spec_of(1), {"n1"});
       w.waits("w1", spec_of(4)).waits("w2", spec_of(1));
     },
     {},
     {"w1: compute environment ce is full: 4 more vCPUs wanted, 0 left up to MaxvCpus",
      "w2: nodes of compute environment ce are kept free for job w1, which was first"}},
    {"nothing_on_nodes_that_are_not_up",
     [](World& w) {
       w.node("n1", kSmall, NodeStatus::pending).node("n2", kSmall, NodeStatus::silent);
       w.node("n3", kSmall, NodeStatus::terminating).waits("w1", spec_of(1));
     },
     {},
     {"w1: nodes of compute environment ce are starting: 1 of 1 there or on their way"}},
    {"nothing_on_the_nodes_of_another_queue",
     [](World& w) { w.node("n1", kSmall, NodeStatus::up, "other").waits("w1", spec_of(1)); },
     {},
     {"w1: nodes of compute environment ce are busy: 1 wanted, 0 free"}},
    {"no_job_that_no_type_can_hold",
     [](World& w) { w.node("n1", kLarge).waits("w1", spec_of(5)).waits("w2", wide_spec(4, 4)); },
     {},
     {"w1: no instance type of compute environment ce can ever hold it: 5 vCPUs in all wanted, "
      "MaxvCpus is 12",
      "w2: no instance type of compute environment ce can ever hold it: 16 vCPUs in all wanted, "
      "MaxvCpus is 12"}},
    {"nothing_in_an_environment_that_is_off",
     [](World& w) {
       w.cluster.environments[0].enabled = false;
       w.node("n1", kSmall).waits("w1", spec_of(1));
     },
     {},
     {"w1: compute environment ce is DISABLED"}},
    {"single_jobs_but_no_wide_ones_on_spot",
     [](World& w) {
       w.cluster.environments[0].spot = true;
       w.node("n1", kSmall).waits("w1", wide_spec(1, 1)).waits("w2", spec_of(1));
     },
     {"w2 on n1"},
     {"w1: multi-node jobs do not run in Spot compute environment ce"}},
    {"jobs_in_the_given_order",
     [](World& w) { w.node("n1", kSmall).waits("z", spec_of(2)).waits("a", spec_of(2)); },
     {"z on n1"},
     {"a: nodes of compute environment ce are busy: 1 wanted, 0 free"}},
    {"no_second_attempt_while_the_first_holds_a_node",
     [](World& w) {
       w.node("n1", kSmall).node("n2", kSmall).node("n3", kSmall).node("n4", kSmall);
       auto spec = wide_spec(2, 1);
       spec.attempts = 2;
       w.runs("r1", spec, {"n1", "n2"});
       w.jobs.back() = follow(w.jobs.back(), {NodeExited{kThen, 1, 0, 1, "broken"}});
     },
     {},
     {}},
};

class Place : public testing::TestWithParam<PlaceCase> {};

TEST_P(Place, Puts) {
  World world(cluster_of_12());
  GetParam().before(world);

  const auto plan = place(world.snapshot());

  EXPECT_EQ(shown(plan.placed), GetParam().placed);
  EXPECT_EQ(shown(plan.blocked), GetParam().blocked);
}

INSTANTIATE_TEST_SUITE_P(, Place, testing::ValuesIn(kPlaces),
                         [](const auto& test) { return test.param.name; });

/// Two environments, tried in the order "first", "second".
ClusterSettings two_environments() {
  return cluster_of(
      {environment_of("first", 0, 2, {kSmall}), environment_of("second", 0, 8, {kLarge})});
}

const PlaceCase kTwoPlaces[] = {
    {"a_job_in_the_first_environment_that_takes_it",
     [](World& w) {
       w.node("n1", kSmall, NodeStatus::up, "first").node("n2", kLarge, NodeStatus::up, "second");
       w.waits("w1", spec_of(2)).waits("w2", spec_of(2)).waits("w3", spec_of(4));
     },
     {"w1 on n1", "w2 on n2"},
     {"w3: no instance type of compute environment first can ever hold it: 4 vCPUs in all wanted, "
      "MaxvCpus is 2",
      "w3: nodes of compute environment second are busy: 1 wanted, 0 free"}},
    {"no_job_over_two_environments",
     [](World& w) {
       w.node("n1", kSmall, NodeStatus::up, "first").node("n2", kLarge, NodeStatus::up, "second");
       w.waits("w1", wide_spec(2, 2));
     },
     {},
     {"w1: no instance type of compute environment first can ever hold it: 4 vCPUs in all wanted, "
      "MaxvCpus is 2",
      "w1: nodes of compute environment second are busy: 2 wanted, 1 free"}},
    {"a_later_job_where_the_one_before_it_did_not_need_to_wait",
     [](World& w) {
       w.node("n1", kSmall, NodeStatus::up, "first").node("n2", kLarge, NodeStatus::up, "second");
       w.runs("r1", spec_of(1), {"n1"});
       w.waits("w1", spec_of(2)).waits("w2", spec_of(1));
     },
     {"w1 on n2", "w2 on n1"},
     {}},
};

class PlaceInTwo : public testing::TestWithParam<PlaceCase> {};

TEST_P(PlaceInTwo, Puts) {
  World world(two_environments());
  GetParam().before(world);

  const auto plan = place(world.snapshot());

  EXPECT_EQ(shown(plan.placed), GetParam().placed);
  EXPECT_EQ(shown(plan.blocked), GetParam().blocked);
}

INSTANTIATE_TEST_SUITE_P(, PlaceInTwo, testing::ValuesIn(kTwoPlaces),
                         [](const auto& test) { return test.param.name; });

TEST(Blocks, TellWhatElseIsKnownOfTheEnvironment) {
  const Block block{BlockKind::nodes_busy,
                    ComputeEnvironmentName{"ce"},
                    3,
                    1,
                    JobId{},
                    "a small could not be started: no room"};

  EXPECT_EQ(to_sentence(block),
            "nodes of compute environment ce are busy: 3 wanted, 1 free; a small could not be "
            "started: no room");
}

TEST(SmallestFit, IsTheFirstTypeThatHoldsEachNodesPart) {
  const auto environment = environment_of("ce", 0, 12, {kSmall, kLarge});
  const auto fit = [&](const JobSpec& spec) {
    const auto found = smallest_fit(environment, spec);
    return found ? fmt::format("{} {}", found->nodes, found->type.name) : "none";
  };

  EXPECT_EQ(fit(spec_of(1)), "1 small");
  EXPECT_EQ(fit(spec_of(3)), "1 large");
  EXPECT_EQ(fit(spec_of(1, MiB{2048})), "1 small");
  EXPECT_EQ(fit(spec_of(1, MiB{2049})), "1 large");
  EXPECT_EQ(fit(spec_of(1, MiB{4097})), "none");
  EXPECT_EQ(fit(wide_spec(3, 4)), "3 large");
  EXPECT_EQ(fit(wide_spec(6, 2)), "6 small");
  EXPECT_EQ(fit(wide_spec(7, 2)), "none");
  EXPECT_EQ(fit(wide_spec(4, 3)), "none");
}

}  // namespace
}  // namespace cox::core
