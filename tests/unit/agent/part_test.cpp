#include "runtime/agent/part.hpp"

#include <gtest/gtest.h>
#include <pwd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <optional>
#include <vector>

#include "runtime/agent/memory_limit.hpp"
#include "runtime/agent/spare_homes.hpp"
#include "runtime/agent/spare_steps.hpp"
#include "runtime/os/files.hpp"
#include "tests/unit/os/run_until.hpp"
#include "tests/unit/os/temporary_directory.hpp"

namespace cox::agent {
namespace {

/// A part with a real step, as the agent has one, and what it says to the head.
class PartTest : public testing::Test {
 protected:
  void SetUp() override {
    options_.node = NodeId{"i-1"};
    options_.scratch = directory_.path();
    options_.bin_dir = options_.mpi_bin_dir = "/usr/bin";
    spool_ = logs::open_log_store(directory_.path()).value();
    homes_ = std::make_unique<SpareHomes>(loop_, options_.scratch);
  }
  void TearDown() override {
    part_.reset();
    spares_.reset();
    while (::waitpid(-1, nullptr, 0) > 0) {
    }
  }

  /// Runs a job's part to its end.
  void run(const std::string& command) {
    begin(command);
    ASSERT_TRUE(os::run_until(loop_, [&] { return end_.has_value(); }));
  }

  void begin(const std::string& command) {
    const auto& key = key_;
    part_ = std::make_unique<Part>(
        PartHost{loop_, options_, *spool_, *cgroups_, *homes_, *spares_,
                 [this](const wire::Message& message) { hear(message); }, [] { return true; },
                 [] { return false; }, [](const wire::Message&) {}, [] {},
                 [] { return std::vector<pid_t>{}; }, [] { return std::map<int, int>{}; }},
        key);
    wire::Prepare prepare;
    prepare.part = key;
    prepare.user = {::geteuid(), ::getegid(), ::getpwuid(::geteuid())->pw_name};
    prepare.command = {"/bin/sh", "-c", command};
    prepare.vcpus = 1;
    prepare.directory = "job";
    part_->prepare(std::move(prepare));
  }

  void hear(const wire::Message& message) {
    if (std::holds_alternative<wire::Prepared>(message)) {
      loop_.post([this] { part_->launch(wire::Launch{key_, {}}); });
    } else if (const auto* exited = std::get_if<wire::Exited>(&message)) {
      end_ = *exited;
      told_ms_ = os::SystemClock().now().value;
    } else if (std::holds_alternative<wire::Started>(message)) {
      started_ = true;
    } else if (const auto* over = std::get_if<wire::RemoteExited>(&message)) {
      remote_end_ = *over;
    }
  }

  const wire::PartKey key_{JobId{"j"}, 1, 0};
  os::TemporaryDirectory directory_;
  os::EventLoop loop_;
  AgentOptions options_;
  std::unique_ptr<logs::LogStore> spool_;
  std::unique_ptr<MemoryCgroups> cgroups_ = make_memory_cgroups("");
  std::unique_ptr<SpareHomes> homes_;
  std::unique_ptr<SpareSteps> spares_ = make_spare_steps(loop_, *cgroups_);
  std::unique_ptr<Part> part_;
  bool started_ = false;
  std::optional<wire::RemoteExited> remote_end_;
  std::optional<wire::Exited> end_;
  std::int64_t told_ms_ = 0;
};

TEST_F(PartTest, TellsItsEnd) {
  run("exit 3");
  EXPECT_EQ(end_->exit_code, 3);
}

/// Whoever ends the job may be about to end its agent too, and then has the word on why.
TEST_F(PartTest, KeepsAFailureBackWhereItsAgentMayBeEndedWithIt) {
  options_.ended_together = true;
  run("exit 3");
  EXPECT_EQ(end_->exit_code, 3);
  EXPECT_GE(told_ms_ - end_->at_ms, 400);
}

TEST_F(PartTest, KeepsNoSuccessBack) {
  options_.ended_together = true;
  run("exit 0");
  EXPECT_EQ(end_->exit_code, 0);
}

/// With the part's end the head has it forgotten, and its commands' ends with it.
TEST_F(PartTest, EndsAfterThoseWhoAskedForCommandsHaveTheirEnds) {
  const auto go = directory_ / "go";
  begin("until [ -e " + go + " ]; do sleep 0.01; done");
  ASSERT_TRUE(os::run_until(loop_, [&] { return started_; }));
  part_->run_remote({{7, {JobId{"j"}, 1, 1}, NodeId{"i-2"}, 0, true, 1, 0}, "i-1", "exit 4"});
  ASSERT_TRUE(os::run_until(loop_, [&] { return remote_end_.has_value(); }));
  EXPECT_EQ(remote_end_->exit_code, 4);
  ASSERT_TRUE(os::write_file_atomic(go, ""));
  loop_.run_for(std::chrono::milliseconds(200));
  EXPECT_FALSE(end_);

  auto heard = wire::way_back(remote_end_->route);
  heard.got = remote_end_->route.number;
  part_->remote_have({heard, false, true});
  ASSERT_TRUE(os::run_until(loop_, [&] { return end_.has_value(); }));
  EXPECT_EQ(end_->exit_code, 0);
}

}  // namespace
}  // namespace cox::agent
