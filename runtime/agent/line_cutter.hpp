#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace cox::agent {

/// Cuts a stream of bytes into lines, whatever the pieces it comes in. A line longer than
/// kLineBytesMax is cut into several; a last line without its end is kept by finish().
class LineCutter {
 public:
  static constexpr std::size_t kLineBytesMax = 64u << 10;

  /// Calls `line` for each line that is whole now, without its '\n'.
  void feed(std::string_view bytes, const std::function<void(std::string)>& line);
  /// Calls `line` for what is left, if anything is.
  void finish(const std::function<void(std::string)>& line);

 private:
  std::string rest_;
};

}  // namespace cox::agent
