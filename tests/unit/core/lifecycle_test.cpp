#include "runtime/core/lifecycle.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/core/life.hpp"

namespace cox::core {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

JobEvent event_named(const std::string& name) {
  if (name == "submitted") return Submitted{kNow, wide_spec(2), {}, {}};
  if (name == "dependency") return DependencyEnded{kNow, JobId{"d"}, true};
  if (name == "placed") return placed_on(1, {"a", "b"});
  if (name == "placed_again") return placed_on(2, {"a", "b"});
  if (name == "ready") return NodeReady{kNow, 1, 1};
  if (name == "started") return NodeStarted{kNow, 1, 1};
  if (name == "exited") return NodeExited{kNow, 1, 1, 0, ""};
  if (name == "lost") return NodeLost{kNow, NodeId{"b"}, "it burnt"};
  if (name == "killed") return KillAsked{kNow, "enough"};
  if (name == "timed_out") return TimedOut{kNow, 1};
  if (name == "child") return ChildChanged{kNow, JobStatus::submitted, JobStatus::runnable};
  ADD_FAILURE() << "no event " << name;
  return TimedOut{};
}

constexpr const char* kStates[] = {"blank",    "pending", "runnable",  "preparing",
                                   "ready",    "running", "killed",    "timed_out",
                                   "stopping", "retried", "succeeded", "failed"};

struct EventCase {
  const char* event;
  const char* refusal;  ///< the words of the message
  /// The status after it by state in the order of kStates; '-' where it is refused.
  const char* outcomes;

  friend void PrintTo(const EventCase& c, std::ostream* out) { *out << c.event; }
};

// B(lank: SUBMITTED) P(ENDING) R(UNNABLE) S(TARTING) U(: RUNNING) D(: SUCCEEDED) F(AILED)
const EventCase kEvents[] = {
    // in blank, pending, runnable, preparing, ready, running, killed, timed_out, stopping,
    // retried, succeeded, failed
    {"submitted", "be submitted again", "R-----------"},
    {"dependency", "stop waiting for d", "-R----------"},
    {"placed", "be placed", "--S---------"},
    {"placed_again", "be placed", "---------S--"},
    {"ready", "have a node ready", "---S--------"},
    {"started", "have a node started", "---SS-------"},
    {"exited", "have a node exit", "---RRUUUR-D-"},
    {"lost", "lose node b", "---RRUUUR-DF"},
    {"killed", "be killed", "FFFSSU-UFF--"},
    {"timed_out", "time out", "---SSU------"},
    {"child", "have a child change", "------------"},
};

class EveryEvent : public testing::TestWithParam<EventCase> {};

TEST_P(EveryEvent, HasOneOutcomeInEachState) {
  const std::string letters = "BPRSUDF";
  std::string outcomes;
  for (const auto* state : kStates) {
    const auto before = in_state(state);

    const auto job = after(before, event_named(GetParam().event));

    outcomes += job ? letters[static_cast<std::size_t>(job->status)] : '-';
    if (!job) {
      EXPECT_EQ(job.error(),
                (Error{Errc::conflict, fmt::format("job j cannot {} while {}", GetParam().refusal,
                                                   to_string(before.status))}))
          << state;
    }
  }
  EXPECT_EQ(outcomes, GetParam().outcomes);
}

INSTANTIATE_TEST_SUITE_P(, EveryEvent, testing::ValuesIn(kEvents),
                         [](const auto& test) { return test.param.event; });

struct DueCase {
  const char* state;
  std::vector<std::string> owed;

  friend void PrintTo(const DueCase& c, std::ostream* out) { *out << c.state; }
};

const DueCase kDue[] = {
    {"blank", {}},
    {"pending", {}},
    {"runnable", {}},
    {"preparing", {"prepare 1/0", "prepare 1/1"}},
    {"ready", {"launch 1/0", "launch 1/1"}},
    {"running", {}},
    {"killed", {"stop 1/0", "stop 1/1"}},
    {"timed_out", {"stop 1/0", "stop 1/1"}},
    {"stopping", {"stop 1/1"}},
    {"retried", {}},
    {"succeeded", {"stop 1/1"}},
    {"failed", {"stop 2/1"}},
};

class Due : public testing::TestWithParam<DueCase> {};

TEST_P(Due, FollowsFromTheStateAlone) {
  EXPECT_EQ(owed(in_state(GetParam().state)), GetParam().owed);
}

INSTANTIATE_TEST_SUITE_P(, Due, testing::ValuesIn(kDue),
                         [](const auto& test) { return test.param.state; });

TEST(DueEffects, LaunchNoNodeWhileOneStillPrepares) {
  const auto job = follow(in_state("preparing"), {NodeReady{kNow, 1, 0}});

  EXPECT_THAT(owed(job), ElementsAre("prepare 1/1"));
}

TEST(DueEffects, LaunchOnlyTheNodesThatHaveNotStarted) {
  const auto job = follow(in_state("ready"), {NodeStarted{kNow, 1, 1}});

  EXPECT_THAT(owed(job), ElementsAre("launch 1/0"));
}

// How an attempt ends.

struct EndCase {
  const char* name;
  int attempts;
  std::vector<JobEvent> events;  ///< after the job of one node, "a", was started
  JobStatus status;
  const char* reason;
  std::optional<int> exit_code;

