#include "launcher/cli/log_stream.hpp"

#include <gtest/gtest.h>

namespace cox::cli {
namespace {

TEST(IsoTime, IsReadInAllItsForms) {
  constexpr std::int64_t kTime = 1'626'312'122'000;  // 2021-07-15T01:22:02Z
  EXPECT_EQ(parse_iso_time("2021-07-15T01:22:02Z"), kTime);
  EXPECT_EQ(parse_iso_time("2021-07-15T01:22:02"), kTime);
  EXPECT_EQ(parse_iso_time("2021-07-15 01:22:02"), kTime);
  EXPECT_EQ(parse_iso_time("2021-07-15T01:22:02.655Z"), kTime + 655);
  EXPECT_EQ(parse_iso_time("2021-07-15T01:22:02.655999+00:00"), kTime + 655);
  EXPECT_EQ(parse_iso_time("2021-07-15T03:22:02+02:00"), kTime);
  EXPECT_EQ(parse_iso_time("2021-07-14T23:52:02-0130"), kTime);
  EXPECT_EQ(parse_iso_time("1984-09-15"), 464'054'400'000);
}

TEST(IsoTime, IsNoOtherText) {
  for (const auto* text :
       {"", "2021", "2021-13-01", "2021-02-30", "2021-07-15T", "2021-07-15T25:00:00Z",
        "2021-07-15T01:22:02Zx", "2021-07-15T01:22", "yesterday", "2021-07-15T01:22:02+1"}) {
    EXPECT_EQ(parse_iso_time(text), std::nullopt) << text;
  }
}

TEST(ParseLog, GivesLinesTheirOwnTimeOrTheOneBefore) {
  const auto entries = parse_log(
      "no time yet\n1970-01-01T00:00:01.500+00:00 info one\n  more\n1970-01-01T00:00:02Z two", 7);
  EXPECT_EQ(entries, (std::vector<LogEntry>{
                         {7, "no time yet"}, {1500, "info one"}, {1500, "  more"}, {2000, "two"}}));
  EXPECT_TRUE(parse_log("", 7).empty());
}

std::vector<LogEntry> five() { return {{10, "a"}, {20, "b"}, {30, "c"}, {40, "d"}, {50, "e"}}; }

LogPage page_of(const LogQuery& query, const std::vector<LogEntry>& entries = five()) {
  const auto page = select_page(entries, query);
  EXPECT_TRUE(page);
  return page ? *page : LogPage{};
}

TEST(LogPages, AreTheLastOnesUnlessTheHeadIsAskedFor) {
  EXPECT_EQ(page_of({.start_ms = {}, .end_ms = {}, .limit = 2}), (LogPage{{3, 4}, "f/5", "b/3"}));
  EXPECT_EQ(page_of({.start_ms = {}, .end_ms = {}, .limit = 2, .from_head = true}),
            (LogPage{{0, 1}, "f/2", "b/0"}));
  EXPECT_EQ(page_of({.start_ms = {}, .end_ms = {}}), (LogPage{{0, 1, 2, 3, 4}, "f/5", "b/0"}));
}

TEST(LogPages, GoOnByTheirTokensAndStayAtTheEnds) {
  EXPECT_EQ(page_of({.start_ms = {}, .end_ms = {}, .limit = 2, .token = "f/2"}),
            (LogPage{{2, 3}, "f/4", "b/2"}));
  EXPECT_EQ(page_of({.start_ms = {}, .end_ms = {}, .limit = 2, .token = "b/3"}),
            (LogPage{{1, 2}, "f/3", "b/1"}));
  EXPECT_EQ(page_of({.start_ms = {}, .end_ms = {}, .token = "f/5"}), (LogPage{{}, "f/5", "b/5"}));
  EXPECT_EQ(page_of({.start_ms = {}, .end_ms = {}, .token = "b/0"}), (LogPage{{}, "f/0", "b/0"}));
  auto grown = five();
  grown.push_back({60, "f"});
  EXPECT_EQ(page_of({.start_ms = {}, .end_ms = {}, .token = "f/5"}, grown),
            (LogPage{{5}, "f/6", "b/5"}));
}

TEST(LogPages, HaveTheStartAndNotTheEndOfTheTimeAskedFor) {
  EXPECT_EQ(page_of({.start_ms = 20, .end_ms = 40}), (LogPage{{1, 2}, "f/3", "b/1"}));
  EXPECT_EQ(page_of({.start_ms = 51, .end_ms = {}}), (LogPage{{}, "f/5", "b/5"}));
}

TEST(LogPages, OfAnUnknownTokenAreRefused) {
  for (const auto* token : {"x", "f/", "f/-1", "f/1x", "g/1"}) {
    const auto page = select_page(five(), {.start_ms = {}, .end_ms = {}, .token = token});
    ASSERT_FALSE(page) << token;
    EXPECT_EQ(page.error().message, std::string("the next token ") + token + " is not valid");
  }
}

}  // namespace
}  // namespace cox::cli
