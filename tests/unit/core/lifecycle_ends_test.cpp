#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/core/lifecycle.hpp"
#include "tests/unit/core/life.hpp"

/// What ends a wait or a run from outside: kills, timeouts, dependencies, and an array's children.
namespace cox::core {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// Kills and timeouts.

TEST(Kill, EndsAWaitingJobAtOnce) {
  for (const auto* state : {"pending", "runnable", "retried"}) {
    const auto job = follow(in_state(state), {KillAsked{kNow, "enough"}});

    EXPECT_EQ(job.status, JobStatus::failed) << state;
    EXPECT_EQ(job.status_reason, "enough");
    EXPECT_EQ(job.stopped_at, kNow);
    EXPECT_THAT(job.waits_for.get(), IsEmpty());
    EXPECT_THAT(owed(job), IsEmpty());
  }
}

TEST(Kill, OfAJobBetweenAttemptsStillStopsItsOtherNodes) {
  const auto job = follow(in_state("stopping"), {KillAsked{kNow, "enough"}});

  EXPECT_EQ(job.status, JobStatus::failed);
  EXPECT_THAT(owed(job), ElementsAre("stop 1/1"));
}

TEST(Kill, StopsAJobThatPrepares) {
  const auto job = follow(in_state("preparing"), {KillAsked{kNow, "enough"}});

  EXPECT_EQ(job.status, JobStatus::starting);
  EXPECT_THAT(owed(job), ElementsAre("stop 1/0", "stop 1/1"));
}

TEST(Deadline, IsTheStartOfTheAttemptAndItsTime) {
  auto spec = spec_of();
  spec.timeout_s = 60;
  const auto waiting = submitted("j", spec);
  const auto placed = follow(waiting, {placed_on(1, {"a"})});
  const auto running = follow(placed, {NodeStarted{kNow, 1, 0}});

  EXPECT_EQ(deadline(waiting), std::nullopt);
  EXPECT_EQ(deadline(placed), std::nullopt);
  EXPECT_EQ(deadline(running), kNow + 60'000);
  EXPECT_EQ(deadline(follow(running, {TimedOut{kNow, 1}})), std::nullopt);
  EXPECT_EQ(deadline(follow(running, {KillAsked{kNow, ""}})), std::nullopt);
  EXPECT_EQ(deadline(follow(running, {NodeExited{kNow, 1, 0, 0, ""}})), std::nullopt);
  EXPECT_EQ(deadline(in_state("running")), std::nullopt);  // without a timeout
}

// Dependencies.

TEST(Dependency, HoldsAJobUntilTheLastOfThemHasSucceeded) {
  const auto job = submitted("j", spec_of(), {JobId{"d"}, JobId{"e"}});
  const auto one = follow(job, {DependencyEnded{kNow, JobId{"e"}, true}});
  const auto both = follow(one, {DependencyEnded{kNow, JobId{"d"}, true}});

  EXPECT_EQ(job.status, JobStatus::pending);
  EXPECT_EQ(one.status, JobStatus::pending);
  EXPECT_THAT(one.waits_for.get(), ElementsAre(JobId{"d"}));
  EXPECT_EQ(both.status, JobStatus::runnable);
}

TEST(Dependency, ThatFailsFailsTheJobAndEndsTheWaitForTheOthers) {
  const auto job = follow(submitted("j", spec_of(), {JobId{"d"}, JobId{"e"}}),
                          {DependencyEnded{kNow, JobId{"e"}, false}});

  EXPECT_EQ(job.status, JobStatus::failed);
  EXPECT_EQ(job.status_reason, "Dependent Job failed");
  EXPECT_EQ(job.stopped_at, kNow);
  EXPECT_THAT(job.waits_for.get(), IsEmpty());
}

TEST(Dependency, OnAnotherJobIsRefused) {
  const auto job = after(in_state("pending"), DependencyEnded{kNow, JobId{"x"}, true});

  ASSERT_FALSE(job);
  EXPECT_EQ(job.error(), (Error{Errc::conflict, "job j cannot stop waiting for x while PENDING"}));
}

// Arrays.

Job parent_of_three() {
  auto spec = spec_of();
  spec.array_size = 3;
  auto job = submitted("p", spec);
  for (int i = 0; i < 3; ++i) {
    job = follow(std::move(job), {ChildChanged{kThen, JobStatus::submitted, JobStatus::runnable}});
  }
  return job;
}

ChildChanged child_ends(JobStatus end, Millis at = kNow) { return {at, JobStatus::runnable, end}; }

TEST(ArrayParent, CountsItsChildren) {
  const auto job =
      follow(parent_of_three(), {ChildChanged{kNow, JobStatus::runnable, JobStatus::starting},
                                 child_ends(JobStatus::succeeded)});

  EXPECT_EQ(job.status, JobStatus::pending);
  EXPECT_EQ(job.children, (std::map<JobStatus, int>{{JobStatus::submitted, 0},
                                                    {JobStatus::runnable, 1},
                                                    {JobStatus::starting, 1},
                                                    {JobStatus::succeeded, 1},
                                                    {JobStatus::failed, 0}}));
}

TEST(ArrayParent, SucceedsWithTheLastOfItsChildren) {
  const auto job =
      follow(parent_of_three(), {child_ends(JobStatus::succeeded), child_ends(JobStatus::succeeded),
                                 child_ends(JobStatus::succeeded, kNow + 9)});

  EXPECT_EQ(job.status, JobStatus::succeeded);
  EXPECT_EQ(job.status_reason, "");
  EXPECT_EQ(job.stopped_at, kNow + 9);
}

TEST(ArrayParent, FailsOnlyWhenAllItsChildrenHaveEnded) {
  const auto two =
      follow(parent_of_three(), {child_ends(JobStatus::failed), child_ends(JobStatus::succeeded)});
  const auto all = follow(two, {child_ends(JobStatus::succeeded)});

  EXPECT_EQ(two.status, JobStatus::pending);
  EXPECT_EQ(all.status, JobStatus::failed);
  EXPECT_EQ(all.status_reason, "Array Child Job failed");
}

TEST(ArrayParent, ThatWasKilledEndsWithItsChildrenByTheKillersWord) {
  const auto killed = follow(parent_of_three(), {KillAsked{kNow, "enough"}});
  const auto ended = follow(killed, {child_ends(JobStatus::failed), child_ends(JobStatus::failed),
                                     child_ends(JobStatus::failed)});

  EXPECT_EQ(killed.status, JobStatus::pending);
  EXPECT_EQ(ended.status, JobStatus::failed);
  EXPECT_EQ(ended.status_reason, "enough");
}

TEST(ArrayParent, RefusesAChildThatWasNotInThatState) {
  const auto job =
      after(parent_of_three(), ChildChanged{kNow, JobStatus::running, JobStatus::succeeded});

  ASSERT_FALSE(job);
  EXPECT_EQ(job.error(), (Error{Errc::conflict, "job p cannot have a child change while PENDING"}));
}

TEST(ArrayChild, IsAJobLikeAnyOther) {
  auto spec = spec_of();
  spec.array_size = 3;
  Job blank;
  blank.id = JobId{"p:1"};
  const auto job = follow(blank, {Submitted{kThen, spec, 1, {}}});

  EXPECT_FALSE(job.is_array_parent());
  EXPECT_EQ(job.status, JobStatus::runnable);
  EXPECT_EQ(job.array_index, 1);
}

}  // namespace
}  // namespace cox::core
