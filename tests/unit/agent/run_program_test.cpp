#include "runtime/agent/run_program.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

namespace cox::agent {
namespace {

using testing::ElementsAre;

class RunProgram : public testing::Test {
 protected:
  void SetUp() override { sigemptyset(&mask_); }

  Result<RanProgram> shell(const std::string& script) {
    words_ = {"sh", "-c", script};
    return run_program({words_, environment_, mask_},
                       [this](const std::string& line) { told_.push_back(line); });
  }

  std::vector<std::string> words_;
  std::vector<std::string> environment_{"A=b c"};
  std::vector<std::string> told_;
  sigset_t mask_{};
};

TEST_F(RunProgram, BringsBothOutputsAndTheEnd) {
  const auto ran = shell("echo out; echo \"$A\" >&2; printf rest >&2; exit 7");

  ASSERT_TRUE(ran) << ran.error().message;
  EXPECT_EQ(WEXITSTATUS(ran->status), 7);
  EXPECT_EQ(ran->out, "out\n");
  EXPECT_EQ(ran->err, "b c\nrest");
  EXPECT_THAT(told_, ElementsAre("b c"));
}

TEST_F(RunProgram, KeepsOnlyTheBeginningOfMuchOutput) {
  const auto ran = shell("head -c 3000000 /dev/zero; echo done >&2");

  ASSERT_TRUE(ran) << ran.error().message;
  EXPECT_LT(ran->out.size(), 1'200'000u);
  EXPECT_EQ(ran->err, "done\n");
  EXPECT_EQ(ran->status, 0);
}

TEST_F(RunProgram, TellsOfSignals) {
  const auto ran = shell("kill -TERM $$");

  ASSERT_TRUE(ran) << ran.error().message;
  EXPECT_TRUE(WIFSIGNALED(ran->status));
}

TEST_F(RunProgram, RefusesWhatIsNotInstalled) {
  words_ = {"no-such-program-here"};

  const auto ran = run_program({words_, environment_, mask_}, {});

  ASSERT_FALSE(ran);
  EXPECT_EQ(ran.error(),
            (Error{Errc::not_found, "no-such-program-here is not installed on this node"}));
  EXPECT_EQ(program_path("no-such-program-here"), "");
  EXPECT_NE(program_path("sh"), "");
}

}  // namespace
}  // namespace cox::agent
