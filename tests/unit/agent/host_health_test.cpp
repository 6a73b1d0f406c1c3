#include "runtime/agent/host_health.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace cox::agent {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

TEST(ProblemOf, NamesWhatIsUsedUp) {
  EXPECT_EQ(problem_of({.disk_mib = 1000, .memory_mib = 1000}, false), "");
  EXPECT_THAT(problem_of({.disk_mib = 63, .memory_mib = 1000}, false),
              HasSubstr("its disk is full: 63 MiB"));
  EXPECT_THAT(problem_of({.disk_mib = 1000, .memory_mib = 63}, false),
              HasSubstr("it is out of memory: 63 MiB"));
}

TEST(ProblemOf, AsksForALittleMoreBeforeItIsOver) {
  EXPECT_EQ(problem_of({.disk_mib = 70, .memory_mib = 1000}, false), "");
  EXPECT_NE(problem_of({.disk_mib = 70, .memory_mib = 1000}, true), "");
  EXPECT_EQ(problem_of({.disk_mib = 100, .memory_mib = 1000}, true), "");
}

TEST(HostHealth, TellsAHeadThatHasComeWhatTheHostIsLike) {
  os::EventLoop loop;
  std::vector<wire::Health> told;
  HostHealth health(loop, "/nowhere", [&](const wire::Health& said) { told.push_back(said); });
  health.tell_again();
  EXPECT_TRUE(told.empty()) << "nobody watches";
  health.watch();
  health.tell_again();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_THAT(told[0].problem, HasSubstr("its disk is full: 0 MiB")) << "no directory has no room";
  EXPECT_GT(told[0].at_ms, 1'700'000'000'000);
}

}  // namespace
}  // namespace cox::agent
