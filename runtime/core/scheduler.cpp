#include "runtime/core/scheduler.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "runtime/core/lifecycle.hpp"

namespace cox::core {

namespace {

const JobQueue* queue_of(const ClusterSettings& cluster, const QueueName& name) {
  for (const auto& queue : cluster.queues) {
    if (queue.name == name) return &queue;
  }
  return nullptr;
}

const ComputeEnvironment* environment_of(const ClusterSettings& cluster,
                                         const ComputeEnvironmentName& name) {
  for (const auto& environment : cluster.environments) {
    if (environment.name == name) return &environment;
  }
  return nullptr;
}

/// The environments that a job's queue tries, in order.
std::vector<const ComputeEnvironment*> environments_of(const ClusterSettings& cluster,
                                                       const Job& job) {
  std::vector<const ComputeEnvironment*> list;
  const auto* queue = queue_of(cluster, job.spec.queue);
  if (queue == nullptr) return list;
  for (const auto& name : queue->environments) {
    if (const auto* environment = environment_of(cluster, name)) list.push_back(environment);
  }
  return list;
}

bool could_hold(const Node& node, const JobSpec& spec) {
  return node.vcpus >= spec.vcpus && node.memory >= spec.memory;
}

bool counts(const Node& node) { return node.status != NodeStatus::terminating; }

/// vCPUs of an environment's nodes, those on their way included.
int vcpus_in(const std::vector<FreeNode>& nodes, const ComputeEnvironmentName& name) {
  int sum = 0;
  for (const auto& each : nodes) {
    if (each.node->environment == name && counts(*each.node)) sum += each.node->vcpus;
  }
  return sum;
}

bool is_empty(const FreeNode& node) { return node.jobs == 0; }

/// A pass of place(): what is free shrinks as jobs are placed, and nodes are set aside for jobs
/// that wait for more of them.
class Placer {
 public:
  explicit Placer(const Snapshot& snapshot) : snapshot_(snapshot), nodes_(snapshot.nodes) {}

  Placements run() {
    for (const auto* job : snapshot_.waiting) {
      if (!holds_nodes(*job)) consider(*job);
    }
    return std::move(result_);
  }

 private:
  void consider(const Job& job) {
    std::vector<Block> blocks;
    for (const auto* environment : environments_of(*snapshot_.cluster, job)) {
      if (auto block = try_environment(job, *environment)) {
        blocks.push_back(*block);
      } else {
        return;
      }
    }
    result_.blocked[job.id] = std::move(blocks);
  }

  /// Places the job, or says why not.
  std::optional<Block> try_environment(const Job& job, const ComputeEnvironment& environment) {
    Block block{BlockKind::nodes_busy, environment.name, job.node_count(), 0, JobId{}};
    if (!environment.enabled) {
      block.kind = BlockKind::environment_disabled;
      return block;
    }
    if (job.is_multi_node() && environment.spot) {
      block.kind = BlockKind::spot_multi_node;
      return block;
    }
    auto candidates = free_nodes(job, environment);
    block.have = static_cast<int>(candidates.size());
    if (block.have >= job.node_count()) {
      take(job, candidates);
      return std::nullopt;
    }
    const auto fit = smallest_fit(environment, job.spec);
    if (!fit) {
      block.kind = BlockKind::no_environment_fits;
      block.wanted = job.spec.vcpus * job.node_count();
      block.have = environment.max_vcpus;
      return block;
    }
    explain(job, environment, *fit, block);
    set_aside(job, environment, *fit, candidates);
    return block;
  }

  /// Nodes that could take (a node's part of) the job now, best first.
  std::vector<FreeNode*> free_nodes(const Job& job, const ComputeEnvironment& environment) {
    std::vector<FreeNode*> list;
    for (auto& each : nodes_) {
      if (each.node->environment != environment.name || each.node->status != NodeStatus::up ||
          !could_hold(*each.node, job.spec) || reserved_.contains(each.node->id)) {
        continue;
      }
      const bool fits = job.is_multi_node() ? is_empty(each)
                                            : each.free_vcpus >= job.spec.vcpus &&
                                                  each.free_memory >= job.spec.memory;
      if (fits) list.push_back(&each);
    }
    std::stable_sort(list.begin(), list.end(), [](const FreeNode* a, const FreeNode* b) {
      return std::tie(a->free_vcpus, a->free_memory) < std::tie(b->free_vcpus, b->free_memory);
    });
    return list;
  }

