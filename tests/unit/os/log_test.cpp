#include "runtime/os/log.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/base/text.hpp"
#include "runtime/os/files.hpp"
#include "runtime/os/process.hpp"
#include "tests/unit/os/temporary_directory.hpp"

namespace cox::os {
namespace {

using testing::ElementsAre;
using testing::MatchesRegex;

constexpr const char* kTime =
    "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}[+-][0-9]{2}:[0-9]{2} ";

TEST(Log, WritesALineWithTimeAndLevelForEachEvent) {
  const TemporaryDirectory directory;
  ASSERT_TRUE(open_log(directory / "log"));

  log_info("node {} is up", "i-1");
  log_warn("100 % {{sure}}");
  log_error("a name of\ntwo lines\x7f");

  const auto text = read_file(directory / "log");
  ASSERT_TRUE(text) << text.error().message;
  const std::string time = kTime;
  EXPECT_THAT(split(*text, '\n'),
              ElementsAre(MatchesRegex(time + "info node i-1 is up"),
                          MatchesRegex(time + "warning 100 % \\{sure\\}"),
                          MatchesRegex(time + "error a name of\\\\x0atwo lines\\\\x7f"), ""));
}

TEST(Log, AppendsToWhatIsThere) {
  const TemporaryDirectory directory;
  ASSERT_TRUE(write_file_atomic(directory / "log", "before\n"));
  ASSERT_TRUE(open_log(directory / "log"));

  log_info("after");

  const auto text = read_file(directory / "log");
  ASSERT_TRUE(text) << text.error().message;
  EXPECT_THAT(*text, testing::StartsWith("before\n2"));
}

TEST(Log, RefusesAPathThatCannotBeWritten) {
  const TemporaryDirectory directory;

  const auto opened = open_log(directory.path());

  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::internal);
  EXPECT_THAT(opened.error().message, testing::StartsWith(directory.path() + ": "));
}

}  // namespace
}  // namespace cox::os
