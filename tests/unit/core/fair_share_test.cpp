#include "runtime/core/fair_share.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "tests/unit/core/world.hpp"

namespace cox::core {
namespace {

using Ids = std::vector<std::string>;

SchedulingPolicy policy_of(std::vector<Share> shares, int decay_s = 0, int reservation = 0) {
  SchedulingPolicy policy;
  policy.name = "fair";
  policy.decay_s = decay_s;
  policy.reservation = reservation;
  policy.shares = std::move(shares);
  return policy;
}

JobSpec spec_in(const std::string& share, std::optional<int> priority = {}, int vcpus = 1) {
  auto spec = spec_of(vcpus);
  spec.share = share;
  spec.priority = priority;
  return spec;
}

/// Queue "q" of one environment of two-vCPU nodes, with a policy.
struct FairWorld {
  explicit FairWorld(SchedulingPolicy with, int vcpus = 8)
      : policy(std::move(with)), world(cluster_of({environment_of("ce", 0, vcpus, {kSmall})})) {
    world.cluster.queues[0].policy = policy.name;
    for (int i = 0; i < vcpus / 2; ++i) world.node(fmt::format("n{}", i), kSmall);
  }

  [[nodiscard]] Snapshot snapshot(std::map<std::string, double> past = {}) const {
    auto seen = world.snapshot();
    seen.shares[QueueName{"q"}] = {&policy, std::move(past)};
    order_by_share(seen);
    return seen;
  }
  [[nodiscard]] Ids order(std::map<std::string, double> past = {}) const {
    Ids ids;
    for (const auto* job : snapshot(std::move(past)).waiting) ids.push_back(job->id.value);
    return ids;
  }