  void take(const Job& job, const std::vector<FreeNode*>& candidates) {
    Placement placement{job.id, {}};
    for (int i = 0; i < job.node_count(); ++i) {
      FreeNode& node = *candidates[static_cast<std::size_t>(i)];
      placement.nodes.push_back(node.node->id);
      node.jobs += 1;
      node.free_vcpus = job.is_multi_node() ? 0 : node.free_vcpus - job.spec.vcpus;
      node.free_memory = job.is_multi_node() ? MiB{} : node.free_memory - job.spec.memory;
    }
    result_.placed.push_back(std::move(placement));
  }

  void explain(const Job& job, const ComputeEnvironment& environment, const Fit& fit,
               Block& block) const {
    int starting = 0;
    for (const auto& each : nodes_) {
      const auto& node = *each.node;
      if (node.environment != environment.name || !could_hold(node, job.spec)) continue;
      if (node.status == NodeStatus::pending) ++starting;
      if (const auto held = reserved_.find(node.id); held != reserved_.end()) {
        block.kind = BlockKind::behind_wide_job;
        block.by = held->second;
      }
    }
    if (block.kind == BlockKind::behind_wide_job) return;
    const int in_use = vcpus_in(nodes_, environment.name);
    if (starting + block.have >= job.node_count()) {
      block.kind = BlockKind::nodes_starting;
      block.have += starting;
    } else if (in_use + fit.type.vcpus > environment.max_vcpus) {
      block.kind = BlockKind::environment_full;
      block.wanted = fit.type.vcpus * (job.node_count() - block.have);
      block.have = environment.max_vcpus - in_use;
    }
  }

  /// Keeps nodes for a job that later ones would otherwise starve: those that are free now, and
  /// when the environment cannot grow by the rest, the busy ones that will be free soonest.
  void set_aside(const Job& job, const ComputeEnvironment& environment, const Fit& fit,
                 const std::vector<FreeNode*>& candidates) {
    int missing = job.node_count();
    for (const auto* node : candidates) {
      reserved_.emplace(node->node->id, job.id);
      --missing;
    }
    std::vector<const FreeNode*> busy;
    int room = environment.max_vcpus - vcpus_in(nodes_, environment.name);
    for (const auto& each : nodes_) {
      if (each.node->environment != environment.name || !counts(*each.node) ||
          !could_hold(*each.node, job.spec) || reserved_.contains(each.node->id)) {
        continue;
      }
      if (each.node->status == NodeStatus::pending) {
        reserved_.emplace(each.node->id, job.id);
        if (--missing <= 0) return;
      } else {
        busy.push_back(&each);
      }
    }
    for (; missing > 0 && room >= fit.type.vcpus; --missing) room -= fit.type.vcpus;
    std::stable_sort(busy.begin(), busy.end(), [](const FreeNode* a, const FreeNode* b) {
      return std::pair(a->jobs, -a->free_vcpus) < std::pair(b->jobs, -b->free_vcpus);
    });
    for (const auto* node : busy) {
      if (missing-- <= 0) return;
      reserved_.emplace(node->node->id, job.id);
    }
  }

  const Snapshot& snapshot_;
  std::vector<FreeNode> nodes_;
  std::map<NodeId, JobId> reserved_;
  Placements result_;
};

/// A pass of scale() over one environment: packs what waits on the nodes that are there or on
/// their way, and counts what is missing.
class Scaler {
 public:
  Scaler(const Snapshot& snapshot, const ComputeEnvironment& environment)
      : snapshot_(snapshot), environment_(environment) {
    for (const auto& each : snapshot.nodes) {
      if (each.node->environment != environment.name || !counts(*each.node)) continue;
      slots_.push_back({each, false, each.node->vcpus});
      total_ += each.node->vcpus;
    }
  }

