#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "launcher/cli/commands.hpp"
#include "runtime/base/result.hpp"
#include "tests/unit/cli/said.hpp"

// cox simulate, on traces of tests/golden/simulate.

namespace cox::cli {
namespace {

std::string trace(const std::string& name) {
  return std::string(COX_SOURCE_DIR) + "/tests/golden/simulate/" + name;
}

TEST(Simulate, ReportsAsText) {
  const auto file = trace("tiny.swf");
  EXPECT_EQ(run(run_simulate, {"--trace", file, "--nodes", "2", "--vcpus", "4"}),
            (Said{0,
                  fmt::format("trace                    : {0}\n"
                              "nodes                    : 2 of 4 vCPUs\n"
                              "seed                     : 0\n"
                              "lines                    : 5\n"
                              "finished                 : 2\n"
                              "failed                   : 1\n"
                              "never placed             : 1\n"
                              "cancelled before start   : 1\n"
                              "parts of other jobs      : 0\n"
                              "makespan                 : 55 s\n"
                              "utilisation              : 39.8 % of all vCPUs asked for by what "
                              "ran, 46.6 % held\n"
                              "\n"
                              "                    mean    median    p95    max\n"
                              "----------------  ------  --------  -----  -----\n"
                              "wait, s             20.0      30.0   30.0   30.0\n"
                              "bounded slowdown    2.83      3.50   4.00   4.00\n"
                              "\n"
                              "Never placed:\n"
                              "  {0}:6: job 4: it needs 9 processors, more than 2 nodes can give\n",
                              file),
                  ""}));
}

TEST(Simulate, TellsTheWaitOfEachShare) {
  const auto file = trace("tiny.swf");
  const auto said = run(run_simulate, {"--trace", file, "--nodes", "2", "--vcpus", "4",
                                       "--fair-share", "--share-decay", "60"});
  EXPECT_EQ(said.status, 0) << said.err;
  const auto table = said.out.find("wait of share, s      jobs    mean    median");
  ASSERT_NE(table, std::string::npos) << said.out;
  EXPECT_NE(said.out.find("\nuser1 ", table), std::string::npos) << said.out;

  const auto told = run(
      run_simulate, {"--json", "--trace", file, "--nodes", "2", "--vcpus", "4", "--fair-share"});
  const auto report = boost::json::parse(told.out).as_object();
  std::int64_t jobs = 0;
  for (const auto& share : report.at("shares").as_array()) {
    jobs += share.as_object().at("jobs").to_number<std::int64_t>();
  }
  EXPECT_EQ(jobs, 3);  // all that ran
  EXPECT_EQ(report.at("shareDecaySeconds"), 0);
}

TEST(Simulate, WantsFairShareWithADecay) {
  const auto said =
      run(run_simulate, {"--trace", trace("tiny.swf"), "--nodes", "2", "--share-decay", "60"});
  EXPECT_EQ(said.status, 2);
  EXPECT_NE(said.err.find("--share-decay goes with --fair-share"), std::string::npos) << said.err;
}

TEST(Simulate, TellsAProgramTheSame) {
  const auto file = trace("tiny.swf");
  const auto said =
      run(run_simulate, {"--json", "--trace", file, "--nodes=2", "--vcpus=4", "--seed=7"});
  EXPECT_EQ(said.status, 0) << said.err;
  EXPECT_EQ(
      boost::json::parse(said.out),
      (boost::json::value{
          {"trace", file},
          {"nodes", 2},
          {"vcpusPerNode", 4},
          {"seed", 7},
          {"lines", 5},
          {"finished", 2},
          {"failed", 1},
          {"neverPlaced",
           boost::json::array{{{"line", 6},
                               {"job", 4},
                               {"reason", "it needs 9 processors, more than 2 nodes can give"}}}},
          {"cancelledBeforeStart", 1},
          {"partsOfJobs", 0},
          {"makespanSeconds", 55},
          {"utilisation", 0.398},
          {"held", 0.466},
          {"waitSeconds", {{"mean", 20.0}, {"median", 30.0}, {"p95", 30.0}, {"max", 30.0}}},
          {"boundedSlowdown", {{"mean", 2.833}, {"median", 3.5}, {"p95", 4.0}, {"max", 4.0}}}}));
  EXPECT_NE(said.out.find("\"mean\": 20.0,"), std::string::npos) << said.out;
}

TEST(Simulate, NamesTheLineThatIsWrong) {
  const auto file = trace("bad.swf");
  EXPECT_EQ(run(run_simulate, {"--trace", file, "--nodes", "2"}),
            (Said{1, "", "cox simulate: " + file + ":3: a job has 18 fields, and here are 17\n"}));
  const auto none = trace("none.swf");
  EXPECT_EQ(run(run_simulate, {"--trace", none, "--nodes", "2"}),
            (Said{1, "", "cox simulate: " + none + ": No such file or directory\n"}));
}

TEST(Simulate, TellsMisuse) {
  const auto file = trace("tiny.swf");
  EXPECT_EQ(run(run_simulate, {"--trace", file}).status, 2);
  EXPECT_EQ(run(run_simulate, {"--nodes", "2"}).status, 2);
  EXPECT_EQ(run(run_simulate, {"--trace", file, "--nodes", "0"}).status, 2);
  EXPECT_EQ(run(run_simulate, {"--trace", file, "--nodes", "2", "--seed", "-1"}).status, 2);
  EXPECT_EQ(
      run(run_simulate, {"--trace", file, "--nodes", "2", "--seed", "99999999999999999999"}).status,
      2);
  EXPECT_EQ(run(run_simulate, {"--help"}).status, 0);
}

}  // namespace
}  // namespace cox::cli
