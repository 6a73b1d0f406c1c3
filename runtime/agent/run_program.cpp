#include "runtime/agent/run_program.hpp"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "runtime/agent/exec_words.hpp"
#include "runtime/base/text.hpp"
#include "runtime/os/files.hpp"

namespace cox::agent {

namespace {
constexpr std::size_t kOutputMax = 1u << 20;

struct Pipe {
  os::Fd read;
  os::Fd write;
};

Result<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0)
    return fail(os::errno_error(errno, "no pipe to be had"));
  return Pipe{os::Fd(ends[0]), os::Fd(ends[1])};
}

/// Hands whole lines on, from `told` to what is there.
void tell_lines(const std::string& text, std::size_t& told,
                const std::function<void(const std::string&)>& line) {
  for (auto end = text.find('\n', told); end != std::string::npos; end = text.find('\n', told)) {
    line(text.substr(told, end - told));
    told = end + 1;
  }
}

}  // namespace

std::string program_path(const std::string& program) {
  for (const auto& directory : split(kProgramPath, ':')) {
    auto path = directory + "/" + program;
    if (::access(path.c_str(), X_OK) == 0) return path;
  }
  return {};
}

Result<pid_t> fork_program(const ProgramWords& program, int in, int out, int err) {
  const auto path = program_path(program.words.front());
  if (path.empty()) {
    return fail(Errc::not_found, "{} is not installed on this node", program.words.front());
  }
  const pid_t pid = ::fork();
  if (pid < 0) return fail(os::errno_error(errno, "no process to be had"));
  if (pid > 0) return pid;
  // The ends may be among 0 to 2 themselves.
  const int safe_in = ::fcntl(in, F_DUPFD, 3);
  const int safe_out = ::fcntl(out, F_DUPFD, 3);
  const int safe_err = ::fcntl(err, F_DUPFD, 3);
  ::dup2(safe_in, 0);
  ::dup2(safe_out, 1);
  ::dup2(safe_err, 2);
  ::syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC);
  ::setpgid(0, 0);
  ::sigprocmask(SIG_SETMASK, &program.unblocked, nullptr);
  ::execve(path.c_str(), exec_words(program.words).data(), exec_words(program.environment).data());
  ::_exit(127);
}

Result<RanProgram> run_program(const ProgramWords& program,
                               const std::function<void(const std::string&)>& line) {
  auto out = make_pipe();
  auto err = make_pipe();
  if (!out || !err) return fail(out ? err.error() : out.error());
  const os::Fd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const auto pid = fork_program(program, null.get(), out->write.get(), err->write.get());
  out->write.reset();
  err->write.reset();
  if (!pid) return fail(pid.error());
  RanProgram ran;
  std::size_t told = 0;
  std::array<pollfd, 2> watched{{{out->read.get(), POLLIN, 0}, {err->read.get(), POLLIN, 0}}};
  for (int open = 2; open > 0;) {
    if (::poll(watched.data(), watched.size(), -1) < 0) continue;
    for (std::size_t i = 0; i < watched.size(); ++i) {
      if (watched[i].revents == 0) continue;
      std::array<char, 4096> piece{};
      const auto got = ::read(watched[i].fd, piece.data(), piece.size());
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) {
        watched[i].fd = -1;
        --open;
        continue;
      }
      auto& text = i == 0 ? ran.out : ran.err;
      if (text.size() < kOutputMax) text.append(piece.data(), static_cast<std::size_t>(got));
    }
    if (line) tell_lines(ran.err, told, line);
  }
  while (::waitpid(*pid, &ran.status, 0) < 0 && errno == EINTR) {
  }
  return ran;
}

}  // namespace cox::agent
