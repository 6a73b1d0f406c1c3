#include "runtime/core/lifecycle.hpp"

#include <algorithm>
#include <cstddef>
#include <string_view>

#include "runtime/base/text.hpp"

namespace cox::core {

namespace {

constexpr const char* kDependentFailed = "Dependent Job failed";
constexpr const char* kTimedOut = "Job attempt duration exceeded timeout";

tl::unexpected<Error> refuse(const Job& job, std::string_view what) {
  return fail(Errc::conflict, "job {} cannot {} while {}", job.id, what, to_string(job.status));
}

/// The current attempt, when the event is about it; else null: a late report of an older one.
Attempt* current(Job& job, int attempt) {
  if (job.attempts.empty() || job.attempts.back().number != attempt) return nullptr;
  return &job.attempts.back();
}

NodeRun* run_at(Attempt* attempt, int node_index) {
  if (attempt == nullptr || node_index < 0 ||
      static_cast<std::size_t>(node_index) >= attempt->nodes.size()) {
    return nullptr;
  }
  return &attempt->nodes[static_cast<std::size_t>(node_index)];
}

void end_job(Job& job, Millis at, JobStatus status, std::string reason) {
  job.status = status;
  static const Shared<std::string> kNormalEnd(std::string{kNormalEndReason});  // most jobs' end
  job.status_reason = std::move(reason);
  job.status_reason.share_with(kNormalEnd);
  job.stopped_at = at;
}

/// `pattern` may end in '*'; letters' case does not count.
bool matches(const std::string& pattern, const std::string& text) {
  const auto wanted = to_lower(pattern);
  const auto given = to_lower(text);
  if (!wanted.ends_with('*')) return wanted == given;
  return given.starts_with(wanted.substr(0, wanted.size() - 1));
}

/// What the retry strategy says of the attempt's end: the first rule whose patterns all match
/// decides; with none, it may be retried.
bool may_retry(const Job& job, const Attempt& attempt) {
  const auto main = static_cast<std::size_t>(job.spec->main_node);
  const auto reason = main < attempt.nodes.size() ? attempt.nodes[main].reason : std::string();
  const auto code = attempt.exit_code ? std::to_string(*attempt.exit_code) : std::string();
  for (const auto& rule : job.spec->exit_rules) {
    const bool matched =
        (rule.on_status_reason.empty() || matches(rule.on_status_reason, attempt.status_reason)) &&
        (rule.on_reason.empty() || matches(rule.on_reason, reason)) &&
        (rule.on_exit_code.empty() || matches(rule.on_exit_code, code));
    if (matched) return rule.retry;
  }
  return true;
}

/// Decides the attempt: ends the job, or sends it back to the queue while attempts are left.
/// Its other nodes may still be stopping; they are owed a StopNode until they have exited.
void end_attempt(Job& job, Millis at, std::optional<int> exit_code, std::string reason) {
  Attempt& attempt = job.attempts.back();
  attempt.over = true;
  attempt.stopped_at = at;
  attempt.exit_code = exit_code;
  if (job.kill_reason) {
    attempt.status_reason = *job.kill_reason;
    end_job(job, at, JobStatus::failed, *job.kill_reason);
    return;
  }
  if (job.timed_out) {
    attempt.status_reason = kTimedOut;
    end_job(job, at, JobStatus::failed, kTimedOut);
    return;
  }
  attempt.status_reason = reason;
  if (exit_code == 0) {
    end_job(job, at, JobStatus::succeeded, std::move(reason));
    return;
  }
  const bool retry =
      job.attempts.size() < static_cast<std::size_t>(job.spec->attempts) && may_retry(job, attempt);
  end_job(job, at, retry ? JobStatus::runnable : JobStatus::failed, std::move(reason));
}

bool is_waiting(JobStatus status) { return status < JobStatus::starting; }

bool is_live(const Job& job) {
  return job.status == JobStatus::starting || job.status == JobStatus::running;
}

Result<Job> on(Job job, const Submitted& event) {
  if (job.created_at.set()) return refuse(job, "be submitted again");
  job.spec = event.spec;
  job.array_index = event.array_index;
  job.waits_for = event.waits_for;
  job.created_at = event.at;
  if (job.is_array_parent()) {
    job.children.edit()[JobStatus::submitted] = *job.spec->array_size;
    job.status = JobStatus::pending;
  } else {
    job.status = job.waits_for.empty() ? JobStatus::runnable : JobStatus::pending;
  }
  return job;
}

Result<Job> on(Job job, const DependencyEnded& event) {
  const auto waited = std::find(job.waits_for.begin(), job.waits_for.end(), event.job);
  if (job.status != JobStatus::pending || waited == job.waits_for.end()) {
    return refuse(job, "stop waiting for " + event.job.value);
  }
  const auto place = waited - job.waits_for.begin();
  auto& others = job.waits_for.edit();
  others.erase(others.begin() + place);
  if (!is_met(job.spec, job.array_index, event.job, event.succeeded)) {
    end_job(job, event.at, JobStatus::failed,
            event.succeeded ? kDependentSucceededReason : kDependentFailed);
    job.waits_for = {};
  } else if (job.waits_for.empty() && !job.is_array_parent()) {
    job.status = JobStatus::runnable;
  }
  return job;
}

Result<Job> on(Job job, const Placed& event) {
  const int next = static_cast<int>(job.attempts.size()) + 1;
  if (job.status != JobStatus::runnable || holds_nodes(job) || event.attempt != next ||
      event.nodes.size() != static_cast<std::size_t>(job.node_count())) {
    return refuse(job, "be placed");
  }
  Attempt attempt;
  attempt.number = event.attempt;
  attempt.nodes = event.nodes;
  attempt.launch = event.launch;
  job.attempts.push_back(std::move(attempt));
  job.status = JobStatus::starting;
  job.status_reason = {};
  job.started_at = Millis{};
  job.stopped_at = Millis{};
  return job;
}

Result<Job> on(Job job, const NodeReady& event) {
  auto* run = run_at(current(job, event.attempt), event.node_index);
  if (run == nullptr || run->phase != NodePhase::preparing) return refuse(job, "have a node ready");
  run->phase = NodePhase::ready;
  return job;
}

Result<Job> on(Job job, const NodeStarted& event) {
  auto* attempt = current(job, event.attempt);
  auto* run = run_at(attempt, event.node_index);
  if (run == nullptr || run->phase == NodePhase::exited || run->phase == NodePhase::running) {
    return refuse(job, "have a node started");
  }
  run->phase = NodePhase::running;
  run->started_at = event.at;
  if (event.node_index == job.spec->main_node && job.status == JobStatus::starting) {
    job.status = JobStatus::running;
    job.started_at = event.at;
    attempt->started_at = event.at;
  }
  return job;
}

/// What the end of one node means for the attempt: the main node decides it; before the job runs,
/// any node that drops out does, because the others would wait for it for ever. `is_needed`: it
/// decides also later.
void settle(Job& job, const NodeRun& ended, bool is_needed, bool had_started, Millis at,
            std::string reason) {
  if (job.attempts.back().over) return;
  const bool decides = is_needed || (!had_started && job.status == JobStatus::starting);
  if (!decides) return;
  const std::optional<int> exit_code =
      is_needed
          ? ended.exit_code
          : std::optional<int>(ended.exit_code.value_or(1) != 0 ? ended.exit_code.value_or(1) : 1);
  end_attempt(job, at, exit_code, std::move(reason));
}

/// "CannotPullContainerError: …" and its like.
bool is_container_error(std::string_view reason) {
  return reason.starts_with("Cannot") &&
         reason.substr(0, reason.find(':')).ends_with("ContainerError");
}

Result<Job> on(Job job, const NodeExited& event) {
  auto* run = run_at(current(job, event.attempt), event.node_index);
  if (run == nullptr || run->phase == NodePhase::exited) return refuse(job, "have a node exit");
  const bool had_started = run->phase == NodePhase::running;
  run->phase = NodePhase::exited;
  run->stopped_at = event.at;
  run->exit_code = event.exit_code;
  run->reason = event.reason;
  std::string reason = kNormalEndReason;
  if (!had_started && is_container_error(event.reason)) {
    reason = event.reason;  // in AWS's words, which retry conditions are written for
  } else if (!event.reason.empty() && !had_started) {
    reason = fmt::format("Node {} could not start: {}", run->hostname, event.reason);
  } else if (!event.reason.empty() && job.spec->mpi && event.exit_code != 0) {
    reason = event.reason;  // mpirun is ours here: which rank failed is the job's reason
  }
  const NodeRun ended = *run;
  settle(job, ended, event.node_index == job.spec->main_node, had_started, event.at,
         std::move(reason));
  return job;
}

Result<Job> on(Job job, const NodeLost& event) {
  if (!holds_node(job, event.node)) return refuse(job, "lose node " + event.node.value);
  auto& nodes = job.attempts.back().nodes;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (nodes[i].node != event.node || nodes[i].phase == NodePhase::exited) continue;
    const bool had_started = nodes[i].phase == NodePhase::running;
    nodes[i].phase = NodePhase::exited;
    nodes[i].stopped_at = event.at;
    nodes[i].reason = fmt::format("Host EC2 (instance {}) terminated: node {} was lost: {}",
                                  event.node, nodes[i].hostname, event.reason);
    const NodeRun ended = nodes[i];
    // The nodes of a direct launch need each other.
    const bool is_needed =
        i == static_cast<std::size_t>(job.spec->main_node) || job.attempts.back().is_direct();
    settle(job, ended, is_needed, had_started, event.at, ended.reason);
  }
  return job;
}

Result<Job> on(Job job, const KillAsked& event) {
  if (is_terminal(job.status) || job.kill_reason) return refuse(job, "be killed");
  job.kill_reason = event.reason;
  job.cancelled = event.cancel;
  // A parent ends when its children have: each of them is killed by an event of its own.
  if (is_waiting(job.status) && !job.is_array_parent()) {
    end_job(job, event.at, JobStatus::failed, event.reason);
    job.waits_for = {};
  }
  return job;
}

Result<Job> on(Job job, const TimedOut& event) {
  const auto* attempt = current(job, event.attempt);
  if (attempt == nullptr || attempt->over || job.timed_out || job.kill_reason || !is_live(job)) {
    return refuse(job, "time out");
  }
  job.timed_out = true;
  return job;
}

Result<Job> on(Job job, const ChildChanged& event) {
  if (!job.is_array_parent()) return refuse(job, "have a child change");
  auto& children = job.children.edit();
  auto& from = children[event.from];
  if (from == 0) return refuse(job, "have a child change");
  from -= 1;
  children[event.to] += 1;
  const int failed = children[JobStatus::failed];
  if (failed + children[JobStatus::succeeded] < *job.spec->array_size) return job;
  if (failed == 0) {
    end_job(job, event.at, JobStatus::succeeded, "");
  } else {
    end_job(job, event.at, JobStatus::failed,
            job.kill_reason.get().value_or(kArrayChildFailedReason));
  }
  return job;
}

Result<Job> on(Job job, const Tagged& event) {
  if (!job.created_at.set()) return refuse(job, "be tagged");
  job.spec.edit().tags = event.tags;
  return job;
}

}  // namespace

