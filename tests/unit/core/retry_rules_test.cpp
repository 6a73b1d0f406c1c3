#include <gtest/gtest.h>

#include <ostream>

#include "runtime/core/lifecycle.hpp"

namespace cox::core {
namespace {

const Millis kThen{1'700'000'000'000};

/// A job of one node with attempts left, whose first attempt ended so.
Job ended(std::vector<ExitRule> rules, int exit_code, const std::string& reason = "") {
  JobSpec spec;
  spec.attempts = 3;
  spec.exit_rules = std::move(rules);
  Job job;
  job.id = JobId{"job"};
  NodeRun run;
  run.node = NodeId{"i-1"};
  const JobEvent events[] = {Submitted{kThen, spec, {}, {}}, Placed{kThen, 1, {run}, ""},
                             NodeReady{kThen, 1, 0}, NodeStarted{kThen, 1, 0},
                             NodeExited{kThen, 1, 0, exit_code, reason}};
  for (const auto& event : events) job = after(std::move(job), event).value();
  return job;
}

struct RuleCase {
  const char* name;
  std::vector<ExitRule> rules;
  int exit_code;
  const char* reason;
  JobStatus want;

  friend void PrintTo(const RuleCase& c, std::ostream* out) { *out << c.name; }
};

// name, rules {statusReason, reason, exitCode, retry}, exit code, container reason, wanted status
const RuleCase kCases[] = {
    {"no_rules_retry", {}, 1, "", JobStatus::runnable},
    {"none_that_matches_retries", {{"", "", "2", false}}, 1, "", JobStatus::runnable},
    {"a_code_exits", {{"", "", "1", false}}, 1, "", JobStatus::failed},
    {"a_code_is_no_prefix", {{"", "", "1", false}}, 13, "", JobStatus::runnable},
    {"a_star_is_a_prefix", {{"", "", "1*", false}}, 13, "", JobStatus::failed},
    {"the_first_decides",
     {{"", "", "1*", true}, {"", "", "13", false}},
     13,
     "",
     JobStatus::runnable},
    {"all_patterns_must_match", {{"Host EC2*", "", "1", false}}, 1, "", JobStatus::runnable},
    {"case_does_not_count", {{"essential CONTAINER*", "", "", false}}, 1, "", JobStatus::failed},
    {"a_reason_matches",
     {{"", "OutOfMemory*", "", false}},
     137,
     "OutOfMemoryError: x",
     JobStatus::failed},
    {"success_needs_no_rule", {{"", "", "0", true}}, 0, "", JobStatus::succeeded},
};

class RetryRules : public testing::TestWithParam<RuleCase> {};

TEST_P(RetryRules, DecideWhatAnAttemptsEndMeans) {
  const auto& c = GetParam();
  EXPECT_STREQ(to_string(ended(c.rules, c.exit_code, c.reason).status), to_string(c.want));
}

INSTANTIATE_TEST_SUITE_P(, RetryRules, testing::ValuesIn(kCases),
                         [](const auto& test) { return test.param.name; });

TEST(Retries, DoNotBringBackAJobThatWasKilled) {
  auto job = ended({{"", "", "*", true}}, 1);
  ASSERT_EQ(job.status, JobStatus::runnable);
  job = after(std::move(job), KillAsked{kThen, "enough", true}).value();
  EXPECT_EQ(job.status, JobStatus::failed);
  EXPECT_TRUE(job.cancelled);
}

TEST(MainNode, OfAnyIndexDecidesTheAttempt) {
  JobSpec spec;
  spec.nodes = 2;
  spec.main_node = 1;
  Job job;
  job.id = JobId{"job"};
  std::vector<NodeRun> runs(2);
  runs[0].node = NodeId{"i-0"};
  runs[1].node = NodeId{"i-1"};
  const JobEvent events[] = {Submitted{kThen, spec, {}, {}},
                             Placed{kThen, 1, runs, ""},
                             NodeReady{kThen, 1, 0},
                             NodeReady{kThen, 1, 1},
                             NodeStarted{kThen + 1, 1, 0},
                             NodeStarted{kThen + 2, 1, 1},
                             NodeExited{kThen + 3, 1, 0, 5, ""}};
  for (const auto& event : events) job = after(std::move(job), event).value();
  EXPECT_EQ(job.status, JobStatus::running);
  EXPECT_EQ(job.started_at, kThen + 2);

  job = after(std::move(job), NodeExited{kThen + 4, 1, 1, 0, ""}).value();

  EXPECT_EQ(job.status, JobStatus::succeeded);
}

TEST(Tags, OfAJobAreReplaced) {
  auto job = ended({}, 0);
  job = after(std::move(job), Tagged{kThen, {{"a", "b"}}}).value();
  EXPECT_EQ(job.spec->tags.get(), (std::map<std::string, std::string>{{"a", "b"}}));
  EXPECT_FALSE(after(Job{}, Tagged{kThen, {}}));
}

}  // namespace
}  // namespace cox::core
