#include "runtime/agent/remote_stream.hpp"

#include <algorithm>
#include <cstddef>
#include <iterator>

namespace cox::agent {

wire::RemoteRoute way_back(wire::RemoteRoute asked) {
  asked.to_target = false;
  asked.number = asked.got = 0;
  return asked;
}

bool RemoteStream::take(const wire::RemoteRoute& theirs) {
  heard(theirs);
  if (theirs.number == 0 || theirs.number > route_.got + 1) return false;
  ++owed_;  // also when it was said again: then its end does not know that it came
  if (theirs.number <= route_.got) return false;
  ++route_.got;
  return true;
}

void RemoteStream::heard(const wire::RemoteRoute& theirs) {
  const auto told = said_ - kept_.size();
  if (theirs.got <= told) return;
  const auto count = std::min<std::size_t>(theirs.got - told, kept_.size());
  kept_.erase(kept_.begin(), std::next(kept_.begin(), static_cast<std::ptrdiff_t>(count)));
}

std::vector<wire::Message> RemoteStream::again() {
  std::vector<wire::Message> messages(kept_.begin(), kept_.end());
  messages.push_back(have(true));
  return messages;
}

wire::Message RemoteStream::have(bool again) {
  owed_ = 0;
  return wire::RemoteHave{route_, again, route_.to_target && said_ > kept_.size()};
}

std::vector<wire::Message> RemoteStream::tick() {
  if (is_stale()) return again();
  if (owed_ > 0) return {have()};
  return {};
}

/// True when it is time to say all again.
bool RemoteStream::is_stale() {
  const auto told = said_ - kept_.size();
  if (kept_.empty() || told != told_) {
    told_ = told;
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
