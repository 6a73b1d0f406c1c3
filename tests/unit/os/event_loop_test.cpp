#include "runtime/os/event_loop.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <map>
#include <set>
#include <thread>

#include "runtime/os/fd.hpp"
#include "runtime/os/files.hpp"
#include "runtime/os/process.hpp"
#include "tests/unit/os/run_until.hpp"
#include "tests/unit/os/temporary_directory.hpp"

namespace cox::os {
namespace {

using namespace std::chrono_literals;

struct Pipe {
  Fd in;
  Fd out;
};

Pipe make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0) return {};
  return {Fd(ends[0]), Fd(ends[1])};
}

std::string take_all(const Fd& from) {
  std::array<char, 256> piece{};
  const auto got = ::read(from.get(), piece.data(), piece.size());
  return got > 0 ? std::string(piece.data(), static_cast<std::size_t>(got)) : std::string();
}

TEST(EventLoopTimers, CallOnceAndInOrderOfTime) {
  EventLoop loop;
  std::string calls;
  const auto late = loop.after(6ms, [&] { calls += "late "; });
  const auto soon = loop.after(1ms, [&] { calls += "soon "; });

  ASSERT_TRUE(run_until(loop, [&] { return calls.size() >= 10; })) << calls;
  loop.run_for(5ms);

  EXPECT_EQ(calls, "soon late ");
}

TEST(EventLoopTimers, AreSilentOnceDropped) {
  EventLoop loop;
  bool called = false;
  auto timer = loop.after(1ms, [&] { called = true; });
  timer.reset();

  loop.run_for(5ms);

  EXPECT_FALSE(called);
}

TEST(EventLoopTimers, DroppedByAHandlerOfTheSameMomentAreSilent) {
  EventLoop loop;
  std::string calls;
  SubscriptionPtr first;
  SubscriptionPtr second;
  first = loop.after(0ms, [&] {
    calls += "first ";
    second.reset();
  });
  second = loop.after(0ms, [&] {
    calls += "second ";
    first.reset();
  });

  ASSERT_TRUE(run_until(loop, [&] { return !calls.empty(); }));
  loop.run_for(5ms);

  EXPECT_THAT(calls, testing::AnyOf("first ", "second "));
}

TEST(EventLoopTimers, MayDropThemselvesInTheirHandler) {
  EventLoop loop;
  SubscriptionPtr timer;
  auto held = std::make_shared<int>(7);
  int seen = 0;
  timer = loop.after(0ms, [&timer, &seen, held] {
    timer.reset();
    seen = *held;  // what the handler holds is still there
  });

  ASSERT_TRUE(run_until(loop, [&] { return seen != 0; }));

  EXPECT_EQ(seen, 7);
}

TEST(EventLoopWatches, CallEachTimeThereIsSomethingToRead) {
  EventLoop loop;
  const auto pipe = make_pipe();
  std::string got;
  const auto watch = loop.when_readable(pipe.in.get(), [&] { got += take_all(pipe.in); });

  for (const char* word : {"one ", "two ", "three "}) {
    const auto want = got + word;
    ASSERT_TRUE(write_all(pipe.out.get(), word));
    ASSERT_TRUE(run_until(loop, [&] { return got == want; })) << got;
  }
}

TEST(EventLoopWatches, CallForEachOfManyThatAreReadyAtOnce) {
  EventLoop loop;
  std::vector<Pipe> pipes(200);
  std::vector<SubscriptionPtr> watches;
  std::set<int> called;
  for (auto& pipe : pipes) {
    pipe = make_pipe();
    ASSERT_TRUE(write_all(pipe.out.get(), "x"));
    const int fd = pipe.in.get();
    // None is read: each is ready again and again, and none keeps the others from their turn.
    watches.push_back(loop.when_readable(fd, [&called, fd] { called.insert(fd); }));
  }

  EXPECT_TRUE(run_until(loop, [&] { return called.size() == pipes.size(); })) << called.size();
}

TEST(EventLoopWatches, GoOnCallingWhileNotAllIsRead) {
  EventLoop loop;
  const auto pipe = make_pipe();
  int calls = 0;
  ASSERT_TRUE(write_all(pipe.out.get(), "abc"));
  const auto watch = loop.when_readable(pipe.in.get(), [&] { ++calls; });

  EXPECT_TRUE(run_until(loop, [&] { return calls >= 3; })) << calls;
}

