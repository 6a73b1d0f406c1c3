#include "runtime/agent/mpirun_output.hpp"

#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>

#include "runtime/mpi/mpirun_words.hpp"

namespace cox::agent {

namespace {

std::string now_text() {
  const std::time_t now = std::time(nullptr);
  std::array<char, 32> text{};
  if (::ctime_r(&now, text.data()) == nullptr) return {};
  std::string line(text.data());
  return line.substr(0, line.find('\n'));
}

}  // namespace

void MpirunOutput::add(int rank, int stream, std::string_view bytes) {
  const Source source{rank, stream};
  last_added_ = Clock::now();
  const auto end = bytes.rfind('\n');
  const auto whole = end == std::string_view::npos ? 0 : end + 1;
  if (whole > 0) {
    if (const auto tail = tails_.find(source); tail != tails_.end()) {
      put(source, tail->second.bytes);
      tails_.erase(tail);
    }
    put(source, bytes.substr(0, whole));
  }
  if (whole == bytes.size()) return;
  auto& tail = tails_[source];
  tail.bytes += bytes.substr(whole);
  tail.since = Clock::now();
  if (tail.bytes.size() < kTailMax) return;
  put(source, tail.bytes);
  tails_.erase(source);
}

void MpirunOutput::put(const Source& source, std::string_view bytes) {
  auto& pending = pending_[static_cast<std::size_t>(source.second)];
  if (!tagged_ && !stamped_) {
    pending += bytes;
    return;
  }
  const auto stamp = stamped_ ? now_text() : std::string();
  const auto tag = mpi::line_tag(source.first, source.second, tagged_, stamp);
  auto& within_line = within_line_[source];
  while (!bytes.empty()) {
    const auto end = bytes.find('\n');
    const auto size = end == std::string_view::npos ? bytes.size() : end + 1;
    if (!within_line) pending += tag;
    pending += bytes.substr(0, size);
    within_line = end == std::string_view::npos;
    bytes.remove_prefix(size);
  }
}

int MpirunOutput::wait_ms() const {
  return tails_.empty() ? -1 : static_cast<int>(kTailTime.count());
}

void MpirunOutput::tick() {
  if (tails_.empty()) return;
  const auto now = Clock::now();
  if (is_full()) {  // nothing is read from ranks: the rest of a line cannot come
    for (auto& [source, tail] : tails_) tail.since = now;
    return;
  }
  // While others print much, the rest of a line may be among what has not been read yet.
  const auto old = now - (now - last_added_ < kTailTime ? kTailTimeMax : kTailTime);
  for (auto tail = tails_.begin(); tail != tails_.end();) {
    if (tail->second.since > old) {
      ++tail;
      continue;
    }
    put(tail->first, tail->second.bytes);
    tail = tails_.erase(tail);
  }
}

void MpirunOutput::finish() {
  for (const auto& [source, tail] : tails_) put(source, tail.bytes);
  tails_.clear();
}

void MpirunOutput::watch(std::vector<Watch>& watches) {
  for (const int stream : {0, 1}) {
    if (pending_[static_cast<std::size_t>(stream)].empty()) continue;
    watches.push_back({stream + 1, POLLOUT, [this, stream] { write(stream); }});
  }
}

void MpirunOutput::write(int stream) {
  auto& pending = pending_[static_cast<std::size_t>(stream)];
  std::size_t at = 0;
  while (at < pending.size()) {
    // Who shares the descriptor may want it blocking: so much a pipe that is ready takes at once.
    const auto size = std::min<std::size_t>(pending.size() - at, PIPE_BUF);
    const auto wrote = ::write(stream + 1, pending.data() + at, size);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0 && errno == EAGAIN) break;
    // Nobody reads it: ranks need not know.
    at = wrote < 0 ? pending.size() : at + static_cast<std::size_t>(wrote);
    pollfd ready{stream + 1, POLLOUT, 0};
    if (at < pending.size() && ::poll(&ready, 1, 0) <= 0) break;
  }
  pending.erase(0, at);
}

}  // namespace cox::agent
