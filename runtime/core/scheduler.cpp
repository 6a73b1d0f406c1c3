#include "runtime/core/scheduler.hpp"

#include <algorithm>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "runtime/core/estimates.hpp"
#include "runtime/core/lifecycle.hpp"
#include "runtime/core/queue_gates.hpp"
#include "runtime/core/serving.hpp"

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

/// A pass of place(): what is free shrinks as jobs are placed, and nodes are set aside for jobs
/// that wait for more of them.
class Placer {
 public:
  explicit Placer(const Snapshot& snapshot) : snapshot_(snapshot), gates_(snapshot) {
    for (const auto& environment : snapshot.cluster->environments) {
      groups_[environment.name].environment = &environment;
    }
    for (const auto& each : snapshot.nodes) {
      const auto group = groups_.find(each.node->environment);
      if (group == groups_.end()) continue;
      const auto& node = *each.node;
      group->second.places.push_back({each, node.vcpus, node.memory, node.status});
      if (counts(*each.node)) group->second.vcpus += each.node->vcpus;
    }
  }

  Placements run() {
    for (const auto* job : snapshot_.waiting) {
      if (!holds_nodes(*job)) consider(*job);
    }
    return std::move(result_);
  }

 private:
  struct Place {
    FreeNode free;
    int vcpus = 0;  ///< of the whole node; here, as a pass looks at all of them for every job
    MiB memory;
    NodeStatus status = NodeStatus::pending;
    const Job* kept_for = nullptr;  ///< set aside for this job
    Millis kept_from = {};          ///< when that job will need it; not set: not known
    Millis enough_from = {};        ///< when it has enough for the job that is considered
    Holdings holdings = {};         ///< of the jobs on it, once estimate() has looked

    /// Whether the node, were it empty, could take (a node's part of) the job.
    [[nodiscard]] bool suits(const Job& job) const {
      return vcpus >= job.spec.vcpus && memory >= job.spec.memory;
    }
  };
  /// The nodes of an environment, in id order.
  struct Group {
    const ComputeEnvironment* environment = nullptr;
    std::vector<Place> places;
    int vcpus = 0;  ///< of those there or on their way
  };

  void consider(const Job& job) {
    if (const auto block = gates_.shut(job)) {
      result_.blocked[job.id] = {*block};
      return;
    }
    std::vector<Block> blocks;
    kept_.clear();
    ends_by_ = ends_at_latest(job, snapshot_.now);
    for (const auto* environment : environments_of(*snapshot_.cluster, job)) {
      if (auto block = try_group(job, groups_.at(environment->name))) {
        blocks.push_back(*block);
      } else {
        // What was set aside in environments before this one is not needed.
        for (auto* place : kept_) {
          place->kept_for = nullptr;
          place->kept_from = Millis{};
        }
        return;
      }
    }
    result_.blocked[job.id] = std::move(blocks);
  }

  /// Places the job, or says why not.
  std::optional<Block> try_group(const Job& job, Group& group) {
    const auto& environment = *group.environment;
    Block block{BlockKind::nodes_busy, environment.name, job.node_count(), 0, JobId{}};
    if (!environment.enabled) {
      block.kind = BlockKind::environment_disabled;
      return block;
    }
    if (job.is_multi_node() && environment.spot) {
      block.kind = BlockKind::spot_multi_node;
      return block;
    }
    const auto candidates = free_places(job, group);
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
    explain(job, group, *fit, block);
    set_aside(job, group, *fit, candidates);
    return block;
  }

  /// Nodes that could take (a node's part of) the job now, the best first: all that there are, or
  /// as many as it needs.
  std::vector<Place*> free_places(const Job& job, Group& group) const {
    std::vector<Place*> list;
    for (auto& place : group.places) {
      const auto& free = place.free;
      const bool fits = job.is_multi_node() ? free.jobs == 0
                                            : free.free_vcpus >= job.spec.vcpus &&
                                                  free.free_memory >= job.spec.memory;
      if (fits && may_use(place) && place.status == NodeStatus::up && place.suits(job)) {
        list.push_back(&place);
      }
    }
    keep_first(list, static_cast<std::size_t>(job.node_count()), [](const Place* place) {
      return std::tuple(place->kept_for != nullptr, place->free.free_vcpus,
                        place->free.free_memory);
    });
    return list;
  }

