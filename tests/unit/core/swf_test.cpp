#include "runtime/core/swf.hpp"

#include <gtest/gtest.h>

namespace cox::core {
namespace {

std::string refusal(std::string_view text) {
  const auto read = read_swf(text, "a.swf");
  return read ? "read" : read.error().message;
}

TEST(Swf, ReadsWhatAReplayLooksAtAndSkipsComments) {
  const auto read = read_swf(
      "; Version: 2.2\r\n"
      "\n"
      "  7  10  -1  100  2  99.5  -1  4  3600  -1  1  3 1 -1 1 -1 -1 -1\r\n"
      ";  a remark\n"
      "8\t20 5 0 2 -1 -1 -1 -1 -1 0 3 1 -1 1 -1 -1 -1\n"
      "9 30 5 -1 0 -1 -1 0 -1 -1 5 3 1 -1 1 -1 -1 -1\n"
      "9 30 5 60 1 -1 -1 1 -1 -1 3 3 1 -1 1 -1 -1 -1",
      "a.swf");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, (std::vector<TraceJob>{
                       {3, 7, 10, 100, 4, 3600, TraceEnd::succeeded, 3},
                       {5, 8, 20, 0, 2, std::nullopt, TraceEnd::failed, 3},
                       {6, 9, 30, std::nullopt, std::nullopt, std::nullopt, TraceEnd::cancelled, 3},
                       {7, 9, 30, 60, 1, std::nullopt, TraceEnd::part, 3},
                   }));
}

TEST(Swf, NamesFileAndLineOfWhatIsWrong) {
  const std::string rest = " 1 -1 -1 1 -1 -1 1 1 1 1 1 -1 -1 -1\n";
  EXPECT_EQ(refusal("; one\n1 0 -1 5" + rest + "2 0 -1 5 1\n"),
            "a.swf:3: a job has 18 fields, and here are 5");
  EXPECT_EQ(refusal("1 0 -1 5 6" + rest), "a.swf:1: a job has 18 fields, and here are 19");
  EXPECT_EQ(refusal("1 zero -1 5" + rest), "a.swf:1: field 2 is no number: zero");
  EXPECT_EQ(refusal("1 0 - 5" + rest), "a.swf:1: field 3 is no number: -");
  EXPECT_EQ(refusal("1.5 0 -1 5" + rest),
            "a.swf:1: the job's number (field 1) is 1.5, and not a whole number");
  EXPECT_EQ(refusal("1 -1 -1 5" + rest),
            "a.swf:1: the submit time (field 2) must be known, and is -1");
  EXPECT_EQ(refusal("1 0 -1 5.5" + rest),
            "a.swf:1: the run time (field 4) is 5.5, and not a whole number of up to 100000000, or "
            "-1 for unknown");
  EXPECT_EQ(refusal("1 0 -1 -2" + rest),
            "a.swf:1: the run time (field 4) is -2, and not a whole number of up to 100000000, or "
            "-1 for unknown");
  EXPECT_EQ(refusal("1 0 -1 100000001" + rest),
            "a.swf:1: the run time (field 4) is 100000001, and not a whole number of up to "
            "100000000, or -1 for unknown");
  EXPECT_EQ(refusal("1 0 -1 5 1 -1 -1 1 -1 -1 7 1 1 1 1 -1 -1 -1"),
            "a.swf:1: the status (field 11) is 7, and not one of -1 to 5");
}

TEST(Swf, TakesAFileWithoutJobs) {
  EXPECT_EQ(read_swf("", "a.swf"), std::vector<TraceJob>{});
  EXPECT_EQ(read_swf("; nothing", "a.swf"), std::vector<TraceJob>{});
}

}  // namespace
}  // namespace cox::core
