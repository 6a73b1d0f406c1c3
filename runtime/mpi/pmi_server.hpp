#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cox::mpi {

/// PMI-1 for the ranks of one node: lines in, lines out. Each rank has a socket of its own, so a
/// line's sender is known. Ranks put keys, meet in a barrier, and read each other's keys; a barrier
/// of the job carries the keys of each node to all others, which is the hub's business.
///
///   rank ─ put, get ─► here        all ranks here in a barrier ─ contribution ─► hub
///        ◄─ values ───                           ◄─ barrier_out ─ released(keys of all nodes)
///
/// Source: PMI-1's text protocol, as MPICH's simple PMI and Open MPI's flux component use it. Pure.
class PmiServer {
 public:
  struct Reply {
    int rank = 0;
    std::string line;  ///< with its '\n'

    friend bool operator==(const Reply&, const Reply&) = default;
  };
  struct Outcome {
    std::vector<Reply> replies;
    /// Every rank of the node is in the barrier: the keys put since the last one.
    std::optional<std::string> contribution;
    std::optional<int> abort_code;  ///< the rank called MPI_Abort with this
    bool refused = false;           ///< the rank does not speak PMI-1: nothing it says counts

    friend bool operator==(const Outcome&, const Outcome&) = default;
  };
  /// How far a rank has come with MPI.
  enum class Phase { fresh, initialized, finalized };

  /// `name`: of the job's key space; no blanks. `mapping`: see process_mapping().
  PmiServer(std::vector<int> local_ranks, int size, std::string name, std::string mapping);

  /// Which program of several a rank is of, and how many ranks there is room for: 0 and `size`
  /// where nothing else is said.
  void set_program(int rank, int program) { ranks_.at(rank).program = program; }
  void set_universe(int slots) { universe_ = slots; }

  /// A line of a rank of this node, without its '\n'.
  [[nodiscard]] Outcome line(int rank, std::string_view line);
  /// The barrier is complete on all nodes, these are the keys of all.
  [[nodiscard]] std::vector<Reply> released(std::string_view keys);

  [[nodiscard]] Phase phase(int rank) const;
  /// The rank's process has ended.
  void gone(int rank);
  /// A rank that has ended and that others of this node wait for in a barrier, or will when they
  /// all have come there.
  [[nodiscard]] std::optional<int> missing() const;

  static constexpr std::size_t kKeyBytesMax = 64;
  static constexpr std::size_t kValueBytesMax = 896;  ///< MPICH reads lines of 1 KiB

 private:
  struct Rank {
    Phase phase = Phase::fresh;
    int program = 0;
    bool waits = false;
    bool gone = false;
  };
  using Words = std::map<std::string, std::string, std::less<>>;

  void answer(int rank, Rank& state, const Words& words, Outcome& outcome);
  void put(int rank, const Words& words, Outcome& outcome);
  void get(int rank, const Words& words, Outcome& outcome) const;
  void enter_barrier(Rank& state, Outcome& outcome);

  int universe_;
  std::string name_;
  std::map<int, Rank> ranks_;
  std::map<std::string, std::string, std::less<>> keys_;
  std::string fresh_;  ///< put since the last barrier, as they travel
};

}  // namespace cox::mpi
