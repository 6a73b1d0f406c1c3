#include "launcher/cli/history.hpp"

#include <gtest/gtest.h>

namespace cox::cli {
namespace {

constexpr std::int64_t kNow = 1'700'000'000'000;  // 2023-11-14T22:13:20Z

TEST(Moments, AreSpansBeforeNowOrDates) {
  EXPECT_EQ(read_moment("90s", kNow).value(), kNow - 90'000);
  EXPECT_EQ(read_moment("30m", kNow).value(), kNow - 1'800'000);
  EXPECT_EQ(read_moment("7d", kNow).value(), kNow - 7 * 86'400'000LL);
  EXPECT_EQ(read_moment("2w", kNow).value(), kNow - 14 * 86'400'000LL);
  EXPECT_EQ(read_moment("2023-11-14T22:13:20Z", kNow).value(), kNow);
  EXPECT_EQ(read_moment("2023-11-14Z", kNow).value(), 1'699'920'000'000);
}

TEST(Moments, RefuseWhatIsNone) {
  for (const auto* wrong : {"", "yesterday", "5", "d", "-5d", "2023-02-30Z", "2023-13-01",
                            "2023-11-14T25:00", "99999999999999d", "2023-11-14 22:13"}) {
    EXPECT_FALSE(read_moment(wrong, kNow)) << wrong;
  }
}

TEST(Durations, AreShortWhereTheyAreShort) {
  EXPECT_EQ(render_duration(-1), "-");
  EXPECT_EQ(render_duration(0), "0.00 s");
  EXPECT_EQ(render_duration(1250), "1.25 s");
  EXPECT_EQ(render_duration(59'990), "59.9 s");
  EXPECT_EQ(render_duration(245'000), "4:05");
  EXPECT_EQ(render_duration(93'789'000), "26:03:09");
}

}  // namespace
}  // namespace cox::cli
