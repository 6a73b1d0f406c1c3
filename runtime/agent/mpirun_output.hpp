#pragma once

#include <array>
#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/agent/direct_run.hpp"

namespace cox::agent {

/// What all ranks print, on its way to mpirun's own stdout and stderr. Neither is ever waited for:
/// what they do not take now is kept.
class MpirunOutput {
 public:
  MpirunOutput(bool tagged, bool stamped) : tagged_(tagged), stamped_(stamped) {}

  void add(int rank, int stream, std::string_view bytes);
  /// mpirun's own words, on stderr.
  void say(std::string_view text) { pending_[1] += text; }

  void watch(std::vector<Watch>& watches);
  [[nodiscard]] bool is_empty() const { return pending_[0].empty() && pending_[1].empty(); }
  /// No more is to be read from ranks before some of it is gone.
  [[nodiscard]] bool is_full() const { return pending_[0].size() + pending_[1].size() > kFull; }

 private:
  static constexpr std::size_t kFull = 4u << 20;
  void write(int stream);

  bool tagged_;
  bool stamped_;
  std::array<std::string, 2> pending_;
  std::map<std::pair<int, int>, bool> within_line_;  ///< by rank and stream
};

}  // namespace cox::agent
