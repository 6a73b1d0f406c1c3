#include "runtime/core/retention.hpp"

#include <gtest/gtest.h>

namespace cox::core {
namespace {

constexpr std::int64_t kDayMs = 86'400'000;

TEST(Retention, IsByDaysBeforeNow) {
  const Millis now{1000 * kDayMs};
  EXPECT_EQ(logs_kept_from(1, now), Millis{999 * kDayMs});
  EXPECT_EQ(logs_kept_from(180, now), Millis{820 * kDayMs});
  EXPECT_EQ(logs_kept_from(3653, now), Millis{-2653 * kDayMs});
}

TEST(Retention, OfNoDaysIsForGood) {
  EXPECT_EQ(logs_kept_from(0, Millis{kDayMs}), std::nullopt);
  EXPECT_EQ(logs_kept_from(-1, Millis{kDayMs}), std::nullopt);
}

}  // namespace
}  // namespace cox::core
