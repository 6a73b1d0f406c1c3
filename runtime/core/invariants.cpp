#include "runtime/core/invariants.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <map>
#include <set>
#include <unordered_map>
#include <utility>

#include "runtime/core/lifecycle.hpp"

namespace cox::core {

namespace {

class Audit {
 public:
  explicit Audit(const Everything& everything) : everything_(everything) {
    for (const auto* job : everything.jobs) {
      if (!jobs_.emplace(job->id, job).second) fault("job {} is there twice", job->id);
    }
  }

  std::vector<std::string> run() {
    index_nodes();
    for (const auto* job : everything_.jobs) {
      audit_attempts(*job);
      audit_status(*job);
      audit_waiting(*job);
      if (job->is_array_parent()) audit_children(*job);
      audit_holding(*job);
    }
    audit_load();
    return std::move(faults_);
  }

 private:
  template <class... Args>
  void fault(fmt::format_string<Args...> text, Args&&... args) {
    faults_.push_back(fmt::format(text, std::forward<Args>(args)...));
  }

  void audit_attempts(const Job& job) {
    const auto allowed = static_cast<std::size_t>(job.spec->attempts);
    if (job.attempts.size() > allowed) {
      fault("job {} has {} attempts of {}", job.id, job.attempts.size(), allowed);
    }
    for (std::size_t i = 0; i < job.attempts.size(); ++i) {
      const auto& attempt = job.attempts[i];
      const bool is_last = i + 1 == job.attempts.size();
      if (attempt.number != static_cast<int>(i) + 1) {
        fault("attempt {} of job {} has number {}", i + 1, job.id, attempt.number);
      }
      if (attempt.nodes.size() != static_cast<std::size_t>(job.node_count())) {
        fault("attempt {} of job {} has {} nodes of {}", i + 1, job.id, attempt.nodes.size(),
              job.node_count());
      }
      std::set<NodeId> distinct;
      for (const auto& run : attempt.nodes) {
        if (!distinct.insert(run.node).second) {
          fault("attempt {} of job {} has node {} twice", i + 1, job.id, run.node);
        }
        if (!is_last && run.phase != NodePhase::exited) {
          fault("attempt {} of job {} still holds node {}", i + 1, job.id, run.node);
        }
      }
      if (!is_last && !attempt.over) fault("attempt {} of job {} is not over", i + 1, job.id);
    }
  }

  void audit_status(const Job& job) {
    const auto* attempt = job.current();
    const bool is_live = job.status == JobStatus::starting || job.status == JobStatus::running;
    if (is_live != (attempt != nullptr && !attempt->over)) {
      fault("job {} is {} and its attempt is {}", job.id, to_string(job.status),
            is_live ? "over" : "live");
    } else if (is_live && static_cast<std::size_t>(job.spec->main_node) < attempt->nodes.size()) {
      const auto main = attempt->nodes[static_cast<std::size_t>(job.spec->main_node)].phase;
      const bool runs = main == NodePhase::running;
      if (main == NodePhase::exited || runs != (job.status == JobStatus::running)) {
        fault("job {} is {} and its main node {}", job.id, to_string(job.status),
              main == NodePhase::exited ? "has exited"
              : runs                    ? "runs"
                                        : "does not run");
      }
    }
    if (job.status == JobStatus::succeeded && !job.is_array_parent() &&
        (attempt == nullptr || attempt->exit_code != 0)) {
      fault("job {} is SUCCEEDED without an attempt that was", job.id);
    }
    if (is_terminal(job.status) && !job.stopped_at.set()) {
      fault("job {} ended and has no end", job.id);
    }
    const bool waits = job.status < JobStatus::starting && !job.is_array_parent();
    if (job.kill_reason && (waits || job.status == JobStatus::succeeded) &&
        !job.is_array_parent()) {
      fault("job {} was killed and is {}", job.id, to_string(job.status));
    }
  }

  void audit_waiting(const Job& job) {
    if (job.status == JobStatus::submitted) fault("job {} was never submitted", job.id);
    const bool may_wait = job.status == JobStatus::pending;
    if (!job.waits_for.empty() && !may_wait) {
      fault("job {} is {} and waits for job {}", job.id, to_string(job.status),
            job.waits_for->front());
    }
    if (may_wait && job.waits_for.empty() && !job.is_array_parent()) {
      fault("job {} is PENDING and waits for nothing", job.id);
    }
    for (const auto& other : job.waits_for) {
      const auto found = jobs_.find(other);
      if (found == jobs_.end() || is_terminal(found->second->status)) {
        fault("job {} waits for job {}, which will not end any more", job.id, other);
      }
    }
  }

