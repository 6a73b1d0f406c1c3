#include "runtime/agent/output_pipe.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace cox::agent {

namespace {
constexpr std::size_t kReadBytes = 256u << 10;
/// Fewer wakeups; but most small jobs write nothing, and room takes time to make.
constexpr int kPipeBytes = 1 << 20;
constexpr std::chrono::milliseconds kRest{2};
constexpr std::chrono::milliseconds kBusy{5};  ///< reads so near to each other make a busy writer
}  // namespace

OutputPipe::OutputPipe(os::EventLoop& loop, std::function<void(std::string_view)> bytes,
                       std::function<void()> end)
    : loop_(loop), bytes_(std::move(bytes)), end_(std::move(end)) {}

os::Fd OutputPipe::open() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return os::Fd();
  read_end_.reset(ends[0]);
  ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
  look();
  return os::Fd(ends[1]);
}

void OutputPipe::pause() {
  paused_ = true;
  watch_.reset();
  rest_.reset();
}

void OutputPipe::resume() {
  if (paused_) look();
}

void OutputPipe::hurry() {
  hurried_ = true;
  look();
}

void OutputPipe::look() {
  paused_ = false;
  rest_.reset();
  if (read_end_ && !watch_) watch_ = loop_.when_readable(read_end_.get(), [this] { read(); });
}

void OutputPipe::read() {
  static std::array<char, kReadBytes> piece;  // one loop, one thread
  const auto got = ::read(read_end_.get(), piece.data(), piece.size());
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return look();
  if (got <= 0) return finish();
  if (!is_wide_) ::fcntl(read_end_.get(), F_SETPIPE_SZ, kPipeBytes);  // a refusal costs nothing
  is_wide_ = true;
  read_on(static_cast<std::size_t>(got));
  bytes_({piece.data(), static_cast<std::size_t>(got)});  // may pause
}

void OutputPipe::read_on(std::size_t got) {
  const auto now = std::chrono::steady_clock::now();
  const bool busy = now - read_at_ < kBusy && !hurried_;
  read_at_ = now;
  if (!busy || got == kReadBytes) return look();
  watch_.reset();
  rest_ = loop_.after(kRest, [this] { read(); });
}

void OutputPipe::drain() {
  if (!read_end_) return;
  // Not until it is empty: another process may fill it again and again.
  int left = 0;
  ::ioctl(read_end_.get(), FIONREAD, &left);
  std::array<char, 16384> piece{};
  while (read_end_ && left > 0) {
    const auto most = std::min(piece.size(), static_cast<std::size_t>(left));
    const auto got = ::read(read_end_.get(), piece.data(), most);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    left -= static_cast<int>(got);
    bytes_({piece.data(), static_cast<std::size_t>(got)});
  }
  if (read_end_) finish();
}

void OutputPipe::finish() {
  watch_.reset();
  rest_.reset();
  read_end_.reset();
  const auto end = std::exchange(end_, nullptr);
  if (end) end();
}

}  // namespace cox::agent
