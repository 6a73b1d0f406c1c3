#include "runtime/agent/rank_reports.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <utility>

#include "runtime/agent/local_socket.hpp"

namespace cox::agent {

namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kLastWordTime = std::chrono::seconds(2);

std::int64_t now_ms() {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(since).count();
}

}  // namespace

RankReports::RankReports() {
  const char* part = std::getenv(kPartVariable);
  const auto key = part != nullptr ? parse_part(part) : std::nullopt;
  if (!key) return;
  part_ = *key;
  agent_.reset(connect_to_agent());
}

RankReports::Rank& RankReports::rank(int number) {
  auto& state = ranks_[number];
  state.output.part = part_;
  state.output.rank = number;
  return state;
}

void RankReports::bytes(int number, int stream, std::string_view piece) {
  if (!agent_) return;
  auto& state = rank(number);
  state.lines[stream].feed(piece, [&](std::string& line, std::uint32_t) {
    state.output.records.push_back(
        {0, now_ms(), static_cast<std::uint8_t>(stream), std::move(line)});
  });
}

void RankReports::ended(const RankEnd& end) { ends_[end.rank] = end; }

void RankReports::flush() {
  for (auto& [number, state] : ranks_) {
    if (state.output.records.empty()) continue;
    send(framed(state.output));
    state.output.records.clear();
  }
}

void RankReports::finish() {
  if (!agent_) return;
  for (auto& [number, state] : ranks_) {
    for (const int stream : {0, 1}) {
      auto& records = state.output.records;
      state.lines[stream].finish([&](std::string& line, std::uint32_t) {
        records.push_back({0, now_ms(), static_cast<std::uint8_t>(stream), std::move(line)});
      });
    }
  }
  flush();
  for (const auto& [number, end] : ends_) {
    send(framed(wire::RankExited{part_, end.rank, end.at_ms, end.exit_code, end.max_rss_kib,
                                 end.cpu_us, end.how}));
  }
  std::string answers;
  std::size_t acknowledged = 0;
  const auto until = Clock::now() + kLastWordTime;
  while (agent_ && acknowledged < ends_.size()) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now());
    pollfd watched{agent_.get(), POLLIN, 0};
    if (left.count() <= 0 || ::poll(&watched, 1, static_cast<int>(left.count())) <= 0) return;
    std::array<char, 4096> piece{};
    const auto got = ::recv(agent_.get(), piece.data(), piece.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return;
    answers.append(piece.data(), static_cast<std::size_t>(got));
    for (auto message = take_frame(answers); message && *message; message = take_frame(answers)) {
      ++acknowledged;
    }
  }
}

void RankReports::send(const std::string& bytes) {
  std::size_t at = 0;
  while (agent_ && at < bytes.size()) {
    const auto sent = ::send(agent_.get(), bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return agent_.reset();
    at += static_cast<std::size_t>(sent);
  }
}

}  // namespace cox::agent
