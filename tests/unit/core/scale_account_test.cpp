#include "runtime/core/scale_account.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "tests/unit/core/world.hpp"

namespace cox::core {
namespace {

struct ToldCase {
  const char* name;
  std::function<void(World&)> before;
  const char* state;
  const char* text;

  friend void PrintTo(const ToldCase& c, std::ostream* out) { *out << c.name; }
};

void with_minimum(World& world, int vcpus) { world.cluster.environments[0].min_vcpus = vcpus; }
void with_maximum(World& world, int vcpus) { world.cluster.environments[0].max_vcpus = vcpus; }
void with_idle_time(World& world, std::int64_t ms) {
  world.cluster.environments[0].idle_ms_before_release = ms;
}

const ToldCase kCases[] = {
    {"steady_without_anything", [](World&) {}, "steady", "steady at 0 vCPUs, MinvCpus"},
    {"growing_by_what_waits",
     [](World& w) {
       w.node("n1", kSmall).runs("r1", spec_of(2), {"n1"});
       for (const auto* id : {"w1", "w2", "w3", "w4"}) w.waits(id, spec_of(1));
     },
     "growing", "growing from 2 to 6 vCPUs: 4 jobs wait for 4 vCPUs"},
    {"growing_by_what_is_on_its_way",
     [](World& w) { w.node("n1", kSmall, NodeStatus::pending).waits("w1", spec_of(2)); }, "growing",
     "growing from 0 to 2 vCPUs: 1 job waits for 2 vCPUs"},
    {"growing_with_what_is_known_of_a_node",
     [](World& w) {
       w.node("n1", kSmall, NodeStatus::pending).waits("w1", spec_of(2));
       w.nodes.back().reason = "OnNodeStart: a.sh";
     },
     "growing", "growing from 0 to 2 vCPUs: 1 job waits for 2 vCPUs (OnNodeStart: a.sh)"},
    {"growing_for_the_minimum", [](World& w) { with_minimum(w, 4); }, "growing",
     "growing from 0 to 4 vCPUs: MinvCpus is 4"},
    {"held_at_the_maximum",
     [](World& w) {
       with_maximum(w, 2);
       w.node("n1", kSmall).runs("r1", spec_of(2), {"n1"});
       w.waits("w1", spec_of(2)).waits("w2", spec_of(1));
     },
     "held", "at MaxvCpus (2): 2 jobs wait for 3 vCPUs"},
    {"held_near_the_maximum",
     [](World& w) {
       with_maximum(w, 5);
       w.node("n1", kLarge).runs("r1", spec_of(4), {"n1"});
       w.waits("w1", spec_of(4));
     },
     "held", "at 4 of 5 vCPUs, with no room for the nodes they need: 1 job waits for 4 vCPUs"},
    {"idle_and_how_long",
     [](World& w) {
       with_idle_time(w, 600'000);
       w.node("n1", kSmall).idle_since("n1", Millis{kThen.value - 40'500});
       w.node("n2", kSmall).idle_since("n2", Millis{kThen.value - 10'000});
     },
     "idle", "idle for 40 s of 600 s before giving back node n1 (2 are idle)"},
    {"idle_for_good",
     [](World& w) {
       with_idle_time(w, -1);
       w.node("n1", kSmall);
     },
     "idle", "node n1 is idle and stays: ScaledownIdletime is negative"},
    {"not_idle_at_the_minimum",
     [](World& w) {
       with_minimum(w, 2);
       w.node("n1", kSmall);
     },
     "steady", "steady at 2 vCPUs, MinvCpus"},
    {"not_idle_when_a_job_will_have_it",
     [](World& w) { w.node("n1", kSmall).waits("w1", spec_of(1)); }, "steady", "steady at 2 vCPUs"},
    {"giving_back", [](World& w) { w.node("n1", kSmall, NodeStatus::terminating); }, "shrinking",
     "giving back 2 vCPUs: node n1"},
    {"disabled", [](World& w) { w.cluster.environments[0].enabled = false; }, "disabled",
     "disabled: no node comes"},
};

class Told : public testing::TestWithParam<ToldCase> {};

TEST_P(Told, SaysWhatScalingDoesAndWhy) {
  World world(cluster_of({environment_of("ce", 0, 12, {kSmall, kLarge})}));
  with_idle_time(world, 60'000);
  GetParam().before(world);
  const auto accounts = account_of_scaling(world.snapshot());
  ASSERT_EQ(accounts.size(), 1u);
  EXPECT_STREQ(state_of(accounts[0], {}), GetParam().state);
  EXPECT_EQ(to_sentence(accounts[0], {}), GetParam().text);
}

INSTANTIATE_TEST_SUITE_P(, Told, testing::ValuesIn(kCases),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(ScaleAccount, TellsOfNodesThatDoNotStart) {
  World world(cluster_of({environment_of("ce", 0, 12, {kSmall, kLarge})}));
  world.waits("w1", spec_of(2));
  const auto account = account_of_scaling(world.snapshot()).at(0);
  const LaunchTrouble once{"no address is left", 1, 1'500};
  EXPECT_STREQ(state_of(account, once), "failing");
  EXPECT_EQ(to_sentence(account, once),
            "failed to start a node: no address is left; next try in 2 s");
  EXPECT_EQ(to_sentence(account, LaunchTrouble{"no address is left", 3, 8'000}),
            "failed to start a node: no address is left (3 times in a row); next try in 8 s");
}

TEST(ScaleAccount, CountsThoseThatTheSnapshotLeavesOut) {
  World world(cluster_of({environment_of("ce", 0, 2, {kSmall})}));
  world.node("n1", kSmall).runs("r1", spec_of(2), {"n1"});
  world.waits("w1", spec_of(2)).waits("w2", spec_of(2));
  auto snapshot = world.snapshot();
  snapshot.behind[JobId{"w2"}] = 998;
  EXPECT_EQ(to_sentence(account_of_scaling(snapshot).at(0), {}),
            "at MaxvCpus (2): 1000 jobs wait for 2000 vCPUs");
}

// What is told and what is done come from the same decision.
TEST(ScaleAccount, WantsWhatThePlanOrders) {
  World world(cluster_of({environment_of("ce", 0, 12, {kSmall, kLarge})}));
  for (int i = 0; i < 5; ++i) world.waits(fmt::format("w{}", i), spec_of(1 + i % 3));
  int ordered = 0;
  for (const auto& each : scale(world.snapshot()).launch) ordered += each.count * each.type.vcpus;
  EXPECT_EQ(account_of_scaling(world.snapshot()).at(0).wanted_vcpus, ordered);
}

}  // namespace
}  // namespace cox::core
