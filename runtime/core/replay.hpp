#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "runtime/base/result.hpp"
#include "runtime/core/swf.hpp"

/// A workload played through scale(), place() and after() over simulated time: what a queue's users
/// would have seen. Nothing runs, and no clock is read.
namespace cox::core {

/// The cluster: one queue over nodes that are all alike and up from the start to the end.
struct ReplayOptions {
  int nodes = 1;
  int vcpus = 1;  ///< of each node; one serves one processor of the trace
  /// Jobs submitted within the same second queue in an order drawn from this; 0: in the file's.
  std::uint64_t seed = 0;
  /// The queue has a scheduling policy of equal shares, one for each user of the trace.
  bool fair_share = false;
  int decay_s = 0;  ///< shareDecaySeconds of that policy
};

inline constexpr int kReplayNodesMax = 100'000;
inline constexpr int kReplayVcpusMax = 10'000;  ///< of a node
inline constexpr int kShareDecayMax = 604'800;  ///< seconds, as AWS has it

/// A value of many jobs. Median and 95th percentile by nearest rank: each is some job's own.
struct Spread {
  double mean = 0;
  double median = 0;
  double p95 = 0;
  double max = 0;

  friend bool operator==(const Spread&, const Spread&) = default;
};

/// Of many values. Pure.
[[nodiscard]] Spread spread_of(std::vector<double> values);

/// A job that could not be played.
struct NeverPlaced {
  std::size_t line = 0;     ///< of the trace
  std::int64_t number = 0;  ///< the trace's
  std::string why;          ///< a clause: "its run time is not known"

  friend bool operator==(const NeverPlaced&, const NeverPlaced&) = default;
};

/// What the jobs of one share saw.
struct ShareReport {
  std::string share;     ///< "user7"; "nobody" of jobs whose user is not known
  std::size_t jobs = 0;  ///< that ran
  Spread wait_s;

  friend bool operator==(const ShareReport&, const ShareReport&) = default;
};

/// Every line of the trace is one of finished, failed, never placed, cancelled or a part.
struct ReplayReport {
  std::size_t lines = 0;                  ///< all of the trace's
  std::size_t finished = 0;               ///< SUCCEEDED
  std::size_t failed = 0;                 ///< FAILED after they had run as long as in the trace
  std::vector<NeverPlaced> never_placed;  ///< in the trace's order
  std::size_t cancelled = 0;              ///< in the trace, before they ran: not played
  std::size_t parts = 0;                  ///< of jobs that are played as a whole
  Spread wait_s;                          ///< of what ran: from submission to placement
  Spread slowdown;                        ///< of what ran: bounded, see bounded_slowdown()
  std::int64_t makespan_s = 0;            ///< from the first submission to the last end
  double used = 0;  ///< of all vCPUs over the makespan, the share that jobs had asked for
  double held = 0;  ///< and that they had: a multi-node job holds whole nodes
  std::vector<ShareReport> shares = {};  ///< with fair_share, by user

  friend bool operator==(const ReplayReport&, const ReplayReport&) = default;
};

inline constexpr std::int64_t kSlowdownBoundSeconds = 10;

/// How much longer than its run a job took, with runs shorter than 10 s counted as 10 s and nothing
/// below 1. Source: Feitelson, "Metrics for Parallel Job Scheduling and Their Convergence". Pure.
[[nodiscard]] double bounded_slowdown(std::int64_t wait_s, std::int64_t run_s);

/// Plays the trace. A job of more processors than a node has vCPUs becomes a multi-node job of
/// whole nodes. Memory is not played: traces rarely tell it. Jobs that failed run as long as they
/// did; so do those that were cancelled while they ran, which end FAILED.
///
/// The same trace and options always give the same report.
///
/// Errors: invalid_argument for options out of bounds; internal when the scheduler's plan is one
///         that a cluster could not carry out. Pure.
[[nodiscard]] Result<ReplayReport> replay(const std::vector<TraceJob>& trace,
                                          const ReplayOptions& options);

}  // namespace cox::core
