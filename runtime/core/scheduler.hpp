#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "runtime/model/catalog.hpp"
#include "runtime/model/cluster.hpp"
#include "runtime/model/job.hpp"

/// Placement and scaling: a snapshot in, a plan out. The head checks a plan against the present
/// state before it applies it. Everything is in id or queue order, so the same snapshot always
/// gives the same plan.
namespace cox::core {

/// A node with what is still free of it.
struct FreeNode {
  const Node* node = nullptr;
  int free_vcpus = 0;
  MiB free_memory;
  int jobs = 0;  ///< attempts that hold a part of it
};

/// A queue's scheduling policy, and what its shares have used.
struct QueueShares {
  const SchedulingPolicy* policy = nullptr;
  std::map<std::string, double> past = {};  ///< vCPUs, of attempts that ended: ShareUse::of()
};

/// What the scheduler looks at. Pointers are borrowed for the call.
struct Snapshot {
  const ClusterSettings* cluster = nullptr;
  std::vector<FreeNode> nodes;  ///< compute nodes, every status, in id order
  /// RUNNABLE jobs, in order: queue priority, then submission; of a queue with a policy its jobs by
  /// their shares, see order_by_share().
  std::vector<const Job*> waiting;
  std::vector<const Job*> active;  ///< jobs that hold nodes
  Millis now;
  std::map<QueueName, QueueShares> shares = {};  ///< of queues with a policy
  /// Behind a job of `waiting`, so many that are alike and left out: they could not run before it.
  std::map<JobId, std::size_t> behind = {};
};

/// Why a job was not placed: data first, a sentence on demand.
enum class BlockKind : std::uint8_t {
  no_environment_fits,  ///< no instance type of the queue's environments can ever hold it
  environment_full,     ///< max_vcpus reached
  environment_disabled,
  nodes_starting,      ///< nodes were asked for and are on their way
  nodes_busy,          ///< held by other jobs
  behind_wide_job,     ///< nodes are kept free for an earlier, wider job
  spot_multi_node,     ///< AWS Batch: multi-node jobs do not run on Spot
  queue_limit,         ///< as many jobs of the queue run as may
  share_reservation,   ///< computeReservation: kept for shares that have no jobs yet
  lent_too_short,      ///< free nodes will be taken away before the job's timeout
  never_lent_so_long,  ///< no node of the environment is ever lent for the job's timeout
};

/// Its name as above: "nodes_busy". Pure.
[[nodiscard]] const char* to_string(BlockKind kind);

struct Block {
  BlockKind kind = BlockKind::nodes_busy;
  ComputeEnvironmentName environment;
  int wanted = 0;  ///< nodes, or vCPUs where the kind speaks of vCPUs, or seconds of time
  int have = 0;
  JobId by;               ///< the job that holds or reserves, where one does
  std::string note = {};  ///< what else is known: why the environment's nodes do not start
  QueueName queue = {};   ///< whose limit it is, where it is a queue's

  friend bool operator==(const Block&, const Block&) = default;
};

/// "waiting for 3 nodes of c4.large in compute environment X: 1 free, 2 starting". Pure.
[[nodiscard]] std::string to_sentence(const Block& block);

struct Placement {
  JobId job;
  std::vector<NodeId> nodes;  ///< the main node first
};

struct Placements {
  std::vector<Placement> placed;
  std::map<JobId, std::vector<Block>> blocked;
};

/// Chooses nodes for waiting jobs. A single job takes vCPUs and memory of one node (best fit); a
/// multi-node job takes whole, empty nodes of one environment, all at once. Once a job waits for
/// nodes to drain, those nodes are reserved for it. Where its environment must first give back
/// nodes of other types, those are reserved in the same way. A later job passes it only on nodes
/// that are not reserved, or (backfill) where it will have ended, at the latest by its timeout,
/// when the reservation begins: at the time at which the timeouts of what runs there leave the
/// first job enough. Where one of those has no timeout, that time is not known, and nobody passes.
/// So the first of the jobs that wait is never later for those behind it.
/// Of lent nodes a job gets such as are there until it has ended, at the latest by its timeout, and
/// a multi-node job gets those of one allocation.
/// Cost: what waits times the nodes of its environments. Pure.
[[nodiscard]] Placements place(const Snapshot& snapshot);

struct NodesWanted {
  ComputeEnvironmentName environment;
  InstanceType type;
  int count = 0;
  std::string why;
  int lent_s = 0;         ///< of lent nodes: for how long
  bool together = false;  ///< of lent nodes: in one allocation, else each in its own
};

struct ScalePlan {
  std::vector<NodesWanted> launch;
  std::vector<NodeId> release;
};

/// What each compute environment should have more or less of: grows from min_vcpus by what waiting
/// jobs need beyond the nodes free or on their way (all at once, the smallest type that fits), up
/// to max_vcpus; gives back nodes that hold no job and have been idle longer than the environment's
/// time, down to min_vcpus. A job goes to the first environment of its queue with room for it, else
/// to the first where busy nodes will come free; else it keeps the room of the first that could
/// hold it, and idle nodes there are given back at once when that makes enough.
/// Lent nodes are asked for by the jobs' timeouts; those for a multi-node job come in one
/// allocation, and an allocation is given back when all its nodes may be. Once a plan is carried
/// out, the next one wants nothing more. Never names a node that holds a job. Pure.
[[nodiscard]] ScalePlan scale(const Snapshot& snapshot);

/// How many nodes, and of which type, a job needs in an environment; nothing when no type fits or
/// max_vcpus could never hold it. Pure.
struct Fit {
  InstanceType type;
  int nodes = 1;
};
[[nodiscard]] std::optional<Fit> smallest_fit(const ComputeEnvironment& environment,
                                              const JobSpec& spec);

}  // namespace cox::core
