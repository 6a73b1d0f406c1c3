#include "runtime/agent/spare_steps.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <string>

#include "runtime/base/text.hpp"
#include "runtime/os/files.hpp"
#include "tests/unit/os/run_until.hpp"
#include "tests/unit/os/temporary_directory.hpp"

namespace cox::agent {
namespace {

/// A child of this process that waits for a plan, or 0.
pid_t spare_process() {
  const auto children = os::read_file(fmt::format("/proc/self/task/{}/children", ::getpid()));
  for (const auto& word : split(children ? *children : "", ' ')) {
    const auto pid = to_int(word);
    const auto name = pid ? os::read_file(fmt::format("/proc/{}/comm", *pid)) : std::string();
    if (name && *name == "cox-spare\n") return static_cast<pid_t>(*pid);
  }
  return 0;
}

class SpareStepsTest : public testing::Test {
 protected:
  void TearDown() override {
    spares_.reset();  // what waits sees the end of its control, and ends
    while (::waitpid(-1, nullptr, 0) > 0) {
    }
  }

  std::optional<LimitedStep> take() {
    StepEvents events;
    events.prepared = [this](const Result<wire::Meeting>& result) { prepared_ = result; };
    OutputEnds none;
    return spares_->take(StepPlan{}, 64, events, none);
  }
  [[nodiscard]] bool one_is_ready() const {
    const auto all = spares_->processes();
    return all.size() == 2 && all.back() != 0;
  }

  os::EventLoop loop_;
  std::unique_ptr<MemoryCgroups> cgroups_ = make_memory_cgroups("");
  std::unique_ptr<SpareSteps> spares_ = make_spare_steps(loop_, *cgroups_);
  static os::Fd null() { return os::Fd(::open("/dev/null", O_RDWR | O_CLOEXEC)); }

  /// A step of this user's that has run a command to its end, with nothing left or something.
  LimitedStep used_by(const JobUser& user, const std::string& command, bool is_left_empty = true) {
    auto plan = plan_;
    plan.user = user;
    plan.home = home_.path();
    plan.is_launched = true;
    plan.command = {"/bin/sh", "-c", command};
    StepEvents events;
    events.prepared = [](const Result<wire::Meeting>& result) {
      ADD_FAILURE() << result.error().message;
    };
    events.not_started = [](int code, const std::string& why) { ADD_FAILURE() << code << why; };
    events.started = events.emptied = [] {};
    events.remote_ended = [](std::uint64_t /*id*/, int /*status*/) {};
    const auto ended = std::make_shared<std::optional<int>>();  // the step outlives this
    events.command_ended = [ended, is_left_empty](int status, bool empty) {
      *ended = empty == is_left_empty ? status : -1;
    };
    OutputEnds ends{null(), null()};
    std::optional<LimitedStep> taken;
    EXPECT_TRUE(os::run_until(loop_, [&] {
      if (!taken) taken = spares_->take(plan, 64, events, ends);
      return taken.has_value();
    }));
    EXPECT_TRUE(os::run_until(loop_, [&] { return ended->has_value(); }));
    EXPECT_EQ(*ended, 0);
    return std::move(*taken);
  }
  [[nodiscard]] bool is_kept(pid_t pid) const {
    const auto all = spares_->processes();
    return std::find(all.begin(), all.end(), pid) != all.end();
  }