  /// True when the environment serves the job: it is placed, or will be.
  bool serve(const Job& job) {
    const bool refused = !environment_.enabled || (job.is_multi_node() && environment_.spot);
    const auto fit = refused ? std::nullopt : smallest_fit(environment_, job.spec);
    if (!fit) return false;
    auto found = usable(job);
    if (static_cast<int>(found.size()) >= fit->nodes) {
      for (int i = 0; i < fit->nodes; ++i) use(*found[static_cast<std::size_t>(i)], job);
      return true;
    }
    const int missing = fit->nodes - static_cast<int>(found.size());
    const int room = environment_.max_vcpus - total_;
    if (missing * fit->type.vcpus > room) return wait_for_room(job, *fit, found, missing, room);
    for (auto* slot : found) use(*slot, job);
    grow(job, fit->type, missing);
    return true;
  }

  void finish(ScalePlan& plan) {
    keep_minimum();
    for (auto& [type, wanted] : wanted_) plan.launch.push_back(std::move(wanted));
    const auto released = idle_nodes();
    plan.release.insert(plan.release.end(), released.begin(), released.end());
  }

 private:
  /// A node, there or to come.
  struct Slot {
    FreeNode free;
    bool used = false;  ///< by a job of this pass
    int vcpus = 0;
  };

  std::vector<Slot*> usable(const Job& job) {
    std::vector<Slot*> list;
    for (auto& slot : slots_) {
      const auto* node = slot.free.node;
      if (node != nullptr && (!could_hold(*node, job.spec) || node->status == NodeStatus::silent)) {
        continue;
      }
      const bool fits =
          job.is_multi_node()
              ? slot.free.jobs == 0 && (node != nullptr || slot.vcpus >= job.spec.vcpus)
              : slot.free.free_vcpus >= job.spec.vcpus && slot.free.free_memory >= job.spec.memory;
      if (fits && (job.is_multi_node() ? slot.free.free_memory >= job.spec.memory : true)) {
        list.push_back(&slot);
      }
    }
    return list;
  }

  static void use(Slot& slot, const Job& job) {
    slot.used = true;
    slot.free.jobs += 1;
    slot.free.free_vcpus = job.is_multi_node() ? 0 : slot.free.free_vcpus - job.spec.vcpus;
    slot.free.free_memory = job.is_multi_node() ? MiB{} : slot.free.free_memory - job.spec.memory;
  }

  void grow(const Job& job, const InstanceType& type, int count) {
    order(type, count, fmt::format("job {} waits", job.id));
    for (int i = 0; i < count; ++i) {
      Slot slot{{nullptr, type.vcpus, type.memory, 0}, false, type.vcpus};
      use(slot, job);
      slots_.push_back(slot);
    }
  }

  void order(const InstanceType& type, int count, std::string why) {
    auto [entry, added] =
        wanted_.try_emplace(type.name, NodesWanted{environment_.name, type, 0, std::move(why)});
    entry->second.count += count;
    total_ += count * type.vcpus;
  }

  /// Not enough room for all that the job misses. Busy nodes that suit it will come free, so a part
  /// may be launched now; else idle nodes that nobody can use make room.
  bool wait_for_room(const Job& job, const Fit& fit, const std::vector<Slot*>& found, int missing,
                     int room) {
    int busy = 0;
    for (const auto& slot : slots_) {
      const auto* node = slot.free.node;
      if (node != nullptr && slot.free.jobs > 0 && could_hold(*node, job.spec)) ++busy;
    }
    const int affordable = room / fit.type.vcpus;
    if (affordable + busy >= missing) {
      for (auto* slot : found) use(*slot, job);
      if (affordable > 0) grow(job, fit.type, std::min(affordable, missing));
      return true;
    }
    needs_room_ = true;
    for (auto* slot : found) use(*slot, job);
    return false;
  }

  void keep_minimum() {
    if (!environment_.enabled || environment_.instance_types.empty()) return;
    const auto& type = environment_.instance_types.front();
    int count = 0;
    while (total_ + count * type.vcpus < environment_.min_vcpus &&
           total_ + (count + 1) * type.vcpus <= environment_.max_vcpus) {
      ++count;
    }
    if (count > 0) order(type, count, fmt::format("MinvCpus is {}", environment_.min_vcpus));
  }

