#include "runtime/base/result.hpp"

#include <gtest/gtest.h>

#include <unordered_set>

#include "runtime/base/ids.hpp"
#include "runtime/base/units.hpp"

namespace cox {
namespace {

Result<int> half(int number) {
  if (number % 2 != 0) return fail(Errc::invalid_argument, "{} is odd", number);
  return number / 2;
}

TEST(Fail, MakesTheErrorThatTheCallerReads) {
  EXPECT_EQ(half(4), 2);
  EXPECT_EQ(half(3).error(), (Error{Errc::invalid_argument, "3 is odd"}));
}

TEST(Fail, PassesAnErrorOn) {
  const Result<std::string> passed = fail(half(3).error());

  EXPECT_EQ(passed.error(), (Error{Errc::invalid_argument, "3 is odd"}));
}

TEST(Within, SaysWhereAndKeepsTheKind) {
  EXPECT_EQ(within("Queues[0]", {Errc::not_found, "no such queue"}),
            (Error{Errc::not_found, "Queues[0]: no such queue"}));
}

TEST(Ids, CompareAndPrintAsTheirText) {
  const std::unordered_set<JobId> ids{JobId{"a"}, JobId{"b"}, JobId{"a"}};

  EXPECT_EQ(ids.size(), 2u);
  EXPECT_LT(JobId{"a"}, JobId{"b"});
  EXPECT_EQ(fmt::format("{:>3}", JobId{"a"}), "  a");
  EXPECT_TRUE(JobId{}.empty());
}

TEST(Units, AddAndSubtractInTheirUnit) {
  EXPECT_EQ(Millis{5} + 3, Millis{8});
  EXPECT_EQ(Millis{5} - Millis{3}, 2);
  EXPECT_FALSE(Millis{}.set());
  EXPECT_EQ(MiB{5} + MiB{3} - MiB{1}, MiB{7});
}

}  // namespace
}  // namespace cox
