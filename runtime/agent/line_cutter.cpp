#include "runtime/agent/line_cutter.hpp"

#include <algorithm>
#include <utility>

#include "runtime/ports/log_sink.hpp"

namespace cox::agent {

void LineCutter::feed(std::string_view bytes, const Take& take) {
  if (has_long_line(bytes)) return feed_long(bytes, take);
  const auto end = bytes.rfind('\n');
  if (end != std::string_view::npos) {
    const auto whole = bytes.substr(0, end);
    // One for all: its pages are worth more than its bytes.
    thread_local std::string run;
    run.assign(rest_).append(whole);
    rest_.clear();
    take(run, lines_in(whole));
    bytes.remove_prefix(end + 1);
  }
  rest_ += bytes;
}

/// Looks at few bytes only: from the last line end that a line may have to the next.
bool LineCutter::has_long_line(std::string_view bytes) const {
  for (auto room = kLineBytesMax - rest_.size(); bytes.size() > room; room = kLineBytesMax) {
    const auto end = bytes.substr(0, room + 1).rfind('\n');
    if (end == std::string_view::npos) return true;
    bytes.remove_prefix(end + 1);
  }
  return false;
}

/// Line by line, as some line must be cut.
void LineCutter::feed_long(std::string_view bytes, const Take& take) {
  while (!bytes.empty()) {
    const auto end = bytes.find('\n');
    const auto size = end == std::string_view::npos ? bytes.size() : end;
    // What fills a line is kept until the next byte: its end may come, and it is one line then.
    if (size > 0 && rest_.size() == kLineBytesMax) take_rest(take);
    const auto taken = std::min(size, kLineBytesMax - rest_.size());
    rest_ += bytes.substr(0, taken);
    bytes.remove_prefix(taken);
    if (taken == size && end != std::string_view::npos) {
      bytes.remove_prefix(1);
      take_rest(take);
    }
  }
}

void LineCutter::finish(const Take& take) {
  if (!rest_.empty()) take_rest(take);
}

void LineCutter::take_rest(const Take& take) {
  auto line = std::exchange(rest_, {});
  take(line, 1);
}

}  // namespace cox::agent
