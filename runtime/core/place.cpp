#include <algorithm>
#include <queue>
#include <set>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "runtime/core/estimates.hpp"
#include "runtime/core/first_jobs.hpp"
#include "runtime/core/free_list.hpp"
#include "runtime/core/lending.hpp"
#include "runtime/core/lifecycle.hpp"
#include "runtime/core/place_group.hpp"
#include "runtime/core/queue_gates.hpp"
#include "runtime/core/scheduler.hpp"
#include "runtime/core/serving.hpp"

/// place(): which nodes each waiting job gets, and for whom nodes are set aside.
namespace cox::core {

namespace {

/// Whether the pass tells why the others wait, too. Where it need not, it ends as soon as nobody
/// can get anything any more.
enum class Reasons : bool { told, left_out };

/// A pass of place(): what is free shrinks as jobs are placed, and nodes are set aside for jobs
/// that wait for more of them.
class Placer {
 public:
  Placer(const Snapshot& snapshot, Reasons reasons)
      : snapshot_(snapshot), reasons_(reasons), gates_(snapshot) {
    for (const auto& environment : snapshot.cluster->environments) {
      auto& made = groups_[environment.name];
      made.environment = &environment;
      made.lending = lending_of(*snapshot.cluster, environment.name);
    }
    Group* group = nullptr;
    for (const auto& each : snapshot.nodes) {
      const auto& node = *each.node;
      if (group == nullptr || group->environment->name != node.environment) {
        const auto found = groups_.find(node.environment);
        if (found == groups_.end()) continue;
        group = &found->second;
      }
      group->places.push_back({each, node.vcpus, node.memory, node.status, group->places.size()});
      if (counts(node)) group->vcpus += node.vcpus;
    }
    for (auto& [name, each] : groups_) list_free(each);
  }

  Placements run() {
    for (const auto* job : snapshot_.waiting) {
      if (reasons_ == Reasons::left_out && is_nothing_left()) break;
      if (!holds_nodes(*job)) consider(*job);
    }
    return std::move(result_);
  }

 private:
  static void list_free(Group& group) {
    for (const auto& place : group.places) {
      if (place.status == NodeStatus::pending)
        group.pending.insert(group.pending.end(), place.index);
      if (!is_listed(place)) continue;
      group.free.append(place.room());
      if (place.free.jobs == 0) group.empty.append(place.room());
    }
    group.free.sort();
    group.empty.sort();
  }

  /// True when no job can get anything any more, not even for a while.
  [[nodiscard]] bool is_nothing_left() const {
    return std::all_of(groups_.begin(), groups_.end(), [](const auto& each) {
      const Group& group = each.second;
      return group.free.is_empty() && (!group.is_lent || group.kept_free.is_empty());
    });
  }

  void consider(const Job& job) {
    if (const auto block = gates_.shut(job)) {
      if (reasons_ == Reasons::told) result_.blocked[job.id] = {*block};
      return;
    }
    std::vector<Block> blocks;
    kept_.clear();
    ends_by_ = ends_at_latest(job, snapshot_.now);
    for (auto* group : groups_of(job)) {
      if (auto block = try_group(job, *group)) {
        blocks.push_back(*block);
      } else {
        // What was set aside in environments before this one is not needed.
        for (auto& [other, place] : kept_) let_go(*other, *place);
        return;
      }
    }
    if (reasons_ == Reasons::told) result_.blocked[job.id] = std::move(blocks);
  }

