#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "runtime/base/units.hpp"

namespace cox {

/// Which stream of a process a line came from.
enum class StreamKind : std::uint8_t { out, err };

/// One line of output, without its line end. A last line without a line end is kept as it is.
/// On its way to a log it may stand for a run: lines in a row that were read together.
struct OutputLine {
  std::uint64_t sequence = 0;  ///< from 1, without gaps, within its log; of a run its first
  Millis at;                   ///< when the source read it
  StreamKind stream = StreamKind::out;
  std::string text;         ///< of a run the lines, '\n' between them
  std::uint32_t lines = 1;  ///< in `text`; 1 where a log is read line by line

  friend bool operator==(const OutputLine&, const OutputLine&) = default;
};

/// How many lines a text holds that has '\n' between them.
[[nodiscard]] inline std::uint32_t lines_in(std::string_view text) {
  // Sums of sixteen bytes side by side, so that compilers take them all at once.
  constexpr std::size_t kSide = 16;
  constexpr std::size_t kRounds = 255;  // what a byte can count
  std::uint32_t lines = 1;
  while (text.size() >= kSide) {
    const auto rounds = std::min(text.size() / kSide, kRounds);
    std::array<std::uint8_t, kSide> counts{};
    for (std::size_t round = 0; round < rounds; ++round) {
      for (std::size_t i = 0; i < kSide; ++i) {
        counts[i] = static_cast<std::uint8_t>(counts[i] + (text[round * kSide + i] == '\n'));
      }
    }
    for (const auto count : counts) lines += count;
    text.remove_prefix(rounds * kSide);
  }
  return lines + static_cast<std::uint32_t>(std::count(text.begin(), text.end(), '\n'));
}

}  // namespace cox
