#include "runtime/os/event_loop.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <utility>

#include "runtime/os/event_loop_impl.hpp"

namespace cox::os {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

/// The part that pending operations share with the subscription: when that is dropped, `wanted`
/// turns false and the handler is not called again.
template <class Source>
struct Shared {
  template <class... Args>
  explicit Shared(std::function<void()> call, Args&&... args)
      : source(std::forward<Args>(args)...), handler(std::move(call)) {}

  Source source;
  std::function<void()> handler;
  bool wanted = true;
};

template <class Source>
class Held : public Subscription {
 public:
  explicit Held(std::shared_ptr<Shared<Source>> shared) : shared_(std::move(shared)) {}
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  ~Held() override {
    shared_->wanted = false;
    release(shared_->source);
  }

 private:
  static void release(asio::steady_timer& timer) { timer.cancel(); }
  static void release(asio::signal_set& signals) {
    error_code ignored;
    signals.cancel(ignored);
  }
  // The descriptor is only borrowed: it must not be closed with the watch.
  static void release(asio::posix::stream_descriptor& descriptor) {
    if (descriptor.is_open()) descriptor.release();
  }

  std::shared_ptr<Shared<Source>> shared_;
};

void watch(std::shared_ptr<Shared<asio::posix::stream_descriptor>> shared,
           asio::posix::stream_descriptor::wait_type what) {
  auto& descriptor = shared->source;
  descriptor.async_wait(what, [shared = std::move(shared), what](error_code error) mutable {
    if (error || !shared->wanted) return;
    shared->handler();
    if (shared->wanted) watch(std::move(shared), what);
  });
}

void listen(std::shared_ptr<Shared<asio::signal_set>> shared) {
  auto& signals = shared->source;
  signals.async_wait([shared = std::move(shared)](error_code error, int) mutable {
    if (error || !shared->wanted) return;
    shared->handler();
    if (shared->wanted) listen(std::move(shared));
  });
}

SubscriptionPtr watch_descriptor(asio::io_context& context, int fd, std::function<void()> handler,
                                 asio::posix::stream_descriptor::wait_type what) {
  // A duplicate, so that one descriptor can be watched for reading and for writing at once: epoll
  // knows a descriptor only once.
  struct Duplicate : Subscription {
    SubscriptionPtr inner;
    int fd = -1;
    ~Duplicate() override {
      inner.reset();
      if (fd >= 0) ::close(fd);
    }
  };
  auto held = std::make_unique<Duplicate>();
  held->fd = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
  asio::posix::stream_descriptor descriptor(context);
  error_code error;
  descriptor.assign(held->fd, error);
  if (error) {
    // Files on disk cannot be polled and are always ready; there is no caller that watches one.
    return held;
  }
  auto shared = std::make_shared<Shared<asio::posix::stream_descriptor>>(std::move(handler),
                                                                         std::move(descriptor));
  watch(shared, what);
  held->inner = std::make_unique<Held<asio::posix::stream_descriptor>>(std::move(shared));
  return held;
}

}  // namespace

EventLoop::EventLoop() : impl_(std::make_unique<Impl>()) {}
EventLoop::~EventLoop() = default;

void EventLoop::run() {
  const auto guard = asio::make_work_guard(impl_->context);
  impl_->context.restart();
  impl_->context.run();
}

void EventLoop::stop() { impl_->context.stop(); }

void EventLoop::run_for(std::chrono::milliseconds time) {
  const auto guard = asio::make_work_guard(impl_->context);
  impl_->context.restart();
  impl_->context.run_for(time);
}

void EventLoop::post(std::function<void()> handler) {
  asio::post(impl_->context, std::move(handler));
}

SubscriptionPtr EventLoop::after(std::chrono::milliseconds time, std::function<void()> handler) {
  auto shared =
      std::make_shared<Shared<asio::steady_timer>>(std::move(handler), impl_->context, time);
  shared->source.async_wait([shared](error_code error) {
    if (error || !shared->wanted) return;
    shared->wanted = false;
    shared->handler();
  });
  return std::make_unique<Held<asio::steady_timer>>(std::move(shared));
}

SubscriptionPtr EventLoop::when_readable(int fd, std::function<void()> handler) {
  return watch_descriptor(impl_->context, fd, std::move(handler),
                          asio::posix::stream_descriptor::wait_read);
}

SubscriptionPtr EventLoop::when_writable(int fd, std::function<void()> handler) {
  return watch_descriptor(impl_->context, fd, std::move(handler),
                          asio::posix::stream_descriptor::wait_write);
}

SubscriptionPtr EventLoop::on_signal(int signal, std::function<void()> handler) {
  auto shared =
      std::make_shared<Shared<asio::signal_set>>(std::move(handler), impl_->context, signal);
  listen(shared);
  return std::make_unique<Held<asio::signal_set>>(std::move(shared));
}

SubscriptionPtr EventLoop::on_child_exit(std::function<void(int, int)> handler) {
  auto reap = [handler = std::move(handler)] {
    int status = 0;
    for (pid_t pid = ::waitpid(-1, &status, WNOHANG); pid > 0;
         pid = ::waitpid(-1, &status, WNOHANG)) {
      handler(pid, status);
    }
  };
  // Children may have ended before the signal was watched.
  post(reap);
  return on_signal(SIGCHLD, std::move(reap));
}

Millis SystemClock::now() const {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return Millis{std::chrono::duration_cast<std::chrono::milliseconds>(since).count()};
}

}  // namespace cox::os
