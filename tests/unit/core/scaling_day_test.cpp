#include "runtime/core/scaling_day.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cox::core {
namespace {

DayOptions options(std::uint64_t seed) {
  DayOptions made;
  made.seed = seed;
  made.min_vcpus = 4;
  made.max_vcpus = 64;
  made.types = {{"small", 2, MiB{4096}}, {"large", 8, MiB{16384}}};
  return made;
}

class ScalingDay : public testing::TestWithParam<std::uint64_t> {};

TEST_P(ScalingDay, StaysWithinItsLimitsAndDoesNotFlap) {
  const auto report = simulate_day(options(GetParam()));
  ASSERT_TRUE(report) << report.error().message;
  ASSERT_EQ(report->hours.size(), 24u);
  int grown = 0;
  int shrunk = 0;
  for (std::size_t hour = 0; hour < 24; ++hour) {
    const auto& seen = report->hours[hour];
    EXPECT_LE(seen.most_vcpus, 64) << hour;
    EXPECT_GE(seen.least_vcpus, 4) << hour;
    grown += seen.grown;
    shrunk += seen.shrunk;
  }
  EXPECT_GT(report->ended, 400);
  EXPECT_GE(report->ended, report->submitted - 20);
  // It follows the load: large by day, small by night.
  EXPECT_GE(report->hours[10].most_vcpus, 32);
  EXPECT_LE(report->hours[4].most_vcpus, 24);
  EXPECT_LE(report->hours[23].least_vcpus, 24);
  // Nodes come for jobs and stay while they are used: few go that had no job, because another
  // came free first, and there is no coming and going with every job.
  EXPECT_LE(report->unused, report->launched / 5);
  EXPECT_LT(report->launched, report->ended / 4);
  EXPECT_LE(grown - shrunk, 64);
  EXPECT_GT(report->utilisation, 0.3);
  // Nobody waits for longer than some of the longest jobs take.
  EXPECT_LE(report->wait_s.max, 2 * 3600);
}

TEST_P(ScalingDay, IsTheSameForTheSameSeed) {
  EXPECT_EQ(simulate_day(options(GetParam())).value(), simulate_day(options(GetParam())).value());
  EXPECT_NE(simulate_day(options(GetParam())).value(),
            simulate_day(options(GetParam() + 100)).value());
}

INSTANTIATE_TEST_SUITE_P(, ScalingDay, testing::Values(1u, 2u, 3u, 4u),
                         [](const auto& test) { return std::to_string(test.param); });

TEST(ScalingDayOptions, ThatCannotBeAreRefused) {
  auto wrong = options(1);
  wrong.min_vcpus = 65;
  EXPECT_FALSE(simulate_day(wrong));
  wrong = options(1);
  wrong.jobs = 0;
  EXPECT_FALSE(simulate_day(wrong));
  wrong = options(1);
  wrong.types.clear();
  EXPECT_FALSE(simulate_day(wrong));
}

}  // namespace
}  // namespace cox::core
