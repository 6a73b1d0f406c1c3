#include "runtime/agent/line_cutter.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <vector>

namespace cox::agent {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr auto kMost = LineCutter::kLineBytesMax;

std::vector<std::string> cut(const std::vector<std::string>& pieces) {
  std::vector<std::string> lines;
  LineCutter cutter;
  const auto take = [&](const std::string& run, std::uint32_t count) {
    const auto before = lines.size();
    for (std::size_t at = 0; at <= run.size();) {
      const auto end = std::min(run.find('\n', at), run.size());
      lines.push_back(run.substr(at, end - at));
      at = end + 1;
    }
    EXPECT_EQ(lines.size() - before, count);
  };
  for (const auto& piece : pieces) cutter.feed(piece, take);
  cutter.finish(take);
  return lines;
}

TEST(LineCutter, GivesLinesWithoutTheirEnds) {
  EXPECT_THAT(cut({"a\nb\n"}), ElementsAre("a", "b"));
  EXPECT_THAT(cut({"\n\na\n"}), ElementsAre("", "", "a"));
  EXPECT_THAT(cut({"a\r\n"}), ElementsAre("a\r"));
  EXPECT_THAT(cut({std::string("a\0b\n", 4)}), ElementsAre(std::string("a\0b", 3)));
  EXPECT_THAT(cut({}), IsEmpty());
}

TEST(LineCutter, KeepsALastLineThatHasNoEnd) { EXPECT_THAT(cut({"a\nb"}), ElementsAre("a", "b")); }

TEST(LineCutter, GivesALineAsSoonAsItIsWhole) {
  std::vector<std::string> lines;
  LineCutter cutter;
  cutter.feed("a\nb", [&](std::string run, std::uint32_t) { lines.push_back(std::move(run)); });

  EXPECT_THAT(lines, ElementsAre("a"));
}

TEST(LineCutter, GivesLinesThatCameTogetherInOneRun) {
  std::vector<std::string> runs;
  LineCutter cutter;
  const auto take = [&](std::string run, std::uint32_t) { runs.push_back(std::move(run)); };
  cutter.feed("a\n\nb\nc", take);
  cutter.feed("d\ne\n", take);

  EXPECT_THAT(runs, ElementsAre("a\n\nb", "cd\ne"));
}

TEST(LineCutter, JoinsTheHalvesOfALine) {
  EXPECT_THAT(cut({"a", "b", "\n", "c\nd", "e"}), ElementsAre("ab", "c", "de"));
}

TEST(LineCutter, CutsALineThatIsTooLong) {
  const std::string most(kMost, 'x');

  EXPECT_THAT(cut({most + "yz\nb\n"}), ElementsAre(most, "yz", "b"));
  EXPECT_THAT(cut({most + most + "\n"}), ElementsAre(most, most));
}

TEST(LineCutter, TakesALineOfExactlyTheLimitAsOne) {
  const std::string most(kMost, 'x');

  EXPECT_THAT(cut({most + "\nb\n"}), ElementsAre(most, "b"));
  EXPECT_THAT(cut({most, "\nb\n"}), ElementsAre(most, "b"));
  EXPECT_THAT(cut({most}), ElementsAre(most));
}

RC_GTEST_PROP(LineCutter, GivesTheSameLinesWhateverThePieces, ()) {
  std::string text;
  const int parts = *rc::gen::inRange(0, 6);
  for (int i = 0; i < parts; ++i) {
    const auto near_limit = kMost + static_cast<std::size_t>(*rc::gen::inRange(0, 3)) - 1;
    const auto size = *rc::gen::element(std::size_t{0}, std::size_t{1}, std::size_t{7}, near_limit);
    text += std::string(size, 'x') + (*rc::gen::inRange(0, 4) > 0 ? "\n" : "");
  }
  std::vector<std::string> pieces;
  for (std::string_view rest = text; !rest.empty();) {
    const auto size = *rc::gen::element(std::size_t{1}, std::size_t{3}, kMost - 1, kMost);
    pieces.emplace_back(rest.substr(0, size));
    rest.remove_prefix(std::min(size, rest.size()));
    if (pieces.size() > 50) {
      pieces.emplace_back(rest);
      break;
    }
  }

  RC_ASSERT(cut(pieces) == cut({text}));
}

}  // namespace
}  // namespace cox::agent
