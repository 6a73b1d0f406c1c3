#include "runtime/os/event_loop.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cassert>
#include <csignal>
#include <utility>

#include "runtime/os/event_loop_impl.hpp"
#include "runtime/os/fd.hpp"
#include "runtime/os/log.hpp"

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

/// A file on disk cannot be waited for: it is always ready.
class AlwaysReady : public Subscription {
 public:
  AlwaysReady(asio::io_context& context, std::function<void()> handler)
      : state_(std::make_shared<State>(State{context, std::move(handler)})) {
    call_soon(state_);
  }
  AlwaysReady(const AlwaysReady&) = delete;
  AlwaysReady& operator=(const AlwaysReady&) = delete;
  ~AlwaysReady() override { state_->wanted = false; }

 private:
  struct State {
    asio::io_context& context;
    std::function<void()> handler;
    bool wanted = true;
  };

  static void call_soon(std::shared_ptr<State> state) {
    auto& context = state->context;
    asio::post(context, [state = std::move(state)]() mutable {
      if (state->wanted) state->handler();
      if (state->wanted) call_soon(std::move(state));
    });
  }

  std::shared_ptr<State> state_;
};

/// A watch through a duplicate of the descriptor, as epoll knows a descriptor only once and one may
/// be watched for reading and for writing at the same time.
class DuplicateWatch : public Subscription {
 public:
  DuplicateWatch(Fd duplicate, SubscriptionPtr watch)
      : duplicate_(std::move(duplicate)), watch_(std::move(watch)) {}

 private:
  Fd duplicate_;  // outlives the watch
  SubscriptionPtr watch_;
};

SubscriptionPtr watch_descriptor(asio::io_context& context, int fd, std::function<void()> handler,
                                 asio::posix::stream_descriptor::wait_type what) {
  struct stat status {};
  const bool known = ::fstat(fd, &status) == 0;
  assert(known);
  if (known && (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode))) {
    return std::make_unique<AlwaysReady>(context, std::move(handler));
  }
  Fd duplicate(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  asio::posix::stream_descriptor descriptor(context);
  error_code error;
  // Out of descriptors, the given one will mostly do as well.
  descriptor.assign(duplicate ? duplicate.get() : fd, error);
  if (error) {
    log_error("descriptor {} cannot be watched: {}", fd, error.message());
    return std::make_unique<DuplicateWatch>(std::move(duplicate), nullptr);
  }
  auto shared = std::make_shared<Shared<asio::posix::stream_descriptor>>(std::move(handler),
                                                                         std::move(descriptor));
  watch(shared, what);
  return std::make_unique<DuplicateWatch>(
      std::move(duplicate),
      std::make_unique<Held<asio::posix::stream_descriptor>>(std::move(shared)));
}

/// Reports children as long as it is held, from the first that has ended already.
class Reaper : public Subscription {
 public:
  Reaper(EventLoop& loop, std::function<void(int, int)> handler)
      : state_(std::make_shared<State>(State{std::move(handler)})),
        signals_(loop.on_signal(SIGCHLD, [state = state_] { reap(state); })) {
    // Children may have ended before the signal was watched.
    loop.post([state = state_] { reap(state); });
  }
  Reaper(const Reaper&) = delete;
  Reaper& operator=(const Reaper&) = delete;
  ~Reaper() override { state_->wanted = false; }

 private:
  struct State {
    std::function<void(int, int)> handler;
    bool wanted = true;
  };

  static void reap(const std::shared_ptr<State>& state) {
    const auto kept = state;  // the handler may drop the subscription
    while (kept->wanted) {
      int status = 0;
      const pid_t pid = ::waitpid(-1, &status, WNOHANG);
      if (pid <= 0) return;
      kept->handler(pid, status);
    }
  }

  std::shared_ptr<State> state_;
  SubscriptionPtr signals_;
};

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
  auto shared = std::make_shared<Shared<asio::signal_set>>(std::move(handler), impl_->context);
  error_code error;
  shared->source.add(signal, error);
  assert(!error && "a signal that cannot be caught");
  listen(shared);
  return std::make_unique<Held<asio::signal_set>>(std::move(shared));
}

SubscriptionPtr EventLoop::on_child_exit(std::function<void(int, int)> handler) {
  return std::make_unique<Reaper>(*this, std::move(handler));
}

Millis SystemClock::now() const {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return Millis{std::chrono::duration_cast<std::chrono::milliseconds>(since).count()};
}

}  // namespace cox::os
