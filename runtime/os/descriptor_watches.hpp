#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>

#include "runtime/os/event_loop.hpp"
#include "runtime/os/fd.hpp"

namespace cox::os {

/// Watches of a loop's descriptors: one epoll set, which is itself a descriptor that can be read
/// when one in it is ready. Asio would take seven system calls for each descriptor that comes and
/// goes, and one for each time that it is ready; here it is two.
class DescriptorWatches {
 public:
  enum class For { reading, writing };
  enum class Failure {
    none,
    always_ready,  ///< a file on disk, which cannot be waited for
    other,         ///< errno says why
  };

  DescriptorWatches();

  /// -1: there is none to be had.
  [[nodiscard]] int descriptor() const { return set_.get(); }
  /// Null: see `failure`.
  [[nodiscard]] SubscriptionPtr add(int fd, For what, std::function<void()> handler,
                                    Failure& failure);
  /// Calls the handlers of what is ready now.
  void call_ready();

 private:
  struct State;
  class Watch;

  Fd set_;
  std::shared_ptr<State> state_;
};

}  // namespace cox::os
