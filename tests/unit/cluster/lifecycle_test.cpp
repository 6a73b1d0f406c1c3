#include "launcher/cluster/lifecycle.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <future>
#include <thread>

#include "launcher/cluster/processes.hpp"
#include "launcher/provider/node_files.hpp"
#include "runtime/os/files.hpp"
#include "runtime/os/process.hpp"
#include "tests/unit/cluster/cluster_world.hpp"

namespace cox::cluster {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

using Lifecycle = ClusterWorld;

void quietly(const std::string&) {}

CreateRequest request(const std::string& name) {
  return {name, "some/where/demo.yaml", "Region: us-west-2\n", "", config::ClusterConfig{}};
}

/// A process that lives until it is killed, and is reaped by this object.
class Sleeper {
 public:
  explicit Sleeper(std::vector<std::string> argv = {"sleep", "600"}) {
    os::SpawnSpec spec;
    spec.argv = std::move(argv);
    spec.die_with_parent = true;
    pid_ = os::spawn(spec).value_or(0);
  }
  ~Sleeper() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Sleeper(const Sleeper&) = delete;
  Sleeper& operator=(const Sleeper&) = delete;

  [[nodiscard]] int pid() const { return pid_; }
  [[nodiscard]] bool is_alive() const { return provider::mark_of(pid_).has_value(); }

 private:
  int pid_ = 0;
};

// There is no coxd beside the tests' program.
TEST_F(Lifecycle, ACreateThatFailsLeavesNothing) {
  const auto made = create(request("demo"));
  ASSERT_FALSE(made);
  EXPECT_NE(made.error().message.find("coxd"), std::string::npos) << made.error().message;
  EXPECT_FALSE(fs::exists(root_)) << "not even the state root";
}

TEST_F(Lifecycle, ACreateThatFailsLeavesOthersAlone) {
  put("other", "CREATE_COMPLETE");
  ASSERT_FALSE(create(request("demo")));
  EXPECT_TRUE(fs::exists(root_ / "other" / "record.json"));
  EXPECT_FALSE(fs::exists(root_ / "demo"));
}

TEST_F(Lifecycle, ACompleteClusterKeepsItsName) {
  const auto directory = put("demo", "CREATE_COMPLETE");
  write(directory / "home" / "work.txt", "hours of it");
  const auto made = create(request("demo"));
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Errc::conflict);
  EXPECT_EQ(made.error().message, "cluster demo already exists");
  EXPECT_TRUE(fs::exists(directory / "home" / "work.txt"));
}

TEST_F(Lifecycle, ARecordThatCannotBeReadIsNoLeftover) {
  write(root_ / "demo" / "record.json", "{");
  EXPECT_EQ(create(request("demo")).error().code, Errc::conflict);
  EXPECT_TRUE(fs::exists(root_ / "demo"));
}

TEST_F(Lifecycle, LeftoversGiveWay) {
  for (const auto* status : {"CREATE_FAILED", "CREATE_IN_PROGRESS", "DELETE_IN_PROGRESS"}) {
    const auto directory = put("demo", status);
    write(directory / "home" / "old.txt", "x");
    const auto made = create(request("demo"));
    ASSERT_FALSE(made);
    EXPECT_NE(made.error().code, Errc::conflict) << status << ": " << made.error().message;
    EXPECT_FALSE(fs::exists(directory)) << status;
  }
  fs::create_directories(root_ / "demo" / "api");  // killed before it wrote the record
  EXPECT_NE(create(request("demo")).error().code, Errc::conflict);
}