  SchedulingPolicy policy;
  World world;
};

TEST(FairShare, TakesTurnsBetweenSharesOfEqualWeight) {
  FairWorld fair(policy_of({}));
  for (const auto* id : {"a1", "a2", "a3"}) fair.world.waits(id, spec_in("a"));
  for (const auto* id : {"b1", "b2"}) fair.world.waits(id, spec_in("b"));
  EXPECT_EQ(fair.order(), (Ids{"a1", "b1", "a2", "b2", "a3"}));
}

TEST(FairShare, GivesALowerWeightMore) {
  FairWorld fair(policy_of({{"a", 0.5}, {"b", 1.0}}));
  for (const auto* id : {"a1", "a2", "a3", "a4"}) fair.world.waits(id, spec_in("a"));
  for (const auto* id : {"b1", "b2"}) fair.world.waits(id, spec_in("b"));
  EXPECT_EQ(fair.order(), (Ids{"a1", "b1", "a2", "a3", "b2", "a4"}));
}

TEST(FairShare, CountsWhatRuns) {
  FairWorld fair(policy_of({}));
  fair.world.runs("a0", spec_in("a", {}, 2), {"n0"});
  for (const auto* id : {"a1", "a2"}) fair.world.waits(id, spec_in("a"));
  for (const auto* id : {"b1", "b2", "b3"}) fair.world.waits(id, spec_in("b"));
  EXPECT_EQ(fair.order(), (Ids{"b1", "b2", "a1", "b3", "a2"}));
}

TEST(FairShare, CountsWhatRanBefore) {
  FairWorld fair(policy_of({}, 3600));
  for (const auto* id : {"a1", "a2"}) fair.world.waits(id, spec_in("a"));
  for (const auto* id : {"b1", "b2", "b3"}) fair.world.waits(id, spec_in("b"));
  EXPECT_EQ(fair.order({{"a", 1.5}}), (Ids{"b1", "b2", "a1", "b3", "a2"}));
}

TEST(FairShare, PutsHigherPriorityFirstWithinAShareOnly) {
  FairWorld fair(policy_of({}));
  fair.world.waits("a1", spec_in("a")).waits("a2", spec_in("a", 7)).waits("a3", spec_in("a", 9));
  fair.world.waits("b1", spec_in("b", 1)).waits("b2", spec_in("b", 1));
  EXPECT_EQ(fair.order(), (Ids{"a3", "b1", "a2", "b2", "a1"}));
}

TEST(FairShare, LeavesOtherQueuesWhereTheyAre) {
  FairWorld fair(policy_of({}));
  auto other = spec_of();
  other.queue = QueueName{"plain"};
  fair.world.waits("a1", spec_in("a")).waits("x", other).waits("a2", spec_in("a"));
  fair.world.waits("b1", spec_in("b"));
  EXPECT_EQ(fair.order(), (Ids{"a1", "x", "b1", "a2"}));
}

TEST(FairShare, FindsTheWeightByNameOrPrefix) {
  const auto policy = policy_of({{"A*", 0.25}, {"bob", 4.0}});
  EXPECT_EQ(weight_of(policy, "Ann"), 0.25);
  EXPECT_EQ(weight_of(policy, "A"), 0.25);
  EXPECT_EQ(weight_of(policy, "bob"), 4.0);
  EXPECT_EQ(weight_of(policy, "bobby"), 1.0);
}

/// A job of share "a" that ran `vcpus` from one second to another.
Job ran(const std::string& id, int vcpus, std::int64_t from_s, std::int64_t to_s) {
  return follow(submitted(id, spec_in("a", {}, vcpus)),
                {placed_on(1, {"n0"}), NodeStarted{kThen + from_s * 1000, 1, 0},
                 NodeExited{kThen + to_s * 1000, 1, 0, 0, ""}});
}

TEST(PastUse, HalvesEachDecay) {
  const auto job = ran("a1", 4, 0, 1'000'000);  // as good as for ever
  const auto end = kThen + 1'000'000'000;
  EXPECT_NEAR(past_use(job, *job.current(), 100, end), 4, 1e-6);
  EXPECT_NEAR(past_use(job, *job.current(), 100, end + 100'000), 2, 1e-6);
  EXPECT_NEAR(past_use(job, *job.current(), 100, end + 200'000), 1, 1e-6);
  EXPECT_EQ(past_use(job, *job.current(), 0, end), 0);
}

TEST(PastUse, OfAnAttemptThatNeverStartedIsNothing) {
  const auto job = follow(submitted("a1", spec_in("a")),
                          {placed_on(1, {"n0"}), NodeExited{kThen + 9, 1, 0, 1, "no"}});
  EXPECT_EQ(past_use(job, *job.current(), 100, kThen + 10), 0);
}

RC_GTEST_PROP(ShareUseOf, IsTheSumOverTheJobsThatAreKept, ()) {
  const QueueName queue{"q"};
  ShareUse use;
  std::vector<Job> kept;
  std::int64_t now_s = 0;
  for (int i = *rc::gen::inRange(1, 30); i > 0; --i) {
    const auto from = now_s + *rc::gen::inRange(0, 50);
    now_s = from + *rc::gen::inRange(0, 500);
    kept.push_back(ran(fmt::format("j{}", i), *rc::gen::inRange(1, 9), from, now_s));
    use.add(kept.back(), *kept.back().current(), 60);
    if (kept.size() > 3 && *rc::gen::arbitrary<bool>()) {
      use.remove(kept.front(), 60);
      kept.erase(kept.begin());
    }
  }
  const auto now = kThen + 1000 * (now_s + *rc::gen::inRange(0, 100));
  double sum = 0;
  for (const auto& job : kept) sum += past_use(job, *job.current(), 60, now);

  RC_ASSERT(std::abs(use.of(queue, 60, now)["a"] - sum) < 1e-6);
}

/// Whatever the shares' weights, jobs of one vCPU each, of which there are always more: what shares
/// come to hold is in the ratio of 1/weight, to within a job.
RC_GTEST_PROP(FairShareOf, AFullClusterIsInTheRatioOfTheWeights, ()) {
  const double weight = *rc::gen::element(0.125, 0.25, 0.5, 1.0, 2.0, 3.0);
  FairWorld fair(policy_of({{"a", weight}, {"b", 1.0}}), 40);
  for (int i = 0; i < 40; ++i) {
    fair.world.waits(fmt::format("a{}", i), spec_in("a"));
    fair.world.waits(fmt::format("b{}", i), spec_in("b"));
  }

  const auto plan = place(fair.snapshot());

  RC_ASSERT(plan.placed.size() == 40u);
  const auto of_a = std::count_if(plan.placed.begin(), plan.placed.end(),
                                  [](const auto& each) { return each.job.value.starts_with('a'); });
  RC_ASSERT(std::abs(static_cast<double>(of_a) - 40 / (1 + weight)) <= 1.5);
}

RC_GTEST_PROP(FairShareOf, AListIsAPermutationOfIt, ()) {
  FairWorld fair(policy_of({{"a*", 0.3}}, 0, 0));
  for (int i = *rc::gen::inRange(0, 20); i > 0; --i) {
    const std::string share = *rc::gen::element<std::string>("a", "ab", "b", "c");
    fair.world.waits(fmt::format("j{}", i),
                     spec_in(share, *rc::gen::inRange(0, 3), *rc::gen::inRange(1, 4)));
  }
  Ids before;
  for (const auto& job : fair.world.jobs) before.push_back(job.id.value);
  auto after = fair.order();
  std::sort(before.begin(), before.end());
  std::sort(after.begin(), after.end());
  RC_ASSERT(before == after);
}

// computeReservation and the limit of running jobs.

TEST(QueueGates, KeepARatioForSharesThatHaveNoJobsYet) {
  FairWorld fair(policy_of({}, 0, 50));  // half of 8 vCPUs with one share, a quarter with two
  for (int i = 0; i < 8; ++i) fair.world.waits(fmt::format("a{}", i), spec_in("a"));
  const auto alone = place(fair.snapshot());
  EXPECT_EQ(alone.placed.size(), 4u);
  EXPECT_EQ(to_sentence(alone.blocked.at(JobId{"a4"}).at(0)),
            "vCPUs of job queue q are kept for shares that have no jobs yet: 1 wanted, 0 left for "
            "those that have");

  for (int i = 0; i < 8; ++i) fair.world.waits(fmt::format("b{}", i), spec_in("b"));
  EXPECT_EQ(place(fair.snapshot()).placed.size(), 6u);
}

TEST(QueueGates, LetAJobGoWhereNothingRuns) {
  FairWorld fair(policy_of({}, 0, 99));
  fair.world.waits("a1", spec_in("a", {}, 2)).waits("a2", spec_in("a", {}, 2));
  const auto plan = place(fair.snapshot());
  EXPECT_EQ(shown(plan.placed), (Ids{"a1 on n0"}));
}

TEST(QueueGates, ReserveNothingOnNodesThatWouldHaveToCome) {
  FairWorld fair(policy_of({}, 0, 50));
  fair.world.nodes.clear();
  for (int i = 0; i < 8; ++i) fair.world.waits(fmt::format("a{}", i), spec_in("a"));
  const auto plan = scale(fair.snapshot());
  EXPECT_EQ(shown(plan), (Ids{"launch 2 small in ce: job a0 waits"}));
}

TEST(QueueGates, LetAsManyJobsRunAsTheQueueMay) {
  World world(cluster_of({environment_of("ce", 0, 8, {kSmall})}));
  world.cluster.queues[0].max_running = 2;
  world.node("n1", kSmall).node("n2", kSmall);
  world.runs("r1", spec_of(), {"n1"}).waits("w1", spec_of()).waits("w2", spec_of());
  const auto plan = place(world.snapshot());
  EXPECT_EQ(shown(plan.placed), (Ids{"w1 on n1"}));
  EXPECT_EQ(shown(plan.blocked), (Ids{"w2: job queue q lets 2 jobs run at once, and 2 do"}));
}

TEST(QueueGates, LetAJobPassThatWaitsForNodes) {
  World world(cluster_of({environment_of("ce", 0, 12, {kSmall, kLarge})}));
  world.cluster.queues[0].max_running = 1;
  world.node("n1", kSmall).waits("w1", wide_spec(2, 4)).waits("w2", spec_of());
  EXPECT_EQ(shown(place(world.snapshot()).placed), (Ids{"w2 on n1"}));
}

TEST(QueueGates, AskForNoNodesForJobsThatMayNotRun) {
  World world(cluster_of({environment_of("ce", 0, 8, {kSmall})}));
  world.cluster.queues[0].max_running = 2;
  for (const auto* id : {"w1", "w2", "w3", "w4", "w5"}) world.waits(id, spec_of(2));
  EXPECT_EQ(shown(scale(world.snapshot())), (Ids{"launch 2 small in ce: job w1 waits"}));
}

/// Whatever shares, weights, reservation and limit: the limits hold, and everybody runs in the end.
RC_GTEST_PROP(FairLife, LetsEveryJobOfEveryShareRunWithinTheLimits, ()) {
  FairWorld fair(
      policy_of({{"a", *rc::gen::element(0.001, 1.0, 999.0)}}, 0, *rc::gen::inRange(0, 100)), 8);
  const int limit = *rc::gen::inRange(0, 4);
  fair.world.cluster.queues[0].max_running = limit;
  for (int i = *rc::gen::inRange(1, 25); i > 0; --i) {
    const std::string share = *rc::gen::element<std::string>("a", "b", "c");
    auto spec = spec_in(share, *rc::gen::inRange(0, 3), *rc::gen::inRange(1, 3));
    if (*rc::gen::inRange(0, 5) == 0) spec.nodes = *rc::gen::inRange(1, 5);
    fair.world.waits(fmt::format("j{}", i), spec);
  }
  const auto running = [&] {
    return std::count_if(fair.world.jobs.begin(), fair.world.jobs.end(),
                         [](const Job& job) { return holds_nodes(job); });
  };
  for (int round = 0; round < 60; ++round) {
    RC_ASSERT(fair.world.carry_out(place(fair.snapshot())));
    RC_ASSERT(fair.world.faults().empty());
    RC_ASSERT(limit == 0 || running() <= limit);
    const auto oldest = std::find_if(fair.world.jobs.begin(), fair.world.jobs.end(),
                                     [](const Job& job) { return holds_nodes(job); });
    if (oldest == fair.world.jobs.end()) break;
    fair.world.end(*oldest);
  }
  for (const auto& job : fair.world.jobs) RC_ASSERT(job.status == JobStatus::succeeded);
}

TEST(QueueGates, GoByTheTagWhereTheQueueHasOne) {
  JobQueue queue;
  queue.max_running = 3;
  EXPECT_EQ(running_limit(queue), 3);
  queue.tags[kRunningLimitTag] = "5";
  EXPECT_EQ(running_limit(queue), 5);
  for (const auto* wrong : {"0", "-1", "many", "", "99999999999"}) {
    EXPECT_EQ(running_limit_in(wrong), std::nullopt) << wrong;
  }
}

}  // namespace
}  // namespace cox::core
