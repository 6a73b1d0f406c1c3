#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "runtime/core/lending.hpp"
#include "runtime/core/lifecycle.hpp"
#include "runtime/core/queue_gates.hpp"
#include "runtime/core/scale_account.hpp"
#include "runtime/core/scheduler.hpp"
#include "runtime/core/serving.hpp"

namespace cox::core {

namespace {

/// scale() over one environment: packs what waits on the nodes that are there or on their way, and
/// counts what is missing.
class Scaler {
 public:
  Scaler(const Snapshot& snapshot, const ComputeEnvironment& environment)
      : snapshot_(snapshot),
        environment_(environment),
        lending_(lending_of(*snapshot.cluster, environment.name)) {
    for (const auto& each : snapshot.nodes) {
      if (each.node->environment != environment.name || !counts(*each.node)) continue;
      slots_.push_back({each,
                        each,
                        each.node->vcpus,
                        each.node->memory,
                        std::string(allocation_of(*each.node)),
                        {}});
      total_ += each.node->vcpus;
    }
  }

  /// Packs from the start. What was ordered before counts as nodes on their way.
  void begin() {
    for (auto& slot : slots_) {
      slot.free = slot.at_start;
      slot.used = slot.leaves = false;
    }
    room_is_kept_ = grew_ = jobs_are_left_ = false;
    served_ = held_ = {};
  }

  /// From now on for how long the nodes ordered so far are asked for is as good as said: jobs are
  /// packed on them as the next plan will pack them. True when that may change anything.
  bool settle() {
    if (lending_ == nullptr) return false;
    bool changed = !std::exchange(is_settled_, true) && !wanted_.empty();
    // Nodes for which more jobs wait than they can take are of use for longer than for one.
    for (auto& wanted : wanted_) {
      const int longer = jobs_are_left_ ? seconds_asked(*lending_, JobSpec{}) : 0;
      if (longer <= wanted.lent_s) continue;
      wanted.lent_s = longer;
      changed = true;
    }
    return changed;
  }

  /// True when the environment can take the job: on its nodes, or by growing.
  bool serve(const Job& job) {
    const auto need = need_of(job);
    if (!need || need->missing * need->fit.type.vcpus > room()) return false;
    const bool comes = need->missing > 0 || std::any_of(need->found.begin(), need->found.end(),
                                                        [](const Slot* s) { return !is_up(*s); });
    if (comes) count(served_, job);
    take(job, *need, need->missing);
    return true;
  }

  /// True when busy nodes will come free for the job, so that it waits for them; a part of its
  /// nodes may be launched now, where they are not lent.
  bool wait_for_busy(const Job& job) {
    const auto need = need_of(job);
    if (need && lending_ != nullptr) {
      if (need->busy < need->missing) return false;
      jobs_are_left_ = true;
      count(held_, job);
      take(job, *need, 0);
      return true;
    }
    if (!need || room() / need->fit.type.vcpus + need->busy < need->missing) return false;
    count(held_, job);
    take(job, *need, std::min(room() / need->fit.type.vcpus, need->missing));
    return true;
  }

  /// True when the environment could hold the job: it keeps its room for it, and gives back idle
  /// nodes as soon as that makes enough: those that the job cannot use, then larger ones than it
  /// needs.
  bool make_room(const Job& job) {
    auto need = need_of(job);
    if (!need) return false;
    jobs_are_left_ = true;
    count(held_, job);
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
    for (const auto& together : given_back_together()) {
      if (made >= wanted) break;
      const bool is_spare = std::all_of(together.begin(), together.end(), [&](const Slot* slot) {
        return is_unused(*slot) && !found.contains(slot);
      });
      if (!is_spare) continue;
      for (auto* slot : together) let_go(*slot);
    }
    for (auto slot = need->found.rbegin(); slot != need->found.rend() && made < wanted; ++slot) {
      const bool is_larger = (*slot)->vcpus > need->fit.type.vcpus;
      if (lending_ != nullptr || !is_idle(**slot) || !is_larger) continue;
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
      const int lent_s = lending_ != nullptr ? seconds_asked(*lending_, JobSpec{}) : 0;
      const auto why = fmt::format("MinvCpus is {}", environment_.min_vcpus);
      if (count > 0) order({environment_.name, type, count, why, lent_s, true});
    }
    return grew_;
  }