Result<Job> after(Job job, const JobEvent& event) {
  return std::visit([&job](const auto& e) { return on(std::move(job), e); }, event);
}

std::vector<Effect> due(const Job& job) {
  std::vector<Effect> effects;
  const auto* attempt = job.current();
  if (attempt == nullptr) return effects;
  const bool stop = attempt->over || job.kill_reason || job.timed_out;
  const bool all_ready =
      std::none_of(attempt->nodes.begin(), attempt->nodes.end(),
                   [](const NodeRun& run) { return run.phase == NodePhase::preparing; });
  for (int i = 0; i < static_cast<int>(attempt->nodes.size()); ++i) {
    const auto phase = attempt->nodes[static_cast<std::size_t>(i)].phase;
    if (phase == NodePhase::exited) continue;
    if (stop) {
      effects.emplace_back(StopNode{job.id, attempt->number, i});
    } else if (phase == NodePhase::preparing) {
      effects.emplace_back(PrepareNode{job.id, attempt->number, i});
    } else if (phase == NodePhase::ready && all_ready) {
      effects.emplace_back(LaunchNode{job.id, attempt->number, i});
    }
  }
  return effects;
}

bool is_met(const JobSpec& spec, std::optional<int> index, const JobId& other, bool succeeded) {
  bool is_known = false;
  for (const auto& dependency : spec.depends_on) {
    const bool n_to_n = dependency.kind == DependencyKind::n_to_n;
    const auto meant = n_to_n && index ? child_of(dependency.job, *index) : dependency.job;
    if (meant != other) continue;
    is_known = true;
    const bool any = dependency.kind == DependencyKind::after_any;
    const bool not_ok = dependency.kind == DependencyKind::after_not_ok;
    if (!any && succeeded == not_ok) return false;
  }
  return is_known || succeeded;  // SEQUENTIAL names no job
}

bool holds_node(const Job& job, const NodeId& node) {
  const auto* attempt = job.current();
  return attempt != nullptr &&
         std::any_of(attempt->nodes.begin(), attempt->nodes.end(), [&](const NodeRun& run) {
           return run.node == node && run.phase != NodePhase::exited;
         });
}

bool holds_nodes(const Job& job) {
  const auto* attempt = job.current();
  return attempt != nullptr &&
         std::any_of(attempt->nodes.begin(), attempt->nodes.end(),
                     [](const NodeRun& run) { return run.phase != NodePhase::exited; });
}

std::optional<Millis> deadline(const Job& job) {
  const auto* attempt = job.current();
  if (!job.spec->timeout_s || attempt == nullptr || attempt->over || job.timed_out ||
      job.kill_reason || !attempt->started_at.set()) {
    return std::nullopt;
  }
  return attempt->started_at + std::int64_t{1000} * *job.spec->timeout_s;
}

}  // namespace cox::core
