#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "runtime/base/units.hpp"
#include "runtime/ports/clock.hpp"

namespace cox::os {

/// A watch or a timer. Dropping it, also from inside its handler, ends it: the handler is not
/// called again. It must not outlive its loop.
class Subscription {
 public:
  virtual ~Subscription() = default;
};
using SubscriptionPtr = std::unique_ptr<Subscription>;

/// The one thread of a daemon: handlers run on it one after the other, and none may block.
/// A thin cover over Boost.Asio, so that only event_loop.cpp and its neighbours include that.
class EventLoop {
 public:
  EventLoop();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  /// Runs handlers until stop().
  void run();
  void stop();
  /// Runs handlers that are ready or become ready within the time; for tests and shut-down.
  void run_for(std::chrono::milliseconds time);

  /// Runs the handler soon, on the loop. The only call that other threads may make.
  void post(std::function<void()> handler);

  /// Calls once, after the time.
  [[nodiscard]] SubscriptionPtr after(std::chrono::milliseconds time,
                                      std::function<void()> handler);

  /// Calls each time the descriptor can be read (or written), until dropped. The descriptor is
  /// borrowed and must outlive the watch; end of file counts as readable, and a file on disk is
  /// always ready.
  [[nodiscard]] SubscriptionPtr when_readable(int fd, std::function<void()> handler);
  [[nodiscard]] SubscriptionPtr when_writable(int fd, std::function<void()> handler);

  /// Calls on the loop at each of these signals.
  [[nodiscard]] SubscriptionPtr on_signal(int signal, std::function<void()> handler);

  /// Reaps every child of this process that ends, its own or adopted, and reports it with its
  /// wait status. One reaper a process.
  [[nodiscard]] SubscriptionPtr on_child_exit(
      std::function<void(int pid, int wait_status)> handler);

  struct Impl;
  [[nodiscard]] Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

/// The machine's clock.
class SystemClock : public Clock {
 public:
  [[nodiscard]] Millis now() const override;
};

}  // namespace cox::os