  /// What there is to tell before the plan is made of it.
  [[nodiscard]] ScaleAccount account() const {
    ScaleAccount told{.environment = environment_.name,
                      .enabled = environment_.enabled,
                      .min_vcpus = environment_.min_vcpus,
                      .max_vcpus = environment_.max_vcpus,
                      .served_jobs = served_.jobs,
                      .served_vcpus = served_.vcpus,
                      .held_jobs = held_.jobs,
                      .held_vcpus = held_.vcpus,
                      .idle_limit_ms = environment_.idle_ms_before_release};
    for (const auto& each : snapshot_.nodes) {
      const auto& node = *each.node;
      if (node.environment != environment_.name) continue;
      if (node.status == NodeStatus::terminating) {
        told.leaving_vcpus += node.vcpus;
        told.leaving_node = node.id;
      } else if (node.status == NodeStatus::pending) {
        told.coming_vcpus += node.vcpus;
        if (told.coming_note.empty()) told.coming_note = node.reason;
      } else {
        told.up_vcpus += node.vcpus;
      }
    }
    for (const auto& slot : slots_) {
      if (slot.free.node == nullptr) told.wanted_vcpus += slot.vcpus;
      if (is_idle(slot) && total_ - slot.vcpus >= environment_.min_vcpus) add_idle(told, slot);
    }
    return told;
  }

  void finish(ScalePlan& plan) {
    if (lending_ == nullptr) {
      std::sort(wanted_.begin(), wanted_.end(), [](const NodesWanted& a, const NodesWanted& b) {
        return a.type.name < b.type.name;
      });
    }
    for (auto& wanted : wanted_) plan.launch.push_back(std::move(wanted));
    for (const auto& together : given_back_together()) {
      const bool may_all = std::all_of(together.begin(), together.end(), [&](const Slot* slot) {
        return is_given_up(*slot) && may_go(*slot->free.node);
      });
      int vcpus = 0;
      for (const auto* slot : together) vcpus += slot->vcpus;
      const bool leave = together.front()->leaves;
      if (!leave && (!may_all || total_ - vcpus < environment_.min_vcpus)) continue;
      for (const auto* slot : together) plan.release.push_back(slot->free.node->id);
      total_ -= vcpus;
    }
  }

 private:
  /// A node, there or to come.
  struct Slot {
    FreeNode at_start;
    FreeNode free;
    int vcpus = 0;
    MiB memory;
    std::string allocation;
    std::optional<std::size_t> order;  ///< of this plan, which it will come by
    bool used = false;                 ///< by a job of this pass
    bool leaves = false;               ///< given back to make room
  };

  /// Jobs that wait, and what they need.
  struct Waiting {
    int jobs = 0;
    int vcpus = 0;
  };

  void count(Waiting& waiting, const Job& job) const {
    const auto behind = snapshot_.behind.find(job.id);
    const auto jobs = 1 + (behind == snapshot_.behind.end() ? 0 : static_cast<int>(behind->second));
    waiting.jobs += jobs;
    waiting.vcpus += jobs * job.spec->vcpus * job.spec->nodes.value_or(1);
  }

  /// The one that has been idle for longest goes first.
  void add_idle(ScaleAccount& told, const Slot& slot) const {
    const auto idle_ms = snapshot_.now - slot.free.node->idle_since;
    if (told.idle_nodes++ > 0 && idle_ms <= told.idle_ms) return;
    told.idle_ms = idle_ms;
    told.idle_node = slot.free.node->id;
  }

  /// What a job takes of the environment.
  struct Need {
    Fit fit;
    std::vector<Slot*> found;  ///< free for it, as many as it takes
    int busy = 0;              ///< others that suit it
    int missing = 0;
  };

