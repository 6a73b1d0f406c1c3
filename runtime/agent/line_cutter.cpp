#include "runtime/agent/line_cutter.hpp"

#include <algorithm>
#include <utility>

namespace cox::agent {

void LineCutter::feed(std::string_view bytes, const Take& take) {
  std::uint32_t lines = 0;
  std::size_t longest = 0;
  std::size_t begin = 0;
  for (auto end = bytes.find('\n'); end != std::string_view::npos; end = bytes.find('\n', begin)) {
    longest = std::max(longest, end - begin + (lines == 0 ? rest_.size() : 0));
    begin = end + 1;
    ++lines;
  }
  const auto tail = bytes.size() - begin + (lines == 0 ? rest_.size() : 0);
  if (std::max(longest, tail) > kLineBytesMax) return feed_long(bytes, take);
  if (lines > 0) {
    auto run = std::exchange(rest_, {});
    run += bytes.substr(0, begin - 1);
    take(std::move(run), lines);
  }
  rest_ += bytes.substr(begin);
}

/// Line by line, as some line must be cut.
void LineCutter::feed_long(std::string_view bytes, const Take& take) {
  while (!bytes.empty()) {
    const auto end = bytes.find('\n');
    const auto size = end == std::string_view::npos ? bytes.size() : end;
    // What fills a line is kept until the next byte: its end may come, and it is one line then.
    if (size > 0 && rest_.size() == kLineBytesMax) take(std::exchange(rest_, {}), 1);
    const auto taken = std::min(size, kLineBytesMax - rest_.size());
    rest_ += bytes.substr(0, taken);
    bytes.remove_prefix(taken);
    if (taken == size && end != std::string_view::npos) {
      bytes.remove_prefix(1);
      take(std::exchange(rest_, {}), 1);
    }
  }
}

void LineCutter::finish(const Take& take) {
  if (!rest_.empty()) take(std::exchange(rest_, {}), 1);
}

}  // namespace cox::agent