  std::vector<NodeId> idle_nodes() {
    std::vector<NodeId> list;
    for (const auto& slot : slots_) {
      const auto* node = slot.free.node;
      if (node == nullptr || node->status != NodeStatus::up || slot.used || slot.free.jobs > 0) {
        continue;
      }
      const auto limit = environment_.idle_ms_before_release;
      const bool idle = limit >= 0 && snapshot_.now - node->idle_since >= limit;
      const bool above_minimum = total_ - node->vcpus >= environment_.min_vcpus;
      if (!(idle && above_minimum) && !needs_room_) continue;
      list.push_back(node->id);
      total_ -= node->vcpus;
    }
    return list;
  }

  const Snapshot& snapshot_;
  const ComputeEnvironment& environment_;
  std::vector<Slot> slots_;
  std::map<std::string, NodesWanted> wanted_;
  int total_ = 0;
  bool needs_room_ = false;  ///< idle nodes that no waiting job uses are given back at once
};

std::string reason_of(const Block& block) {
  const auto& name = block.environment;
  switch (block.kind) {
    case BlockKind::no_environment_fits:
      return fmt::format(
          "no instance type of compute environment {} can ever hold it: {} vCPUs in all wanted, "
          "MaxvCpus is {}",
          name, block.wanted, block.have);
    case BlockKind::environment_full:
      return fmt::format(
          "compute environment {} is full: {} more vCPUs wanted, {} left up to MaxvCpus", name,
          block.wanted, block.have);
    case BlockKind::environment_disabled:
      return fmt::format("compute environment {} is DISABLED", name);
    case BlockKind::nodes_starting:
      return fmt::format(
          "nodes of compute environment {} are starting: {} of {} there or on their way", name,
          block.have, block.wanted);
    case BlockKind::nodes_busy:
      return fmt::format("nodes of compute environment {} are busy: {} wanted, {} free", name,
                         block.wanted, block.have);
    case BlockKind::behind_wide_job:
      return fmt::format(
          "nodes of compute environment {} are kept free for job {}, which was first", name,
          block.by);
    case BlockKind::spot_multi_node:
      return fmt::format("multi-node jobs do not run in Spot compute environment {}", name);
  }
  return "";
}

}  // namespace

const char* to_string(BlockKind kind) {
  switch (kind) {
    case BlockKind::no_environment_fits:
      return "no_environment_fits";
    case BlockKind::environment_full:
      return "environment_full";
    case BlockKind::environment_disabled:
      return "environment_disabled";
    case BlockKind::nodes_starting:
      return "nodes_starting";
    case BlockKind::nodes_busy:
      return "nodes_busy";
    case BlockKind::behind_wide_job:
      return "behind_wide_job";
    case BlockKind::spot_multi_node:
      return "spot_multi_node";
  }
  return "";
}

std::string to_sentence(const Block& block) {
  const auto reason = reason_of(block);
  return block.note.empty() ? reason : fmt::format("{}; {}", reason, block.note);
}

std::optional<Fit> smallest_fit(const ComputeEnvironment& environment, const JobSpec& spec) {
  const int nodes = spec.nodes.value_or(1);
  for (const auto& type : environment.instance_types) {
    const std::int64_t all = std::int64_t{type.vcpus} * nodes;
    if (type.vcpus >= spec.vcpus && type.memory >= spec.memory && all <= environment.max_vcpus) {
      return Fit{type, nodes};
    }
  }
  return std::nullopt;
}

Placements place(const Snapshot& snapshot) { return Placer(snapshot).run(); }

ScalePlan scale(const Snapshot& snapshot) {
  std::map<ComputeEnvironmentName, Scaler> scalers;
  for (const auto& environment : snapshot.cluster->environments) {
    scalers.emplace(environment.name, Scaler(snapshot, environment));
  }
  for (const auto* job : snapshot.waiting) {
    if (holds_nodes(*job)) continue;
    for (const auto* environment : environments_of(*snapshot.cluster, *job)) {
      if (scalers.at(environment->name).serve(*job)) break;
    }
  }
  ScalePlan plan;
  for (auto& [name, scaler] : scalers) scaler.finish(plan);
  return plan;
}

}  // namespace cox::core
