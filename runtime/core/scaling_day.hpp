#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "runtime/base/result.hpp"
#include "runtime/core/replay.hpp"
#include "runtime/model/cluster.hpp"

/// A day's load, drawn from a seed, through place(), scale() and after(): what a cluster that grows
/// and shrinks by itself would have done. Nothing runs, and no clock is read.
namespace cox::core {

/// One compute environment and its day: quiet nights, busy mornings and afternoons.
struct DayOptions {
  std::uint64_t seed = 1;
  int min_vcpus = 0;
  int max_vcpus = 64;
  int idle_minutes = 10;  ///< after which an idle node is given back; negative: never
  int start_minutes = 1;  ///< that a node takes to come up
  int jobs = 600;
  std::vector<InstanceType> types;  ///< smallest first
};

inline constexpr int kDayJobsMax = 20'000;
inline constexpr int kDayVcpusMax = 10'000;

/// An hour of the day. vCPUs are of nodes, there or on their way.
struct DayHour {
  int least_vcpus = 0;
  int most_vcpus = 0;
  double mean_vcpus = 0;
  double used = 0;       ///< of what was up, the share that jobs held
  int grown = 0;         ///< vCPUs that were asked for
  int shrunk = 0;        ///< and given back
  int submitted = 0;     ///< jobs
  int most_waiting = 0;  ///< jobs, at any minute's end

  friend bool operator==(const DayHour&, const DayHour&) = default;
};

struct DayReport {
  std::vector<DayHour> hours;  ///< 24
  int submitted = 0;
  int ended = 0;          ///< the others run or wait at midnight
  int grow_events = 0;    ///< minutes in which nodes were asked for
  int shrink_events = 0;  ///< and given back
  int launched = 0;       ///< nodes
  int released = 0;
  int unused = 0;  ///< of those, nodes that had no job while they were up
  double utilisation = 0;
  Spread wait_s;  ///< of jobs that were placed

  friend bool operator==(const DayReport&, const DayReport&) = default;
};

/// The same options always give the same report. Errors: invalid_argument for options out of
/// bounds; internal when a plan is one that a cluster could not carry out. Pure.
[[nodiscard]] Result<DayReport> simulate_day(const DayOptions& options);

}  // namespace cox::core