  void audit_children(const Job& job) {
    std::map<JobStatus, int> counted;
    int ended = 0;
    for (int i = 0; i < *job.spec->array_size; ++i) {
      const auto child = jobs_.find(child_of(job.id, i));
      if (child == jobs_.end()) {
        fault("job {} has no child {}", job.id, i);
        continue;
      }
      ++counted[child->second->status];
      if (is_terminal(child->second->status)) ++ended;
    }
    for (int i = 0; i <= static_cast<int>(JobStatus::failed); ++i) {
      const auto status = static_cast<JobStatus>(i);
      const auto told = job.children->find(status);
      const int tells = told == job.children->end() ? 0 : told->second;
      if (tells != counted[status]) {
        fault("job {} counts {} {} children, there are {}", job.id, tells, to_string(status),
              counted[status]);
      }
    }
    if ((ended == *job.spec->array_size) != is_terminal(job.status)) {
      fault("job {} is {} with {} of {} children ended", job.id, to_string(job.status), ended,
            *job.spec->array_size);
    }
    if (!job.attempts.empty()) fault("job {} is an array's parent and was placed", job.id);
  }

  void index_nodes() {
    std::set<int> ordinals;
    for (const auto* node : everything_.nodes) {
      if (!nodes_.emplace(node->id, Use{node}).second) fault("node {} is there twice", node->id);
      if (!ordinals.insert(node->ordinal).second) {
        fault("node {} shares ordinal {}", node->id, node->ordinal);
      }
      if (node->status != NodeStatus::terminating) vcpus_[node->environment] += node->vcpus;
    }
    for (const auto& environment : everything_.cluster->environments) {
      if (vcpus_[environment.name] > environment.max_vcpus) {
        fault("compute environment {} has {} vCPUs of {}", environment.name,
              vcpus_[environment.name], environment.max_vcpus);
      }
    }
  }

  void audit_holding(const Job& job) {
    const auto* attempt = job.current();
    if (attempt == nullptr) return;
    std::set<std::string> allocations;
    for (const auto& run : attempt->nodes) {
      if (run.phase == NodePhase::exited) continue;
      const auto found = nodes_.find(run.node);
      if (found == nodes_.end()) {
        fault("job {} holds node {}, which is not there", job.id, run.node);
        continue;
      }
      auto& use = found->second;
      if (use.node->status == NodeStatus::terminating) {
        fault("job {} holds node {}, which is being given back", job.id, run.node);
      }
      if (!serves(use.node->environment, job.spec->queue)) {
        fault("job {} of queue {} holds node {} of compute environment {}", job.id, job.spec->queue,
              run.node, use.node->environment);
      }
      ++use.jobs;
      use.vcpus += job.spec->vcpus;
      use.memory = use.memory + job.spec->memory;
      if (job.is_multi_node()) use.whole = true;
      allocations.insert(use.node->allocation);
    }
    if (allocations.size() > 1) fault("job {} has nodes of several allocations", job.id);
  }

  [[nodiscard]] bool serves(const ComputeEnvironmentName& name, const QueueName& queue) const {
    const auto& queues = everything_.cluster->queues;
    return std::any_of(queues.begin(), queues.end(), [&](const JobQueue& each) {
      return each.name == queue && std::find(each.environments.begin(), each.environments.end(),
                                             name) != each.environments.end();
    });
  }

  void audit_load() {
    for (const auto& [id, use] : nodes_) {
      if (use.vcpus > use.node->vcpus) {
        fault("node {} gives {} vCPUs of {}", id, use.vcpus, use.node->vcpus);
      }
      if (use.memory > use.node->memory) {
        fault("node {} gives {} MiB of {}", id, use.memory.value, use.node->memory.value);
      }
      if (use.whole && use.jobs > 1) {
        fault("node {} is shared by {} jobs, one of them multi-node", id, use.jobs);
      }
    }
  }

  struct Use {
    const Node* node = nullptr;
    int jobs = 0;
    int vcpus = 0;
    MiB memory = {};
    bool whole = false;  ///< by a multi-node job
  };

  const Everything& everything_;
  std::unordered_map<JobId, const Job*> jobs_;
  std::map<NodeId, Use> nodes_;
  std::map<ComputeEnvironmentName, int> vcpus_;
  std::vector<std::string> faults_;
};

}  // namespace

std::vector<std::string> faults_in(const Everything& everything) { return Audit(everything).run(); }

}  // namespace cox::core
