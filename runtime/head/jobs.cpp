#include <algorithm>

#include "runtime/head/environment.hpp"
#include "runtime/head/head_core.hpp"
#include "runtime/os/log.hpp"

/// Events of jobs: applied, stored, followed up, and then acted on.
namespace cox::head {

namespace {

constexpr std::size_t kPieceBytes = 1u << 20;

}  // namespace

bool HeadCore::apply(const JobId& id, const core::JobEvent& event) {
  const auto applied = state_.apply(id, event);
  if (!applied) {
    os::log_info("passed over: {}", applied.error().message);
    return false;
  }
  journal_->add(store::StoredEvent{id, event});
  const auto at = std::visit([](const auto& e) { return e.at; }, event);
  follow_up(*applied, at);
  return true;
}

void HeadCore::follow_up(const Applied& applied, Millis at) {
  const Job job = *applied.job;  // a copy: events below move things
  if (const auto limit = core::deadline(job)) {
    if (deadlines_.emplace(job.id, *limit).second) rearm_timer();
  } else {
    deadlines_.erase(job.id);
  }
  if (applied.changed_status() && job.array_index) {
    apply(
        parent_of(job.id),
        core::ChildChanged{at, applied.is_new ? JobStatus::submitted : applied.before, job.status});
  }
  if (is_terminal(job.status) && applied.changed_status()) {
    for (const auto& dependent : state_.dependents(job.id)) {
      apply(dependent, core::DependencyEnded{at, job.id, job.status == JobStatus::succeeded});
    }
  }
  journal_->then([this, id = job.id] {
    act(id);
    const auto found = watchers_.find(id);
    if (found == watchers_.end()) return;
    const auto handlers = std::move(found->second);
    watchers_.erase(found);
    for (const auto& handler : handlers) handler();
  });
  schedule_pass();
}

std::string HeadCore::new_uuid() {
  std::uniform_int_distribution<std::uint32_t> bits;
  const std::uint32_t a = bits(random_);
  const std::uint32_t b = bits(random_);
  const std::uint32_t c = bits(random_);
  const std::uint32_t d = bits(random_);
  return fmt::format("{:08x}-{:04x}-4{:03x}-{:04x}-{:04x}{:08x}", a, b >> 16, b & 0xfff,
                     0x8000 | (c >> 16 & 0x3fff), c & 0xffff, d);
}

Result<JobId> HeadCore::submit(JobSpec spec) {
  for (const auto& file : spec.files) {
    if (!blobs_->has(file.sha256)) {
      return fail(Errc::invalid_argument, "file {} was not uploaded", file.name);
    }
  }
  const JobId id{new_uuid()};
  std::vector<JobId> waits_for;
  for (const auto& dependency : spec.depends_on) {
    if (dependency.kind == DependencyKind::whole) waits_for.push_back(dependency.job);
  }
  if (!spec.array_size) {
    submit_one(id, spec, std::nullopt, waits_for);
    return id;
  }
  submit_one(id, spec, std::nullopt, {});
  for (int i = 0; i < *spec.array_size; ++i) {
    auto of_child = waits_for;
    for (const auto& dependency : spec.depends_on) {
      if (dependency.kind == DependencyKind::n_to_n) {
        of_child.push_back(child_of(dependency.job, i));
      } else if (dependency.kind == DependencyKind::sequential && i > 0) {
        of_child.push_back(child_of(id, i - 1));
      }
    }
    submit_one(child_of(id, i), spec, i, of_child);
  }
  return id;
}

void HeadCore::submit_one(const JobId& id, const JobSpec& spec, std::optional<int> index,
                          const std::vector<JobId>& waits_for) {
  const auto now = clock_.now();
  std::vector<JobId> open;
  std::optional<JobId> failed;
  for (const auto& other : waits_for) {
    const auto* job = state_.find(other);
    if (job != nullptr && job->status == JobStatus::succeeded) continue;
    if (std::find(open.begin(), open.end(), other) != open.end()) continue;
    open.push_back(other);
    if (job == nullptr || job->status == JobStatus::failed) failed = other;
  }
  apply(id, core::Submitted{now, spec, index, open});
  if (failed) apply(id, core::DependencyEnded{now, *failed, false});
}

void HeadCore::kill(const JobId& id, const std::string& reason, bool only_waiting) {
  const auto* job = state_.find(id);
  if (job == nullptr || is_terminal(job->status)) return;
  if (only_waiting && !job->is_array_parent() && job->status >= JobStatus::starting) return;
  const auto now = clock_.now();
  const bool is_parent = job->is_array_parent();
  const int children = job->spec.array_size.value_or(0);
  apply(id, core::KillAsked{now, reason});
  for (int i = 0; is_parent && i < children; ++i) kill(child_of(id, i), reason, only_waiting);
}

void HeadCore::act(const JobId& id) {
  const auto* job = state_.find(id);
  if (job == nullptr) return;
  for (const auto& effect : core::due(*job)) {
    std::visit([this](const auto& e) { act_on(e); }, effect);
  }
}

void HeadCore::act_on(const core::PrepareNode& effect) {
  const Job& job = *state_.find(effect.job);
  const auto& run = job.attempts.back().nodes[static_cast<std::size_t>(effect.node_index)];
  const auto session = sessions_.find(run.node);
  if (session == sessions_.end() || !session->second.greeted) return;
  const auto key = fmt::format("prepare {} {} {}", effect.job, effect.attempt, effect.node_index);
  if (!session->second.sent.insert(key).second) return;

  const auto give_up = [&](const std::string& why) {
    apply(effect.job, core::NodeExited{clock_.now(), effect.attempt, effect.node_index, 1, why});
  };
  const auto* head_node = state_.node(head_node_);
  const PartContext context{&state_.cluster(), head_node != nullptr ? head_node->address : "",
                            more_ranks_than_cores(job)};
  const auto prepare = make_prepare(job, effect.node_index, context);
  if (!prepare) return give_up(prepare.error().message);
  for (const auto& file : job.spec.files) {
    const auto bytes = blobs_->get(file.sha256);
    if (!bytes) return give_up(bytes.error().message);
    std::size_t at = 0;
    do {
      wire::FilePiece piece{prepare->part, file.name, file.mode, bytes->substr(at, kPieceBytes),
                            true};
      at += piece.bytes.size();
      piece.last = at >= bytes->size();
      send(run.node, piece);
    } while (at < bytes->size());
  }
  send(run.node, *prepare);
}

void HeadCore::act_on(const core::LaunchNode& effect) {
  const Job& job = *state_.find(effect.job);
  const auto& run = job.attempts.back().nodes[static_cast<std::size_t>(effect.node_index)];
  send_once(run.node, fmt::format("launch {} {} {}", effect.job, effect.attempt, effect.node_index),
            wire::Launch{{effect.job, effect.attempt, effect.node_index}});
}

void HeadCore::act_on(const core::StopNode& effect) {
  const Job& job = *state_.find(effect.job);
  const auto& run = job.attempts.back().nodes[static_cast<std::size_t>(effect.node_index)];
  const auto reason = job.kill_reason.value_or(job.status_reason);
  send_once(
      run.node, fmt::format("stop {} {} {}", effect.job, effect.attempt, effect.node_index),
      wire::Stop{{effect.job, effect.attempt, effect.node_index}, core::kStopGraceSeconds, reason});
}

void HeadCore::send_once(const NodeId& node, const std::string& key, const wire::Message& message) {
  const auto session = sessions_.find(node);
  if (session == sessions_.end() || !session->second.greeted) return;
  if (session->second.sent.insert(key).second) send(node, message);
}

}  // namespace cox::head
