#include "launcher/cli/output.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <time.h>

#include <sstream>

namespace cox::cli {
namespace {

using Rows = std::vector<std::vector<std::string>>;

const Column kName{"name"};
const Column kCount{.name = "count", .may_be_numeric = true};

TEST(Table, WithoutRowsIsAHeaderAndDashes) {
  EXPECT_EQ(render_table({kName, kCount}, {}),
            "name    count\n"
            "------  -------\n");
}

TEST(Table, ColumnOfNumbersStandsToTheRightWithItsHeader) {
  EXPECT_EQ(render_table({kName, kCount}, Rows{{"a", "1"}, {"b", "-20"}}),
            "name      count\n"
            "------  -------\n"
            "a             1\n"
            "b           -20\n");
}

TEST(Table, OneDashMakesAColumnText) {
  EXPECT_EQ(render_table({kCount, kName}, Rows{{"1", "a"}, {"-", "b"}}),
            "count    name\n"
            "-------  ------\n"
            "1        a\n"
            "-        b\n");
}

TEST(Table, NamesThatLookLikeNumbersStayText) {
  EXPECT_EQ(render_table({kName}, Rows{{"1e5"}, {"12"}}), "name\n------\n1e5\n12\n");
}

TEST(Table, IsAsWideAsItsLongestCell) {
  EXPECT_EQ(render_table({kName, kName}, Rows{{"a-long-cell", "b"}}),
            "name         name\n"
            "-----------  ------\n"
            "a-long-cell  b\n");
}

TEST(Table, ColourIsNoPartOfAWidth) {
  const Column status{.name = "status", .is_status = true};
  EXPECT_EQ(render_table({status, kName}, Rows{{"FAILED", "a"}}, true),
            "status    name\n"
            "--------  ------\n"
            "\033[31mFAILED\033[0m    a\n");
}

TEST(DetailsText, PadsKeysAndEndsEachItemWithDashes) {
  EXPECT_EQ(render_details({{{"jobId", "x"}, {"memory[MB]", ""}}, {{"jobId", "y"}}}),
            "jobId                    : x\n"
            "memory[MB]               : -\n"
            "-------------------------\n"
            "jobId                    : y\n"
            "-------------------------\n");
  EXPECT_EQ(render_details({}), "No items to show\n");
}

TEST(Date, IsLocalWithOffsetAndWholeSeconds) {
  ::setenv("TZ", "UTC", 1);
  ::tzset();
  EXPECT_EQ(render_date(1543511674999), "2018-11-29T17:14:34+00:00");
  ::setenv("TZ", "Asia/Kolkata", 1);
  ::tzset();
  EXPECT_EQ(render_date(1543511674999), "2018-11-29T22:44:34+05:30");
  ::setenv("TZ", "UTC", 1);
  ::tzset();
  EXPECT_EQ(render_date(0), "-");
}

TEST(Complaint, IsOneLineOnErrAndStatusOne) {
  std::ostringstream out;
  std::ostringstream err;
  EXPECT_EQ(complain({out, err}, "test:test", "Error: no"), 1);
  EXPECT_EQ(out.str(), "");
  EXPECT_EQ(err.str(), "Error: no\n");
}

}  // namespace
}  // namespace cox::cli
