#include "runtime/agent/remote_stream.hpp"

#include <algorithm>
#include <cstddef>
#include <iterator>

namespace cox::agent {

bool RemoteStream::take(const wire::RemoteRoute& theirs) {
  heard(theirs);
  if (theirs.number == 0 || theirs.number > route_.got + 1) return false;
  ++owed_;  // also when it was said again: then its end does not know that it came
  if (theirs.number <= route_.got) return false;
  ++route_.got;
  return true;
}

void RemoteStream::heard(const wire::RemoteRoute& theirs) {
  if (theirs.got <= told()) return;
  const auto count = std::min<std::size_t>(theirs.got - told(), kept_.size());
  kept_.erase(kept_.begin(), std::next(kept_.begin(), static_cast<std::ptrdiff_t>(count)));
}

std::vector<wire::Message> RemoteStream::again() {
  doubts_ = false;
  std::vector<wire::Message> messages(kept_.begin(), kept_.end());
  messages.push_back(have(true));
  return messages;
}

wire::Message RemoteStream::have(bool again) {
  owed_ = 0;
  return wire::RemoteHave{route_, again, route_.to_target && told() > 0};
}

std::vector<wire::Message> RemoteStream::tick() {
  const auto progress = told() - told_before_;
  const bool doubted = progress > 0 && std::exchange(doubts_, false);
  if (doubted && progress == 1 && !kept_.empty()) {
    // It went on by the message that was said again: those behind it were lost as well.
    told_before_ = told();
    return {kept_.begin(), kept_.end()};
  }
  if (is_stale()) {
    doubts_ = true;
    return {kept_.front(), have()};
  }
  if (owed_ > 0) return {have()};
  return {};
}

/// True when it is time to try again.
bool RemoteStream::is_stale() {
  if (kept_.empty() || told() != told_before_) {
    told_before_ = told();
    ticks_ = 0;
    patience_ = kFirstPatience;
    return false;
  }
  if (++ticks_ < patience_) return false;
  ticks_ = 0;
  patience_ = std::min(patience_ * 2, kLastPatience);
  return true;
}

}  // namespace cox::agent
