#include "runtime/os/process.hpp"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <string_view>

#include "runtime/base/text.hpp"
#include "runtime/os/files.hpp"

namespace cox::os {

namespace {

/// Which step before exec failed, as the child tells it through the pipe.
struct ChildFailure {
  int error_number;
  int step;
};
constexpr int kExec = 0;
constexpr int kDirectory = 1;
constexpr int kDescriptors = 2;

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> list;
  list.reserve(words.size() + 1);
  for (auto& word : words) list.push_back(word.data());
  list.push_back(nullptr);
  return list;
}

bool can_execute(const std::string& path) {
  struct stat status {};
  return ::access(path.c_str(), X_OK) == 0 && ::stat(path.c_str(), &status) == 0 &&
         S_ISREG(status.st_mode);
}

/// The file that PATH gives for the name; the name itself when it holds a '/'.
Result<std::string> find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) return name;
  const char* path = std::getenv("PATH");
  for (const auto& directory : split(path != nullptr ? path : "/usr/bin:/bin", ':')) {
    auto candidate = (directory.empty() ? "." : directory) + "/" + name;
    if (can_execute(candidate)) return candidate;
  }
  return fail(Errc::not_found, "{}: command not found", name);
}

/// What the child needs, made before it is: it may not allocate.
struct Launch {
  const char* path;
  char* const* argv;
  char* const* environment;
  const char* directory;  // nullptr: stay
  bool new_session;
  bool die_with_parent;
  pid_t parent;
  int failure_fd;
  std::vector<std::pair<int, int>> moves;  // by target; the child changes the sources
};

[[noreturn]] void give_up(int failure_fd, int step) {
  const ChildFailure failure{errno, step};
  [[maybe_unused]] const auto ignored = ::write(failure_fd, &failure, sizeof failure);
  ::_exit(127);
}

/// Puts the descriptors in their places and lets exec close all others.
void arrange_descriptors(Launch& launch) {
  // Out of the way first, so that no target overwrites a source.
  int highest = launch.failure_fd;
  for (const auto& [from, to] : launch.moves) highest = std::max({highest, from, to});
  const int failure_fd = ::fcntl(launch.failure_fd, F_DUPFD_CLOEXEC, highest + 1);
  if (failure_fd < 0) give_up(launch.failure_fd, kDescriptors);
  launch.failure_fd = failure_fd;
  for (auto& [from, to] : launch.moves) {
    from = ::fcntl(from, F_DUPFD_CLOEXEC, highest + 1);
    if (from < 0) give_up(launch.failure_fd, kDescriptors);
  }
  for (const auto& [from, to] : launch.moves) {
    if (::dup2(from, to) < 0) give_up(launch.failure_fd, kDescriptors);
  }
  // 0 to 2 stay where they are inherited.
  constexpr unsigned kFirstClosed = 3;
  const auto close_between = [&](unsigned first, unsigned last) {
    if (first <= last && ::syscall(SYS_close_range, first, last, CLOSE_RANGE_CLOEXEC) != 0) {
      give_up(launch.failure_fd, kDescriptors);
    }
  };
  unsigned first = kFirstClosed;
  for (const auto& [from, to] : launch.moves) {
    const auto target = static_cast<unsigned>(to);
    if (target < first) continue;
    if (target > first) close_between(first, target - 1);
    first = target + 1;
  }
  close_between(first, ~0U);
}

/// The child from its first instruction to exec. It borrows the memory of its parent, which stands
/// still meanwhile: only system calls here.
[[noreturn]] void become(Launch& launch) {
  struct sigaction as_usual {};
  as_usual.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal) ::sigaction(signal, &as_usual, nullptr);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  if (launch.new_session) ::setsid();
  if (launch.die_with_parent) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != launch.parent) ::_exit(127);
  }
  arrange_descriptors(launch);
  if (launch.directory != nullptr && ::chdir(launch.directory) != 0) {
    give_up(launch.failure_fd, kDirectory);
  }
  ::execve(launch.path, launch.argv, launch.environment);
  give_up(launch.failure_fd, kExec);
}

/// vfork, as fork copies the page tables of a large head: milliseconds for each program. Alone in
/// its function, so that nothing of the caller's frame is used by two processes.
pid_t start(Launch& launch) {
  const pid_t pid = ::vfork();
  if (pid == 0) become(launch);
  return pid;
}

int wait_for(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

Error explain(const ChildFailure& failure, const SpawnSpec& spec, const std::string& path) {
  switch (failure.step) {
    case kDirectory:
      return errno_error(failure.error_number, spec.directory);
    case kDescriptors:
      return Error{Errc::internal,
                   errno_error(failure.error_number, path + ": its descriptors").message};
    default:
      break;
  }
  auto error = errno_error(failure.error_number, path);
  switch (failure.error_number) {
    case EACCES:
    case ENOEXEC:
    case E2BIG:
      error.code = Errc::invalid_argument;
      break;
    default:
      break;
  }
  return error;
}

}  // namespace

