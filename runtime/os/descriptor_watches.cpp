#include "runtime/os/descriptor_watches.hpp"

#include <fcntl.h>
#include <sys/epoll.h>

#include <array>
#include <cerrno>
#include <utility>

namespace cox::os {

namespace {
constexpr int kAtOnce = 64;
}

struct DescriptorWatches::State {
  using Handler = std::shared_ptr<std::function<void()>>;
  std::unordered_map<std::uint64_t, Handler> handlers;
  std::uint64_t next = 1;
};

class DescriptorWatches::Watch : public Subscription {
 public:
  Watch(const DescriptorWatches& all, int fd, Fd duplicate, std::uint64_t id)
      : set_(all.set_.get()),
        state_(all.state_),
        fd_(fd),
        duplicate_(std::move(duplicate)),
        id_(id) {}
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  ~Watch() override {
    epoll_event none{};
    ::epoll_ctl(set_, EPOLL_CTL_DEL, fd_, &none);
    state_->handlers.erase(id_);
  }

 private:
  int set_;
  std::shared_ptr<State> state_;
  int fd_;
  Fd duplicate_;  // a set knows a descriptor only once, and one may be read and written
  std::uint64_t id_;
};

DescriptorWatches::DescriptorWatches()
    : set_(::epoll_create1(EPOLL_CLOEXEC)), state_(std::make_shared<State>()) {}

SubscriptionPtr DescriptorWatches::add(int fd, For what, std::function<void()> handler,
                                       Failure& failure) {
  const auto id = state_->next++;
  epoll_event event{};
  event.events = what == For::reading ? EPOLLIN : EPOLLOUT;
  event.data.u64 = id;
  Fd duplicate;
  bool added = ::epoll_ctl(set_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
  if (!added && errno == EEXIST) {
    duplicate.reset(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
    fd = duplicate.get();
    added = duplicate && ::epoll_ctl(set_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
  }
  if (!added) {
    failure = errno == EPERM ? Failure::always_ready : Failure::other;
    return nullptr;
  }
  failure = Failure::none;
  state_->handlers.emplace(id, std::make_shared<std::function<void()>>(std::move(handler)));
  return std::make_unique<Watch>(*this, fd, std::move(duplicate), id);
}

void DescriptorWatches::call_ready() {
  std::array<epoll_event, kAtOnce> ready;
  const int count = ::epoll_wait(set_.get(), ready.data(), kAtOnce, 0);
  for (int i = 0; i < count; ++i) {
    const std::uint64_t id = ready[static_cast<std::size_t>(i)].data.u64;  // not aligned there
    const auto found = state_->handlers.find(id);
    if (found == state_->handlers.end()) continue;  // one before it has dropped it
    const auto handler = found->second;
    (*handler)();
  }
}

}  // namespace cox::os
