#pragma once

#include <vector>

#include "runtime/model/cluster.hpp"
#include "runtime/model/job.hpp"

/// What placing and scaling share. Only files of this room include it.
namespace cox::core {

/// The environments that a job's queue tries, in order. Pure.
[[nodiscard]] std::vector<const ComputeEnvironment*> environments_of(const ClusterSettings& cluster,
                                                                     const Job& job);

/// Whether the node counts against MaxvCpus: all but those that are being given back. Pure.
[[nodiscard]] inline bool counts(const Node& node) {
  return node.status != NodeStatus::terminating;
}

}  // namespace cox::core
