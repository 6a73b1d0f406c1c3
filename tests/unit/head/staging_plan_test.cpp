#include "runtime/head/staging_plan.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

namespace cox::head {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

using Paths = std::vector<std::string>;

ClusterSettings cluster_with(bool staged) {
  ClusterSettings cluster;
  cluster.shared = {{"/shared", "shared", "Ebs", "", staged}, {"/data", "/data", "Ebs", "", false}};
  return cluster;
}

JobSpec job_with(const char* name, const std::string& value) {
  JobSpec spec;
  spec.environment = {{name, value}};
  return spec;
}

TEST(StagingNeeds, AreWhatTheJobNamesInStagedDirectories) {
  JobSpec spec;
  spec.environment = {{kInputsVariable, "/shared/b//c/./d:/shared/a:/data/x:"},
                      {kOutputsVariable, "/shared"}};

  const auto needs = staging_needs(spec, cluster_with(true));

  ASSERT_TRUE(needs) << needs.error().message;
  EXPECT_THAT(needs->inputs, ElementsAre(StagedSet{"/shared", {"a", "b/c/d"}}));
  EXPECT_THAT(needs->outputs, ElementsAre(StagedSet{"/shared", {"."}}));
}

TEST(StagingNeeds, AreNoneWhereNothingIsStaged) {
  const auto needs = staging_needs(job_with(kInputsVariable, "/etc/passwd"), cluster_with(false));

  ASSERT_TRUE(needs);
  EXPECT_THAT(needs->inputs, IsEmpty());
}

TEST(StagingNeeds, HaveTheWorkingDirectoryWhereItIsStaged) {
  const auto inside = staging_needs(job_with(kWorkingDirVariable, "/shared/w"), cluster_with(true));
  const auto outside = staging_needs(job_with(kWorkingDirVariable, "/opt/w"), cluster_with(true));

  ASSERT_TRUE(inside);
  EXPECT_THAT(inside->inputs, ElementsAre(StagedSet{"/shared", {"w"}}));
  ASSERT_TRUE(outside);
  EXPECT_THAT(outside->inputs, IsEmpty());
}

struct Refused {
  const char* name;
  const char* value;
  const char* text;
  friend void PrintTo(const Refused& c, std::ostream* out) { *out << c.name; }
};

class Needs : public testing::TestWithParam<Refused> {};

TEST_P(Needs, AreRefusedBeyondTheDirectory) {
  const auto needs = staging_needs(job_with(kInputsVariable, GetParam().value), cluster_with(true));

  ASSERT_FALSE(needs);
  EXPECT_EQ(needs.error().code, Errc::invalid_argument);
  EXPECT_THAT(needs.error().message, HasSubstr(GetParam().text));
}

const Refused kRefused[] = {
    {"elsewhere", "/etc/passwd", "/etc/passwd is in no shared directory of the cluster (/shared"},
    {"alike_by_name", "/sharedness/a", "/sharedness/a is in no shared directory"},
    {"upwards", "/shared/../etc", "has \"..\" in it"},
    {"relative", "a", "a is not an absolute path"},
    {"line_end", "/shared/a\nb", "cannot be printed"},
};

INSTANTIATE_TEST_SUITE_P(, Needs, testing::ValuesIn(kRefused),
                         [](const auto& test) { return test.param.name; });

const std::vector<StagedSet> kSets{{"/shared", {"in"}}};

wire::PartKey part(const char* job, int index = 0) { return {JobId{job}, 1, index}; }
NodeId node(int number) { return NodeId{fmt::format("i-{:03}", number)}; }

TEST(StagingPlan, LetsPartsThatWantTheSameAtOneTimeShareACopy) {
  StagingPlan plan;
  plan.want(part("a"), node(1), kSets);
  plan.want(part("b"), node(1), kSets);

  const auto copies = plan.next();
  ASSERT_THAT(copies, SizeIs(1));
  EXPECT_EQ(copies[0].from, std::nullopt);
  EXPECT_EQ(copies[0].to, node(1));
  EXPECT_THAT(plan.next(), IsEmpty());

  EXPECT_THAT(plan.ended(copies[0].number, true).ready, ElementsAre(part("a"), part("b")));
  EXPECT_TRUE(plan.is_idle());
}

TEST(StagingPlan, GivesWhoAsksLaterALookOfItsOwnOnceTheCopyIsThere) {
  StagingPlan plan;
  plan.want(part("a"), node(1), kSets);
  const auto first = plan.next();
  plan.want(part("b"), node(1), kSets);

  EXPECT_THAT(plan.next(), IsEmpty()) << "two copies to one place at once";
  EXPECT_THAT(plan.ended(first[0].number, true).ready, ElementsAre(part("a")));
  const auto second = plan.next();
  ASSERT_THAT(second, SizeIs(1));
  EXPECT_THAT(plan.ended(second[0].number, true).ready, ElementsAre(part("b")));
}

TEST(StagingPlan, IsReadyWithTheLastOfWhatThePartWants) {
  StagingPlan plan;
  plan.want(part("a"), node(1), {{"/shared", {"in"}}, {"/more", {"in"}}});
  const auto copies = plan.next();
  ASSERT_THAT(copies, SizeIs(2));

  EXPECT_THAT(plan.ended(copies[0].number, true).ready, IsEmpty());
  EXPECT_THAT(plan.ended(copies[1].number, true).ready, ElementsAre(part("a")));
}

TEST(StagingPlan, FailsAllThatWaitedForACopyFromHere) {
  StagingPlan plan;
  plan.want(part("a"), node(1), kSets);
  const auto copies = plan.next();

  const auto ended = plan.ended(copies[0].number, false);
  EXPECT_THAT(ended.failed, ElementsAre(part("a")));
  EXPECT_THAT(ended.ready, IsEmpty());
  EXPECT_FALSE(ended.was_relay);
  EXPECT_TRUE(plan.is_idle());
}

TEST(StagingPlan, EndsACopyThatNobodyWaitsForAnyMore) {
  StagingPlan plan;
  plan.want(part("a"), node(1), kSets);
  plan.want(part("b"), node(2), kSets);
  const auto copies = plan.next();
  ASSERT_THAT(copies, SizeIs(2));

  EXPECT_THAT(plan.forget(JobId{"a"}), ElementsAre(copies[0].number));
  EXPECT_THAT(plan.forget(JobId{"a"}), IsEmpty());
  EXPECT_THAT(plan.ended(copies[0].number, true).ready, IsEmpty());
  EXPECT_THAT(plan.ended(copies[1].number, true).ready, ElementsAre(part("b")));
}

/// Runs the plan for one job on `count` nodes, one copy ending after the other. Returns how many
/// came from this machine; what breaks the rules is a failure.
int copies_from_here(StagingPlan& plan, int count, bool relays_work) {
  for (int i = 0; i < count; ++i) plan.want(part("a", i), node(i), kSets);
  std::deque<StagingPlan::Copy> running;
  std::set<NodeId> have;
  std::size_t ready = 0;
  int from_here = 0;
  for (;;) {
    for (auto& copy : plan.next()) running.push_back(std::move(copy));
    std::map<std::optional<NodeId>, int> serving;
    for (const auto& copy : running) ++serving[copy.from];
    for (const auto& [from, number] : serving) {
      EXPECT_LE(number, from ? StagingPlan::kNodeWidth : StagingPlan::kHeadWidth);
      if (from) {
        EXPECT_TRUE(have.contains(*from));
      }
    }
    if (running.empty()) break;
    const auto copy = std::move(running.front());
    running.pop_front();
    const bool good = !copy.from || relays_work;
    const auto ended = plan.ended(copy.number, good);
    EXPECT_EQ(ended.was_relay, !good);
    EXPECT_THAT(ended.failed, IsEmpty());
    if (good) {
      EXPECT_TRUE(have.insert(copy.to).second) << copy.to.value << " got it twice";
    }
    if (good && !copy.from) ++from_here;
    ready += ended.ready.size();
  }
  EXPECT_EQ(ready, static_cast<std::size_t>(count));
  EXPECT_TRUE(plan.is_idle());
  return from_here;
}

TEST(StagingPlan, ServesEightNodesItself) {
  StagingPlan plan;
  EXPECT_EQ(copies_from_here(plan, 8, true), 8);
}

TEST(StagingPlan, LetsNodesServeTheNextOnesBeyondEight) {
  StagingPlan nine;
  EXPECT_EQ(copies_from_here(nine, 9, true), 8);
  StagingPlan many;
  EXPECT_LT(copies_from_here(many, 200, true), 50) << "most come from nodes";
}

TEST(StagingPlan, ServesAllItselfWhereNodesDoNotReachEachOther) {
  StagingPlan plan;
  EXPECT_EQ(copies_from_here(plan, 40, false), 40);
}

TEST(StagingPlan, TakesNoNodeThatWasServedBeforeTheJobAsked) {
  StagingPlan plan;
  for (int i = 0; i < 9; ++i) plan.want(part("a", i), node(i), kSets);
  const auto first = plan.next();
  ASSERT_THAT(first, SizeIs(8));
  (void)plan.ended(first[0].number, true);
  plan.want(part("b"), node(20), kSets);

  for (const auto& copy : plan.next()) {
    if (copy.to == node(20)) {
      EXPECT_EQ(copy.from, std::nullopt);
    }
  }
}

}  // namespace
}  // namespace cox::head