TEST_F(Lifecycle, WhatSomebodyIsMakingDoesNotGiveWay) {
  const auto directory = put("demo", "CREATE_IN_PROGRESS");
  const os::Fd held(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  ASSERT_EQ(::flock(held.get(), LOCK_EX), 0);
  EXPECT_EQ(create(request("demo")).error().code, Errc::conflict);
  EXPECT_EQ(current_record("demo")->status, "CREATE_IN_PROGRESS");
  EXPECT_TRUE(fs::exists(directory));
}

TEST_F(Lifecycle, TellsWhatNobodyIsAtAnyMore) {
  put("making", "CREATE_IN_PROGRESS");
  put("ending", "DELETE_IN_PROGRESS");
  put("complete", "CREATE_COMPLETE");
  EXPECT_EQ(current_record("making")->status, "CREATE_FAILED");
  EXPECT_EQ(current_record("making")->status_reason, "the daemon ended while the cluster was made");
  EXPECT_EQ(current_record("ending")->status, "DELETE_FAILED");
  EXPECT_EQ(current_record("complete")->status, "CREATE_COMPLETE");
  EXPECT_EQ(current_record("nowhere").error().message, "cluster nowhere does not exist");
  EXPECT_EQ(current_record("../demo").error().code, Errc::not_found);
}

TEST_F(Lifecycle, RemovesWhateverThereIsAndIsIdempotent) {
  std::vector<std::string> steps;
  const auto note = [&](const std::string& step) { steps.push_back(step); };
  ASSERT_TRUE(remove("nowhere", note));
  EXPECT_TRUE(steps.empty());
  write(put("demo", "CREATE_COMPLETE") / "home" / "deep" / "er.txt", "x");
  EXPECT_TRUE(exists("demo"));
  ASSERT_TRUE(remove("demo", note));
  EXPECT_EQ(steps, (std::vector<std::string>{"ending the nodes", "removing the cluster's files"}));
  EXPECT_FALSE(fs::exists(root_)) << "the root goes with the last cluster";
  ASSERT_TRUE(remove("demo", quietly));
  EXPECT_FALSE(exists("demo"));
  fs::create_directories(root_ / "half");
  ASSERT_TRUE(remove("half", quietly));
  EXPECT_FALSE(fs::exists(root_));
}

TEST_F(Lifecycle, SeveralRemovesAtOnceAllSucceed) {
  put("demo", "CREATE_COMPLETE");
  std::vector<std::future<bool>> removes;
  for (int i = 0; i < 4; ++i) {
    removes.push_back(
        std::async(std::launch::async, [] { return remove("demo", quietly).has_value(); }));
  }
  for (auto& done : removes) EXPECT_TRUE(done.get());
  EXPECT_FALSE(fs::exists(root_ / "demo"));
}

TEST_F(Lifecycle, EndsTheNodesThatACrashLeftAndNoOthers) {
  const auto directory = put("demo", "CREATE_COMPLETE");
  Sleeper node;
  Sleeper stranger;
  const auto mark = provider::mark_of(node.pid());
  ASSERT_TRUE(mark);
  write(directory / "nodes" / "i-00000000000000001" / "pid", provider::render_mark(*mark));
  // A number that another process has got since.
  auto old = *provider::mark_of(stranger.pid());
  old.start_time -= 1;
  write(directory / "nodes" / "i-00000000000000002" / "pid", provider::render_mark(old));
  ASSERT_EQ(nodes_of(directory).size(), 1u);
  ASSERT_TRUE(remove("demo", quietly));
  EXPECT_FALSE(node.is_alive());
  EXPECT_TRUE(stranger.is_alive());
}

TEST_F(Lifecycle, EndsADaemonThatDoesNotAnswer) {
  const auto directory = put("demo", "CREATE_COMPLETE");
  put("demo2", "CREATE_COMPLETE");
  const auto program = directory_ / "coxd";
  fs::create_symlink("/bin/sh", program);
  const std::string wait = "read line";
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const os::Fd read_end(ends[0]);
  const os::Fd write_end(ends[1]);
  const auto start = [&](const std::string& of) {
    os::SpawnSpec spec;
    spec.argv = {program.string(), "-c", wait, "--cluster-dir", of};
    spec.descriptors = {{read_end.get(), 0}};
    spec.die_with_parent = true;
    return os::spawn(spec).value_or(0);
  };
  const auto ours = start(directory.string());
  const auto other = start(directory.string() + "2");
  ASSERT_GT(ours, 0);
  ASSERT_EQ(daemons_of(directory).size(), 1u);
  EXPECT_EQ(daemons_of(directory)[0].pid, ours);
  EXPECT_EQ(current_record("demo")->status, "CREATE_COMPLETE");
  ASSERT_TRUE(remove("demo", quietly));
  EXPECT_FALSE(provider::mark_of(ours));
  EXPECT_TRUE(provider::mark_of(other)) << "a cluster whose name begins alike";
  ::kill(other, SIGKILL);
  ::waitpid(ours, nullptr, 0);
  ::waitpid(other, nullptr, 0);
}

TEST(ServedDirectory, IsAWholeWordOfACoxd) {
  const auto served = [](std::initializer_list<const char*> words) {
    std::string line;
    for (const auto* word : words) line += std::string(word) + '\0';
    return served_directory(line);
  };
  EXPECT_EQ(served({"/usr/bin/coxd", "--cluster-dir", "/s/demo"}), "/s/demo");
  EXPECT_EQ(served({"coxd", "--head", "--cluster-dir", "/s/demo", "x"}), "/s/demo");
  EXPECT_EQ(served({"vi", "--cluster-dir", "/s/demo"}), "");
  EXPECT_EQ(served({"sh", "-c", "coxd --cluster-dir /s/demo"}), "");
  EXPECT_EQ(served({"coxd", "--cluster-dir"}), "");
  EXPECT_EQ(served_directory(""), "");
}

TEST(CheckName, TakesTheOriginalsPattern) {
  for (const auto* good : {"ab", "tutor2", "My-Cluster-1", "a-"}) EXPECT_TRUE(check_name(good));
  EXPECT_TRUE(check_name(std::string(60, 'a')));
  for (const auto* bad : {"", "a", "1a", "-a", "a_b", "a.b", "a/b", "../a", "a b", "ä1"}) {
    EXPECT_FALSE(check_name(bad)) << bad;
  }
  EXPECT_EQ(check_name(std::string(61, 'a')).error().message,
            "'" + std::string(61, 'a') + "' is longer than 60 characters");
}

// What check_name lets through is one plain component of a path.
RC_GTEST_PROP(CheckName, NeverLetsAPathThrough, (const std::string& name)) {
  if (!check_name(name)) return;
  RC_ASSERT(name.find('/') == std::string::npos);
  RC_ASSERT(name.find('.') == std::string::npos);
}

}  // namespace
}  // namespace cox::cluster
