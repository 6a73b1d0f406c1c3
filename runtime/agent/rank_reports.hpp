#pragma once

#include <map>
#include <string>
#include <string_view>

#include "runtime/agent/line_cutter.hpp"
#include "runtime/agent/step.hpp"
#include "runtime/os/fd.hpp"
#include "runtime/wire/message.hpp"

namespace cox::agent {

/// Tells the node's agent what ranks print and how they end, as cox-rank does for mpirun's. Where
/// no agent is reached, nobody is told.
class RankReports {
 public:
  /// Connects, by the environment.
  RankReports();

  void bytes(int rank, int stream, std::string_view piece);
  void ended(const RankEnd& end);
  /// Sends what has been gathered.
  void flush();
  /// Tells the rest, and waits a while for the agent's word that it has all.
  void finish();

 private:
  struct Rank {
    LineCutter lines[2];
    wire::Output output;
  };
  Rank& rank(int number);
  void send(const std::string& bytes);

  os::Fd agent_;
  wire::PartKey part_;
  std::map<int, Rank> ranks_;
  std::map<int, RankEnd> ends_;
};

}  // namespace cox::agent
