#include "runtime/core/changes.hpp"

#include <algorithm>
#include <functional>
#include <optional>
#include <set>

#include "runtime/base/text.hpp"
#include "runtime/core/lifecycle.hpp"

namespace cox::core {

namespace {

constexpr std::int64_t kTimeoutMin = 60;  // seconds, as AWS has it
constexpr std::int64_t kTimeoutMax = 7 * 24 * 3600;
constexpr std::int64_t kMemoryMin = 4;  // MiB, as AWS has it

/// Tries what would become of the job if it were another.
class Trial {
 public:
  Trial(const Snapshot& snapshot, std::size_t place)
      : snapshot_(snapshot), job_(*snapshot.waiting[place]) {
    // Who comes after it does not matter to it.
    before_.assign(snapshot.waiting.begin(),
                   snapshot.waiting.begin() + static_cast<std::ptrdiff_t>(place));
    snapshot_.waiting.clear();
  }

  [[nodiscard]] const JobSpec& spec() const { return job_.spec; }

  [[nodiscard]] bool starts(const JobSpec& spec) {
    auto other = job_;
    other.spec = spec;
    snapshot_.waiting = before_;
    snapshot_.waiting.push_back(&other);
    return has_placed(place(snapshot_));
  }

  /// The same in another queue, behind the jobs that wait there and in those served before it.
  [[nodiscard]] bool starts_in(const JobQueue& queue, const std::vector<const Job*>& waiting) {
    auto other = job_;
    other.spec.edit().queue = queue.name;
    snapshot_.waiting.clear();
    for (const auto* job : waiting) {
      if (job->id != job_.id && priority_of(job->spec->queue) >= queue.priority) {
        snapshot_.waiting.push_back(job);
      }
    }
    snapshot_.waiting.push_back(&other);
    return has_placed(place(snapshot_));
  }

  /// The largest value from `least` up to below `now` with which it starts.
  [[nodiscard]] std::optional<std::int64_t> most(
      std::int64_t least, std::int64_t now,
      const std::function<void(JobSpec&, std::int64_t)>& change) {
    const auto does = [&](std::int64_t value) {
      JobSpec spec = job_.spec;
      change(spec, value);
      return starts(spec);
    };
    if (least >= now || !does(least)) return std::nullopt;
    auto good = least;
    for (auto bad = now; bad - good > 1;) {
      const auto middle = good + (bad - good) / 2;
      (does(middle) ? good : bad) = middle;
    }
    return good;
  }

 private:
  [[nodiscard]] bool has_placed(const Placements& plan) const {
    return std::any_of(plan.placed.begin(), plan.placed.end(),
                       [&](const Placement& each) { return each.job == job_.id; });
  }
  [[nodiscard]] int priority_of(const QueueName& name) const {
    for (const auto& queue : snapshot_.cluster->queues) {
      if (queue.name == name) return queue.priority;
    }
    return 0;
  }

