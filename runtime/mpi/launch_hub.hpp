#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cox::mpi {

/// Why a job that was launched directly ends before its time.
struct RankFailure {
  int exit_code = 1;   ///< the job's
  std::string reason;  ///< a sentence; empty: a rank's own word says it

  friend bool operator==(const RankFailure&, const RankFailure&) = default;
};

/// What the nodes of a directly launched job have in common, kept on its main node: barriers with
/// their keys, and the job's end. The job is over when all nodes are done, or at the first failure.
/// Nothing counts after that. Pure.
class LaunchHub {
 public:
  /// `hosts`: the job's nodes, by index.
  explicit LaunchHub(std::vector<std::string> hosts);

  /// None of the job's ranks is on the node: nobody waits for it.
  void without_ranks(int node);
  /// All ranks of the node are in the barrier, with these keys. The keys of all nodes once the
  /// last has come.
  [[nodiscard]] std::optional<std::string> entered(int node, std::string_view keys);
  /// A rank has ended without a failure of its own. Where others wait for it in a barrier, now or
  /// later, the job fails.
  void rank_gone(int node, int rank);
  /// All ranks of the node have ended; 0, or the code of one that was stopped.
  void done(int node, int exit_code);
  void failed(const RankFailure& failure);
  /// The node's step is gone; harmless when it was done.
  void lost(int node);

  [[nodiscard]] bool is_over() const { return over_.has_value(); }
  /// Requires is_over(). Exit code 0: it has succeeded.
  [[nodiscard]] const RankFailure& end() const { return *over_; }

 private:
  struct Node {
    std::string host;
    bool empty = false;    ///< has no ranks
    bool entered = false;  ///< the barrier that is open
    bool done = false;
    std::optional<int> gone;  ///< a rank that has ended
  };
  void look_for_missing();

  std::vector<Node> nodes_;
  std::string keys_;
  int exit_code_ = 0;
  std::optional<RankFailure> over_;
};

}  // namespace cox::mpi