  const std::vector<Group*>& groups_of(const Job& job) {
    const auto [found, is_new] = groups_of_queue_.try_emplace(job.spec->queue);
    if (is_new) {
      for (const auto* environment : environments_of(*snapshot_.cluster, job)) {
        found->second.push_back(&groups_.at(environment->name));
      }
    }
    return found->second;
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
    if (group.lending != nullptr && !is_lent_for(*group.lending, job.spec)) {
      block.kind = BlockKind::never_lent_so_long;
      block.wanted = seconds_for(job.spec) + kLentStartSeconds;
      block.have = group.lending->max_s;
      return block;
    }
    const auto candidates = free_places(job, group);
    block.have = static_cast<int>(candidates.size());
    if (block.have >= job.node_count()) {
      take(job, group, candidates);
      return std::nullopt;
    }
    const auto fit = smallest_fit(environment, job.spec);
    if (!fit) {
      block.kind = BlockKind::no_environment_fits;
      block.wanted = job.spec->vcpus * job.node_count();
      block.have = environment.max_vcpus;
      return block;
    }
    if (reasons_ == Reasons::told) explain(job, group, *fit, block);
    if (group.lending != nullptr) {
      set_aside_lent(job, group, *fit);
    } else {
      set_aside(job, group, *fit, candidates);
    }
    return block;
  }

  /// Nodes that could take (a node's part of) the job now, the best first: all that there are, or
  /// as many as it needs.
  std::vector<Place*> free_places(const Job& job, Group& group) const {
    std::vector<Place*> list;
    const std::tuple needs(shape_of(job), job.node_count(), job.spec->timeout_s);
    if (group.refused.contains(needs)) return list;
    const bool are_lent = group.lending != nullptr;
    const auto wanted = are_lent ? group.places.size() : static_cast<std::size_t>(job.node_count());
    const auto collect = [&](const FreeList& from, bool set_aside) {
      if (list.size() >= wanted) return;
      from.each_with(job.spec->vcpus, job.spec->memory, [&](const Room& room) {
        auto& place = group.places[room.place];
        const bool lasts =
            !are_lent || lasts_for(*place.free.node, *group.lending, job.spec, snapshot_.now);
        if (place.suits(job) && lasts && (!set_aside || may_use(place))) list.push_back(&place);
        return list.size() < wanted;
      });
    };
    collect(job.is_multi_node() ? group.empty : group.free, false);
    // No time that is known is late enough for a job that may never end.
    if (ends_by_ != kNotKnown) {
      collect(job.is_multi_node() ? group.kept_empty : group.kept_free, true);
    }
    if (list.empty()) group.refused.insert(needs);
    if (!are_lent) return list;
    return best_lent(list, job, snapshot_.now,
                     [](const Place* each) -> const FreeNode& { return each->free; });
  }

  /// Whether the job that is considered may have what is free of a place that is set aside: whoever
  /// waits for it will need it only when the job has ended.
  [[nodiscard]] bool may_use(const Place& place) const {
    return place.kept_from.set() && ends_by_ <= place.kept_from;
  }

  void take(const Job& job, Group& group, const std::vector<Place*>& candidates) {
    gates_.passed(job);
    Placement placement{job.id, {}};
    for (auto* place : candidates) {
      unlist(group, *place);
      auto& free = place->free;
      placement.nodes.push_back(free.node->id);
      free.jobs += 1;
      free.free_vcpus = job.is_multi_node() ? 0 : free.free_vcpus - job.spec->vcpus;
      free.free_memory = job.is_multi_node() ? MiB{} : free.free_memory - job.spec->memory;
      add(place->holdings, {ends_by_, job.spec->vcpus, job.spec->memory});
      list(group, *place);
      rank_again(group, *place);
    }
    result_.placed.push_back(std::move(placement));
  }

  // What is free, by room.

  static bool is_listed(const Place& place) {
    return place.status == NodeStatus::up && place.free.free_vcpus > 0;
  }
  static void list(Group& group, const Place& place) {
    if (!is_listed(place)) return;
    const bool kept = place.kept_for != nullptr;
    (kept ? group.kept_free : group.free).insert(place.room());
    if (place.free.jobs == 0) (kept ? group.kept_empty : group.empty).insert(place.room());
  }
  static void unlist(Group& group, const Place& place) {
    if (!is_listed(place)) return;
    const bool kept = place.kept_for != nullptr;
    (kept ? group.kept_free : group.free).erase(place.room());
    if (place.free.jobs == 0) (kept ? group.kept_empty : group.empty).erase(place.room());
  }

