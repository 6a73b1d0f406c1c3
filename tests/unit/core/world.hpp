#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "runtime/core/invariants.hpp"
#include "tests/unit/core/samples.hpp"

namespace cox::core {

/// A small cluster for the scheduler to look at, and to do to what it says.
class World {
 public:
  explicit World(ClusterSettings settings) : cluster(std::move(settings)) {}
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  World& node(const std::string& id, const InstanceType& type, NodeStatus status = NodeStatus::up,
              const std::string& environment = "ce") {
    auto added = node_of(id, environment, type, status);
    added.ordinal = ++ordinals_;
    nodes.push_back(std::move(added));
    return *this;
  }

  /// The node that was added last is lent, for so many seconds from now on.
  World& lent(const std::string& allocation, int seconds) {
    nodes.back().allocation = allocation;
    nodes.back().lent_s = seconds;
    nodes.back().lent_until = now + std::int64_t{1000} * seconds;
    return *this;
  }

  World& idle_since(const std::string& id, Millis since) {
    find_node(NodeId{id})->idle_since = since;
    return *this;
  }

  World& waits(const std::string& id, const JobSpec& spec) {
    jobs.push_back(submitted(id, spec));
    return *this;
  }

  World& runs(const std::string& id, const JobSpec& spec, const std::vector<std::string>& on) {
    jobs.push_back(follow(submitted(id, spec), {placed_on(1, on)}));
    return *this;
  }

  [[nodiscard]] Snapshot snapshot() const {
    Snapshot seen;
    seen.cluster = &cluster;
    seen.now = now;
    for (const auto& each : nodes) {
      FreeNode free{&each, each.vcpus, each.memory, 0};
      for (const auto& job : jobs) {
        if (!holds_node(job, each.id)) continue;
        ++free.jobs;
        free.free_vcpus = job.is_multi_node() ? 0 : free.free_vcpus - job.spec->vcpus;
        free.free_memory = job.is_multi_node() ? MiB{} : free.free_memory - job.spec->memory;
      }
      seen.nodes.push_back(free);
    }
    std::sort(seen.nodes.begin(), seen.nodes.end(),
              [](const FreeNode& a, const FreeNode& b) { return a.node->id < b.node->id; });
    for (const auto& job : jobs) {
      if (job.status == JobStatus::runnable) seen.waiting.push_back(&job);
      if (holds_nodes(job)) seen.active.push_back(&job);
    }
    return seen;
  }

  /// Places what the plan says. Returns false when any of it is refused.
  bool carry_out(const Placements& plan) {
    bool all = true;
    for (const auto& placement : plan.placed) {
      auto* job = find_job(placement.job);
      Placed event{now, static_cast<int>(job->attempts.size()) + 1, {}, "mpirun"};
      for (const auto& id : placement.nodes) event.nodes.push_back(run_on(id.value));
      auto placed = after(*job, event);
      all = all && placed;
      if (placed) *job = std::move(*placed);
    }
    return all;
  }

  /// Asks for what the plan wants and gives back what it releases.
  void carry_out(const ScalePlan& plan) {
    for (const auto& wanted : plan.launch) {
      ++allocations_;
      for (int i = 0; i < wanted.count; ++i) {
        // Ids come in no order, as in life.
        node(fmt::format("{:02}-new", (ordinals_ * 37) % 100), wanted.type, NodeStatus::pending,
             wanted.environment.value);
        nodes.back().launched_at = nodes.back().idle_since = now;
        if (wanted.lent_s == 0) continue;
        nodes.back().lent_s = wanted.lent_s;
        // Names come in no order either.
        nodes.back().allocation = fmt::format("p{:02}", (allocations_ * 29) % 100);
        if (!wanted.together) ++allocations_;
      }
    }
    for (const auto& id : plan.release) find_node(id)->status = NodeStatus::terminating;
  }

  /// What was asked for comes up, what was given back goes.
  void settle_nodes() {
    std::erase_if(nodes, [](const Node& each) { return each.status == NodeStatus::terminating; });
    for (auto& each : nodes) {
      if (each.status != NodeStatus::pending) continue;
      each.status = NodeStatus::up;
      if (each.lent_s > 0) each.lent_until = now + std::int64_t{1000} * each.lent_s;
    }
  }

  void end(Job& job) {
    const int attempt = job.current()->number;
    for (int i = 0; i < job.node_count(); ++i) {
      const auto id = job.current()->nodes[static_cast<std::size_t>(i)].node;
      job = follow(std::move(job),
                   {NodeStarted{now, attempt, i}, NodeExited{now, attempt, i, 0, ""}});
      if (auto* left = find_node(id)) left->idle_since = now;
    }
  }

  [[nodiscard]] Node* find_node(const NodeId& id) {
    const auto found =
        std::find_if(nodes.begin(), nodes.end(), [&](const Node& each) { return each.id == id; });
    return found == nodes.end() ? nullptr : &*found;
  }

  [[nodiscard]] Job* find_job(const JobId& id) {
    return &*std::find_if(jobs.begin(), jobs.end(), [&](const Job& each) { return each.id == id; });
  }

  [[nodiscard]] std::vector<std::string> faults() const {
    Everything everything;
    everything.cluster = &cluster;
    for (const auto& job : jobs) everything.jobs.push_back(&job);
    for (const auto& each : nodes) everything.nodes.push_back(&each);
    return faults_in(everything);
  }

  /// vCPUs of an environment that are there or on their way.
  [[nodiscard]] int vcpus(const ComputeEnvironmentName& name) const {
    int sum = 0;
    for (const auto& each : nodes) {
      if (each.environment == name && each.status != NodeStatus::terminating) sum += each.vcpus;
    }
    return sum;
  }

  ClusterSettings cluster;
  std::deque<Node> nodes;
  std::deque<Job> jobs;  ///< in order of submission
  Millis now = kThen;

 private:
  int ordinals_ = 0;
  int allocations_ = 0;
};

/// "w1 on n1 n2", in the plan's order.
inline std::vector<std::string> shown(const std::vector<Placement>& placed) {
  std::vector<std::string> lines;
  for (const auto& each : placed) {
    auto line = each.job.value + " on";
    for (const auto& id : each.nodes) line += " " + id.value;
    lines.push_back(std::move(line));
  }
  return lines;
}

/// "w2: <sentence>", a line a block.
inline std::vector<std::string> shown(const std::map<JobId, std::vector<Block>>& blocked) {
  std::vector<std::string> lines;
  for (const auto& [job, blocks] : blocked) {
    for (const auto& block : blocks) lines.push_back(job.value + ": " + to_sentence(block));
  }
  return lines;
}

/// "launch 3 small in ce: job w1 waits", "release n1".
inline std::vector<std::string> shown(const ScalePlan& plan) {
  std::vector<std::string> lines;
  for (const auto& each : plan.launch) {
    lines.push_back(fmt::format("launch {} {} in {}: {}", each.count, each.type.name,
                                each.environment, each.why));
    if (each.lent_s == 0) continue;
    lines.back() += fmt::format(", {} s{}", each.lent_s, each.together ? " together" : "");
  }
  for (const auto& id : plan.release) lines.push_back("release " + id.value);
  return lines;
}

}  // namespace cox::core
