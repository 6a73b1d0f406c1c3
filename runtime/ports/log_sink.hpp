#pragma once

#include <cstdint>
#include <string>

#include "runtime/base/units.hpp"

namespace cox {

/// Which stream of a process a line came from.
enum class StreamKind : std::uint8_t { out, err };

/// One line of output, without its line end. A last line without a line end is kept as it is.
struct OutputLine {
  std::uint64_t sequence = 0;  ///< from 1, without gaps, within its log
  Millis at;                   ///< when the source read it
  StreamKind stream = StreamKind::out;
  std::string text;

  friend bool operator==(const OutputLine&, const OutputLine&) = default;
};

}  // namespace cox
