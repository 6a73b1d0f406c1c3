#pragma once

#include <compare>
#include <cstdint>

namespace cox {

/// A point in time: milliseconds since 1970, UTC. Zero means "not yet".
struct Millis {
  std::int64_t value = 0;

  [[nodiscard]] bool set() const { return value != 0; }
  friend auto operator<=>(const Millis&, const Millis&) = default;
  friend Millis operator+(Millis t, std::int64_t ms) { return Millis{t.value + ms}; }
  friend std::int64_t operator-(Millis a, Millis b) { return a.value - b.value; }
};

/// Memory in mebibytes, as AWS Batch counts it.
struct MiB {
  std::int64_t value = 0;

  friend auto operator<=>(const MiB&, const MiB&) = default;
  friend MiB operator+(MiB a, MiB b) { return MiB{a.value + b.value}; }
  friend MiB operator-(MiB a, MiB b) { return MiB{a.value - b.value}; }
};

}  // namespace cox
