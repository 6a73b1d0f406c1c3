#include "launcher/provider/program_run.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "runtime/os/files.hpp"

namespace cox::provider {
namespace {

constexpr std::size_t kKeptBytes = 1u << 20;

struct Stream {
  os::Fd fd;
  std::string text;
  os::SubscriptionPtr readable;
};

class Run : public ProgramRun {
 public:
  Run(os::EventLoop& loop, pid_t pid, std::array<os::Fd, 2> ends, os::Fd held,
      const ProgramSpec& spec, std::function<void(os::RunResult)> done)
      : pid_(pid), held_(std::move(held)), on_output_(spec.on_output), done_(std::move(done)) {
    for (std::size_t i = 0; i < streams_.size(); ++i) {
      auto& stream = streams_[i];
      stream.fd = std::move(ends[i]);
      (void)::fcntl(stream.fd.get(), F_SETFL, O_NONBLOCK);
      stream.readable = loop.when_readable(stream.fd.get(), [this, &stream] { read(stream); });
    }
    timer_ = loop.after(spec.limit, [this] {
      (void)::kill(pid_, SIGKILL);
      // A child of its own may hold the pipes.
      finish();
    });
  }
  ~Run() override {
    if (pid_ == 0) return;
    (void)::kill(pid_, SIGKILL);
    (void)::waitpid(pid_, nullptr, 0);
  }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

 private:
  void read(Stream& stream) {
    std::array<char, 16384> buffer{};
    const ssize_t got = ::read(stream.fd.get(), buffer.data(), buffer.size());
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got > 0) {
      const auto room = kKeptBytes - std::min(kKeptBytes, stream.text.size());
      stream.text.append(buffer.data(), std::min(room, static_cast<std::size_t>(got)));
      const auto told = &stream == &streams_[0] ? on_output_ : nullptr;
      if (told) told(stream.text);  // may drop this object
      return;
    }
    stream.readable.reset();
    stream.fd.reset();
    if (!streams_[0].fd && !streams_[1].fd) finish();
  }

  void finish() {
    if (!done_) return;
    int status = 0;
    (void)::waitpid(pid_, &status, 0);
    pid_ = 0;
    const auto done = std::exchange(done_, nullptr);
    done({os::exit_code_of(status), std::move(streams_[0].text),
          std::move(streams_[1].text)});  // may drop this object
  }

  pid_t pid_;
  os::Fd held_;
  std::function<void(const std::string&)> on_output_;
  std::array<Stream, 2> streams_;
  std::function<void(os::RunResult)> done_;
  os::SubscriptionPtr timer_;
};

struct Input {
  os::Fd theirs;
  os::Fd ours;  ///< keeps theirs from ending
};

Result<Input> whole_input(const std::string& text) {
  os::Fd file(::memfd_create("input", MFD_CLOEXEC));
  if (!file) return fail(os::errno_error(errno, "memfd"));
  if (auto written = os::write_all(file.get(), text); !written) return fail(written.error());
  (void)::lseek(file.get(), 0, SEEK_SET);
  return Input{std::move(file), {}};
}

Result<Input> held_input() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail(os::errno_error(errno, "pipe"));
  return Input{os::Fd(ends[0]), os::Fd(ends[1])};
}

}  // namespace

Result<std::unique_ptr<ProgramRun>> run_program(os::EventLoop& loop, const ProgramSpec& spec,
                                                std::function<void(os::RunResult)> done) {
  auto input = spec.hold_input ? held_input() : whole_input(spec.input);
  if (!input) return fail(input.error());
  std::array<os::Fd, 2> ours;
  std::array<os::Fd, 2> theirs;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail(os::errno_error(errno, "pipe"));
    ours[i].reset(ends[0]);
    theirs[i].reset(ends[1]);
  }
  os::SpawnSpec start;
  start.argv = spec.argv;
  start.directory = "/";
  start.descriptors = {{input->theirs.get(), STDIN_FILENO},
                       {theirs[0].get(), STDOUT_FILENO},
                       {theirs[1].get(), STDERR_FILENO}};
  start.die_with_parent = true;
  const auto pid = os::spawn(start);
  if (!pid) return fail(pid.error());
  return std::make_unique<Run>(loop, *pid, std::move(ours), std::move(input->ours), spec,
                               std::move(done));
}

}  // namespace cox::provider
