#pragma once

#include <cstdint>

#include "runtime/ports/log_sink.hpp"

namespace cox::logs {

/// Lines in a row that were read together, by where they stand in their log.
struct Run {
  std::uint64_t sequence = 0;  ///< the first's
  Millis at;
  StreamKind stream = StreamKind::out;
  std::uint32_t lines = 1;
  std::uint64_t offset = 0;  ///< of the record that has them
  std::uint32_t bytes = 0;   ///< of that record

  [[nodiscard]] std::uint64_t last() const { return sequence + lines - 1; }
  friend bool operator==(const Run&, const Run&) = default;
};

}  // namespace cox::logs