TEST(EventLoopWatches, CallAtTheEndOfTheFile) {
  EventLoop loop;
  auto pipe = make_pipe();
  bool ended = false;
  const auto watch = loop.when_readable(pipe.in.get(), [&] {
    char byte = 0;
    ended = ::read(pipe.in.get(), &byte, 1) == 0;
  });
  pipe.out.reset();

  EXPECT_TRUE(run_until(loop, [&] { return ended; }));
}

TEST(EventLoopWatches, AreSilentOnceDroppedInTheirOwnHandler) {
  EventLoop loop;
  const auto pipe = make_pipe();
  int calls = 0;
  ASSERT_TRUE(write_all(pipe.out.get(), "never read"));
  SubscriptionPtr watch;
  watch = loop.when_readable(pipe.in.get(), [&] {
    ++calls;
    watch.reset();
  });

  ASSERT_TRUE(run_until(loop, [&] { return calls > 0; }));
  loop.run_for(5ms);

  EXPECT_EQ(calls, 1);
}

TEST(EventLoopWatches, DroppedByAHandlerOfTheSameTurnAreSilent) {
  EventLoop loop;
  const auto one = make_pipe();
  const auto two = make_pipe();
  ASSERT_TRUE(write_all(one.out.get(), "x"));
  ASSERT_TRUE(write_all(two.out.get(), "x"));
  std::string calls;
  SubscriptionPtr first;
  SubscriptionPtr second;
  const auto drop_both = [&](const char* who) {
    calls += who;
    first.reset();
    second.reset();
  };
  first = loop.when_readable(one.in.get(), [&] { drop_both("one "); });
  second = loop.when_readable(two.in.get(), [&] { drop_both("two "); });

  ASSERT_TRUE(run_until(loop, [&] { return !calls.empty(); }));
  loop.run_for(5ms);

  EXPECT_THAT(calls, testing::AnyOf("one ", "two "));
}

TEST(EventLoopWatches, HoldOneDescriptorForReadingAndForWriting) {
  EventLoop loop;
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()), 0);
  const Fd here(ends[0]);
  const Fd there(ends[1]);
  std::string got;
  bool writable = false;
  const auto reading = loop.when_readable(here.get(), [&] { got += take_all(here); });
  SubscriptionPtr writing;
  writing = loop.when_writable(here.get(), [&] {
    writable = true;
    writing.reset();
  });
  ASSERT_TRUE(run_until(loop, [&] { return writable; }));

  ASSERT_TRUE(write_all(there.get(), "still watched"));

  EXPECT_TRUE(run_until(loop, [&] { return got == "still watched"; })) << got;
}

TEST(EventLoopWatches, TakeAFileOnDiskAsAlwaysReady) {
  EventLoop loop;
  const TemporaryDirectory directory;
  ASSERT_TRUE(write_file_atomic(directory / "file", "text"));
  const Fd file(::open((directory / "file").c_str(), O_RDONLY | O_CLOEXEC));
  int calls = 0;
  SubscriptionPtr watch;
  watch = loop.when_readable(file.get(), [&] {
    if (++calls == 3) watch.reset();
  });

  ASSERT_TRUE(run_until(loop, [&] { return calls == 3; })) << calls;
  loop.run_for(3ms);

  EXPECT_EQ(calls, 3);
}

TEST(EventLoopPost, TakesHandlersOfManyThreadsWithoutLosingOne) {
  EventLoop loop;
  constexpr int kThreads = 4;
  constexpr int kEach = 2000;
  std::map<int, std::vector<int>> seen;  // only the loop's thread writes it
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < kEach; ++i) loop.post([&seen, thread, i] { seen[thread].push_back(i); });
    });
  }

  const bool all = run_until(loop, [&] {
    std::size_t count = 0;
    for (const auto& [thread, numbers] : seen) count += numbers.size();
    return count == kThreads * kEach;
  });
  for (auto& thread : threads) thread.join();

  ASSERT_TRUE(all);
  for (const auto& [thread, numbers] : seen) {
    EXPECT_TRUE(std::is_sorted(numbers.begin(), numbers.end())) << "of thread " << thread;
  }
}

TEST(EventLoopPost, WakesALoopThatWaits) {
  EventLoop loop;
  std::thread other([&] { loop.post([&] { loop.stop(); }); });
  loop.run();  // returns only by the posted handler
  other.join();
  SUCCEED();
}

