#include "runtime/os/process.hpp"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>

#include "runtime/base/text.hpp"
#include "runtime/os/files.hpp"

namespace cox::os {

namespace {

/// Which step before exec failed, as the child tells it through the pipe.
struct ChildFailure {
  int error_number;
  int step;  // 0 exec, 1 directory, 2 descriptors
};

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> list;
  list.reserve(words.size() + 1);
  for (auto& word : words) list.push_back(word.data());
  list.push_back(nullptr);
  return list;
}

/// The file that PATH gives for the name; the name itself when it holds a '/'.
Result<std::string> find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) return name;
  const char* path = std::getenv("PATH");
  for (const auto& directory : split(path != nullptr ? path : "/usr/bin:/bin", ':')) {
    const auto candidate = (directory.empty() ? "." : directory) + "/" + name;
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return fail(Errc::not_found, "{}: command not found", name);
}

/// All that happens in the child before exec: only calls that are safe after fork in a process
/// with threads.
[[noreturn]] void become(const char* path, char* const* argv, char* const* environment,
                         const SpawnSpec& spec, std::vector<std::pair<int, int>>& moves,
                         int failure_fd, int parent_pid) {
  const auto give_up = [&](int step) {
    const ChildFailure failure{errno, step};
    [[maybe_unused]] const auto ignored = ::write(failure_fd, &failure, sizeof failure);
    ::_exit(127);
  };
  sigset_t none;
  sigemptyset(&none);
  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  if (spec.new_session) ::setsid();
  if (spec.die_with_parent) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent_pid) ::_exit(127);
  }
  // Out of the way first, so that no target overwrites a source.
  int highest = failure_fd;
  for (auto& [from, to] : moves) highest = std::max({highest, from, to});
  const int failure = ::fcntl(failure_fd, F_DUPFD_CLOEXEC, highest + 1);
  if (failure < 0) give_up(2);
  failure_fd = failure;
  for (auto& [from, to] : moves) {
    from = ::fcntl(from, F_DUPFD_CLOEXEC, highest + 1);
    if (from < 0) give_up(2);
  }
  for (const auto& [from, to] : moves) {
    if (::dup2(from, to) < 0) give_up(2);
  }
  unsigned first = 3;
  // All but the given ones are closed at exec; 0 to 2 stay where they are inherited.
  for (const auto& [from, to] : moves) {
    const auto target = static_cast<unsigned>(to);
    if (target < 3) continue;
    if (target > first) ::syscall(SYS_close_range, first, target - 1, CLOSE_RANGE_CLOEXEC);
    first = std::max(first, target + 1);
  }
  ::syscall(SYS_close_range, first, ~0U, CLOSE_RANGE_CLOEXEC);
  if (!spec.directory.empty() && ::chdir(spec.directory.c_str()) != 0) give_up(1);
  ::execve(path, argv, environment);
  give_up(0);
  ::_exit(127);
}

Error explain(const ChildFailure& failure, const SpawnSpec& spec, const std::string& path) {
  if (failure.step == 1) return errno_error(failure.error_number, spec.directory);
  auto error = errno_error(failure.error_number, path);
  if (failure.error_number == EACCES || failure.error_number == ENOEXEC) {
    error.code = Errc::invalid_argument;
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
  auto moves = spec.descriptors;
  std::sort(moves.begin(), moves.end(),
            [](const auto& a, const auto& b) { return a.second < b.second; });
  const int self = ::getpid();
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t pid = ::fork();
  if (pid == 0) {
    become(path->c_str(), argv.data(), spec.environment ? envp.data() : environ, spec, moves,
           failure_out.get(), self);
  }
  const int fork_errno = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0) return fail(errno_error(fork_errno, "fork"));

  failure_out.reset();
  ChildFailure failure{};
  ssize_t got = 0;
  do {
    got = ::read(failure_in.get(), &failure, sizeof failure);
  } while (got < 0 && errno == EINTR);
  if (got != static_cast<ssize_t>(sizeof failure)) return pid;
  ::waitpid(pid, nullptr, 0);
  return fail(explain(failure, spec, *path));
}

int exit_code_of(int wait_status) {
  return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

namespace {

/// Feeds the input and collects both outputs until all three are closed.
void converse(Fd input, std::string_view bytes, const Fd& out, const Fd& err, RunResult& result) {
  ::fcntl(input.get(), F_SETFL, O_NONBLOCK);
  if (bytes.empty()) input.reset();
  bool out_open = true;
  bool err_open = true;
  std::array<char, 16384> piece{};
  const auto take = [&](int fd, std::string& into, bool& open) {
    const auto got = ::read(fd, piece.data(), piece.size());
    if (got > 0) into.append(piece.data(), static_cast<std::size_t>(got));
    if (got == 0 || (got < 0 && errno != EINTR)) open = false;
  };
  while (out_open || err_open || input) {
    std::array<pollfd, 3> watched{{{out_open ? out.get() : -1, POLLIN, 0},
                                   {err_open ? err.get() : -1, POLLIN, 0},
                                   {input.get(), POLLOUT, 0}}};
    if (::poll(watched.data(), watched.size(), -1) < 0 && errno != EINTR) return;
    if (watched[0].revents != 0) take(out.get(), result.out, out_open);
    if (watched[1].revents != 0) take(err.get(), result.err, err_open);
    if (input && watched[2].revents != 0) {
      const auto wrote = ::write(input.get(), bytes.data(), bytes.size());
      if (wrote > 0) bytes.remove_prefix(static_cast<std::size_t>(wrote));
      if (bytes.empty() || (wrote < 0 && errno != EAGAIN && errno != EINTR)) input.reset();
    }
  }
}

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
  // A program that ends without reading its input must not end this one.
  struct sigaction ignore {};
  struct sigaction before {};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &ignore, &before);
  converse(std::move(ends[1]), input, ends[2], ends[4], result);
  ::sigaction(SIGPIPE, &before, nullptr);
  int status = 0;
  while (::waitpid(*pid, &status, 0) < 0 && errno == EINTR) {
  }
  result.exit_code = exit_code_of(status);
  return result;
}

}  // namespace cox::os
