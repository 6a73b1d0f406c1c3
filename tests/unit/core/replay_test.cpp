#include "runtime/core/replay.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <ostream>
#include <random>

namespace cox::core {

inline void PrintTo(const ReplayReport& report, std::ostream* stream) {
  const auto show = [](const Spread& spread) {
    return fmt::format("{} {} {} {}", spread.mean, spread.median, spread.p95, spread.max);
  };
  *stream << fmt::format(
      "{} lines: {} finished, {} failed, {} cancelled, {} parts; wait {}; slowdown {}; makespan "
      "{}; used {}, held {}",
      report.lines, report.finished, report.failed, report.cancelled, report.parts,
      show(report.wait_s), show(report.slowdown), report.makespan_s, report.used, report.held);
  for (const auto& job : report.never_placed) *stream << '\n' << job.line << ": " << job.why;
}

namespace {

/// A job on the line after the ones before it.
TraceJob job_of(std::size_t line, std::int64_t submit_s, std::optional<std::int64_t> run_s,
                std::optional<std::int64_t> processors, TraceEnd end = TraceEnd::succeeded) {
  return {line, static_cast<std::int64_t>(line), submit_s, run_s, processors, std::nullopt, end};
}

// Two nodes of 4 vCPUs. Job 1 takes 3 of the first node from 100 to 140. Job 2 wants 5 processors,
// two whole nodes, waits for job 1 and has both from 140 to 150. Job 3 would fit beside job 1, but
// both nodes are kept for job 2: it runs from 150 to 155. Job 4 comes at 200 and runs at once.
TEST(Replay, ReportsWhatWasWorkedOutByHand) {
  const std::vector<TraceJob> trace{
      job_of(1, 100, 40, 3),
      job_of(2, 110, 10, 5),
      job_of(3, 120, 5, 1, TraceEnd::failed),
      job_of(4, 120, 5, 9),
      job_of(5, 120, std::nullopt, 1),
      job_of(6, 120, 5, std::nullopt),
      job_of(7, 120, 0, 1, TraceEnd::cancelled),
      job_of(8, 120, 5, 1, TraceEnd::part),
      job_of(9, 200, 100, 8, TraceEnd::cancelled),
  };
  ReplayReport expected;
  expected.lines = 9;
  expected.finished = 2;
  expected.failed = 2;
  expected.never_placed = {{4, 4, "it needs 9 processors, more than 2 nodes can give"},
                           {5, 5, "its run time is not known"},
                           {6, 6, "its number of processors is not known"}};
  expected.cancelled = 1;
  expected.parts = 1;
  expected.wait_s = {15, 0, 30, 30};     // 0, 30, 30, 0
  expected.slowdown = {2.375, 1, 4, 4};  // 1, 40/10, 35/10, 1
  expected.makespan_s = 200;             // 100 to 300
  expected.used = (120 + 50 + 5 + 800) / (8.0 * 200);
  expected.held = (120 + 80 + 5 + 800) / (8.0 * 200);
  const auto report = replay(trace, {2, 4, 0});
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(*report, expected);
}

// One node of one vCPU. User 1 has five jobs of 10 s waiting when user 2's only one comes.
TEST(Replay, ServesUsersInTurnsWithFairShare) {
  std::vector<TraceJob> trace;
  for (std::size_t i = 1; i <= 5; ++i) {
    trace.push_back(job_of(i, 0, 10, 1));
    trace.back().user = 1;
  }
  trace.push_back(job_of(6, 1, 10, 1));
  trace.back().user = 2;
  ReplayOptions options{1, 1, 0};
  options.fair_share = true;
  options.decay_s = 3600;
  const auto report = replay(trace, options);
  ASSERT_TRUE(report) << report.error().message;
  ASSERT_EQ(report->shares.size(), 2u);
  EXPECT_EQ(report->shares[0].share, "user1");
  EXPECT_EQ(report->shares[0].wait_s, (Spread{28, 30, 50, 50}));  // 0, 20, 30, 40 and 50
  EXPECT_EQ(report->shares[1], (ShareReport{"user2", 1, {9, 9, 9, 9}}));
}

TEST(Replay, OfNothingReportsNothing) {
  const auto report = replay({}, {1, 1, 0});
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(*report, ReplayReport{});
}

TEST(Replay, RefusesAClusterThatCannotBe) {
  EXPECT_EQ(replay({}, {0, 1, 0}).error().message,
            "the number of nodes must be 1 to 100000, and is 0");
  EXPECT_EQ(replay({}, {1, 10'001, 0}).error().message,
            "the number of a node's vCPUs must be 1 to 10000, and is 10001");
}

TEST(Replay, BoundsTheSlowdownOfShortJobs) {
  EXPECT_EQ(bounded_slowdown(0, 0), 1);
  EXPECT_EQ(bounded_slowdown(30, 0), 3);
  EXPECT_EQ(bounded_slowdown(30, 10), 4);
  EXPECT_EQ(bounded_slowdown(30, 60), 1.5);
}

// A narrow job a second, seven of them at any time, and one job that wants all four nodes. They are
// never all free by themselves: without nodes set aside it would wait for the stream's end.
TEST(Replay, DoesNotStarveAWideJob) {
  std::vector<TraceJob> trace;
  for (std::size_t i = 0; i < 1000; ++i) {
    trace.push_back(job_of(i + 1, static_cast<std::int64_t>(i), 7, 1));
  }
  const auto narrow = replay(trace, {4, 2, 0});
  ASSERT_TRUE(narrow) << narrow.error().message;
  EXPECT_EQ(narrow->wait_s, Spread{});

  trace.push_back(job_of(1001, 100, 5, 8));
  const auto all = replay(trace, {4, 2, 0});
  ASSERT_TRUE(all) << all.error().message;
  EXPECT_EQ(all->finished, 1001u);
  EXPECT_GE(all->wait_s.max, 6);   // it waits for those that run
  EXPECT_LE(all->wait_s.max, 12);  // the stream waits for them and for it
}

std::vector<TraceJob> random_trace(unsigned seed) {
  std::mt19937 random(seed);
  const auto below = [&](unsigned limit) { return static_cast<std::int64_t>(random() % limit); };
  std::vector<TraceJob> trace;
  std::int64_t at = 0;
  for (std::size_t line = 1; line <= 400; ++line) {
    at += below(8);
    auto job = job_of(line, at, below(200), 1 + below(below(10) == 0 ? 40 : 6));
    job.end = static_cast<TraceEnd>(below(4));
    if (below(20) == 0) job.run_s.reset();
    if (below(20) == 0) job.processors.reset();
    trace.push_back(job);
  }
  return trace;
}

class AReplay : public testing::TestWithParam<unsigned> {};

TEST_P(AReplay, AccountsForEveryLineAndIsTheSameEachTime) {
  const auto trace = random_trace(GetParam());
  for (const int vcpus : {1, 4, 32}) {
    const ReplayOptions options{32 / vcpus, vcpus, GetParam()};
    const auto report = replay(trace, options);
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_EQ(report->finished + report->failed + report->never_placed.size() + report->cancelled +
                  report->parts,
              trace.size());
    for (const auto& job : report->never_placed) {
      EXPECT_EQ(job.why.find("it waited"), std::string::npos) << job.line << ": " << job.why;
    }
    EXPECT_GT(report->finished, 50u);
    EXPECT_LE(report->used, report->held);
    EXPECT_LE(report->held, 1);
    EXPECT_EQ(*replay(trace, options), *report);
  }
}

INSTANTIATE_TEST_SUITE_P(, AReplay, testing::Range(1u, 21u),
                         [](const auto& test) { return std::to_string(test.param); });

// Four jobs of the same second on one vCPU: what each waits for depends on who was first.
TEST(Replay, DrawsTheOrderOfASecondFromTheSeed) {
  const std::vector<TraceJob> trace{job_of(1, 0, 1000, 1), job_of(2, 0, 100, 1),
                                    job_of(3, 0, 10, 1), job_of(4, 0, 1, 1)};
  const auto mean = [&](std::uint64_t seed) { return replay(trace, {1, 1, seed})->wait_s.mean; };
  EXPECT_EQ(mean(0), (0 + 1000 + 1100 + 1110) / 4.0);
  std::vector<double> seen;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) seen.push_back(mean(seed));
  std::sort(seen.begin(), seen.end());
  EXPECT_GT(std::unique(seen.begin(), seen.end()) - seen.begin(), 5);
}

}  // namespace
}  // namespace cox::core
