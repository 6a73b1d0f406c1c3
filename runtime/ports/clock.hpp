#pragma once

#include "runtime/base/units.hpp"

namespace cox {

/// The time of day, where a test turns it by hand.
class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual Millis now() const = 0;
};

}  // namespace cox
