#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include "node_world.hpp"
#include "runtime/base/text.hpp"
#include "runtime/os/files.hpp"
#include "runtime/os/frame_link.hpp"

/// The keeper of a cluster with a head of the tests' own, in real name spaces.
namespace cox::provider {
namespace {

namespace fs = std::filesystem;
using testing::IsEmpty;

std::vector<unsigned> users() {
  constexpr unsigned kOrdinaryUser = 54'321;
  if (::geteuid() == 0) return {0, kOrdinaryUser};
  return {::geteuid()};
}

class Keeper : public testing::TestWithParam<unsigned> {
 protected:
  Keeper() { say_when_ready("ok\n"); }
  ~Keeper() override { EXPECT_THAT(world.leftovers(), IsEmpty()); }

  void say_when_ready(const std::string& line) const {
    std::ofstream(world.directory() + "/ready") << line;
  }

  /// What the head answers to the byte.
  [[nodiscard]] std::string tell(char word) const {
    const auto socket = os::connect_unix(world.directory() + "/api/api.sock");
    if (!socket) return socket.error().message;
    if (const auto sent = os::write_all(socket->get(), std::string(1, word)); !sent) {
      return sent.error().message;
    }
    return NodeWorld::read_all(*socket);
  }

  NodeWorld world{GetParam()};
};

INSTANTIATE_TEST_SUITE_P(, Keeper, testing::ValuesIn(users()), [](const auto& test) {
  return test.param == 0 ? std::string("as_root") : std::string("as_an_ordinary_user");
});

TEST_P(Keeper, ServesUntilTheClusterHasEnded) {
  const auto coxd = world.start_coxd();
  EXPECT_EQ(NodeWorld::read_all(coxd.ready), "ok\n");

  EXPECT_GT(to_int(tell('?')).value_or(0), coxd.pid);
  EXPECT_EQ(tell('e'), "");

  EXPECT_EQ(NodeWorld::wait_for_exit(coxd.pid), 0);
}

TEST_P(Keeper, StartsAHeadThatDiedAgainAndLosesNoCaller) {
  const auto coxd = world.start_coxd();
  EXPECT_EQ(NodeWorld::read_all(coxd.ready), "ok\n");
  std::set<std::string> heads;

  for (int i = 0; i < 3; ++i) {
    heads.insert(tell('?'));
    EXPECT_EQ(tell('d'), "");
  }
  heads.insert(tell('?'));

  EXPECT_EQ(heads.size(), 4U) << "each time another process";
  EXPECT_EQ(tell('e'), "");
  EXPECT_EQ(NodeWorld::wait_for_exit(coxd.pid), 0);
}

TEST_P(Keeper, HoldsNothingOfItsCaller) {
  const auto coxd = world.start_coxd();
  EXPECT_EQ(NodeWorld::read_all(coxd.ready), "ok\n");
  const std::string head = tell('?');

  for (const std::string& pid : {std::to_string(coxd.pid), head}) {
    EXPECT_EQ(fs::read_symlink("/proc/" + pid + "/fd/0"), "/dev/null");
    EXPECT_EQ(fs::read_symlink("/proc/" + pid + "/fd/1"), world.directory() + "/coxd.log");
    EXPECT_EQ(fs::read_symlink("/proc/" + pid + "/fd/2"), world.directory() + "/coxd.log");
    EXPECT_EQ(fs::read_symlink("/proc/" + pid + "/cwd"), "/");
    EXPECT_EQ(::getsid(static_cast<int>(to_int(pid).value_or(0))), coxd.pid);
  }
  EXPECT_EQ(tell('e'), "");
  EXPECT_EQ(NodeWorld::wait_for_exit(coxd.pid), 0);
}

TEST_P(Keeper, IsTheOnlyOneOfItsCluster) {
  const auto coxd = world.start_coxd();
  EXPECT_EQ(NodeWorld::read_all(coxd.ready), "ok\n");

  const auto second = world.start_coxd();

  EXPECT_EQ(NodeWorld::read_all(second.ready), "coxd already runs for " + world.directory() + "\n");
  EXPECT_EQ(NodeWorld::wait_for_exit(second.pid), 1);
  EXPECT_EQ(tell('e'), "");
  EXPECT_EQ(NodeWorld::wait_for_exit(coxd.pid), 0);
}

TEST_P(Keeper, EndsWhereItsHeadCannotStart) {
  fs::remove(world.directory() + "/ready");

  const auto coxd = world.start_coxd();

  EXPECT_EQ(NodeWorld::read_all(coxd.ready), "");
  EXPECT_EQ(NodeWorld::wait_for_exit(coxd.pid), 1);
}

TEST_P(Keeper, EndsWithItsHeadWhenAskedTo) {
  const auto coxd = world.start_coxd();
  EXPECT_EQ(NodeWorld::read_all(coxd.ready), "ok\n");

  EXPECT_EQ(::kill(coxd.pid, SIGTERM), 0);

  EXPECT_EQ(NodeWorld::wait_for_exit(coxd.pid), 0);
}

TEST_P(Keeper, TakesItsHeadAlongWhenKilled) {
  const auto first = world.start_coxd();
  EXPECT_EQ(NodeWorld::read_all(first.ready), "ok\n");

  EXPECT_EQ(::kill(first.pid, SIGKILL), 0);
  EXPECT_EQ(NodeWorld::wait_for_exit(first.pid), 128 + SIGKILL);
  EXPECT_THAT(world.leftovers(), IsEmpty());
  const auto next = world.start_coxd();

  EXPECT_EQ(NodeWorld::read_all(next.ready), "ok\n");
  EXPECT_EQ(tell('e'), "");
  EXPECT_EQ(NodeWorld::wait_for_exit(next.pid), 0);
}

}  // namespace
}  // namespace cox::provider