  void explain(const Job& job, Group& group, const Fit& fit, Block& block) const {
    const Job* before = nullptr;
    for (auto index = group.kept.rbegin(); index != group.kept.rend() && before == nullptr;
         ++index) {
      const auto& place = group.places[*index];
      if (place.suits(job)) before = place.kept_for;
    }
    if (before != nullptr) {
      block.kind = BlockKind::behind_wide_job;
      block.by = before->id;
      return;
    }
    const int starting = starting_of(group, job, snapshot_.now);
    if (starting + block.have >= job.node_count() || (group.lending != nullptr && starting > 0)) {
      block.kind = BlockKind::nodes_starting;
      block.have = std::min(block.have + starting, job.node_count());
    } else if (const auto left = time_left(group, job, snapshot_.now)) {
      block.kind = BlockKind::lent_too_short;
      block.wanted = seconds_for(job.spec);
      block.have = *left;
    } else if (group.vcpus + fit.type.vcpus > group.environment->max_vcpus) {
      block.kind = BlockKind::environment_full;
      block.wanted = fit.type.vcpus * (job.node_count() - block.have);
      block.have = group.environment->max_vcpus - group.vcpus;
    }
  }

  // Setting aside.

  void keep(Group& group, Place& place, const Job& job) {
    unlist(group, place);
    place.kept_for = &job;
    list(group, place);
    group.kept.insert(place.index);
    group.pending.erase(place.index);
    kept_.emplace_back(&group, &place);
  }

  void let_go(Group& group, Place& place) {
    unlist(group, place);
    place.kept_for = nullptr;
    place.kept_from = Millis{};
    list(group, place);
    group.kept.erase(place.index);
    if (place.status == NodeStatus::pending) group.pending.insert(place.index);
    rank_again(group, place);
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
      keep(group, *place, job);
      --missing;
    }
    for (auto next = group.pending.begin(); next != group.pending.end();) {
      auto& place = group.places[*next++];
      if (!place.suits(job)) continue;
      keep(group, place, job);
      if (--missing <= 0) return;
    }
    int room = group.environment->max_vcpus - group.vcpus;
    for (; missing > 0 && room >= fit.type.vcpus; --missing) room -= fit.type.vcpus;
    if (missing <= 0) return;
    auto& lines = lines_for(job, group);
    // The busy ones that will have enough for the job soonest.
    for (auto* place = first_of(lines.busy, group, job, true); place != nullptr && missing > 0;
         place = first_of(lines.busy, group, job, true)) {
      keep(group, *place, job);
      --missing;
    }
    if (missing == 0) reserve(job, first);
    // Others, those that will be free soonest.
    while (room < missing * fit.type.vcpus) {
      auto* place = first_of(lines.unfit, group, job, false);
      if (place == nullptr) return;
      keep(group, *place, job);
      room += place->vcpus;
    }
  }

  /// The same of lent nodes.
  void set_aside_lent(const Job& job, Group& group, const Fit& fit) {
    std::vector<LentPlace> places;
    for (const auto& place : group.places) {
      const auto& node = *place.free.node;
      if (place.kept_for != nullptr || !counts(node)) continue;
      const bool is_coming = place.status == NodeStatus::pending;
      const bool is_empty = place.status == NodeStatus::up && place.free.jobs == 0;
      const auto at = is_coming ? snapshot_.now : free_at(place, job);
      const auto from = at == kNotKnown ? snapshot_.now : at;
      places.push_back(
          {.index = place.index,
           .allocation = allocation_of(node),
           .vcpus = place.vcpus,
           .jobs = place.free.jobs,
           .suits = place.suits(job) && lasts_for(node, *group.lending, job.spec, from),
           .is_free = is_coming || is_empty,
           .free_at = at});
    }
    const int room = group.environment->max_vcpus - group.vcpus;
    const auto kept = to_set_aside(places, job.node_count(), fit.type.vcpus, room);
    const auto first = kept_.size();
    for (const auto index : kept.places) keep(group, group.places[index], job);
    if (kept.for_use) reserve(job, first);
  }

