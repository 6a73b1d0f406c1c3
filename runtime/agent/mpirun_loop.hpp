#pragma once

#include <poll.h>
#include <signal.h>

#include <functional>
#include <initializer_list>
#include <utility>
#include <vector>

#include "runtime/agent/direct_run.hpp"
#include "runtime/os/fd.hpp"

namespace cox::agent {

/// Signals as things to wait for, and the wait.
class MpirunLoop {
 public:
  explicit MpirunLoop(std::initializer_list<int> signals);
  /// Gives the signals back to whom they belonged.
  ~MpirunLoop();
  MpirunLoop(const MpirunLoop&) = delete;
  MpirunLoop& operator=(const MpirunLoop&) = delete;

  /// The mask that this process had: ranks' and the real mpirun's.
  [[nodiscard]] const sigset_t& mask() const { return before_; }
  /// Waits for the first of `watches` or a signal, at most so many milliseconds; -1: for ever.
  void turn(std::vector<Watch>& watches, int wait_ms, const std::function<void(int)>& signalled);

 private:
  sigset_t before_{};
  std::vector<std::pair<int, struct sigaction>> actions_;  ///< as they were
  os::Fd signals_;
  std::vector<pollfd> watched_;
};

}  // namespace cox::agent
