#include "runtime/os/event_loop.hpp"

#include <sys/wait.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cassert>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "runtime/os/event_loop_impl.hpp"
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

  std::shared_ptr<Shared<Source>> shared_;
};

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

void watch(EventLoop::Impl& impl) {
  impl.watched.async_wait(asio::posix::stream_descriptor::wait_read, [&impl](error_code error) {
    if (error) return;
    impl.watches.call_ready();
    watch(impl);  // only now: what is ready still would call at once
  });
}

SubscriptionPtr watch_descriptor(EventLoop::Impl& impl, int fd, DescriptorWatches::For what,
                                 std::function<void()> handler) {
  if (!impl.watched.is_open()) {
    error_code error;
    impl.watched.assign(impl.watches.descriptor(), error);
    if (!error) watch(impl);
  }
  DescriptorWatches::Failure failure{};
  auto watch = impl.watches.add(fd, what, handler, failure);
  if (failure == DescriptorWatches::Failure::always_ready) {
    return std::make_unique<AlwaysReady>(impl.context, std::move(handler));
  }
  if (!watch) log_error("descriptor {} cannot be watched: {}", fd, std::strerror(errno));
  return watch;
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
  return watch_descriptor(*impl_, fd, DescriptorWatches::For::reading, std::move(handler));
}

SubscriptionPtr EventLoop::when_writable(int fd, std::function<void()> handler) {
  return watch_descriptor(*impl_, fd, DescriptorWatches::For::writing, std::move(handler));
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