Result<pid_t> spawn(const SpawnSpec& spec) {
  if (spec.argv.empty()) return fail(Errc::invalid_argument, "no program to start");
  const auto path = find_program(spec.argv.front());
  if (!path) return fail(path.error());
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail(errno_error(errno, "pipe"));
  const Fd failure_in(ends[0]);
  Fd failure_out(ends[1]);

  auto words = spec.argv;
  auto variables = spec.environment.value_or(std::vector<std::string>{});
  const auto argv = pointers(words);
  const auto envp = pointers(variables);
  Launch launch{path->c_str(),
                argv.data(),
                spec.environment ? envp.data() : environ,
                spec.directory.empty() ? nullptr : spec.directory.c_str(),
                spec.new_session,
                spec.die_with_parent,
                ::getpid(),
                failure_out.get(),
                spec.descriptors};
  std::sort(launch.moves.begin(), launch.moves.end(),
            [](const auto& a, const auto& b) { return a.second < b.second; });
  // No handler of this process may run in the child.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t pid = start(launch);
  const int start_errno = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0) return fail(errno_error(start_errno, "vfork"));

  failure_out.reset();
  ChildFailure failure{};
  ssize_t got = 0;
  do {
    got = ::read(failure_in.get(), &failure, sizeof failure);
  } while (got < 0 && errno == EINTR);
  if (got != static_cast<ssize_t>(sizeof failure)) return pid;
  wait_for(pid);
  return fail(explain(failure, spec, *path));
}

int exit_code_of(int wait_status) {
  return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

namespace {

/// The three ends that talk with a running program.
struct Conversation {
  Fd input;
  Fd out;
  Fd err;
  Fd process;  ///< readable once the program has ended; absent where the kernel
               ///< has no pidfd

  /// Feeds the input and collects both outputs, until both are closed or the program has ended and
  /// what it wrote is read: something that it left running may hold them open.
  void hold(std::string_view bytes, RunResult& result) {
    for (const Fd* end : {&input, &out, &err}) ::fcntl(end->get(), F_SETFL, O_NONBLOCK);
    if (bytes.empty()) input.reset();
    while (out || err || input) {
      std::array<pollfd, 4> watched{{{out.get(), POLLIN, 0},
                                     {err.get(), POLLIN, 0},
                                     {input.get(), POLLOUT, 0},
                                     {process.get(), POLLIN, 0}}};
      if (::poll(watched.data(), watched.size(), -1) < 0 && errno != EINTR) return;
      if (watched[0].revents != 0 || watched[3].revents != 0) take(out, result.out);
      if (watched[1].revents != 0 || watched[3].revents != 0) take(err, result.err);
      if (watched[3].revents != 0) return;
      if (watched[2].revents != 0) feed(bytes);
    }
  }

 private:
  static void take(Fd& end, std::string& into) {
    std::array<char, 16384> piece{};
    for (;;) {
      const auto got = ::read(end.get(), piece.data(), piece.size());
      if (got > 0) {
        into.append(piece.data(), static_cast<std::size_t>(got));
      } else if (got < 0 && errno == EINTR) {
        continue;
      } else {
        if (got == 0 || errno != EAGAIN) end.reset();
        return;
      }
    }
  }

  void feed(std::string_view& bytes) {
    const auto wrote = ::write(input.get(), bytes.data(), bytes.size());
    if (wrote > 0) bytes.remove_prefix(static_cast<std::size_t>(wrote));
    if (bytes.empty() || (wrote < 0 && errno != EAGAIN && errno != EINTR)) input.reset();
  }
};

}  // namespace

Result<RunResult> run(const std::vector<std::string>& argv, const std::string& input) {
  std::array<std::array<int, 2>, 3> pipes{};
  std::array<Fd, 6> ends;
  for (std::size_t i = 0; i < pipes.size(); ++i) {
    if (::pipe2(pipes[i].data(), O_CLOEXEC) != 0) return fail(errno_error(errno, "pipe"));
    ends[i * 2].reset(pipes[i][0]);
    ends[i * 2 + 1].reset(pipes[i][1]);
  }
  SpawnSpec spec;
  spec.argv = argv;
  spec.descriptors = {{ends[0].get(), 0}, {ends[3].get(), 1}, {ends[5].get(), 2}};
  const auto pid = spawn(spec);
  if (!pid) return fail(pid.error());
  ends[0].reset();
  ends[3].reset();
  ends[5].reset();

  RunResult result;
  Conversation conversation{std::move(ends[1]), std::move(ends[2]), std::move(ends[4]),
                            Fd(static_cast<int>(::syscall(SYS_pidfd_open, *pid, 0)))};
  // A program that ends without reading its input must not end this one.
  struct sigaction ignore {};
  struct sigaction before {};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &ignore, &before);
  conversation.hold(input, result);
  ::sigaction(SIGPIPE, &before, nullptr);
  result.exit_code = exit_code_of(wait_for(*pid));
  return result;
}

}  // namespace cox::os