  os::TemporaryDirectory home_;
  StepPlan plan_;
  std::optional<Result<wire::Meeting>> prepared_;
  const JobUser ann_{::getuid(), ::getgid(), "ann"};
  const JobUser bob_{::getuid(), ::getgid(), "bob"};
};

TEST_F(SpareStepsTest, AreThereOnceOneWasMissed) {
  loop_.run_for(std::chrono::milliseconds(20));
  EXPECT_TRUE(spares_->processes().empty());
  EXPECT_FALSE(take());
  ASSERT_TRUE(os::run_until(loop_, [&] { return one_is_ready(); }));
  const auto ready = spares_->processes().back();
  const auto taken = take();
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->step->pid(), ready);
  EXPECT_EQ(taken->memory, nullptr);
  EXPECT_TRUE(os::run_until(loop_, [&] { return one_is_ready(); }));
}

TEST_F(SpareStepsTest, AreNotTakenOnceTheyHaveEnded) {
  EXPECT_FALSE(take());
  ASSERT_TRUE(os::run_until(loop_, [&] { return !spares_->processes().empty(); }));
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  pid_t spare = 0;
  while ((spare = spare_process()) == 0 && std::chrono::steady_clock::now() < end) {
  }
  ASSERT_NE(spare, 0);
  ::kill(spare, SIGKILL);
  ASSERT_EQ(::waitpid(spare, nullptr, 0), spare);
  spares_->child_ended(spare);

  loop_.run_for(std::chrono::milliseconds(50));

  EXPECT_EQ(spares_->processes().size(), 1u);  // the nursery
  EXPECT_FALSE(take());
}

TEST_F(SpareStepsTest, AreForkedByAnotherNurseryWhereOneWasKilled) {
  EXPECT_FALSE(take());
  ASSERT_TRUE(os::run_until(loop_, [&] { return one_is_ready(); }));
  const auto nursery = spares_->processes().front();
  ::kill(nursery, SIGKILL);
  ASSERT_EQ(::waitpid(nursery, nullptr, 0), nursery);
  spares_->child_ended(nursery);

  ASSERT_TRUE(take());

  ASSERT_TRUE(os::run_until(loop_, [&] { return one_is_ready(); }));
  EXPECT_NE(spares_->processes().front(), nursery);
}

TEST_F(SpareStepsTest, AreUsedAgainForTheSameUserAlone) {
  auto first = used_by(ann_, "umask 077; cd /tmp");
  const auto pid = first.step->pid();
  spares_->give(std::move(first.step), nullptr, ann_);

  EXPECT_NE(used_by(bob_, "true").step->pid(), pid);
  const auto looks = "test $(umask) = 0022 && test $PWD = " + home_.path();
  EXPECT_EQ(used_by(ann_, looks).step->pid(), pid);
}

TEST_F(SpareStepsTest, AreNotUsedAgainWithSomethingLeftBelowThem) {
  auto first = used_by(ann_, "sleep 100 &", false);
  const auto pid = first.step->pid();
  const auto left = left_below(pid);
  ASSERT_FALSE(left.empty());
  spares_->give(std::move(first.step), nullptr, ann_);

  bool is_gone = false;
  ASSERT_TRUE(os::run_until(
      loop_, [&] { return is_gone = is_gone || ::waitpid(pid, nullptr, WNOHANG) == pid; }));
  spares_->child_ended(pid);
  for (const auto each : left) ::kill(each, SIGKILL);

  EXPECT_FALSE(is_kept(pid));
  EXPECT_NE(used_by(ann_, "true").step->pid(), pid);
}

/// A helper node's own command may be over long before the main node has asked its last.
TEST_F(SpareStepsTest, StayWithAJobOfSeveralNodes) {
  plan_.nodes = "0 10.0.0.1 a\n1 10.0.0.2 b\n";
  auto first = used_by(ann_, "sleep 0.01 &", false);
  const auto pid = first.step->pid();
  ASSERT_TRUE(os::run_until(loop_, [&] { return left_below(pid).empty(); }));

  const auto late = home_ / "late";
  first.step->run_remote(7, "touch " + late, null(), null(), null());
  EXPECT_TRUE(os::run_until(loop_, [&] { return os::read_file(late).has_value(); }));

  spares_->give(std::move(first.step), nullptr, ann_);
  EXPECT_FALSE(is_kept(pid));
}

TEST_F(SpareStepsTest, EndWhereTheyCannotHaveTheirCommandsOutput) {
  auto first = used_by(ann_, "true");
  const auto pid = first.step->pid();
  spares_->give(std::move(first.step), nullptr, ann_);
  const rlimit none{3, 3};
  ASSERT_EQ(::prlimit(pid, RLIMIT_NOFILE, &none, nullptr), 0);

  StepEvents events;
  OutputEnds ends{null(), null()};
  plan_.user = ann_;
  plan_.home = home_.path();
  plan_.is_launched = true;
  plan_.command = {"true"};
  const auto taken = spares_->take(plan_, 64, events, ends);
  ASSERT_TRUE(taken && taken->step->pid() == pid);
  int status = 0;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_EQ(WEXITSTATUS(status), 1);
}

TEST_F(SpareStepsTest, AreNotMadeWithoutACgroupWhereTheNodeHasSome) {
  cgroups_ = make_memory_cgroups("/nonexistent/cgroup");
  spares_ = make_spare_steps(loop_, *cgroups_);
  EXPECT_FALSE(take());
  loop_.run_for(std::chrono::milliseconds(20));
  EXPECT_FALSE(take());
  EXPECT_TRUE(spares_->processes().empty());
}

TEST_F(SpareStepsTest, GoOnWhereAnotherJobHasStoppedThem) {
  auto first = used_by(ann_, "true");
  const auto pid = first.step->pid();
  ::kill(pid, SIGSTOP);
  spares_->give(std::move(first.step), nullptr, ann_);

  EXPECT_EQ(used_by(ann_, "true").step->pid(), pid);
}

TEST_F(SpareStepsTest, AreForgottenOnceTheirSocketEnds) {
  auto first = used_by(ann_, "true");
  const auto pid = first.step->pid();
  spares_->give(std::move(first.step), nullptr, ann_);
  ASSERT_TRUE(is_kept(pid));
  ::kill(pid, SIGKILL);

  EXPECT_TRUE(os::run_until(loop_, [&] { return !is_kept(pid); }));
}

TEST_F(SpareStepsTest, PassOverWhatCameTooLateForTheirLastPart) {
  auto first = used_by(ann_, "true");
  const auto pid = first.step->pid();
  first.step->stopping();
  first.step->run_remote(7, "touch " + home_ / "late", null(), null(), null());
  spares_->give(std::move(first.step), nullptr, ann_);

  EXPECT_EQ(used_by(ann_, "true").step->pid(), pid);
  EXPECT_FALSE(os::read_file(home_ / "late"));
}

}  // namespace
}  // namespace cox::agent
