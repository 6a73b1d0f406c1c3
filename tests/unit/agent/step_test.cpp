#include "runtime/agent/step.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "runtime/agent/step_messages.hpp"
#include "runtime/agent/step_plan_text.hpp"
#include "runtime/os/files.hpp"
#include "tests/unit/os/run_until.hpp"
#include "tests/unit/os/temporary_directory.hpp"

namespace cox::agent {
namespace {

using testing::Contains;

struct Pipe {
  Pipe() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    out = os::Fd(ends[0]);
    in = os::Fd(ends[1]);
  }
  /// Everything until the last writer is gone.
  [[nodiscard]] std::string rest() const {
    std::string text;
    char piece[4096];
    for (ssize_t got = 0; (got = ::read(out.get(), piece, sizeof piece)) > 0;) {
      text.append(piece, static_cast<std::size_t>(got));
    }
    return text;
  }

  os::Fd out;
  os::Fd in;
};

/// A step of its own process, as the agent forks one, and what it tells: "prepared", "started",
/// "ended 0 empty", …
class StepTest : public testing::Test {
 protected:
  void TearDown() override {
    if (!step_) return;
    const pid_t pid = step_->pid();
    step_.reset();  // its end of the connection closes: it exits
    ::waitpid(pid, nullptr, 0);
  }

  StepPlan plan_of(std::vector<std::string> command) const {
    StepPlan plan;
    plan.home = home_.path();
    plan.command = std::move(command);
    plan.environment = {"PATH=/usr/bin:/bin", "A=b c", "HOME=" + home_.path()};
    return plan;
  }

  void fork(StepPlan plan) {
    auto step = Step::fork(loop_, std::move(plan), events());
    ASSERT_TRUE(step) << step.error().message;
    step_ = std::move(*step);
  }

  StepEvents events() {
    StepEvents events;
    events.prepared = [this](const Result<wire::Meeting>& result) {
      told_.push_back(result ? "prepared" : "failed: " + result.error().message);
    };
    events.started = [this] { told_.emplace_back("started"); };
    events.not_started = [this](int code, const std::string& why) {
      told_.push_back(fmt::format("not started {}: {}", code, why));
    };
    events.command_ended = [this](int status, bool empty) {
      told_.push_back(fmt::format("ended {}{}", status, empty ? " empty" : ""));
    };
    events.remote_ended = [this](std::uint64_t id, int status) {
      told_.push_back(fmt::format("remote {} ended {}", id, status));
    };
    events.emptied = [this] { told_.emplace_back("emptied"); };
    return events;
  }

  void begin(StepPlan plan) {
    fork(std::move(plan));
    step_->begin();
    wait_for("prepared");
  }

  void wait_for(const std::string& line) {
    const auto is_told = [&] { return std::find(told_.begin(), told_.end(), line) != told_.end(); };
    EXPECT_TRUE(os::run_until(loop_, is_told)) << line;
  }

  os::TemporaryDirectory home_;
  os::EventLoop loop_;
  std::unique_ptr<Step> step_;
  std::vector<std::string> told_;
};

TEST_F(StepTest, RunsACommandInItsDirectoryWithItsEnvironment) {
  auto plan = plan_of({"sh", "-c", "echo $A; pwd; cat in.txt; echo oops >&2; exit 3"});
  plan.directory = "job-1";
  plan.files = {{"in.txt", 0640, "given\n"}};
  begin(plan);
  Pipe out;
  Pipe err;

  step_->launch({std::move(out.in), std::move(err.in)});
  wait_for(fmt::format("ended {} empty", 3 << 8));

  EXPECT_EQ(out.rest(), "b c\n" + home_.path() + "/job-1\ngiven\n");
  EXPECT_EQ(err.rest(), "oops\n");
  EXPECT_EQ(told_[1], "started");
}

class Nursery {
 public:
  Nursery() {
    auto ends = step_sockets().value();
    pid_ = ::fork();
    if (pid_ == 0) be_nursery(ends.theirs.release());
    control_ = std::move(ends.ours);
  }
  ~Nursery() {
    control_.reset();
    EXPECT_EQ(::waitpid(pid_, nullptr, 0), pid_);
  }
  Nursery(const Nursery&) = delete;
  Nursery& operator=(const Nursery&) = delete;

  [[nodiscard]] os::Fd order(const std::string& processes_file) const {
    auto ends = step_sockets().value();
    StepMessage message;
    message.kind = 'N';
    message.text = processes_file;
    message.descriptors.push_back(std::move(ends.theirs));
    EXPECT_TRUE(send_step_message(control_.get(), message));
    return std::move(ends.ours);
  }