TEST(EventLoopSignals, AreToldEachTimeUntilDropped) {
  EventLoop loop;
  // So that a signal that nobody watches any more does not end the tests.
  struct sigaction before {};
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGUSR1, &ignore, &before);
  int calls = 0;
  auto signals = loop.on_signal(SIGUSR1, [&] { ++calls; });

  for (int want = 1; want <= 3; ++want) {
    ::raise(SIGUSR1);
    ASSERT_TRUE(run_until(loop, [&] { return calls == want; })) << calls;
  }
  ::raise(SIGUSR1);
  signals.reset();
  loop.run_for(3ms);

  EXPECT_EQ(calls, 3);
  ::sigaction(SIGUSR1, &before, nullptr);
}

SpawnSpec shell(const std::string& script) {
  SpawnSpec spec;
  spec.argv = {"/bin/sh", "-c", script};
  return spec;
}

TEST(EventLoopReaper, ReportsEveryChildOnceWithItsStatus) {
  EventLoop loop;
  std::map<int, int> ended;
  const auto reaper = loop.on_child_exit([&](int pid, int status) {
    EXPECT_TRUE(ended.emplace(pid, exit_code_of(status)).second) << pid << " twice";
  });
  std::map<int, int> want;
  for (int code = 0; code < 8; ++code) {
    const auto pid = spawn(shell("exit " + std::to_string(code)));
    ASSERT_TRUE(pid) << pid.error().message;
    want[*pid] = code;
  }
  const auto killed = spawn(shell("kill -9 $$"));
  ASSERT_TRUE(killed) << killed.error().message;
  want[*killed] = 128 + SIGKILL;

  EXPECT_TRUE(run_until(loop, [&] { return ended.size() == want.size(); }));
  EXPECT_EQ(ended, want);
}

TEST(EventLoopReaper, ReportsAChildThatEndedBefore) {
  EventLoop loop;
  const auto pid = spawn(shell("exit 3"));
  ASSERT_TRUE(pid) << pid.error().message;
  siginfo_t ended{};
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(*pid), &ended, WEXITED | WNOWAIT), 0);
  std::map<int, int> reported;
  const auto reaper =
      loop.on_child_exit([&](int child, int status) { reported[child] = exit_code_of(status); });

  EXPECT_TRUE(run_until(loop, [&] { return !reported.empty(); }));
  EXPECT_EQ(reported, (std::map<int, int>{{*pid, 3}}));
}

TEST(EventLoopReaper, DroppedInItsHandlerLeavesTheOthersToOthers) {
  EventLoop loop;
  std::set<int> started;
  for (int i = 0; i < 3; ++i) {
    const auto pid = spawn(shell("exit 0"));
    ASSERT_TRUE(pid) << pid.error().message;
    started.insert(*pid);
    siginfo_t ended{};
    ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(*pid), &ended, WEXITED | WNOWAIT), 0);
  }
  std::set<int> reported;
  SubscriptionPtr reaper;
  reaper = loop.on_child_exit([&](int pid, int) {
    reported.insert(pid);
    reaper.reset();
  });

  ASSERT_TRUE(run_until(loop, [&] { return !reported.empty(); }));
  loop.run_for(3ms);

  EXPECT_EQ(reported.size(), 1u);
  for (const int pid : reported) started.erase(pid);
  for (const int pid : started) EXPECT_EQ(::waitpid(pid, nullptr, WNOHANG), pid);
}

/// In a process of its own: adopts what a shell leaves behind. 0 when both were reported.
int adopt_an_orphan() {
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) return 2;
  EventLoop loop;
  std::map<int, int> ended;
  const auto reaper =
      loop.on_child_exit([&](int pid, int status) { ended[pid] = exit_code_of(status); });
  // The inner shell outlives the outer one: it waits until its parent is another.
  const auto pid =
      spawn(shell("(while kill -0 $$ 2>/dev/null; do sleep 0.01; done; exit 5) & exit 4"));
  if (!pid) return 3;
  const bool both = run_until(loop, [&] { return ended.size() == 2; });
  if (!both || ended[*pid] != 4) return 4;
  ended.erase(*pid);
  return ended.begin()->second == 5 ? 0 : 5;
}

TEST(EventLoopReaper, ReportsAdoptedOrphans) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(adopt_an_orphan());
  ASSERT_GT(pid, 0);
  int status = 0;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);

  EXPECT_EQ(exit_code_of(status), 0);
}

TEST(SystemClock, TellsTheTimeOfDay) {
  const auto before = static_cast<std::int64_t>(::time(nullptr));
  const auto now = SystemClock().now().value / 1000;

  EXPECT_GE(now, before);
  EXPECT_LE(now, before + 5);
}

}  // namespace
}  // namespace cox::os