  /// Whether the job that is considered may have what is free of the place: nobody waits for it, or
  /// whoever does will need it only when the job has ended.
  [[nodiscard]] bool may_use(const Place& place) const {
    return place.kept_for == nullptr || (place.kept_from.set() && ends_by_ <= place.kept_from);
  }

  void take(const Job& job, const std::vector<Place*>& candidates) {
    gates_.passed(job);
    Placement placement{job.id, {}};
    for (auto* place : candidates) {
      auto& free = place->free;
      placement.nodes.push_back(free.node->id);
      free.jobs += 1;
      free.free_vcpus = job.is_multi_node() ? 0 : free.free_vcpus - job.spec.vcpus;
      free.free_memory = job.is_multi_node() ? MiB{} : free.free_memory - job.spec.memory;
      add(place->holdings, {ends_by_, job.spec.vcpus, job.spec.memory});
    }
    result_.placed.push_back(std::move(placement));
  }

  static void explain(const Job& job, const Group& group, const Fit& fit, Block& block) {
    int starting = 0;
    const Job* before = nullptr;
    for (const auto& place : group.places) {
      if (!place.suits(job)) continue;
      if (place.status == NodeStatus::pending) ++starting;
      if (place.kept_for != nullptr) before = place.kept_for;
    }
    if (before != nullptr) {
      block.kind = BlockKind::behind_wide_job;
      block.by = before->id;
    } else if (starting + block.have >= job.node_count()) {
      block.kind = BlockKind::nodes_starting;
      block.have += starting;
    } else if (group.vcpus + fit.type.vcpus > group.environment->max_vcpus) {
      block.kind = BlockKind::environment_full;
      block.wanted = fit.type.vcpus * (job.node_count() - block.have);
      block.have = group.environment->max_vcpus - group.vcpus;
    }
  }

  void keep(Place& place, const Job& job) {
    place.kept_for = &job;
    kept_.push_back(&place);
  }

  /// Keeps nodes for a job that later ones would otherwise starve: those that are free now, and
  /// when the environment cannot grow by the rest, the busy ones that will be free soonest; and
  /// where there are not enough of those, nodes of other types, whose end makes room for it.
  void set_aside(const Job& job, Group& group, const Fit& fit,
                 const std::vector<Place*>& candidates) {
    int missing = job.node_count();
    const auto first = kept_.size();
    for (auto* place : candidates) {
      if (place->kept_for != nullptr) continue;  // it would have been a place for a while only
      keep(*place, job);
      --missing;
    }
    std::vector<Place*> busy;
    std::vector<Place*> unfit;
    for (auto& place : group.places) {
      if (place.kept_for != nullptr || !counts(*place.free.node)) continue;
      if (!place.suits(job)) {
        unfit.push_back(&place);
      } else if (place.status == NodeStatus::pending) {
        keep(place, job);
        if (--missing <= 0) return;
      } else {
        busy.push_back(&place);
      }
    }
    int room = group.environment->max_vcpus - group.vcpus;
    for (; missing > 0 && room >= fit.type.vcpus; --missing) room -= fit.type.vcpus;
    if (missing <= 0) return;
    soonest_for(job, busy, static_cast<std::size_t>(missing));
    for (auto* place : busy) keep(*place, job);
    missing -= static_cast<int>(busy.size());
    if (missing == 0) reserve(job, first);
    soonest_free_first(unfit, unfit.size());
    for (auto* place : unfit) {
      if (room >= missing * fit.type.vcpus) return;
      keep(*place, job);
      room += place->vcpus;
    }
  }

