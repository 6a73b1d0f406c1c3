#include "runtime/agent/recent_bytes.hpp"

#include <gtest/gtest.h>

namespace cox::agent {
namespace {

using std::chrono::seconds;

constexpr auto kPeriod = RecentBytes::kPeriod;
const RecentBytes::Time kStart{std::chrono::hours(24)};

TEST(RecentBytes, CountsWhatCameInTheLastPeriod) {
  RecentBytes bytes;
  EXPECT_EQ(bytes.count(kStart), 0);
  bytes.add(5, kStart);
  bytes.add(7, kStart + kPeriod - seconds(1));

  EXPECT_EQ(bytes.count(kStart + kPeriod - seconds(1)), 12);
  EXPECT_GE(bytes.count(kStart + 2 * kPeriod - seconds(2)), 7);
}

TEST(RecentBytes, ForgetsWhatIsTwoPeriodsOld) {
  RecentBytes bytes;
  bytes.add(5, kStart);
  bytes.add(7, kStart + kPeriod);
  EXPECT_EQ(bytes.count(kStart + kPeriod), 12);
  EXPECT_EQ(bytes.count(kStart + 2 * kPeriod), 7);
  EXPECT_EQ(bytes.count(kStart + 3 * kPeriod), 0);

  bytes.add(9, kStart + 4 * kPeriod);
  EXPECT_EQ(bytes.count(kStart + 4 * kPeriod), 9);
}

}  // namespace
}  // namespace cox::agent
