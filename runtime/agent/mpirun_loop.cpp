#include "runtime/agent/mpirun_loop.hpp"

#include <sys/signalfd.h>
#include <unistd.h>

namespace cox::agent {

MpirunLoop::MpirunLoop(std::initializer_list<int> signals) {
  sigset_t watched;
  sigemptyset(&watched);
  for (const int signal : signals) sigaddset(&watched, signal);
  ::sigprocmask(SIG_BLOCK, &watched, &before_);
  // One that is ignored, as in a shell's background, would never be seen.
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  const auto set = [this](int signal, const struct sigaction& wanted) {
    struct sigaction old {};
    if (::sigaction(signal, &wanted, &old) == 0) actions_.emplace_back(signal, old);
  };
  for (const int signal : signals) set(signal, action);
  // Not ignored, or ranks would ignore it too: a handler ends with the program.
  action.sa_handler = [](int) {};
  set(SIGPIPE, action);
  signals_.reset(::signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK));
}

MpirunLoop::~MpirunLoop() {
  for (const auto& [signal, action] : actions_) ::sigaction(signal, &action, nullptr);
  ::sigprocmask(SIG_SETMASK, &before_, nullptr);
}

void MpirunLoop::turn(std::vector<Watch>& watches, int wait_ms,
                      const std::function<void(int)>& signalled) {
  watched_.clear();
  watched_.push_back({signals_.get(), POLLIN, 0});
  for (const auto& watch : watches) watched_.push_back({watch.fd, watch.events, 0});
  if (::poll(watched_.data(), watched_.size(), wait_ms) <= 0) return;
  for (std::size_t i = 0; i < watches.size(); ++i) {
    if (watched_[i + 1].revents != 0) watches[i].ready();
  }
  signalfd_siginfo info{};
  while (::read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    signalled(static_cast<int>(info.ssi_signo));
  }
}

}  // namespace cox::agent