  Snapshot snapshot_;
  const Job& job_;
  std::vector<const Job*> before_;
};

void set_vcpus(JobSpec& spec, std::int64_t value) { spec.vcpus = static_cast<int>(value); }
void set_memory(JobSpec& spec, std::int64_t value) { spec.memory = MiB{value}; }
void set_nodes(JobSpec& spec, std::int64_t value) { spec.nodes = static_cast<int>(value); }
void set_timeout(JobSpec& spec, std::int64_t value) { spec.timeout_s = static_cast<int>(value); }

/// Fewer vCPUs and less memory at once.
std::optional<Changes> smaller_both(Trial& trial) {
  const auto& spec = trial.spec();
  const auto vcpus = trial.most(1, spec.vcpus, [](JobSpec& changed, std::int64_t value) {
    set_vcpus(changed, value);
    set_memory(changed, kMemoryMin);
  });
  if (!vcpus) return std::nullopt;
  const auto memory =
      trial.most(kMemoryMin, spec.memory.value, [&](JobSpec& changed, std::int64_t value) {
        set_vcpus(changed, *vcpus);
        set_memory(changed, value);
      });
  if (!memory) return std::nullopt;
  return Changes{{ChangeKind::vcpus, *vcpus, spec.vcpus, {}},
                 {ChangeKind::memory, *memory, spec.memory.value, {}}};
}

std::string option_of(const Change& change) {
  switch (change.kind) {
    case ChangeKind::vcpus:
      return "--vcpus";
    case ChangeKind::memory:
      return "--memory";
    case ChangeKind::nodes:
      return "--nodes";
    case ChangeKind::timeout:
      return "--timeout";
    case ChangeKind::queue:
      return "--job-queue";
  }
  return "";
}

}  // namespace

const char* to_string(ChangeKind kind) {
  switch (kind) {
    case ChangeKind::vcpus:
      return "vcpus";
    case ChangeKind::memory:
      return "memory";
    case ChangeKind::nodes:
      return "nodes";
    case ChangeKind::timeout:
      return "timeout";
    case ChangeKind::queue:
      return "queue";
  }
  return "";
}

std::string to_sentence(const Changes& changes) {
  std::vector<std::string> words;
  for (const auto& change : changes) {
    const auto option = option_of(change);
    if (change.kind == ChangeKind::queue) {
      words.push_back(fmt::format("{} {}", option, change.queue));
    } else if (change.from == 0) {
      words.push_back(fmt::format("{} {}", option, change.to));
    } else {
      words.push_back(fmt::format("{} {} in place of {}", option, change.to, change.from));
    }
  }
  return fmt::format("{} {} at once", join(words, " and "), words.size() == 1 ? "starts" : "start");
}

std::vector<Changes> smallest_changes(const Snapshot& snapshot, const JobId& job,
                                      std::size_t work) {
  std::vector<Changes> list;
  const auto found = std::find_if(snapshot.waiting.begin(), snapshot.waiting.end(),
                                  [&](const Job* each) { return each->id == job; });
  if (found == snapshot.waiting.end()) return list;
  const auto place = static_cast<std::size_t>(found - snapshot.waiting.begin());
  if ((place + 1) * snapshot.nodes.size() > work) return list;
  Trial trial(snapshot, place);
  const auto& spec = trial.spec();
  const auto add = [&](ChangeKind kind, std::int64_t from, std::optional<std::int64_t> to) {
    if (to) list.push_back({Change{kind, *to, from, {}}});
  };
  add(ChangeKind::vcpus, spec.vcpus, trial.most(1, spec.vcpus, set_vcpus));
  add(ChangeKind::memory, spec.memory.value, trial.most(kMemoryMin, spec.memory.value, set_memory));
  if (spec.nodes && spec.groups.empty()) {
    add(ChangeKind::nodes, *spec.nodes, trial.most(1, *spec.nodes, set_nodes));
  }
  if (list.empty()) {
    if (auto both = smaller_both(trial)) list.push_back(std::move(*both));
  }
  const auto timeout = spec.timeout_s.value_or(0);
  add(ChangeKind::timeout, timeout,
      trial.most(kTimeoutMin, timeout == 0 ? kTimeoutMax : timeout, set_timeout));
  for (const auto& queue : snapshot.cluster->queues) {
    // A share goes with a policy, and only with one.
    if (queue.name == spec.queue || !queue.enabled || queue.policy.empty() != spec.share.empty()) {
      continue;
    }
    if (snapshot.waiting.size() * snapshot.nodes.size() > work) break;
    if (trial.starts_in(queue, snapshot.waiting)) {
      list.push_back({Change{ChangeKind::queue, 0, 0, queue.name}});
    }
  }
  return list;
}

std::vector<JobId> holders_of(const Snapshot& snapshot, const ComputeEnvironmentName& environment) {
  std::set<NodeId> nodes;
  for (const auto& each : snapshot.nodes) {
    if (each.node->environment == environment) nodes.insert(each.node->id);
  }
  std::vector<JobId> list;
  for (const auto* job : snapshot.active) {
    const auto& runs = job->current()->nodes;
    const bool holds = std::any_of(runs.begin(), runs.end(), [&](const NodeRun& run) {
      return run.phase != NodePhase::exited && nodes.contains(run.node);
    });
    if (holds) list.push_back(job->id);
  }
  return list;
}

}  // namespace cox::core