 private:
  pid_t pid_ = -1;
  os::Fd control_;
};

SpareProcess spare_of(os::EventLoop& loop, pid_t pid, os::Fd control) {
  return {pid, std::make_unique<StepControl>(loop, std::move(control))};
}

TEST_F(StepTest, OfANurseryIsOursAndRunsWhatItIsToldLater) {
  const Nursery nursery;
  const auto group = home_ / "cgroup.procs";
  ASSERT_TRUE(os::write_file_atomic(group, ""));
  auto control = nursery.order(group);
  StepMessage message;
  ASSERT_TRUE(receive_step_message(control.get(), message));
  ASSERT_EQ(message.kind, 'A');
  EXPECT_EQ(os::read_file(group), "0");
  const auto spare = static_cast<pid_t>(message.number);
  EXPECT_EQ(::waitpid(spare, nullptr, WNOHANG), 0);  // a child of this process, and alive

  const auto plan = text_of_plan(plan_of({"sh", "-c", "echo $A"}));
  auto heard = events();
  OutputEnds none;
  step_ = Step::adopt(loop_, spare_of(loop_, spare, std::move(control)), plan.value(), heard, none);
  ASSERT_NE(step_, nullptr);
  step_->begin();
  wait_for("prepared");
  Pipe out;
  Pipe err;
  step_->launch({std::move(out.in), std::move(err.in)});
  wait_for("ended 0 empty");

  EXPECT_EQ(out.rest(), "b c\n");
}

/// A job may stop its step.
TEST_F(StepTest, ThatStandsStillHoldsNobodyUp) {
  begin(plan_of({"sleep", "60"}));
  const Pipe pipe;
  const auto ask = [&](std::uint64_t id) {
    const auto end = [&] { return os::Fd(::fcntl(pipe.in.get(), F_DUPFD_CLOEXEC, 0)); };
    step_->run_remote(id, "exit 0 #" + std::string(60'000, 'x'),
                      os::Fd(::open("/dev/null", O_RDONLY | O_CLOEXEC)), end(), end());
  };
  ::kill(step_->pid(), SIGSTOP);
  for (std::uint64_t id = 1; id <= 20; ++id) ask(id);
  EXPECT_EQ(told_, std::vector<std::string>{"prepared"});

  ::kill(step_->pid(), SIGCONT);
  for (std::uint64_t id = 1; id <= 20; ++id) wait_for(fmt::format("remote {} ended 0", id));

  ::kill(step_->pid(), SIGSTOP);
  for (std::uint64_t id = 21; id <= 200; ++id) ask(id);
  int status = 0;
  ASSERT_EQ(::waitpid(step_->pid(), &status, 0), step_->pid());
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  step_.reset();
}

TEST_F(StepTest, IsNotMadeOfAProcessThatHasEnded) {
  auto control = step_sockets().value();
  control.theirs.reset();
  auto heard = events();
  Pipe out;
  Pipe err;
  OutputEnds ends{std::move(out.in), std::move(err.in)};
  const auto plan = text_of_plan(plan_of({"true"})).value();
  EXPECT_EQ(
      Step::adopt(loop_, spare_of(loop_, ::getpid(), std::move(control.ours)), plan, heard, ends),
      nullptr);
  EXPECT_TRUE(heard.started && ends.out && ends.err);  // to be used for another
}

TEST_F(StepTest, OfANurseryEndsWhereItCannotEnterItsCgroup) {
  const Nursery nursery;
  const auto control = nursery.order(home_ / "absent/cgroup.procs");
  StepMessage message;
  EXPECT_FALSE(receive_step_message(control.get(), message));
  int status = 0;
  EXPECT_GT(::waitpid(-1, &status, __WALL), 0);
  EXPECT_EQ(WEXITSTATUS(status), 1);
}

TEST_F(StepTest, PutsFilesAndHostfileWithTheirModes) {
  auto plan = plan_of({"true"});
  plan.hostfile = "10.0.0.11 slots=2\n";
  plan.directory = "work";
  plan.files = {{"run.sh", 0755, "#!/bin/sh\n"}};
  begin(plan);

  struct stat script {};
  struct stat hosts {};
  ASSERT_EQ(::stat((home_ / "work/run.sh").c_str(), &script), 0);
  ASSERT_EQ(::stat((home_ / "hostfile").c_str(), &hosts), 0);
  EXPECT_EQ(script.st_mode & 07777, 0755u);
  EXPECT_EQ(hosts.st_mode & 07777, 0600u);
  EXPECT_EQ(os::read_file(home_ / "hostfile"), "10.0.0.11 slots=2\n");
}

TEST_F(StepTest, FollowsNoLinkOutOfItsHome) {
  const os::TemporaryDirectory elsewhere;
  ASSERT_EQ(::symlink(elsewhere.path().c_str(), (home_ / "work").c_str()), 0);
  auto plan = plan_of({"true"});
  plan.directory = "work";
  plan.files = {{"planted", 0644, "x"}};
  fork(plan);

  step_->begin();
  ASSERT_TRUE(os::run_until(loop_, [&] { return !told_.empty(); }));

  EXPECT_THAT(told_[0], testing::StartsWith("failed: "));
  EXPECT_NE(::access((elsewhere / "planted").c_str(), F_OK), 0);
}

TEST_F(StepTest, TellsACommandThatIsNotThere) {
  begin(plan_of({"no-such-command"}));
  Pipe out;
  Pipe err;

  step_->launch({std::move(out.in), std::move(err.in)});
  wait_for("not started 127: no-such-command: command not found");

  EXPECT_EQ(err.rest(), "no-such-command: command not found\n");
}

TEST_F(StepTest, TellsACommandThatCannotBeExecuted) {
  auto plan = plan_of({"./data"});
  plan.files = {{"data", 0644, "no program"}};
  begin(plan);
  Pipe out;
  Pipe err;

  step_->launch({std::move(out.in), std::move(err.in)});

  wait_for("not started 126: ./data: Permission denied");
}

TEST_F(StepTest, RunsAScriptWithoutAnInterpreterLineByBash) {
  auto plan = plan_of({"./script", "a b"});
  plan.files = {{"script", 0755, "echo \"$1\" ${BASH_VERSION:+bash}\n"}};
  begin(plan);
  Pipe out;
  Pipe err;

  step_->launch({std::move(out.in), std::move(err.in)});

  EXPECT_EQ(out.rest(), "a b bash\n");
}

TEST_F(StepTest, KeepsWhatTheCommandLeavesBehindAndTellsItsEnd) {
  begin(plan_of({"sh", "-c", "(read line < fifo) & exit 0"}));
  ASSERT_EQ(::mkfifo((home_ / "fifo").c_str(), 0600), 0);
  Pipe out;
  Pipe err;
  step_->launch({std::move(out.in), std::move(err.in)});
  wait_for("ended 0");
  EXPECT_THAT(left_below(step_->pid()), testing::SizeIs(1));

  const os::Fd writer(::open((home_ / "fifo").c_str(), O_WRONLY | O_CLOEXEC));
  ASSERT_EQ(::write(writer.get(), "go\n", 3), 3);
  wait_for("emptied");

  EXPECT_THAT(left_below(step_->pid()), testing::IsEmpty());
}

TEST_F(StepTest, RunsCommandsThatOtherNodesAskFor) {
  begin(plan_of({"true"}));
  Pipe in;
  Pipe out;
  Pipe err;
  step_->run_remote(7, "cat; echo $A >&2; exit 4", std::move(in.out), std::move(out.in),
                    std::move(err.in));
  ASSERT_EQ(::write(in.in.get(), "typed\n", 6), 6);
  in.in = os::Fd();

  wait_for(fmt::format("remote 7 ended {}", 4 << 8));

  EXPECT_EQ(out.rest(), "typed\n");
  EXPECT_EQ(err.rest(), "b c\n");
}

TEST_F(StepTest, TellsTheSignalThatEndedACommand) {
  begin(plan_of({"sh", "-c", "kill -9 $$"}));
  Pipe out;
  Pipe err;

  step_->launch({std::move(out.in), std::move(err.in)});

  wait_for(fmt::format("ended {} empty", SIGKILL));
}

TEST_F(StepTest, LeavesItsCommandNothingOpenOfTheAgent) {
  const os::Fd secret(::open("/dev/null", O_RDONLY));  // without close-on-exec
  begin(plan_of({"sh", "-c", "ls /proc/$$/fd"}));
  Pipe out;
  Pipe err;

  step_->launch({std::move(out.in), std::move(err.in)});

  EXPECT_EQ(out.rest(), "0\n1\n2\n");
}

TEST(ProcessesBelow, FindsChildrenOfChildren) {
  Pipe ready;
  const pid_t top = ::fork();
  if (top == 0) {
    if (::fork() == 0) {
      [[maybe_unused]] const auto wrote = ::write(ready.in.get(), "x", 1);
      for (;;) ::pause();
    }
    for (;;) ::pause();
  }
  char byte = 0;
  ASSERT_EQ(::read(ready.out.get(), &byte, 1), 1);

  EXPECT_THAT(processes_below(::getpid()), Contains(top));
  const auto below = processes_below(top);
  ASSERT_EQ(below.size(), 1u);

  ::kill(below[0], SIGKILL);
  ::kill(top, SIGKILL);
  ::waitpid(top, nullptr, 0);
  EXPECT_THAT(processes_below(top), testing::IsEmpty());
}

}  // namespace
}  // namespace cox::agent
