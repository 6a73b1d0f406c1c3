#pragma once

#include <limits>
#include <vector>

#include "runtime/model/job.hpp"

/// When jobs will have ended, by their timeouts: what reservations are made with. Only files of
/// this room include it.
namespace cox::core {

/// Later than any time: of a job that has no timeout.
inline constexpr Millis kNotKnown{std::numeric_limits<std::int64_t>::max()};

/// When the job, which runs or would start now, will have given back its nodes at the latest. An
/// attempt's time counts from its start; one that runs over it is stopped, which takes up to
/// kStopGraceSeconds. Pure.
[[nodiscard]] Millis ends_at_latest(const Job& job, Millis now);

/// What a job holds of a node.
struct Holding {
  Millis until;
  int vcpus = 0;
  MiB memory;
};

/// What the jobs on a node hold of it, the first to end first.
using Holdings = std::vector<Holding>;
void add(Holdings& holdings, const Holding& holding);

/// When a node that has so much free has enough for (a node's part of) the job: a multi-node job
/// wants it empty. Pure.
[[nodiscard]] Millis enough_at(const Holdings& holdings, int free_vcpus, MiB free_memory,
                               const Job& job, Millis now);

}  // namespace cox::core
