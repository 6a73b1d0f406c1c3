#pragma once

#include "runtime/ports/clock.hpp"

namespace cox::fakes {

/// A clock that a test turns by hand.
class FakeClock : public Clock {
 public:
  [[nodiscard]] Millis now() const override { return now_; }
  void advance(std::int64_t ms) { now_ = now_ + ms; }

 private:
  Millis now_{1'700'000'000'000};
};

}  // namespace cox::fakes
