#include "runtime/agent/step_messages.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

namespace cox::agent {
namespace {

class StepMessages : public testing::Test {
 protected:
  void SetUp() override {
    std::array<int, 2> ends{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()), 0);
    here_ = os::Fd(ends[0]);
    there_ = os::Fd(ends[1]);
  }

  os::Fd here_;
  os::Fd there_;
};

TEST_F(StepMessages, ArriveWhole) {
  ASSERT_TRUE(send_step_message(here_.get(), {'X', -5, 1LL << 40, std::string("a\0b", 3), {}}));
  ASSERT_TRUE(send_step_message(here_.get(), {'Z', 0, 0, "", {}}));

  StepMessage first;
  StepMessage second;
  ASSERT_TRUE(receive_step_message(there_.get(), first));
  ASSERT_TRUE(receive_step_message(there_.get(), second));

  EXPECT_EQ(first.kind, 'X');
  EXPECT_EQ(first.number, -5);
  EXPECT_EQ(first.flag, 1LL << 40);
  EXPECT_EQ(first.text, std::string("a\0b", 3));
  EXPECT_TRUE(first.descriptors.empty());
  EXPECT_EQ(second.kind, 'Z');
  EXPECT_EQ(second.text, "");
}

TEST_F(StepMessages, CarryDescriptorsThatAProgramDoesNotInherit) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  const os::Fd reader(ends[0]);
  StepMessage launch{'L', 1, 0, "", {}};
  launch.descriptors.emplace_back(ends[1]);
  launch.descriptors.emplace_back(::dup(ends[1]));
  launch.descriptors.emplace_back(::dup(ends[1]));
  ASSERT_TRUE(send_step_message(here_.get(), launch));
  launch.descriptors.clear();

  StepMessage got;
  ASSERT_TRUE(receive_step_message(there_.get(), got));

  ASSERT_EQ(got.descriptors.size(), 3u);
  for (const auto& descriptor : got.descriptors) {
    EXPECT_EQ(::write(descriptor.get(), "x", 1), 1);
    EXPECT_EQ(::fcntl(descriptor.get(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
  }
  got.descriptors.clear();
  char bytes[8];
  EXPECT_EQ(::read(reader.get(), bytes, sizeof bytes), 3);
  EXPECT_EQ(::read(reader.get(), bytes, sizeof bytes), 0);  // no copy is left anywhere
}

TEST_F(StepMessages, CutTextsThatAreTooLong) {
  ASSERT_TRUE(send_step_message(here_.get(), {'R', 0, 0, std::string(kStepTextMax + 9, 'x'), {}}));

  StepMessage got;
  ASSERT_TRUE(receive_step_message(there_.get(), got));

  EXPECT_EQ(got.text, std::string(kStepTextMax, 'x'));
}

TEST_F(StepMessages, TellThatTheOtherEndIsGone) {
  there_ = os::Fd();

  StepMessage got;
  EXPECT_FALSE(send_step_message(here_.get(), {'B', 0, 0, "", {}}));
  EXPECT_FALSE(receive_step_message(here_.get(), got));
}

TEST_F(StepMessages, AreNotReadFromWhatIsTooShort) {
  ASSERT_EQ(::send(here_.get(), "short", 5, 0), 5);

  StepMessage got;
  EXPECT_FALSE(receive_step_message(there_.get(), got));
}

}  // namespace
}  // namespace cox::agent
