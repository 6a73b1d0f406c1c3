#include "runtime/agent/rank_tee.hpp"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "runtime/agent/line_cutter.hpp"
#include "runtime/agent/local_socket.hpp"
#include "runtime/base/text.hpp"

namespace cox::agent {

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kPassedOn[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGCONT, SIGWINCH};
constexpr auto kLastWordTime = std::chrono::seconds(2);
constexpr auto kDrainTime = std::chrono::seconds(5);
constexpr std::size_t kBatchBytes = 256u << 10;

std::int64_t now_ms() {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(since).count();
}

/// One of the rank's two output streams.
struct Stream {
  int from = -1;          ///< what the rank writes comes here
  int to = -1;            ///< our own stdout or stderr
  std::uint8_t kind = 0;  ///< 0 stdout, 1 stderr
  LineCutter lines;
};

/// Lines on their way to the agent.
class Reporter {
 public:
  Reporter() {
    const char* part = std::getenv(kPartVariable);
    const char* rank = std::getenv("OMPI_COMM_WORLD_RANK");
    const auto number = rank != nullptr ? to_int(rank) : std::nullopt;
    const auto key = part != nullptr ? parse_part(part) : std::nullopt;
    if (!key || !number) return;
    output_.part = *key;
    output_.rank = static_cast<int>(*number);
    fd_ = connect_to_agent();
  }
  ~Reporter() {
    if (fd_ >= 0) ::close(fd_);
  }
  Reporter(const Reporter&) = delete;
  Reporter& operator=(const Reporter&) = delete;

  /// A run of lines.
  void add(std::uint8_t stream, std::string run) {
    if (fd_ < 0) return;
    bytes_ += run.size();
    output_.records.push_back({0, now_ms(), stream, std::move(run)});
    if (bytes_ >= kBatchBytes) flush();
  }

  void flush() {
    if (fd_ < 0 || output_.records.empty()) return;
    send(framed(output_));
    output_.records.clear();
    bytes_ = 0;
  }

  /// Tells the end and waits until the agent has taken everything.
  void finish(int exit_code, const rusage& usage) {
    flush();
    if (fd_ < 0) return;
    const auto cpu = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1'000'000L +
                     usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
    send(framed(
        wire::RankExited{output_.part, output_.rank, now_ms(), exit_code, usage.ru_maxrss, cpu}));
    const auto end = Clock::now() + kLastWordTime;
    std::array<char, 256> answer{};
    for (;;) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now());
      pollfd watched{fd_, POLLIN, 0};
      if (left.count() <= 0 || ::poll(&watched, 1, static_cast<int>(left.count())) <= 0) return;
      // Any answer is the agent's word that it has all; an end of file is as good as none.
      if (::recv(fd_, answer.data(), answer.size(), 0) >= 0 || errno != EINTR) return;
    }
  }

 private:
  void send(const std::string& bytes) {
    std::size_t at = 0;
    while (at < bytes.size()) {
      const auto sent = ::send(fd_, bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
      if (sent < 0 && errno == EINTR) continue;
      if (sent < 0) {
        ::close(fd_);
        fd_ = -1;
        return;
      }
      at += static_cast<std::size_t>(sent);
    }
  }

  int fd_ = -1;
  wire::Output output_;
  std::size_t bytes_ = 0;
};

/// A pipe, or where our own end is a terminal a terminal that changes nothing: the rank's stdio
/// then buffers by lines as it would without us.
bool open_channel(int like, int& read_end, int& write_end) {
  if (::isatty(like) == 1) {
    termios raw{};
    ::cfmakeraw(&raw);
    raw.c_cflag |= CREAD;
    ::cfsetspeed(&raw, B38400);
    if (::openpty(&read_end, &write_end, nullptr, &raw, nullptr) == 0) {
      ::fcntl(read_end, F_SETFD, FD_CLOEXEC);
      ::fcntl(write_end, F_SETFD, FD_CLOEXEC);
      return true;
    }
  }
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return false;
  read_end = ends[0];
  write_end = ends[1];
  return true;
}

[[noreturn]] void become_rank(char** argv, int out, int err, const sigset_t& mask, int parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);
  ::dup2(out, STDOUT_FILENO);
  ::dup2(err, STDERR_FILENO);
  ::sigprocmask(SIG_SETMASK, &mask, nullptr);
  ::execvp(argv[0], argv);
  std::fprintf(stderr, "cox-rank: %s: %s\n", argv[0], std::strerror(errno));
  ::_exit(errno == ENOENT ? 127 : 126);
}

bool write_all(int fd, const char* bytes, std::size_t size) {
  while (size > 0) {
    const auto wrote = ::write(fd, bytes, size);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0 && errno == EAGAIN) {
      pollfd watched{fd, POLLOUT, 0};
      ::poll(&watched, 1, -1);
      continue;
    }
    if (wrote < 0) return false;
    bytes += wrote;
    size -= static_cast<std::size_t>(wrote);
  }
  return true;
}

