#include "runtime/agent/spawn.hpp"

#include <linux/close_range.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

namespace cox::agent {

namespace {

/// What the child needs: it borrows its parent's memory, and may not allocate.
struct Ready {
  const Spawn* how;
  const char* path;
  char* const* words;
  char* const* variables;
  int* failed;  ///< the parent's, which waits meanwhile
};

[[noreturn]] void become(const Ready& ready) {
  ::setpgid(0, 0);
  ::dup2(ready.how->in, STDIN_FILENO);
  ::dup2(ready.how->out, STDOUT_FILENO);
  ::dup2(ready.how->err, STDERR_FILENO);
  ::syscall(SYS_close_range, STDERR_FILENO + 1U, ~0U, CLOSE_RANGE_CLOEXEC);
  ::sigprocmask(SIG_SETMASK, &ready.how->signals, nullptr);
  ::execve(ready.path, ready.words, ready.variables);
  *ready.failed = errno;
  ::_exit(127);
}

/// Alone in its function, so that nothing of the caller's frame is used by two processes.
[[gnu::noinline]] pid_t start(const Ready& ready) {
  const pid_t pid = ::vfork();
  if (pid == 0) become(ready);
  return pid;
}

}  // namespace

int spawn(const Spawn& how, pid_t& pid, const char* path, const std::vector<char*>& words,
          const std::vector<char*>& variables) {
  // Most directories of a PATH have no such program: that is no reason to make a process.
  struct stat status {};
  if (::stat(path, &status) != 0 && (errno == ENOENT || errno == ENOTDIR)) return errno;
  int failed = 0;
  const pid_t child = start({&how, path, words.data(), variables.data(), &failed});
  if (child < 0) return errno;
  if (failed != 0) {
    ::waitpid(child, nullptr, 0);
    return failed;
  }
  pid = child;
  return 0;
}

}  // namespace cox::agent
