#include "launcher/cli/client_log.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include <filesystem>
#include <fstream>

#include "runtime/os/files.hpp"

namespace cox::cli {
namespace {

TEST(LogLevels, ArePythonsInAnyCase) {
  EXPECT_EQ(log_level_from("error"), LogLevel::error);
  EXPECT_EQ(log_level_from("Debug"), LogLevel::debug);
  EXPECT_EQ(log_level_from("WARN"), LogLevel::warning);
  EXPECT_EQ(log_level_from("FATAL"), LogLevel::critical);
  EXPECT_EQ(log_level_from("LOUD"), std::nullopt);
  EXPECT_EQ(log_level_from(""), std::nullopt);
}

TEST(LogLine, HasTimeLevelPlaceAndOneLineOfText) {
  ::setenv("TZ", "UTC", 1);
  ::tzset();
  EXPECT_EQ(render_log_line(1543511674055, LogLevel::error, "awsbsub:submit", "a\nb"),
            "2018-11-29 17:14:34,055 ERROR [awsbsub:submit] a\\nb\n");
}

class LogFile : public testing::Test {
 protected:
  void SetUp() override {
    char path[] = "/tmp/cox-log-XXXXXX";
    home_ = ::mkdtemp(path);
    ::setenv("HOME", home_.c_str(), 1);
  }
  void TearDown() override { std::filesystem::remove_all(home_); }
  [[nodiscard]] std::string path() const { return home_ + "/.parallelcluster/awsbatch-cli.log"; }

  std::string home_;
};

TEST_F(LogFile, IsMadeWithItsDirectoryAndKeepsLinesFromItsLevelUp) {
  open_client_log(LogLevel::warning);
  client_log(LogLevel::info, "a:b", "less");
  client_log(LogLevel::error, "a:b", "more");

  const auto text = os::read_file(path()).value();

  EXPECT_EQ(text.find("less"), std::string::npos);
  EXPECT_TRUE(text.ends_with(" ERROR [a:b] more\n")) << text;
}

TEST_F(LogFile, IsPutAsideAboveFiveMebibytes) {
  open_client_log(LogLevel::error);
  std::filesystem::resize_file(path(), (5 << 20) + 1);

  open_client_log(LogLevel::error);

  EXPECT_EQ(std::filesystem::file_size(path()), 0u);
  EXPECT_EQ(std::filesystem::file_size(path() + ".1"), (5u << 20) + 1);
}

TEST_F(LogFile, ThatCannotBeWrittenIsDoneWithout) {
  std::ofstream(home_ + "/.parallelcluster") << "a file";
  open_client_log(LogLevel::error);
  client_log(LogLevel::error, "a:b", "lost");
  EXPECT_EQ(os::read_file(home_ + "/.parallelcluster").value(), "a file");
}

}  // namespace
}  // namespace cox::cli
