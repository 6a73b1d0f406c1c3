#include "launcher/provider/bring_up_run.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>

#include "runtime/os/files.hpp"
#include "runtime/os/process.hpp"

namespace cox::provider {
namespace {

constexpr std::chrono::seconds kLongest{30};

class Run : public BringUpRun {
 public:
  Run(os::EventLoop& loop, pid_t pid, os::Fd answer,
      std::function<void(Result<BringUpOutcome>)> done)
      : pid_(pid), answer_(std::move(answer)), done_(std::move(done)) {
    readable_ = loop.when_readable(answer_.get(), [this] { read(); });
    timer_ = loop.after(kLongest, [this] { (void)::kill(pid_, SIGKILL); });
  }
  ~Run() override {
    if (pid_ == 0) return;
    (void)::kill(pid_, SIGKILL);
    (void)::waitpid(pid_, nullptr, 0);
  }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

 private:
  void read() {
    std::array<char, 4096> buffer{};
    const ssize_t got = ::read(answer_.get(), buffer.data(), buffer.size());
    if (got > 0) {
      text_.append(buffer.data(), static_cast<std::size_t>(got));
      return;
    }
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    finish();
  }

  void finish() {
    if (!done_) return;
    // The pipe's other end is closed, so the process is on its last instructions.
    (void)::waitpid(pid_, nullptr, 0);
    pid_ = 0;
    const auto done = std::exchange(done_, nullptr);
    done(parse_outcome(text_));  // may drop this object
  }

  pid_t pid_;
  os::Fd answer_;
  std::function<void(Result<BringUpOutcome>)> done_;
  std::string text_;
  os::SubscriptionPtr readable_;
  os::SubscriptionPtr timer_;
};

}  // namespace

Result<std::unique_ptr<BringUpRun>> start_bring_up(
    os::EventLoop& loop, const std::string& coxd, const NodeDescription& description,
    const os::Fd& bridge_network, std::function<void(Result<BringUpOutcome>)> done) {
  const os::Fd memory(::memfd_create("node", MFD_CLOEXEC));
  if (!memory) return fail(os::errno_error(errno, "memfd"));
  const auto written = os::write_all(memory.get(), render_description(description));
  if (!written) return fail(written.error());
  (void)::lseek(memory.get(), 0, SEEK_SET);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail(os::errno_error(errno, "pipe"));
  os::Fd answer(ends[0]);
  const os::Fd told(ends[1]);
  const auto pid = os::spawn({.argv = {coxd, "--bring-up-node"},
                              .environment = {},
                              .directory = "/",
                              .descriptors = {{STDIN_FILENO, STDIN_FILENO},
                                              {STDOUT_FILENO, STDOUT_FILENO},
                                              {STDERR_FILENO, STDERR_FILENO},
                                              {memory.get(), 3},
                                              {told.get(), 4},
                                              {bridge_network.get(), 5}},
                              .die_with_parent = true});
  if (!pid) return fail(pid.error());
  (void)::fcntl(answer.get(), F_SETFL, O_NONBLOCK);
  return std::make_unique<Run>(loop, *pid, std::move(answer), std::move(done));
}

}  // namespace cox::provider