/// Reads once. False at the end of the stream.
bool pass_on(Stream& stream, Reporter& reporter) {
  std::array<char, 64 * 1024> piece;
  const auto got = ::read(stream.from, piece.data(), piece.size());
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return true;
  if (got <= 0) return false;  // a terminal's end is EIO
  const auto size = static_cast<std::size_t>(got);
  stream.lines.feed({piece.data(), size}, [&](std::string& run, std::uint32_t) {
    reporter.add(stream.kind, std::move(run));
  });
  if (stream.to >= 0 && !write_all(stream.to, piece.data(), size)) stream.to = -1;
  return true;
}

/// Ends this process as the rank ended.
int end_like(int status) {
  if (!WIFSIGNALED(status)) return WEXITSTATUS(status);
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
  const int signal = WTERMSIG(status);
  ::signal(signal, SIG_DFL);
  sigset_t only;
  sigemptyset(&only);
  sigaddset(&only, signal);
  ::raise(signal);
  ::sigprocmask(SIG_UNBLOCK, &only, nullptr);
  return 128 + signal;
}

class Tee {
 public:
  Tee(pid_t child, int signals, int out, int err) : child_(child), signals_(signals) {
    streams_[0].from = out;
    streams_[0].to = STDOUT_FILENO;
    streams_[1].from = err;
    streams_[1].to = STDERR_FILENO;
    streams_[1].kind = 1;
  }

  int run() {
    while (!done()) step();
    for (auto& stream : streams_) {
      stream.lines.finish(
          [&](std::string& run, std::uint32_t) { reporter_.add(stream.kind, std::move(run)); });
    }
    const int code = WIFSIGNALED(status_) ? 128 + WTERMSIG(status_) : WEXITSTATUS(status_);
    reporter_.finish(code, usage_);
    return end_like(status_);
  }

 private:
  /// The rank has ended and its streams are dry. A descendant that keeps them open is not waited
  /// for without end.
  [[nodiscard]] bool done() const {
    const bool dry = streams_[0].from < 0 && streams_[1].from < 0;
    return ended_ && (dry || Clock::now() > drained_by_);
  }

  void step() {
    std::array<pollfd, 3> watched{
        {{streams_[0].from, POLLIN, 0}, {streams_[1].from, POLLIN, 0}, {signals_, POLLIN, 0}}};
    if (::poll(watched.data(), watched.size(), ended_ ? 50 : -1) < 0 && errno != EINTR) return;
    for (std::size_t i = 0; i < streams_.size(); ++i) {
      if (watched[i].revents == 0 || pass_on(streams_[i], reporter_)) continue;
      ::close(streams_[i].from);
      streams_[i].from = -1;
    }
    reporter_.flush();
    if (watched[2].revents != 0) take_signal();
  }

  void take_signal() {
    signalfd_siginfo info{};
    if (::read(signals_, &info, sizeof info) != static_cast<ssize_t>(sizeof info)) return;
    if (info.ssi_signo != SIGCHLD) {
      ::kill(child_, static_cast<int>(info.ssi_signo));
    } else if (!ended_ && ::wait4(child_, &status_, WNOHANG, &usage_) == child_) {
      ended_ = true;
      drained_by_ = Clock::now() + kDrainTime;
    }
  }

  pid_t child_;
  int signals_;
  std::array<Stream, 2> streams_;
  Reporter reporter_;
  int status_ = 0;
  rusage usage_{};
  bool ended_ = false;
  Clock::time_point drained_by_{};
};

}  // namespace

int run_rank(char** argv) {
  sigset_t watched;
  sigset_t before;
  sigemptyset(&watched);
  sigaddset(&watched, SIGCHLD);
  for (const int signal : kPassedOn) sigaddset(&watched, signal);
  ::sigprocmask(SIG_BLOCK, &watched, &before);
  ::signal(SIGPIPE, SIG_IGN);
  const int signals = ::signalfd(-1, &watched, SFD_CLOEXEC);

  int out_read = -1;
  int out_write = -1;
  int err_read = -1;
  int err_write = -1;
  if (signals < 0 || !open_channel(STDOUT_FILENO, out_read, out_write) ||
      !open_channel(STDERR_FILENO, err_read, err_write)) {
    // Without a way to listen the rank still has to run.
    ::sigprocmask(SIG_SETMASK, &before, nullptr);
    ::signal(SIGPIPE, SIG_DFL);
    ::execvp(argv[0], argv);
    return 127;
  }
  const int self = ::getpid();
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGPIPE, SIG_DFL);
    become_rank(argv, out_write, err_write, before, self);
  }
  ::close(out_write);
  ::close(err_write);
  if (child < 0) {
    std::perror("cox-rank: fork");
    return 1;
  }
  return Tee(child, signals, out_read, err_read).run();
}

}  // namespace cox::agent
