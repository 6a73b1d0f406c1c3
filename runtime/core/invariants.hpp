#pragma once

#include <string>
#include <vector>

#include "runtime/model/cluster.hpp"
#include "runtime/model/job.hpp"

/// What holds of a cluster between two turns, whatever has happened to it: for tests and the
/// simulator, which audit the state after each step.
namespace cox::core {

/// What there is to audit. Pointers are borrowed for the call.
struct Everything {
  const ClusterSettings* cluster = nullptr;
  std::vector<const Job*> jobs;    ///< all of them, array children too
  std::vector<const Node*> nodes;  ///< all of them, the head node too
};

/// Every fault found, each a sentence that names the job or node; empty for a sound state.
///
/// Of jobs: attempts are numbered from 1 and no more than were allowed; STARTING and RUNNING are
/// the states of a live attempt and no other is; an older attempt holds nothing; a job waits only
/// for jobs that can still end; an array's parent counts its children right and ends with the last.
/// Of nodes: ids and ordinals are unique; no node gives more vCPUs or memory than it has; a
/// multi-node job has its nodes to itself, and lent ones of one allocation; what is held exists, is
/// not being given back and serves the job's queue; no environment has more than MaxvCpus. Pure.
[[nodiscard]] std::vector<std::string> faults_in(const Everything& everything);

}  // namespace cox::core
