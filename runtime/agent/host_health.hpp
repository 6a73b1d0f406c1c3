#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "runtime/os/event_loop.hpp"
#include "runtime/wire/message.hpp"

namespace cox::agent {

/// What of a host's disk and memory is left.
struct HostRoom {
  std::int64_t disk_mib = 0;    ///< where jobs' directories are
  std::int64_t memory_mib = 0;  ///< that could be had without swapping
};

/// Why a host with so little left is to get no job; empty: it may. `told`: it was refused before,
/// and has to have a little more, so that it does not go to and fro. Pure.
[[nodiscard]] std::string problem_of(const HostRoom& room, bool told);

/// Looks after a host that is a node, every few seconds: its disk, its memory, its clock. Tells
/// when something has changed.
class HostHealth {
 public:
  using Tell = std::function<void(const wire::Health&)>;
  /// `directory`: where jobs' own are.
  HostHealth(os::EventLoop& loop, std::string directory, Tell tell)
      : loop_(loop), directory_(std::move(directory)), tell_(std::move(tell)) {}

  void watch();
  /// To a head that has just come. Nothing where nobody watches.
  void tell_again();

 private:
  void look();
  void look_later();

  os::EventLoop& loop_;
  std::string directory_;
  Tell tell_;
  os::SubscriptionPtr timer_;
  std::string problem_;
  std::int64_t clock_offset_ms_ = 0;  ///< of the day's clock against the one that only goes on
};

}  // namespace cox::agent