  friend void PrintTo(const EndCase& c, std::ostream* out) { *out << c.name; }
};

constexpr const char* kLostReason =
    "Host EC2 (instance a) terminated: node host-a was lost: agent exited with signal 9";

const EndCase kEnds[] = {
    {"exit_code_0_succeeds",
     1,
     {NodeExited{kNow, 1, 0, 0, ""}},
     JobStatus::succeeded,
     "Essential container in task exited",
     0},
    {"success_is_not_tried_again",
     3,
     {NodeExited{kNow, 1, 0, 0, ""}},
     JobStatus::succeeded,
     "Essential container in task exited",
     0},
    {"the_last_attempt_fails",
     1,
     {NodeExited{kNow, 1, 0, 7, ""}},
     JobStatus::failed,
     "Essential container in task exited",
     7},
    {"an_earlier_attempt_is_tried_again",
     2,
     {NodeExited{kNow, 1, 0, 7, ""}},
     JobStatus::runnable,
     "Essential container in task exited",
     7},
    {"a_lower_level_reason_stays_with_the_node",
     1,
     {NodeExited{kNow, 1, 0, 137, "OutOfMemoryError: 9 MiB"}},
     JobStatus::failed,
     "Essential container in task exited",
     137},
    {"a_lost_node_is_tried_again",
     2,
     {NodeLost{kNow, NodeId{"a"}, "agent exited with signal 9"}},
     JobStatus::runnable,
     kLostReason,
     std::nullopt},
    {"a_lost_node_fails_the_last_attempt",
     1,
     {NodeLost{kNow, NodeId{"a"}, "agent exited with signal 9"}},
     JobStatus::failed,
     kLostReason,
     std::nullopt},
    {"a_killed_attempt_is_not_tried_again",
     2,
     {KillAsked{kNow, "enough"}, NodeExited{kNow, 1, 0, 143, ""}},
     JobStatus::failed,
     "enough",
     143},
    {"a_killed_attempt_that_exits_with_0_has_failed",
     1,
     {KillAsked{kNow, "enough"}, NodeExited{kNow, 1, 0, 0, ""}},
     JobStatus::failed,
     "enough",
     0},
    {"a_killed_attempt_on_a_lost_node_is_not_tried_again",
     2,
     {KillAsked{kNow, "enough"}, NodeLost{kNow, NodeId{"a"}, "it burnt"}},
     JobStatus::failed,
     "enough",
     std::nullopt},
    {"a_timed_out_attempt_is_not_tried_again",
     2,
     {TimedOut{kNow, 1}, NodeExited{kNow, 1, 0, 143, ""}},
     JobStatus::failed,
     "Job attempt duration exceeded timeout",
     143},
    {"a_kill_counts_for_more_than_a_timeout",
     2,
     {TimedOut{kNow, 1}, KillAsked{kNow, "enough"}, NodeExited{kNow, 1, 0, 143, ""}},
     JobStatus::failed,
     "enough",
     143},
};

class AttemptEnd : public testing::TestWithParam<EndCase> {};

TEST_P(AttemptEnd, DecidesTheJob) {
  const auto& c = GetParam();

  const auto job = follow(submitted("j", retried(spec_of(), c.attempts)),
                          {placed_on(1, {"a"}), NodeReady{kThen, 1, 0}, NodeStarted{kThen, 1, 0}});
  const auto ended = follow(job, c.events);

  EXPECT_STREQ(to_string(ended.status), to_string(c.status));
  EXPECT_EQ(ended.status_reason, c.reason);
  EXPECT_EQ(ended.stopped_at, kNow);
  ASSERT_EQ(ended.attempts.size(), 1u);
  EXPECT_TRUE(ended.attempts[0].over);
  EXPECT_EQ(ended.attempts[0].exit_code, c.exit_code);
  EXPECT_EQ(ended.attempts[0].status_reason, c.reason);
  EXPECT_EQ(ended.attempts[0].stopped_at, kNow);
  EXPECT_THAT(owed(ended), IsEmpty());
  EXPECT_FALSE(holds_nodes(ended));
}

INSTANTIATE_TEST_SUITE_P(, AttemptEnd, testing::ValuesIn(kEnds),
                         [](const auto& test) { return test.param.name; });

TEST(AttemptEnds, KeepTheLowerLevelReasonWithTheNode) {
  const auto job =
      follow(submitted("j", spec_of()), {placed_on(1, {"a"}), NodeStarted{kThen, 1, 0},
                                         NodeExited{kNow, 1, 0, 137, "OutOfMemoryError: 9 MiB"}});

  EXPECT_EQ(job.attempts[0].nodes[0].reason, "OutOfMemoryError: 9 MiB");
  EXPECT_EQ(job.attempts[0].nodes[0].exit_code, 137);
  EXPECT_EQ(job.attempts[0].nodes[0].stopped_at, kNow);
}

TEST(AttemptEnds, SayWhichRankFailedWhereTheProductRunsMpirun) {
  auto spec = spec_of();
  spec.mpi = MpiRun{};
  const auto job =
      follow(submitted("j", spec), {placed_on(1, {"a"}), NodeStarted{kThen, 1, 0},
                                    NodeExited{kNow, 1, 0, 3, "rank 1 exited with code 3"}});

  EXPECT_EQ(job.status_reason, "rank 1 exited with code 3");
}

// Jobs of several nodes.

TEST(MultiNodeJob, EndsWithItsMainNodeAndStopsTheOthers) {
  const auto job = in_state("succeeded");

  EXPECT_EQ(job.status, JobStatus::succeeded);
  EXPECT_TRUE(holds_node(job, NodeId{"b"}));
  EXPECT_FALSE(holds_node(job, NodeId{"a"}));
  EXPECT_THAT(owed(job), ElementsAre("stop 1/1"));
}

TEST(MultiNodeJob, RunsWhenItsMainNodeRuns) {
  const auto other_only = follow(in_state("ready"), {NodeStarted{kNow, 1, 1}});
  const auto both = follow(other_only, {NodeStarted{kNow + 1, 1, 0}});

  EXPECT_EQ(other_only.status, JobStatus::starting);
  EXPECT_FALSE(other_only.started_at.set());
  EXPECT_EQ(both.status, JobStatus::running);
  EXPECT_EQ(both.started_at, kNow + 1);
  EXPECT_EQ(both.attempts[0].started_at, kNow + 1);
}

TEST(MultiNodeJob, GoesOnWhenAnotherNodeFailsOrIsLost) {
  const auto failed = follow(in_state("running"), {NodeExited{kNow, 1, 1, 9, ""}});
  const auto lost = follow(in_state("running"), {NodeLost{kNow, NodeId{"b"}, "it burnt"}});

  EXPECT_EQ(failed.status, JobStatus::running);
  EXPECT_EQ(failed.attempts[0].nodes[1].exit_code, 9);
  EXPECT_EQ(lost.status, JobStatus::running);
  EXPECT_EQ(lost.attempts[0].nodes[1].reason,
            "Host EC2 (instance b) terminated: node host-b was lost: it burnt");
  EXPECT_EQ(lost.attempts[0].nodes[1].exit_code, std::nullopt);
}

TEST(MultiNodeJob, EndsWithAnyOfItsNodesWhereTheyStartTheRanks) {
  auto job = in_state("running");
  job.attempts[0].launch = "direct: Open MPI by PMI-1";

  const auto lost = follow(job, {NodeLost{kNow, NodeId{"b"}, "it burnt"}});

  EXPECT_NE(lost.status, JobStatus::running);
  EXPECT_TRUE(lost.attempts[0].over);
  EXPECT_EQ(lost.attempts[0].exit_code, std::nullopt);
  EXPECT_EQ(lost.attempts[0].status_reason,
            "Host EC2 (instance b) terminated: node host-b was lost: it burnt");
  EXPECT_THAT(owed(lost), ElementsAre("stop 1/0"));
}

TEST(MultiNodeJob, EndsBeforeItRunsWhenANodeCannotStart) {
  const auto job = follow(in_state("ready"), {NodeExited{kNow, 1, 1, 0, "no space left"}});

  EXPECT_EQ(job.status, JobStatus::runnable);
  EXPECT_EQ(job.status_reason, "Node host-b could not start: no space left");
  EXPECT_EQ(job.attempts[0].exit_code, 1);  // a node that did not start is no success
  EXPECT_THAT(owed(job), ElementsAre("stop 1/0"));
}

TEST(MultiNodeJob, TellsInAwsWordsWhyAContainerDidNotStart) {
  const auto why = "CannotPullContainerError: no such image";
  const auto job = follow(in_state("ready"), {NodeExited{kNow, 1, 1, 1, why}});

  EXPECT_EQ(job.status, JobStatus::runnable);
  EXPECT_EQ(job.status_reason, why);
  EXPECT_EQ(job.attempts[0].nodes[1].reason, why);
}

TEST(MultiNodeJob, WaitsForItsMainNodeWhenAnotherHasRunAndEnded) {
  const auto job =
      follow(in_state("ready"), {NodeStarted{kNow, 1, 1}, NodeExited{kNow, 1, 1, 0, ""}});

  EXPECT_EQ(job.status, JobStatus::starting);
  EXPECT_THAT(owed(job), ElementsAre("launch 1/0"));
}

TEST(MultiNodeJob, KeepsItsOutcomeWhateverItsOtherNodesReportLater) {
  const auto job = follow(in_state("succeeded"), {NodeExited{kNow + 9, 1, 1, 143, ""}});

  EXPECT_EQ(job.status, JobStatus::succeeded);
  EXPECT_EQ(job.stopped_at, kNow);
  EXPECT_FALSE(holds_nodes(job));
}

// Attempts.

TEST(Retry, IsANewAttemptWithNothingOfTheOldOne) {
  const auto job = follow(in_state("retried"), {placed_on(2, {"c", "d"})});

  EXPECT_EQ(job.attempts.size(), 2u);
  EXPECT_EQ(job.attempts[1].number, 2);
  EXPECT_EQ(job.status_reason, "");
  EXPECT_FALSE(job.started_at.set());
  EXPECT_FALSE(job.stopped_at.set());
  EXPECT_THAT(owed(job), ElementsAre("prepare 2/0", "prepare 2/1"));
}

TEST(Retry, RefusesReportsOfAnOlderAttempt) {
  const auto job = follow(in_state("retried"), {placed_on(2, {"a", "b"})});

  for (const JobEvent& late :
       {JobEvent{NodeReady{kNow, 1, 0}}, JobEvent{NodeStarted{kNow, 1, 0}},
        JobEvent{NodeExited{kNow, 1, 0, 0, ""}}, JobEvent{TimedOut{kNow, 1}}}) {
    const auto changed = after(job, late);
    ASSERT_FALSE(changed);
    EXPECT_EQ(changed.error().code, Errc::conflict);
  }
}

struct RefusedPlacement {
  const char* name;
  const char* state;
  Placed event;

