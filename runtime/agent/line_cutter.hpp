#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace cox::agent {

/// Cuts a stream of bytes into lines, whatever the pieces it comes in. A line longer than
/// kLineBytesMax is cut into several; a last line without its end is kept by finish().
class LineCutter {
 public:
  static constexpr std::size_t kLineBytesMax = 64u << 10;
  /// Gets a run of lines in a row, '\n' between them, and how many they are. The run is its to
  /// keep; memory that it leaves serves the next one.
  using Take = std::function<void(std::string& run, std::uint32_t lines)>;

  /// Calls `take` for the lines that are whole now, in as few runs as may be.
  void feed(std::string_view bytes, const Take& take);
  /// Calls `take` for what is left, if anything is.
  void finish(const Take& take);

 private:
  [[nodiscard]] bool has_long_line(std::string_view bytes) const;
  void take_rest(const Take& take);
  void feed_long(std::string_view bytes, const Take& take);

  std::string rest_;
};

}  // namespace cox::agent
