#include "runtime/base/text.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <limits>

namespace cox {
namespace {

using testing::ElementsAre;

TEST(Split, KeepsEmptyPieces) {
  EXPECT_THAT(split("a,b", ','), ElementsAre("a", "b"));
  EXPECT_THAT(split(",a,,", ','), ElementsAre("", "a", "", ""));
  EXPECT_THAT(split("", ','), ElementsAre(""));
}

RC_GTEST_PROP(Split, IsUndoneByJoin, (const std::string& text)) {
  RC_ASSERT(join(split(text, 'a'), "a") == text);
}

TEST(Join, PutsTheSeparatorBetween) {
  EXPECT_EQ(join({}, ", "), "");
  EXPECT_EQ(join({"a"}, ", "), "a");
  EXPECT_EQ(join({"a", "", "b"}, ", "), "a, , b");
  EXPECT_EQ(join({"a", "a"}, "-"), "a-a");
}

TEST(Trim, TakesBlanksOffBothEndsOnly) {
  EXPECT_EQ(trim(" \t a b\r\n\v\f"), "a b");
  EXPECT_EQ(trim("a"), "a");
  EXPECT_EQ(trim(" \n "), "");
  EXPECT_EQ(trim(""), "");
}

struct IntCase {
  const char* text;
  std::optional<std::int64_t> value;
};

TEST(ToInt, TakesAWholeDecimalNumberOrNothing) {
  const IntCase cases[] = {
      {"0", 0},
      {"-17", -17},
      {"007", 7},
      {"9223372036854775807", std::numeric_limits<std::int64_t>::max()},
      {"-9223372036854775808", std::numeric_limits<std::int64_t>::min()},
      {"9223372036854775808", std::nullopt},
      {"", std::nullopt},
      {"-", std::nullopt},
      {"+1", std::nullopt},
      {" 1", std::nullopt},
      {"1 ", std::nullopt},
      {"1.5", std::nullopt},
      {"0x10", std::nullopt},
  };
  for (const auto& c : cases) EXPECT_EQ(to_int(c.text), c.value) << '"' << c.text << '"';
}

RC_GTEST_PROP(ToInt, ReadsWhatWasWritten, (std::int64_t value)) {
  RC_ASSERT(to_int(std::to_string(value)) == value);
}

TEST(Case, ChangesAsciiLettersOnly) {
  EXPECT_EQ(to_lower("AZaz09_\xc4"), "azaz09_\xc4");
  EXPECT_EQ(to_upper("AZaz09_\xe4"), "AZAZ09_\xe4");
}

TEST(ShellQuote, QuotesOnlyWhatNeedsIt) {
  EXPECT_EQ(shell_quote("a-b_c.d/e:f=g@h%i+j,k"), "a-b_c.d/e:f=g@h%i+j,k");
  EXPECT_EQ(shell_quote(""), "''");
  EXPECT_EQ(shell_quote("a b"), "'a b'");
  EXPECT_EQ(shell_quote("$HOME"), "'$HOME'");
  EXPECT_EQ(shell_quote("it's"), R"('it'"'"'s')");
  EXPECT_EQ(shell_quote("~"), "'~'");
  EXPECT_EQ(shell_quote("ä"), "'ä'");
  EXPECT_EQ(shell_quote(std::vector<std::string>{"echo", "a b", ""}), "echo 'a b' ''");
}

/// What a POSIX shell makes of single and double quoted words: enough for what shell_quote() uses.
std::string unquoted(const std::string& text) {
  std::string word;
  char quote = 0;
  for (const char c : text) {
    if (quote == 0 && (c == '\'' || c == '"')) {
      quote = c;
    } else if (c == quote) {
      quote = 0;
    } else {
      word += c;
    }
  }
  return word;
}

RC_GTEST_PROP(ShellQuote, IsTheSameWordToAShell, (const std::string& word)) {
  RC_ASSERT(unquoted(shell_quote(std::string_view(word))) == word);
}

TEST(Nearest, FindsAMisspelling) {
  const std::vector<std::string> keys{"MinvCpus", "MaxvCpus", "DesiredvCpus"};

  EXPECT_EQ(nearest("MaxvCpu", keys), "MaxvCpus");
  EXPECT_EQ(nearest("minvcpus", keys), "MinvCpus");
  EXPECT_EQ(nearest("DesiredCpus", keys), "DesiredvCpus");
  EXPECT_EQ(nearest("Image", keys), std::nullopt);
  EXPECT_EQ(nearest("a", {"b"}), "b");  // one letter is always near
  EXPECT_EQ(nearest("ab", {"cd"}), std::nullopt);
  EXPECT_EQ(nearest("ab", {}), std::nullopt);
  EXPECT_EQ(nearest("cat", {"bat", "car"}), "bat");  // of equals the first
}

}  // namespace
}  // namespace cox