  friend void PrintTo(const RefusedPlacement& c, std::ostream* out) { *out << c.name; }
};

const RefusedPlacement kRefusedPlacements[] = {
    {"of_a_number_that_was", "retried", placed_on(1, {"a", "b"})},
    {"of_a_number_to_come", "runnable", placed_on(2, {"a", "b"})},
    {"on_too_few_nodes", "runnable", placed_on(1, {"a"})},
    {"on_too_many_nodes", "runnable", placed_on(1, {"a", "b", "c"})},
    {"while_the_last_attempt_holds_a_node", "stopping", placed_on(2, {"a", "c"})},
};

class PlacingAgain : public testing::TestWithParam<RefusedPlacement> {};

TEST_P(PlacingAgain, IsRefused) {
  const auto job = after(in_state(GetParam().state), GetParam().event);

  ASSERT_FALSE(job);
  EXPECT_EQ(job.error(), (Error{Errc::conflict, "job j cannot be placed while RUNNABLE"}));
}

INSTANTIATE_TEST_SUITE_P(, PlacingAgain, testing::ValuesIn(kRefusedPlacements),
                         [](const auto& test) { return test.param.name; });

TEST(NodeReports, AreRefusedForANodeThatTheAttemptDoesNotHave) {
  for (const int index : {-1, 2}) {
    const auto job = after(in_state("ready"), NodeStarted{kNow, 1, index});
    ASSERT_FALSE(job);
    EXPECT_EQ(job.error().message, "job j cannot have a node started while STARTING");
  }
}

}  // namespace
}  // namespace cox::core
