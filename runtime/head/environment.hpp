#pragma once

#include <string>
#include <vector>

#include "runtime/base/result.hpp"
#include "runtime/model/cluster.hpp"
#include "runtime/model/job.hpp"
#include "runtime/mpi/launch_plan.hpp"
#include "runtime/wire/message.hpp"

namespace cox::head {

/// What a part's environment and hostfile are made of, beside the job.
struct PartContext {
  const ClusterSettings* cluster = nullptr;
  std::string head_node_address;
  bool more_ranks_than_cores = true;   ///< of the machines below the job's nodes
  std::vector<wire::Seat> seats = {};  ///< of a direct launch, by rank
  Container container = {};            ///< what the node's command runs in
  mpi::NodePaths paths = {};           ///< of the part's node, as its agent has told
};

/// All that a node needs to run its part of the job's current attempt. Requires that there is one.
/// Errors: invalid_argument when the hostfile cannot be made.
/// Source: facts on awsbatch's node side: AWS_BATCH_* and PCLUSTER_* variables. Pure.
[[nodiscard]] Result<wire::Prepare> make_prepare(const Job& job, int node_index,
                                                 const PartContext& context);

/// The variables that the head sets for a part; the job's own come after them. Pure.
[[nodiscard]] std::vector<EnvVar> part_environment(const Job& job, int node_index,
                                                   const PartContext& context);

}  // namespace cox::head
