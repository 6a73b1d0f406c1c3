#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/agent/direct_run.hpp"

namespace cox::agent {

/// What all ranks print, on its way to mpirun's own stdout and stderr. Neither is ever waited for:
/// what they do not take now is kept. Lines stay whole: what a rank has written of one waits for
/// its end, but not for long.
class MpirunOutput {
 public:
  MpirunOutput(bool tagged, bool stamped) : tagged_(tagged), stamped_(stamped) {}

  void add(int rank, int stream, std::string_view bytes);
  /// mpirun's own words, on stderr.
  void say(std::string_view text) { pending_[1] += text; }

  void watch(std::vector<Watch>& watches);
  /// Milliseconds until tick() has something to do; -1: never.
  [[nodiscard]] int wait_ms() const;
  void tick();
  /// No more is to come: unfinished lines go as they are.
  void finish();
  [[nodiscard]] bool is_empty() const { return pending_[0].empty() && pending_[1].empty(); }
  /// No more is to be read from ranks before some of it is gone.
  [[nodiscard]] bool is_full() const { return pending_[0].size() + pending_[1].size() > kFull; }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr std::size_t kFull = 4u << 20;
  static constexpr std::size_t kTailMax = 64u << 10;
  static constexpr std::chrono::milliseconds kTailTime{250};      ///< once all are silent
  static constexpr std::chrono::milliseconds kTailTimeMax{5000};  ///< whatever others do
  using Source = std::pair<int, int>;                             ///< rank and stream
  /// A line that has not ended.
  struct Tail {
    std::string bytes;
    Clock::time_point since;
  };
  void write(int stream);
  void put(const Source& source, std::string_view bytes);

  bool tagged_;
  bool stamped_;
  std::array<std::string, 2> pending_;
  std::map<Source, bool> within_line_;  ///< what was put last has not ended its line
  std::map<Source, Tail> tails_;
  Clock::time_point last_added_;  ///< by any rank
};

}  // namespace cox::agent
