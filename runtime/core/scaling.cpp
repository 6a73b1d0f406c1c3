#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "runtime/core/lifecycle.hpp"
#include "runtime/core/queue_gates.hpp"
#include "runtime/core/scheduler.hpp"
#include "runtime/core/serving.hpp"

namespace cox::core {

namespace {

/// scale() over one environment: packs what waits on the nodes that are there or on their way, and
/// counts what is missing.
class Scaler {
 public:
  Scaler(const Snapshot& snapshot, const ComputeEnvironment& environment)
      : snapshot_(snapshot), environment_(environment) {
    for (const auto& each : snapshot.nodes) {
      if (each.node->environment != environment.name || !counts(*each.node)) continue;
      slots_.push_back({each, each, each.node->vcpus, each.node->memory});
      total_ += each.node->vcpus;
    }
  }

  /// Packs from the start. What was ordered before counts as nodes on their way.
  void begin() {
    for (auto& slot : slots_) {
      slot.free = slot.at_start;
      slot.used = slot.leaves = false;
    }
    room_is_kept_ = grew_ = false;
  }

  /// True when the environment can take the job: on its nodes, or by growing.
  bool serve(const Job& job) {
    const auto need = need_of(job);
    if (!need || need->missing * need->fit.type.vcpus > room()) return false;
    take(job, *need, need->missing);
    return true;
  }

  /// True when busy nodes will come free for the job, so that it waits for them; a part of its
  /// nodes may be launched now.
  bool wait_for_busy(const Job& job) {
    const auto need = need_of(job);
    if (!need || room() / need->fit.type.vcpus + need->busy < need->missing) return false;
    take(job, *need, std::min(room() / need->fit.type.vcpus, need->missing));
    return true;
  }

  /// True when the environment could hold the job: it keeps its room for it, and gives back idle
  /// nodes as soon as that makes enough: those that the job cannot use, then larger ones than it
  /// needs.
  bool make_room(const Job& job) {
    auto need = need_of(job);
    if (!need) return false;
    if (room_is_kept_) {  // what could be made would be for the job before this one
      take(job, *need, 0);
      return true;
    }
    int wanted = (need->missing - need->busy) * need->fit.type.vcpus;
    int made = room();
    std::vector<Slot*> leaving;
    const auto let_go = [&](Slot& slot) {
      made += slot.vcpus;
      leaving.push_back(&slot);
    };
    const std::set<const Slot*> found(need->found.begin(), need->found.end());
    for (auto& slot : slots_) {
      if (made >= wanted) break;
      if (is_idle(slot) && !found.contains(&slot)) let_go(slot);
    }
    for (auto slot = need->found.rbegin(); slot != need->found.rend() && made < wanted; ++slot) {
      if (!is_idle(**slot) || (*slot)->vcpus <= need->fit.type.vcpus) continue;
      let_go(**slot);
      wanted += need->fit.type.vcpus;  // another takes its place
    }
    for (auto* slot : leaving) slot->leaves = made >= wanted;
    std::erase_if(need->found, [](const Slot* slot) { return slot->leaves; });
    take(job, *need, 0);
    room_is_kept_ = true;
    return true;
  }

  /// Orders what MinvCpus asks for. True when this pass has ordered anything.
  bool grew() {
    if (environment_.enabled && !environment_.instance_types.empty()) {
      const auto& type = environment_.instance_types.front();
      int count = 0;
      while (total_ + count * type.vcpus < environment_.min_vcpus &&
             total_ + (count + 1) * type.vcpus <= environment_.max_vcpus) {
        ++count;
      }
      if (count > 0) order(type, count, fmt::format("MinvCpus is {}", environment_.min_vcpus));
    }
    return grew_;
  }

  void finish(ScalePlan& plan) {
    for (auto& [type, wanted] : wanted_) plan.launch.push_back(std::move(wanted));
    for (const auto& slot : slots_) {
      if (!slot.leaves && !(is_idle(slot) && may_go(*slot.free.node))) continue;
      plan.release.push_back(slot.free.node->id);
      total_ -= slot.vcpus;
    }
  }

 private:
  /// A node, there or to come.
  struct Slot {
    FreeNode at_start;
    FreeNode free;
    int vcpus = 0;
    MiB memory;
    bool used = false;    ///< by a job of this pass
    bool leaves = false;  ///< given back to make room
  };

  /// What a job takes of the environment.
  struct Need {
    Fit fit;
    std::vector<Slot*> found;  ///< free for it, as many as it takes
    int busy = 0;              ///< others that suit it
    int missing = 0;
  };