  /// Says from when on the job will need the places kept for it, where that is known.
  void reserve(const Job& job, std::size_t first) {
    Millis from = snapshot_.now;
    for (auto i = first; i < kept_.size(); ++i) {
      if (kept_[i]->status != NodeStatus::up) return;
      from = std::max(from, free_at(*kept_[i], job));
    }
    if (from == kNotKnown) return;
    for (auto i = first; i < kept_.size(); ++i) kept_[i]->kept_from = from;
  }

  /// When the place has enough for (a node's part of) the job, by the timeouts of what is on it.
  Millis free_at(const Place& place, const Job& job) {
    if (!are_estimated_) estimate();
    if (is_nothing_known_ && place.holdings.empty() && place.free.jobs > 0) return kNotKnown;
    return enough_at(place.holdings, place.free.free_vcpus, place.free.free_memory, job,
                     snapshot_.now);
  }

  /// Looks when the jobs that run will have ended; only a pass in which somebody must wait needs
  /// it.
  void estimate() {
    are_estimated_ = true;
    is_nothing_known_ = std::none_of(
        snapshot_.active.begin(), snapshot_.active.end(),
        [&](const Job* job) { return ends_at_latest(*job, snapshot_.now) != kNotKnown; });
    if (is_nothing_known_) return;  // as where no job has a timeout
    std::unordered_map<std::string_view, Place*> by_node;
    for (auto& [name, group] : groups_) {
      for (auto& place : group.places) by_node.emplace(place.free.node->id.value, &place);
    }
    for (const auto* job : snapshot_.active) {
      const auto end = ends_at_latest(*job, snapshot_.now);
      for (const auto& run : job->current()->nodes) {
        const auto place = by_node.find(run.node.value);
        if (run.phase == NodePhase::exited || place == by_node.end()) continue;
        add(place->second->holdings, {end, job->spec.vcpus, job->spec.memory});
      }
    }
  }

  /// Keeps the first `count` of those that will have enough for the job soonest.
  void soonest_for(const Job& job, std::vector<Place*>& places, std::size_t count) {
    for (auto* place : places) place->enough_from = free_at(*place, job);
    keep_first(places, count, [](const Place* place) {
      return std::tuple(place->enough_from, place->free.jobs, -place->free.free_vcpus);
    });
  }

  /// Keeps the first `count` of those that will be free soonest.
  static void soonest_free_first(std::vector<Place*>& places, std::size_t count) {
    keep_first(places, count, [](const Place* place) {
      return std::tuple(place->free.jobs, -place->free.free_vcpus);
    });
  }

  /// Keeps the first `count` by rank; of equals the first by id, in which order places lie.
  template <class Rank>
  static void keep_first(std::vector<Place*>& places, std::size_t count, Rank rank) {
    const auto kept = std::min(count, places.size());
    std::partial_sort(places.begin(), places.begin() + static_cast<std::ptrdiff_t>(kept),
                      places.end(), [&](const Place* a, const Place* b) {
                        return std::pair(rank(a), a) < std::pair(rank(b), b);
                      });
    places.resize(kept);
  }

  const Snapshot& snapshot_;
  std::map<ComputeEnvironmentName, Group> groups_;
  QueueGates gates_;
  std::vector<Place*> kept_;  ///< what was set aside for the job that is considered
  Millis ends_by_;            ///< when that job will have ended, were it placed now
  bool are_estimated_ = false;
  bool is_nothing_known_ = false;  ///< of the ends of jobs that ran before this pass
  Placements result_;
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
    case BlockKind::queue_limit:
      return fmt::format("job queue {} lets {} {} run at once, and {} {}", block.queue,
                         block.wanted, block.wanted == 1 ? "job" : "jobs", block.have,
                         block.have == 1 ? "does" : "do");
    case BlockKind::share_reservation:
      return fmt::format(
          "vCPUs of job queue {} are kept for shares that have no jobs yet: {} wanted, {} left for "
          "those that have",
          block.queue, block.wanted, block.have);
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
    case BlockKind::queue_limit:
      return "queue_limit";
    case BlockKind::share_reservation:
      return "share_reservation";
  }
  return "";
}

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

}  // namespace cox::core
