#include "runtime/agent/memory_limit.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "runtime/os/fd.hpp"
#include "tests/unit/os/run_until.hpp"

namespace cox::agent {
namespace {

/// A process that forks another, which takes so much memory and waits: a step with a job below it.
/// Both end with the test.
class ProcessTree {
 public:
  explicit ProcessTree(std::size_t mebibytes) {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe(ends.data()), 0);
    const os::Fd reader(ends[0]);
    top_ = ::fork();
    if (top_ == 0) {
      ::setpgid(0, 0);
      if (::fork() == 0) take_and_wait(mebibytes, ends[1]);
      ::close(ends[1]);
      for (;;) ::pause();
    }
    ::setpgid(top_, top_);
    ::close(ends[1]);
    char byte = 0;
    EXPECT_EQ(::read(reader.get(), &byte, 1), 1);  // the memory is taken
  }
  ~ProcessTree() {
    ::kill(-top_, SIGKILL);
    ::waitpid(top_, nullptr, 0);
  }
  ProcessTree(const ProcessTree&) = delete;
  ProcessTree& operator=(const ProcessTree&) = delete;

  [[nodiscard]] pid_t top() const { return top_; }

 private:
  [[noreturn]] static void take_and_wait(std::size_t mebibytes, int told) {
    const auto bytes = mebibytes << 20;
    void* memory =
        ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) ::_exit(1);
    std::memset(memory, 1, bytes);
    if (::write(told, "x", 1) != 1) ::_exit(1);
    for (;;) ::pause();
  }

  pid_t top_ = -1;
};

TEST(MemoryLimit, IsExceededByWhatRunsBelowTheStep) {
  const ProcessTree tree(96);
  os::EventLoop loop;
  int told = 0;
  const auto limit = limit_memory(loop, *make_memory_cgroups(""), tree.top(), 48, [&] { ++told; });
  EXPECT_FALSE(limit->exceeded());

  ASSERT_TRUE(os::run_until(loop, [&] { return told > 0; }));
  loop.run_for(std::chrono::milliseconds(300));

  EXPECT_TRUE(limit->exceeded());
  EXPECT_EQ(told, 1);
}

TEST(MemoryLimit, LeavesAloneWhatStaysBelow) {
  const ProcessTree tree(24);
  os::EventLoop loop;
  bool told = false;
  const auto limit =
      limit_memory(loop, *make_memory_cgroups(""), tree.top(), 256, [&] { told = true; });

  loop.run_for(std::chrono::milliseconds(500));  // two looks at least

  EXPECT_FALSE(told);
  EXPECT_FALSE(limit->exceeded());
}

TEST(MemoryLimit, WatchesWhereTheCgroupCannotBeUsed) {
  const ProcessTree tree(96);
  os::EventLoop loop;
  bool told = false;
  const auto limit = limit_memory(loop, *make_memory_cgroups("/nonexistent/cgroup"), tree.top(), 48,
                                  [&] { told = true; });

  EXPECT_TRUE(os::run_until(loop, [&] { return told; }));
  EXPECT_TRUE(limit->exceeded());
}

TEST(MemoryLimit, OfAContainerCountsWhatEntersItToo) {
  // Far apart, because a process that a sanitizer watches has some memory of its own.
  const ProcessTree first(300);
  const ProcessTree other(300);
  os::EventLoop loop;
  bool told = false;
  const auto limit = limit_memory(
      loop, *make_memory_cgroups(""), first.top(), 500, [&] { told = true; }, true);
  loop.run_for(std::chrono::milliseconds(100));
  EXPECT_FALSE(told);

  limit->include(other.top());

  EXPECT_TRUE(os::run_until(loop, [&] { return told; }));
  EXPECT_TRUE(limit->exceeded());
}

TEST(MemoryLimit, StopsLookingWhenItIsDropped) {
  const ProcessTree tree(96);
  os::EventLoop loop;
  bool told = false;
  auto limit = limit_memory(loop, *make_memory_cgroups(""), tree.top(), 48, [&] { told = true; });

  limit.reset();
  loop.run_for(std::chrono::milliseconds(300));

  EXPECT_FALSE(told);
}

}  // namespace
}  // namespace cox::agent