  /// Nothing when the environment can never take the job.
  std::optional<Need> need_of(const Job& job) {
    const bool refused = !environment_.enabled || (job.is_multi_node() && environment_.spot);
    const auto fit = refused ? std::nullopt : smallest_fit(environment_, job.spec);
    if (!fit) return std::nullopt;
    Need need{*fit, {}, 0, 0};
    for (auto& slot : slots_) {
      if (slot.vcpus < job.spec->vcpus || slot.memory < job.spec->memory || slot.leaves) continue;
      const bool is_free = job.is_multi_node() ? slot.free.jobs == 0
                                               : slot.free.free_vcpus >= job.spec->vcpus &&
                                                     slot.free.free_memory >= job.spec->memory;
      if (is_free && !is_away(slot)) {
        need.found.push_back(&slot);
      } else if (slot.free.jobs > 0) {
        ++need.busy;
      }
    }
    keep_best(need.found, static_cast<std::size_t>(fit->nodes));
    need.missing = fit->nodes - static_cast<int>(need.found.size());
    return need;
  }

  /// The best `count`, as place() has it. By what a slot has and not by its id: once they are
  /// there, the nodes ordered now must be packed as they were when they were ordered.
  static void keep_best(std::vector<Slot*>& slots, std::size_t count) {
    const auto rank = [](const Slot* slot) {
      return std::tuple(slot->free.free_vcpus, slot->free.free_memory, slot->vcpus, slot->memory,
                        slot->free.jobs == 0, !is_up(*slot));
    };
    const auto kept = std::min(count, slots.size());
    std::partial_sort(slots.begin(), slots.begin() + static_cast<std::ptrdiff_t>(kept), slots.end(),
                      [&](const Slot* a, const Slot* b) { return rank(a) < rank(b); });
    slots.resize(kept);
  }

  static bool is_up(const Slot& slot) {
    return slot.free.node != nullptr && slot.free.node->status == NodeStatus::up;
  }
  /// It takes no job now, and may again.
  static bool is_away(const Slot& slot) {
    return slot.free.node != nullptr && (slot.free.node->status == NodeStatus::silent ||
                                         slot.free.node->status == NodeStatus::unfit);
  }
  static bool is_idle(const Slot& slot) {
    return is_up(slot) && !slot.used && !slot.leaves && slot.free.jobs == 0;
  }

  [[nodiscard]] int room() const { return room_is_kept_ ? 0 : environment_.max_vcpus - total_; }

  void take(const Job& job, const Need& need, int launched) {
    for (auto* slot : need.found) use(*slot, job);
    if (launched <= 0) return;
    const auto first = slots_.size();
    order(need.fit.type, launched, fmt::format("job {} waits", job.id));
    for (auto i = first; i < slots_.size(); ++i) use(slots_[i], job);
  }

  static void use(Slot& slot, const Job& job) {
    slot.used = true;
    slot.free.jobs += 1;
    slot.free.free_vcpus = job.is_multi_node() ? 0 : slot.free.free_vcpus - job.spec->vcpus;
    slot.free.free_memory = job.is_multi_node() ? MiB{} : slot.free.free_memory - job.spec->memory;
  }

  void order(const InstanceType& type, int count, std::string why) {
    const auto entry =
        wanted_.try_emplace(type.name, NodesWanted{environment_.name, type, 0, std::move(why)})
            .first;
    entry->second.count += count;
    total_ += count * type.vcpus;
    grew_ = true;
    const FreeNode empty{nullptr, type.vcpus, type.memory, 0};
    slots_.insert(slots_.end(), static_cast<std::size_t>(count),
                  Slot{empty, empty, type.vcpus, type.memory});
  }

  [[nodiscard]] bool may_go(const Node& node) const {
    const auto limit = environment_.idle_ms_before_release;
    return limit >= 0 && snapshot_.now - node.idle_since >= limit &&
           total_ - node.vcpus >= environment_.min_vcpus;
  }

  const Snapshot& snapshot_;
  const ComputeEnvironment& environment_;
  std::vector<Slot> slots_;
  std::map<std::string, NodesWanted> wanted_;
  int total_ = 0;
  bool grew_ = false;
  bool room_is_kept_ = false;  ///< for a job that waits for more of it
};

}  // namespace

ScalePlan scale(const Snapshot& snapshot) {
  std::map<ComputeEnvironmentName, Scaler> scalers;
  for (const auto& environment : snapshot.cluster->environments) {
    scalers.emplace(environment.name, Scaler(snapshot, environment));
  }
  QueueGates gates;
  const auto pack = [&](const Job& job) {
    if (gates.shut(job)) return;
    const auto environments = environments_of(*snapshot.cluster, job);
    for (const auto how : {&Scaler::serve, &Scaler::wait_for_busy, &Scaler::make_room}) {
      for (const auto* environment : environments) {
        if (!(scalers.at(environment->name).*how)(job)) continue;
        gates.passed(job);
        return;
      }
    }
  };
  // Until a pass orders nothing more: then the next one, with these nodes on their way, will not
  // either. Each adds a node at least, and the environments' limits end it.
  for (bool grew = true; grew;) {
    for (auto& [name, scaler] : scalers) scaler.begin();
    gates = QueueGates(snapshot);
    for (const auto* job : snapshot.waiting) {
      if (!holds_nodes(*job)) pack(*job);
    }
    grew = false;
    for (auto& [name, scaler] : scalers) grew = scaler.grew() || grew;
  }
  ScalePlan plan;
  for (auto& [name, scaler] : scalers) scaler.finish(plan);
  return plan;
}

}  // namespace cox::core
