#pragma once

#include <chrono>

#include "runtime/os/event_loop.hpp"

namespace cox::os {

/// Runs the loop until the condition holds, for at most 20 s. Whether it holds in the end.
template <class Condition>
[[nodiscard]] bool run_until(EventLoop& loop, Condition holds) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!holds() && std::chrono::steady_clock::now() < deadline) {
    loop.run_for(std::chrono::milliseconds(1));
  }
  return holds();
}

}  // namespace cox::os
