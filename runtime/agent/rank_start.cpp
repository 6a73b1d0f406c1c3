#include "runtime/agent/rank_start.hpp"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "runtime/agent/exec_words.hpp"
#include "runtime/os/files.hpp"

namespace cox::agent {

namespace {

constexpr int kCannotExecute = 126;
constexpr int kNotFound = 127;

/// What the child needs, made before it is: it borrows its parent's memory and may not allocate.
struct Ready {
  const RankStart* rank;
  const char* path;
  char* const* argv;
  char* const* by_shell;  ///< for a script without an interpreter line
  char* const* environment;
  const cpu_set_t* cpus;  ///< nullptr: not bound
  pid_t parent;
};

void say(const char* text) {
  [[maybe_unused]] const auto ignored = ::write(STDERR_FILENO, text, std::strlen(text));
}

[[noreturn]] void become(const Ready& ready) {
  const auto& rank = *ready.rank;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != ready.parent) ::_exit(kNotFound);
  ::setpgid(0, 0);
  ::dup2(rank.in, STDIN_FILENO);
  ::dup2(rank.out, STDOUT_FILENO);
  ::dup2(rank.err, STDERR_FILENO);
  if (rank.pmi == kPmiDescriptor) {
    ::fcntl(rank.pmi, F_SETFD, 0);
  } else {
    ::dup2(rank.pmi, kPmiDescriptor);
  }
  ::syscall(SYS_close_range, kPmiDescriptor + 1U, ~0U, CLOSE_RANGE_CLOEXEC);
  // Cores that this process may not use leave the rank where it is.
  if (ready.cpus != nullptr) ::sched_setaffinity(0, sizeof *ready.cpus, ready.cpus);
  ::sigprocmask(SIG_SETMASK, &rank.mask, nullptr);
  // A process made by vfork has a working directory of its own.
  if (!rank.directory.empty() && ::chdir(rank.directory.c_str()) != 0) {
    say(rank.directory.c_str());
    say(": cannot change to it\n");
    ::_exit(kNotFound);
  }
  ::execve(ready.path, ready.argv, ready.environment);
  if (errno == ENOEXEC) ::execve(ready.by_shell[0], ready.by_shell, ready.environment);
  const int why = errno;
  say(ready.path);
  say(why == ENOENT ? ": it, or its interpreter, does not exist\n"
                    : ": it cannot be executed on this node\n");
  ::_exit(why == ENOENT ? kNotFound : kCannotExecute);
}

/// Alone in its function, so that nothing of the caller's frame is used by two processes.
pid_t start(const Ready& ready) {
  const pid_t pid = ::vfork();
  if (pid == 0) become(ready);
  return pid;
}

}  // namespace

Result<pid_t> start_rank(const RankStart& rank) {
  const auto argv = exec_words(rank.argv);
  const auto environment = exec_words(rank.environment);
  std::vector<std::string> by_shell{"/bin/bash"};
  by_shell.insert(by_shell.end(), rank.argv.begin(), rank.argv.end());
  if (!rank.path.empty()) by_shell[1] = rank.path;
  const auto shell_argv = exec_words(by_shell);
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  for (const int cpu : rank.cpus) {
    if (cpu >= 0 && cpu < CPU_SETSIZE) CPU_SET(static_cast<unsigned>(cpu), &cpus);
  }
  const Ready ready{&rank,
                    rank.path.empty() ? argv[0] : rank.path.c_str(),
                    argv.data(),
                    shell_argv.data(),
                    environment.data(),
                    rank.cpus.empty() ? nullptr : &cpus,
                    ::getpid()};
  const pid_t pid = start(ready);
  if (pid < 0) return fail(os::errno_error(errno, "no process to be had for a rank"));
  return pid;
}

}  // namespace cox::agent
