#include "runtime/core/first_jobs.hpp"

#include <algorithm>
#include <utility>

#include "runtime/core/lending.hpp"
#include "runtime/core/serving.hpp"

namespace cox::core {

// Free nodes.

void FreeNodes::put(const FreeNode& node) {
  const auto id = node.node->id;
  remove(id);
  Known known{
      node, node.node->environment, counts(*node.node) ? node.node->vcpus : 0, {}, node.jobs == 0};
  auto& group = groups_[known.environment];
  group.vcpus += known.counted;
  if (node.node->status == NodeStatus::up && node.free_vcpus > 0) {
    known.key = Key{node.free_vcpus, node.free_memory, id};
    group.free.insert(*known.key);
    if (known.empty) group.empty.insert(*known.key);
    ++with_room_;
  }
  known_[id] = std::move(known);
}

void FreeNodes::remove(const NodeId& id) {
  const auto found = known_.find(id);
  if (found == known_.end()) return;
  take_out(found->second);
  known_.erase(found);
}

void FreeNodes::take_out(const Known& known) {
  auto& group = groups_[known.environment];
  group.vcpus -= known.counted;
  if (!known.key) return;
  group.free.erase(*known.key);
  if (known.empty) group.empty.erase(*known.key);
  --with_room_;
}

std::vector<const FreeNode*> FreeNodes::best(const ComputeEnvironmentName& environment,
                                             const Job& job, Millis now, const Lending* lending,
                                             Work& work) const {
  std::vector<const FreeNode*> list;
  const auto group = groups_.find(environment);
  if (group == groups_.end()) return list;
  const auto& rooms = job.is_multi_node() ? group->second.empty : group->second.free;
  const auto needed = static_cast<std::size_t>(job.node_count());
  const auto wanted = lending != nullptr ? rooms.size() : needed;
  auto at = rooms.lower_bound({job.spec->vcpus, job.spec->memory, NodeId{}});
  while (at != rooms.end() && list.size() < wanted) {
    ++work.nodes;
    const auto& [vcpus, memory, id] = *at;
    if (memory < job.spec->memory) {  // on to those of as many vCPUs that have the memory
      at = rooms.lower_bound({vcpus, job.spec->memory, NodeId{}});
      continue;
    }
    const auto& free = known_.at(id).free;
    if (free.node->vcpus >= job.spec->vcpus && free.node->memory >= job.spec->memory &&
        (lending == nullptr || lasts_for(*free.node, *lending, job.spec, now))) {
      list.push_back(&free);
    }
    ++at;
  }
  if (lending == nullptr) return list;
  return best_lent(list, job, now, [](const FreeNode* each) -> const FreeNode& { return *each; });
}

int FreeNodes::vcpus(const ComputeEnvironmentName& environment) const {
  const auto group = groups_.find(environment);
  return group == groups_.end() ? 0 : group->second.vcpus;
}

bool FreeNodes::has_idle(const ComputeEnvironmentName& environment) const {
  const auto group = groups_.find(environment);
  return group != groups_.end() && !group->second.empty.empty();
}

FreeNode FreeNodes::take(const NodeId& id, const Job& job) {
  const auto before = known_.at(id).free;
  auto free = before;
  free.jobs += 1;
  free.free_vcpus = job.is_multi_node() ? 0 : free.free_vcpus - job.spec->vcpus;
  free.free_memory = job.is_multi_node() ? MiB{} : free.free_memory - job.spec->memory;
  put(free);
  return before;
}

// The pass.

namespace {

/// What a pass takes of the nodes it gives back in the end: the nodes are the head's, which follows
/// the plan in its own time.
class Taken {
 public:
  explicit Taken(FreeNodes& nodes) : nodes_(nodes) {}
  ~Taken() {
    for (auto node = before_.rbegin(); node != before_.rend(); ++node) nodes_.put(*node);
  }
  Taken(const Taken&) = delete;
  Taken& operator=(const Taken&) = delete;

  void take(const NodeId& id, const Job& job) { before_.push_back(nodes_.take(id, job)); }

 private:
  FreeNodes& nodes_;
  std::vector<FreeNode> before_;
};

bool lets_in(const ComputeEnvironment& environment, const Lending* lending, const Job& job) {
  return environment.enabled && !(job.is_multi_node() && environment.spot) &&
         (lending == nullptr || is_lent_for(*lending, job.spec));
}

}  // namespace

std::optional<std::vector<Placement>> place_first(const ClusterSettings& cluster, QueueGates gates,
                                                  FreeNodes& nodes, WaitingLine& line, Millis now,
                                                  Work& work) {
  Taken taken(nodes);
  std::vector<Placement> plan;
  const auto fits_somewhere = [&](const Job& job) {
    ++work.jobs;
    if (gates.shut(job)) return false;
    const auto environments = environments_of(cluster, job);
    return std::any_of(environments.begin(), environments.end(), [&](const auto* each) {
      const auto* lending = lending_of(cluster, each->name);
      return lets_in(*each, lending, job) &&
             nodes.best(each->name, job, now, lending, work).size() ==
                 static_cast<std::size_t>(job.node_count());
    });
  };
  while (const auto* job = line.next()) {
    ++work.jobs;
    if (gates.shut(*job)) {
      line.pass_over_alike();
      continue;
    }
    Placement placement{job->id, {}};
    bool sets_aside = false;
    for (const auto* environment : environments_of(cluster, *job)) {
      const auto* lending = lending_of(cluster, environment->name);
      if (!lets_in(*environment, lending, *job)) continue;
      const auto found = nodes.best(environment->name, *job, now, lending, work);
      if (found.size() == static_cast<std::size_t>(job->node_count())) {
        for (const auto* node : found) placement.nodes.push_back(node->node->id);
        break;
      }
      sets_aside = sets_aside || smallest_fit(*environment, job->spec);
    }
    if (!placement.nodes.empty()) {
      for (const auto& id : placement.nodes) taken.take(id, *job);
      gates.passed(*job);
      plan.push_back(std::move(placement));
      continue;
    }
    line.pass_over_alike();
    if (!sets_aside) continue;
    // Nodes are set aside from here on; that matters only to who could have them.
    if (nodes.has_room() && line.any_left(fits_somewhere)) return std::nullopt;
    break;
  }
  return plan;
}

bool must_scale(const ClusterSettings& cluster, const FreeNodes& nodes,
                const std::set<ComputeEnvironmentName>& wanted,
                const std::function<bool(const ComputeEnvironmentName&)>& may_give_back,
                const std::function<bool(const ComputeEnvironmentName&)>& has_useless) {
  return std::any_of(
      cluster.environments.begin(), cluster.environments.end(), [&](const auto& environment) {
        const bool is_wanted = wanted.contains(environment.name);
        const int there = nodes.vcpus(environment.name);
        const int room = environment.max_vcpus - there;
        const bool can_grow =
            environment.enabled &&
            std::any_of(environment.instance_types.begin(), environment.instance_types.end(),
                        [&](const InstanceType& type) { return type.vcpus <= room; });
        if (can_grow && (is_wanted || there < environment.min_vcpus)) return true;
        // A waiting job may have idle nodes of another type given back for its own.
        const auto& name = environment.name;
        if (is_wanted && (nodes.has_idle(name) || has_useless(name))) return true;
        return there > environment.min_vcpus && may_give_back(environment.name);
      });
}

}  // namespace cox::core