  /// Nothing when the environment can never take the job.
  std::optional<Need> need_of(const Job& job) {
    const bool refused = !environment_.enabled || (job.is_multi_node() && environment_.spot) ||
                         (lending_ != nullptr && !is_lent_for(*lending_, job.spec));
    const auto fit = refused ? std::nullopt : smallest_fit(environment_, job.spec);
    if (!fit) return std::nullopt;
    Need need{*fit, {}, 0, 0};
    std::map<std::string_view, int> suit;  // of each allocation
    for (auto& slot : slots_) {
      if (slot.vcpus < job.spec->vcpus || slot.memory < job.spec->memory || slot.leaves) continue;
      if (!lasts(slot, job)) continue;
      if (!is_away(slot)) ++suit[slot.allocation];
      const bool is_free = job.is_multi_node() ? slot.free.jobs == 0
                                               : slot.free.free_vcpus >= job.spec->vcpus &&
                                                     slot.free.free_memory >= job.spec->memory;
      if (is_free && !is_away(slot)) {
        need.found.push_back(&slot);
      } else if (slot.free.jobs > 0) {
        ++need.busy;
      }
    }
    if (lending_ != nullptr && job.is_multi_node()) keep_one_allocation(need, suit);
    keep_best(need.found, static_cast<std::size_t>(fit->nodes));
    need.missing = fit->nodes - static_cast<int>(need.found.size());
    return need;
  }

  /// A multi-node job's lent nodes are of one allocation: all of them, or none yet. `suit`: how
  /// many of each suit it, busy or not.
  void keep_one_allocation(Need& need, const std::map<std::string_view, int>& suit) const {
    const auto wanted = static_cast<std::size_t>(need.fit.nodes);
    std::map<std::string_view, const Slot*> first;
    std::map<const Slot*, std::vector<Slot*>> found;  // in the order of slots, not of names
    for (auto* slot : need.found) {
      found[first.emplace(slot->allocation, slot).first->second].push_back(slot);
    }
    need.found = best_allocation(found, wanted, [this](const Slot* slot) { return end_of(*slot); });
    if (need.found.size() < wanted) need.found.clear();
    const bool may_come_free = std::any_of(
        suit.begin(), suit.end(), [&](const auto& each) { return each.second >= need.fit.nodes; });
    need.busy = may_come_free ? need.fit.nodes : 0;
  }

  [[nodiscard]] bool lasts(const Slot& slot, const Job& job) const {
    if (lending_ == nullptr) return true;
    if (!slot.order) return lasts_for(*slot.free.node, *lending_, job.spec, snapshot_.now);
    return !is_settled_ || lasts_for(wanted_[*slot.order].lent_s, *lending_, job.spec);
  }
  /// When a node will be taken away.
  [[nodiscard]] Millis end_of(const Slot& slot) const {
    if (lending_ == nullptr) return kNotKnown;
    if (!slot.order) return taken_at(*slot.free.node, snapshot_.now);
    return snapshot_.now + std::int64_t{1000} * wanted_[*slot.order].lent_s;
  }

  /// Nodes as they are given back: each alone, but lent ones by their allocations.
  std::vector<std::vector<Slot*>> given_back_together() {
    std::vector<std::vector<Slot*>> list;
    std::map<std::string_view, std::size_t> at;
    for (auto& slot : slots_) {
      const bool is_new = lending_ == nullptr || at.emplace(slot.allocation, list.size()).second;
      if (is_new) list.emplace_back();
      (lending_ == nullptr ? list.back() : list[at[slot.allocation]]).push_back(&slot);
    }
    return list;
  }

