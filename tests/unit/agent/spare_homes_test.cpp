#include "runtime/agent/spare_homes.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/unit/os/temporary_directory.hpp"

namespace cox::agent {
namespace {

namespace fs = std::filesystem;
using testing::UnorderedElementsAre;

class SpareHomesTest : public testing::Test {
 protected:
  /// As a step makes it.
  std::string make_home(const std::string& name, const std::string& directory) {
    const auto path = scratch_ / name;
    for (const auto& each : {path, path + "/.ssh", path + "/" + directory}) {
      fs::create_directory(each);
      ::chmod(each.c_str(), 0700);
    }
    return path;
  }

  static std::vector<std::string> all_below(const std::string& path) {
    std::vector<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(path)) {
      names.push_back(entry.path().lexically_relative(path));
    }
    return names;
  }

  /// The turn of the loop is over.
  void end_turn() { loop_.run_for(std::chrono::milliseconds(1)); }

  os::EventLoop loop_;
  os::TemporaryDirectory scratch_;
  SpareHomes homes_{loop_, scratch_.path()};
  JobUser user_{::getuid(), ::getgid(), "someone"};
};

TEST_F(SpareHomesTest, GivesAHomeToTheNextOfTheSameUserWithNothingInIt) {
  const auto first = make_home("a-1", "job-a");
  std::ofstream(first + "/hostfile") << "x";
  std::ofstream(first + "/job-a/result") << "x";
  fs::create_directories(first + "/job-a/deep/er");
  std::ofstream(first + "/.ssh/config") << "x";

  ASSERT_TRUE(homes_.give(first, user_, "job-a"));
  end_turn();
  EXPECT_FALSE(fs::exists(first));
  ASSERT_TRUE(homes_.take(scratch_ / "b-1", user_, "job-b"));

  EXPECT_THAT(all_below(scratch_ / "b-1"), UnorderedElementsAre(".ssh", "job-b"));
  EXPECT_FALSE(homes_.take(scratch_ / "c-1", user_, "job-c"));
}

TEST_F(SpareHomesTest, GivesAHomeFromWhereItIsInTheTurnInWhichItCame) {
  const auto home = [&](const std::string& name) { return scratch_ / (name + "-1"); };
  ASSERT_TRUE(homes_.give(make_home("a-1", "job-a"), user_, "job-a"));
  end_turn();
  ASSERT_TRUE(homes_.give(make_home("b-1", "job-b"), user_, "job-b"));
  ASSERT_TRUE(homes_.give(make_home("c-1", "job-c"), user_, "job-c"));
  ASSERT_TRUE(homes_.take(home("d"), user_, "job-d"));
  EXPECT_FALSE(fs::exists(home("c")));
  EXPECT_TRUE(fs::exists(home("b")));
  end_turn();
  EXPECT_FALSE(fs::exists(home("b")));
  for (const std::string job : {"e", "f"}) {
    ASSERT_TRUE(homes_.take(home(job), user_, "job-" + job)) << job;
    EXPECT_THAT(all_below(home(job)), UnorderedElementsAre(".ssh", "job-" + job));
  }
  EXPECT_FALSE(homes_.take(home("g"), user_, "job-g"));
  end_turn();
  EXPECT_THAT(all_below(home("d")), UnorderedElementsAre(".ssh", "job-d"));
}

TEST_F(SpareHomesTest, GivesNobodyAnothersHome) {
  ASSERT_TRUE(homes_.give(make_home("a-1", "job-a"), user_, "job-a"));
  auto other = user_;
  ++other.uid;
  EXPECT_FALSE(homes_.take(scratch_ / "b-1", other, "job-b"));
  other = user_;
  ++other.gid;
  EXPECT_FALSE(homes_.take(scratch_ / "b-1", other, "job-b"));
}

TEST_F(SpareHomesTest, KeepsOnlyWhatIsAsItWasMade) {
  const auto spoil = [&](const char* how, const auto& act) {
    const auto home = make_home("a-1", "job-a");
    act(home);
    EXPECT_TRUE(homes_.give(home, user_, "job-a")) << how;
    EXPECT_FALSE(fs::exists(home)) << how;
    EXPECT_FALSE(homes_.take(scratch_ / "b-1", user_, "job-b")) << how;
  };
  spoil("mode", [](const std::string& home) { ::chmod(home.c_str(), 0755); });
  spoil("mode within", [](const std::string& home) { ::chmod((home + "/.ssh").c_str(), 01700); });
  spoil("gone", [](const std::string& home) { fs::remove(home + "/.ssh"); });
  spoil("a link", [](const std::string& home) {
    fs::remove(home + "/job-a");
    fs::create_directory_symlink("/etc", home + "/job-a");
  });
  spoil("many files", [](const std::string& home) {
    const std::string name(200, 'n');
    for (int i = 0; i < 100; ++i) std::ofstream(home + "/job-a/" + name + std::to_string(i)) << "";
  });
  spoil("an attribute", [](const std::string& home) {
    if (::setxattr(home.c_str(), "user.cox", "x", 1, 0) != 0) ::chmod(home.c_str(), 0);
  });
  EXPECT_TRUE(fs::is_directory("/etc"));
}

TEST_F(SpareHomesTest, LeavesAloneWhatAHomeIsTurnedTo) {
  const os::TemporaryDirectory elsewhere;
  const auto home = make_home("a-1", "job-a");
  for (int i = 0; i < 16; ++i) {
    std::ofstream(elsewhere / ("other" + std::to_string(i))) << "x";
    std::ofstream(home + "/job-a/other" + std::to_string(i)) << "x";
  }
  // Takes a while to remove: what another job of the user's needs to turn the path elsewhere.
  const auto slow = home + "/job-a/slow";
  fs::create_directory(slow);
  constexpr int kMany = 3000;
  for (int i = 0; i < kMany; ++i) std::ofstream(slow + "/" + std::to_string(i)) << "";
  std::thread turning([&] {
    while (fs::exists(slow + "/0") && fs::exists(slow + "/" + std::to_string(kMany - 1))) {
    }
    std::error_code error;
    fs::rename(home + "/job-a", home + "/aside", error);
    fs::create_directory_symlink(elsewhere.path(), home + "/job-a", error);
  });
  (void)homes_.give(home, user_, "job-a");
  turning.join();
  EXPECT_EQ(all_below(elsewhere.path()).size(), 16u);
}

TEST_F(SpareHomesTest, RemovesWhatItCannotName) {
  const auto home = make_home("a-1", "job-a");
  EXPECT_TRUE(homes_.give(home, user_, ""));
  EXPECT_FALSE(fs::exists(home));
}

}  // namespace
}  // namespace cox::agent
