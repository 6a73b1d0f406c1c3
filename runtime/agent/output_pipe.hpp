#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "runtime/os/event_loop.hpp"
#include "runtime/os/fd.hpp"

namespace cox::agent {

/// Reads a pipe as it fills. One read a turn of the loop, so that no job keeps the others waiting.
/// While a writer is busy it looks away for a moment after each read: what writes line by line then
/// wakes nobody, and what it wrote is read at once.
class OutputPipe {
 public:
  /// `bytes` gets what was read; `end` is called once, at the end of the pipe.
  OutputPipe(os::EventLoop& loop, std::function<void(std::string_view)> bytes,
             std::function<void()> end);

  /// The end for the process that writes. Empty when no pipe can be had.
  [[nodiscard]] os::Fd open();
  [[nodiscard]] bool is_open() const { return static_cast<bool>(read_end_); }
  /// Stops reading, so that the writer waits; and goes on.
  void pause();
  void resume();
  /// Goes on, and looks away no more: the writers are gone.
  void hurry();
  /// Reads what is there now and ends, whoever still holds the other end.
  void drain();
  /// Ends without reading: who writes learns that nobody does.
  void close() { finish(); }

 private:
  void look();
  void read();
  void read_on(std::size_t got);
  void finish();

  os::EventLoop& loop_;
  std::function<void(std::string_view)> bytes_;
  std::function<void()> end_;
  os::Fd read_end_;
  os::SubscriptionPtr watch_;
  os::SubscriptionPtr rest_;  ///< looks away until it ends
  std::chrono::steady_clock::time_point read_at_;
  bool is_wide_ = false;
  bool paused_ = false;
  bool hurried_ = false;
};

}  // namespace cox::agent
