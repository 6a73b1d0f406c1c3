#include "launcher/cli/pcluster_interrupt.hpp"

#include <unistd.h>

#include <atomic>
#include <csignal>

namespace cox::cli {

namespace {

std::atomic<int> status_at_interrupt{1};

extern "C" void leave_now(int) { ::_exit(status_at_interrupt.load()); }

void mask_interrupts(int how) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  ::sigprocmask(how, &signals, nullptr);
}

}  // namespace

void leave_on_interrupt(int status) {
  status_at_interrupt = status;
  std::signal(SIGINT, leave_now);
}

UninterruptedScope::UninterruptedScope() { mask_interrupts(SIG_BLOCK); }
UninterruptedScope::~UninterruptedScope() { mask_interrupts(SIG_UNBLOCK); }

}  // namespace cox::cli