  /// The best `count`, as place() has it. By what a slot has and not by its id: once they are
  /// there, the nodes ordered now must be packed as they were when they were ordered.
  void keep_best(std::vector<Slot*>& slots, std::size_t count) const {
    std::map<std::string_view, int> empty;  // of each allocation, as place() counts them
    for (const auto* slot : slots) {
      if (lending_ != nullptr) empty[slot->allocation] += slot->free.jobs == 0 ? 1 : 0;
    }
    const auto rank = [&](const Slot* slot) {
      return std::tuple(slot->free.free_vcpus, slot->free.free_memory,
                        lending_ != nullptr ? empty[slot->allocation] : 0, end_of(*slot),
                        slot->vcpus, slot->memory, slot->free.jobs == 0, !is_up(*slot), slot);
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

  /// Idle, or a fault keeps jobs from it: nobody has any use of it. Of a lent one that is enough to
  /// give it back.
  [[nodiscard]] bool is_unused(const Slot& slot) const {
    if (lending_ == nullptr) return is_idle(slot);
    return slot.free.node != nullptr && slot.free.node->status != NodeStatus::pending &&
           !slot.used && !slot.leaves && slot.free.jobs == 0;
  }

  /// The same, and lent ones that have not come, and that nobody waits for any more.
  [[nodiscard]] bool is_given_up(const Slot& slot) const {
    if (lending_ == nullptr) return is_idle(slot);
    return slot.free.node != nullptr && !slot.used && !slot.leaves && slot.free.jobs == 0;
  }

  [[nodiscard]] int room() const { return room_is_kept_ ? 0 : environment_.max_vcpus - total_; }

  void take(const Job& job, const Need& need, int launched) {
    for (auto* slot : need.found) use(*slot, job);
    if (launched <= 0) return;
    const auto first = slots_.size();
    const int lent_s = lending_ != nullptr ? seconds_asked(*lending_, job.spec) : 0;
    order({environment_.name, need.fit.type, launched, fmt::format("job {} waits", job.id), lent_s,
           job.is_multi_node()});
    for (auto i = first; i < slots_.size(); ++i) use(slots_[i], job);
  }

  void use(Slot& slot, const Job& job) {
    if (lending_ != nullptr && slot.order && !is_settled_) {
      auto& lent_s = wanted_[*slot.order].lent_s;
      lent_s = std::max(lent_s, seconds_asked(*lending_, job.spec));
    }
    slot.used = true;
    slot.free.jobs += 1;
    slot.free.free_vcpus = job.is_multi_node() ? 0 : slot.free.free_vcpus - job.spec->vcpus;
    slot.free.free_memory = job.is_multi_node() ? MiB{} : slot.free.free_memory - job.spec->memory;
  }

  void order(NodesWanted wanted) {
    const auto type = wanted.type;
    const int count = wanted.count;
    // Lent ones are asked for one by one; of others those of one type are one wish.
    auto known = std::find_if(wanted_.begin(), wanted_.end(), [&](const NodesWanted& each) {
      return lending_ == nullptr && each.type.name == type.name;
    });
    const auto place = static_cast<std::size_t>(known - wanted_.begin());
    if (known == wanted_.end()) {
      if (lending_ == nullptr) wanted.together = false;
      wanted_.push_back(std::move(wanted));
    } else {
      known->count += count;
    }
    total_ += count * type.vcpus;
    grew_ = true;
    const FreeNode empty{nullptr, type.vcpus, type.memory, 0};
    slots_.insert(slots_.end(), static_cast<std::size_t>(count),
                  Slot{empty, empty, type.vcpus, type.memory, fmt::format("new {}", place), place});
  }

  [[nodiscard]] bool may_go(const Node& node) const {
    const auto limit = environment_.idle_ms_before_release;
    return limit >= 0 && snapshot_.now - node.idle_since >= limit &&
           total_ - node.vcpus >= environment_.min_vcpus;
  }

  const Snapshot& snapshot_;
  const ComputeEnvironment& environment_;
  const Lending* lending_;
  std::vector<Slot> slots_;
  std::vector<NodesWanted> wanted_;
  int total_ = 0;
  bool grew_ = false;
  bool is_settled_ = false;
  bool room_is_kept_ = false;   ///< for a job that waits for more of it
  bool jobs_are_left_ = false;  ///< that nodes, there or ordered, have no room for
  Waiting served_;              ///< for nodes that are not up yet
  Waiting held_;                ///< for what others have
};

using Scalers = std::map<ComputeEnvironmentName, Scaler>;

/// All environments, packed with what waits, and with the nodes on their way that are missing.
Scalers pack_all(const Snapshot& snapshot) {
  Scalers scalers;
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
    if (grew) continue;
    for (auto& [name, scaler] : scalers) grew = scaler.settle() || grew;
  }
  return scalers;
}

}  // namespace

ScalePlan scale(const Snapshot& snapshot) {
  auto scalers = pack_all(snapshot);
  ScalePlan plan;
  for (auto& [name, scaler] : scalers) scaler.finish(plan);
  return plan;
}

std::vector<ScaleAccount> account_of_scaling(const Snapshot& snapshot) {
  const auto scalers = pack_all(snapshot);
  std::vector<ScaleAccount> accounts;
  for (const auto& environment : snapshot.cluster->environments) {
    accounts.push_back(scalers.at(environment.name).account());
  }
  return accounts;
}

}  // namespace cox::core