  [[nodiscard]] Rank rank_of(const Place& place, const Job& job, bool is_fit) {
    return {is_fit ? free_at(place, job) : Millis{}, place.free.jobs, -place.free.free_vcpus,
            place.index};
  }

  /// The lines for jobs of this one's shape, made when the first of them must wait.
  Group::Lines& lines_for(const Job& job, Group& group) {
    const auto [found, is_new] = group.lines.try_emplace(shape_of(job));
    if (!is_new) return found->second;
    std::vector<Rank> busy;
    std::vector<Rank> unfit;
    for (const auto& place : group.places) {
      if (place.kept_for != nullptr || !counts(*place.free.node)) continue;
      if (!place.suits(job)) {
        unfit.push_back(rank_of(place, job, false));
      } else if (place.status != NodeStatus::pending) {
        busy.push_back(rank_of(place, job, true));
      }
    }
    found->second.busy = RankLine(std::greater<>(), std::move(busy));
    found->second.unfit = RankLine(std::greater<>(), std::move(unfit));
    examples_.emplace(shape_of(job), &job);
    return found->second;
  }

  /// The place at the front of a line, or null.
  Place* first_of(RankLine& line, Group& group, const Job& job, bool is_fit) {
    for (; !line.empty(); line.pop()) {
      auto& place = group.places[std::get<std::size_t>(line.top())];
      if (place.kept_for == nullptr && line.top() == rank_of(place, job, is_fit)) return &place;
    }
    return nullptr;
  }

  void rank_again(Group& group, const Place& place) {
    if (place.kept_for != nullptr || !counts(*place.free.node)) return;
    for (auto& [shape, lines] : group.lines) {
      const auto& job = *examples_.at(shape);
      if (!place.suits(job)) {
        lines.unfit.push(rank_of(place, job, false));
      } else if (place.status != NodeStatus::pending) {
        lines.busy.push(rank_of(place, job, true));
      }
    }
  }

  /// Says from when on the job will need the places kept for it, where that is known.
  void reserve(const Job& job, std::size_t first) {
    Millis from = snapshot_.now;
    for (auto i = first; i < kept_.size(); ++i) {
      if (kept_[i].second->status != NodeStatus::up) return;
      from = std::max(from, free_at(*kept_[i].second, job));
    }
    if (from == kNotKnown) return;
    for (auto i = first; i < kept_.size(); ++i) {
      kept_[i].first->is_lent = true;
      kept_[i].second->kept_from = from;
    }
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
        add(place->second->holdings, {end, job->spec->vcpus, job->spec->memory});
      }
    }
  }

  const Snapshot& snapshot_;
  const Reasons reasons_;
  std::map<ComputeEnvironmentName, Group> groups_;
  std::map<QueueName, std::vector<Group*>> groups_of_queue_;
  std::map<Shape, const Job*> examples_;  ///< a job of each shape that has lines
  QueueGates gates_;
  /// What was set aside for the job that is considered.
  std::vector<std::pair<Group*, Place*>> kept_;
  Millis ends_by_;  ///< when that job will have ended, were it placed now
  bool are_estimated_ = false;
  bool is_nothing_known_ = false;  ///< of the ends of jobs that ran before this pass
  Placements result_;
};

}  // namespace

Placements place(const Snapshot& snapshot) { return Placer(snapshot, Reasons::told).run(); }

std::vector<Placement> place_all(const Snapshot& snapshot) {
  return Placer(snapshot, Reasons::left_out).run().placed;
}

}  // namespace cox::core
