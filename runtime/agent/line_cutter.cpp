#include "runtime/agent/line_cutter.hpp"

#include <algorithm>
#include <utility>

namespace cox::agent {

void LineCutter::feed(std::string_view bytes, const std::function<void(std::string)>& line) {
  while (!bytes.empty()) {
    const auto end = bytes.find('\n');
    const auto size = end == std::string_view::npos ? bytes.size() : end;
    // What fills a line is kept until the next byte: its end may come, and it is one line then.
    if (size > 0 && rest_.size() == kLineBytesMax) line(std::exchange(rest_, {}));
    const auto taken = std::min(size, kLineBytesMax - rest_.size());
    rest_ += bytes.substr(0, taken);
    bytes.remove_prefix(taken);
    if (taken == size && end != std::string_view::npos) {
      bytes.remove_prefix(1);
      line(std::exchange(rest_, {}));
    }
  }
}

void LineCutter::finish(const std::function<void(std::string)>& line) {
  if (!rest_.empty()) line(std::exchange(rest_, {}));
}

}  // namespace cox::agent
