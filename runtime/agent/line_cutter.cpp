#include "runtime/agent/line_cutter.hpp"

#include <utility>

namespace cox::agent {

void LineCutter::feed(std::string_view bytes, const std::function<void(std::string)>& line) {
  while (!bytes.empty()) {
    const auto end = bytes.find('\n');
    const auto size = end == std::string_view::npos ? bytes.size() : end;
    const auto room = kLineBytesMax - rest_.size();
    const auto taken = size < room ? size : room;
    rest_ += bytes.substr(0, taken);
    bytes.remove_prefix(taken);
    const bool at_end = taken == size && end != std::string_view::npos;
    if (at_end) bytes.remove_prefix(1);
    if (at_end || rest_.size() == kLineBytesMax) {
      // A line of exactly the limit followed by its end is one line.
      if (!at_end && !bytes.empty() && bytes.front() == '\n') bytes.remove_prefix(1);
      line(std::exchange(rest_, {}));
    }
  }
}

void LineCutter::finish(const std::function<void(std::string)>& line) {
  if (!rest_.empty()) line(std::exchange(rest_, {}));
}

}  // namespace cox::agent
