#include "runtime/head/plain_text.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <boost/json.hpp>

namespace cox::head {
namespace {

constexpr const char* kBad = "\xef\xbf\xbd";

struct Utf8Case {
  std::string text;
  std::string clean;
};

TEST(AsUtf8, ReplacesEachByteThatIsNoCharacter) {
  const std::string bad = kBad;
  const Utf8Case cases[] = {
      {"", ""},
      {"plain", "plain"},
      {"ä€😀", "ä€😀"},
      {"caf\xe9", "caf" + bad},
      {"\x80", bad},
      {"\xc0\xaf", bad + bad},                      // overlong '/'
      {"\xe0\x80\xaf", bad + bad + bad},            // overlong
      {"\xed\xa0\x80", bad + bad + bad},            // a surrogate
      {"\xf4\x90\x80\x80", bad + bad + bad + bad},  // above U+10FFFF
      {"\xf0\x8f\xbf\xbf", bad + bad + bad + bad},  // overlong
      {"\xe2\x82", bad + bad},                      // cut short
      {"\xe2\x82xy", bad + bad + "xy"},
      {"\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf"},  // the last character
      {std::string("a\0b", 3), std::string("a\0b", 3)},
  };
  for (const auto& c : cases) EXPECT_EQ(as_utf8(c.text), c.clean) << c.clean;
}

RC_GTEST_PROP(AsUtf8, MakesWhatAJsonReaderTakes, (const std::string& text)) {
  const auto written = boost::json::serialize(boost::json::value(as_utf8(text)));
  boost::system::error_code error;
  const auto read = boost::json::parse(written, error);
  RC_ASSERT(!error);
  RC_ASSERT(std::string(read.as_string()) == as_utf8(text));
}

RC_GTEST_PROP(AsUtf8, ChangesNothingTwice, (const std::string& text)) {
  RC_ASSERT(as_utf8(as_utf8(text)) == as_utf8(text));
}

TEST(OnOneLine, HasBlanksForControlCharacters) {
  EXPECT_EQ(on_one_line("a\nb\tc\x1b[31md\x7f", 100), "a b c [31md ");
  EXPECT_EQ(on_one_line("a\xc2\x9b"
                        "b\xc2\xa0",
                        100),
            "a b\xc2\xa0");  // of Latin-1's upper half
}

TEST(OnOneLine, KeepsTheEndOfWhatIsTooLong) {
  EXPECT_EQ(on_one_line("0123456789", 10), "0123456789");
  EXPECT_EQ(on_one_line("0123456789a", 10), "…456789a");
  EXPECT_EQ(on_one_line("äääääää", 10), "…äää");  // no character is cut
  EXPECT_EQ(on_one_line("0123456789", 2), "…");
}

RC_GTEST_PROP(OnOneLine, IsNeverLongerThanAsked, (const std::string& text)) {
  const auto most = static_cast<std::size_t>(*rc::gen::inRange(3, 40));
  const auto line = on_one_line(text, most);
  RC_ASSERT(line.size() <= most);
  RC_ASSERT(line == as_utf8(line));
  RC_ASSERT(line.find('\n') == std::string::npos);
}

TEST(ClockProblem, IsToldFromAMessageThatWasLongOnItsWay) {
  const Millis now{1'700'000'000'000};
  EXPECT_EQ(clock_problem(now, now), "");
  EXPECT_EQ(clock_problem(now + -60'000, now), "");
  EXPECT_EQ(clock_problem(now + -90'000, now), "its clock is 90 s behind");
  EXPECT_EQ(clock_problem(now + 3'600'000, now), "its clock is 3600 s ahead");
}

TEST(LaunchTrouble, SaysHowOftenAndWhenNext) {
  EXPECT_EQ(launch_trouble("c4.large", "no room", 1, 2000),
            "a c4.large could not be started: no room (the next try is in 2 s)");
  EXPECT_EQ(launch_trouble("c4.large", "no room", 3, 7001),
            "a c4.large could not be started: no room (failed 3 times in a row; the next try is in "
            "8 s)");
}

}  // namespace
}  // namespace cox::head
