#include <algorithm>
#include <map>

#include "runtime/api/api.hpp"
#include "runtime/core/array_children.hpp"
#include "runtime/head/environment.hpp"
#include "runtime/head/head_core.hpp"
#include "runtime/mpi/hub_tree.hpp"
#include "runtime/os/log.hpp"

/// Events of jobs: applied, stored, followed up, and then acted on.
namespace cox::head {

namespace {

constexpr std::size_t kPieceBytes = 1u << 20;
constexpr std::size_t kQueuedBytesMax = 8u << 20;  // of one agent's link
constexpr auto kPace = std::chrono::milliseconds(2);

/// True when the event may let a waiting job go: resources came free, or a job has joined or left
/// the queue.
bool concerns_scheduler(const core::JobEvent& event) {
  return !std::holds_alternative<core::Placed>(event) &&
         !std::holds_alternative<core::NodeReady>(event) &&
         !std::holds_alternative<core::NodeStarted>(event) &&
         !std::holds_alternative<core::ChildChanged>(event) &&
         !std::holds_alternative<core::Tagged>(event);
}

/// Takes out what is kept of the job's attempts.
void forget_attempts(auto& kept, const JobId& id) {
  const auto first = kept.lower_bound({id, 0});
  auto last = first;
  while (last != kept.end() && last->first.first == id) ++last;
  kept.erase(first, last);
}

}  // namespace

/// Applies an event and all that it leads to. One after the other: a chain of dependents may be
/// long, too long to follow it by recursion.
bool HeadCore::apply(const JobId& id, const core::JobEvent& event) {
  const bool done = apply_one(id, event);
  while (!follow_ups_.empty()) {
    const auto next = std::move(follow_ups_.front());
    follow_ups_.pop_front();
    apply_one(next.first, next.second);
  }
  return done;
}

bool HeadCore::apply_one(const JobId& id, const core::JobEvent& event) {
  const auto applied = state_.apply(id, event);
  if (!applied) {
    os::log_info("passed over: {}", applied.error().message);
    return false;
  }
  if (!state_.is_implied(id, event)) journal_->add(store::StoredEvent{id, event});
  for (auto& next : state_.follow_ups(*applied, event)) follow_ups_.push_back(std::move(next));
  touched_.insert(id);
  if (concerns_scheduler(event)) want_pass();
  const Job& job = *applied->job;
  if (!applied->changed_status()) return true;
  const auto at = std::visit([](const auto& e) { return e.at; }, event);
  if (job.status != JobStatus::starting) {
    state_.clear_progress(id);
    forget_staging(id);
  }
  if (is_terminal(job.status)) {
    forget_attempts(failed_ranks_, id);
    forget_attempts(meetings_, id);
    forget_attempts(told_to_start_, id);
    for (const auto& dependent : state_.dependents(id)) {
      follow_ups_.emplace_back(dependent,
                               core::DependencyEnded{at, id, job.status == JobStatus::succeeded});
    }
  }
  return true;
}

std::string HeadCore::new_uuid() {
  // Version 7: it begins with the time. So jobs' ids come in order, and the store's index of them
  // grows at its end; random ones would each change another page of it.
  const auto ms = static_cast<std::uint64_t>(clock_.now().value);
  std::uniform_int_distribution<std::uint64_t> bits;
  const std::uint64_t a = bits(random_);
  const std::uint64_t b = bits(random_);
  return fmt::format("{:08x}-{:04x}-7{:03x}-{:04x}-{:012x}", ms >> 16 & 0xffffffff, ms & 0xffff,
                     a & 0xfff, 0x8000 | (a >> 12 & 0x3fff), b & 0xffffffffffff);
}

/// A job with all children of an array, in one turn: all of it is durable or nothing.
Result<JobId> HeadCore::submit(Shared<JobSpec> spec) {
  for (const auto& file : spec->files) {
    if (!blobs_->has(file.sha256)) {
      return fail(Errc::invalid_argument, "file {} was not uploaded", file.name);
    }
  }
  if (const auto needs = staging_needs(spec, state_.cluster()); !needs) return fail(needs.error());
  const JobId id{new_uuid()};
  state_.share_alike(id, std::nullopt, spec);
  std::vector<JobId> waits_for;
  for (const auto& dependency : spec->depends_on) {
    const bool of_children =
        dependency.kind == DependencyKind::n_to_n || dependency.kind == DependencyKind::sequential;
    if (!of_children) waits_for.push_back(dependency.job);
  }
  if (!spec->array_size) {
    const auto waits = open_waits(spec, std::nullopt, waits_for);
    apply(id, core::Submitted{clock_.now(), spec, std::nullopt, waits.open});
    if (waits.missed) apply(id, *waits.missed);
    return id;
  }
  submit_array(id, spec, waits_for);
  return id;
}

/// Of what is to be waited for, that which has not come yet; and what never will.
HeadCore::Waits HeadCore::open_waits(const JobSpec& spec, std::optional<int> index,
                                     const std::vector<JobId>& waits_for) const {
  Waits waits;
  auto& open = waits.open;
  for (const auto& other : waits_for) {
    const auto* job = state_.find(other);
    const bool is_over = job == nullptr || is_terminal(job->status);
    const bool succeeded = job != nullptr && job->status == JobStatus::succeeded;
    const bool met = is_over && core::is_met(spec, index, other, succeeded);
    if (met || std::find(open.begin(), open.end(), other) != open.end()) continue;
    open.push_back(other);
    if (is_over) waits.missed = core::DependencyEnded{clock_.now(), other, succeeded};
  }
  return waits;
}

/// The parent's first event has what all its children begin with: they follow from it.
void HeadCore::submit_array(const JobId& id, const Shared<JobSpec>& spec,
                            const std::vector<JobId>& waits_for) {
  core::Submitted first{clock_.now(), spec, std::nullopt, {}};
  std::map<int, core::DependencyEnded> missed;
  const bool is_sequential =
      std::any_of(spec->depends_on.begin(), spec->depends_on.end(),
                  [](const Dependency& each) { return each.kind == DependencyKind::sequential; });
  for (int i = 0; i < *spec->array_size; ++i) {
    auto of_child = waits_for;
    for (const auto& dependency : spec->depends_on) {
      if (dependency.kind == DependencyKind::n_to_n) {
        of_child.push_back(child_of(dependency.job, i));
      }
    }
    auto waits = open_waits(spec, i, of_child);
    if (waits.missed) missed[i] = *waits.missed;
    if (is_sequential && i > 0) waits.open.push_back(child_of(id, i - 1));
    core::add_child(first, id, waits.open);
  }
  apply(id, first);
  for (const auto& [index, ended] : missed) {
    const auto* child = state_.find(child_of(id, index));
    if (child != nullptr && !is_terminal(child->status)) apply(child->id, ended);
  }
}

void HeadCore::kill(const JobId& id, const std::string& reason, bool only_waiting) {
  const auto* job = state_.find(id);
  if (job == nullptr || is_terminal(job->status)) return;
  if (only_waiting && !job->is_array_parent() && job->status >= JobStatus::starting) return;
  const int children = job->is_array_parent() ? *job->spec->array_size : 0;
  apply(id, core::KillAsked{clock_.now(), reason, only_waiting});
  // The last first: each ends by the kill, none as the dependent of one before it.
  for (int i = children - 1; i >= 0; --i) kill(child_of(id, i), reason, only_waiting);
}

void HeadCore::act(const JobId& id) {
  const auto* job = state_.find(id);
  if (job == nullptr || shutting_down_) return;
  for (const auto& effect : core::due(*job)) {
    std::visit([this](const auto& e) { act_on(e); }, effect);
  }
}

/// The node's session, when it is there and was not told this yet.
Session* HeadCore::session_to_tell(const NodeId& node, const wire::PartKey& part, Told what) {
  const auto session = sessions_.find(node);
  if (session == sessions_.end() || !session->second.greeted) return nullptr;
  return session->second.told.emplace(part, what).second ? &session->second : nullptr;
}

void HeadCore::act_on(const core::PrepareNode& effect) {
  const Job& job = *state_.find(effect.job);
  const auto& run = job.attempts.back().nodes[static_cast<std::size_t>(effect.node_index)];
  const wire::PartKey part{effect.job, effect.attempt, effect.node_index};
  const auto& attempt = job.attempts.back();
  // All nodes must be given the same places of the ranks, which depend on each one's shape.
  if (attempt.is_direct() && !all_connected(attempt.nodes)) return;
  const auto refuse = [&](const Error& error) {
    apply(effect.job,
          core::NodeExited{clock_.now(), effect.attempt, effect.node_index, 1, error.message});
  };
  const auto staged = is_staged(job, effect.node_index);
  if (!staged) return refuse(staged.error());
  if (!*staged) return;  // it is told when it has come there
  auto* session = session_to_tell(run.node, part, Told::prepare);
  if (session == nullptr) return;
  auto seats =
      attempt.is_direct() ? seats_of(job.spec, attempt.nodes) : Result<std::vector<wire::Seat>>();
  if (!seats) return refuse(seats.error());
  const auto* head_node = state_.node(head_node_);
  const PartContext context{&state_.cluster(),
                            head_node != nullptr ? head_node->address : "",
                            more_ranks_than_cores(job),
                            std::move(*seats),
                            api::container_of(state_, job, effect.node_index),
                            session->paths};
  auto prepare = make_prepare(job, effect.node_index, context);
  if (!prepare) return refuse(prepare.error());
  const auto node = run.node;
  session->sending.push_back({std::move(*prepare), job.spec->files});
  send_files(node);
}

/// Sends what is on its way to the node, no more at a time than its link takes.
void HeadCore::send_files(const NodeId& node) {
  const auto found = sessions_.find(node);
  if (found == sessions_.end()) return;
  auto& session = found->second;
  while (!session.sending.empty()) {
    if (session.link->queued_bytes() > kQueuedBytesMax) {
      session.pace = loop_.after(kPace, [this, node] { send_files(node); });
      return;
    }
    auto& next = session.sending.front();
    if (next.file == next.files.size()) {
      const auto& part = next.prepare.part;
      if (next.prepare.starts_itself) told_to_start_[{part.job, part.attempt}] = session.life;
      send(node, next.prepare);
      session.sending.pop_front();
      continue;
    }
    const auto file = next.files[next.file];
    const auto part = next.prepare.part;
    auto bytes = blobs_->read(file.sha256, next.offset, kPieceBytes);
    if (!bytes) {
      session.sending.pop_front();
      apply(part.job, core::NodeExited{clock_.now(), part.attempt, part.node_index, 1,
                                       within(file.name, bytes.error()).message});
      part_is_not_wanted(node, part);  // the agent may have pieces of it
      continue;
    }
    const bool last = bytes->size() < kPieceBytes;
    next.offset += static_cast<std::int64_t>(bytes->size());
    send(node, wire::FilePiece{part, file.name, file.mode, std::move(*bytes), last});
    if (last) {
      ++next.file;
      next.offset = 0;
    }
  }
}

/// Where the node meets the others, once that is known: the nodes say it again to another head.
std::optional<wire::Meeting> HeadCore::meeting_of(const Job& job, int node_index) const {
  if (!job.attempts.back().is_direct() || job.node_count() == 1) return wire::Meeting{};
  const auto known = meetings_.find({job.id, job.attempts.back().number});
  if (known == meetings_.end() || !known->second.contains(0)) return std::nullopt;
  auto meeting = known->second.at(0);
  if (node_index == 0) return meeting;
  const mpi::HubTree tree{job.node_count(), mpi::kHubFanOut};
  const auto hub = known->second.find(tree.parent(node_index));
  if (hub == known->second.end()) return std::nullopt;
  meeting.port = hub->second.port;
  return meeting;
}

void HeadCore::act_on(const core::LaunchNode& effect) {
  const Job& job = *state_.find(effect.job);
  const auto& run = job.attempts.back().nodes[static_cast<std::size_t>(effect.node_index)];
  const wire::PartKey part{effect.job, effect.attempt, effect.node_index};
  const auto meeting = meeting_of(job, effect.node_index);
  if (!meeting || session_to_tell(run.node, part, Told::launch) == nullptr) return;
  send(run.node, wire::Launch{part, *meeting});
}

void HeadCore::act_on(const core::StopNode& effect) {
  const Job& job = *state_.find(effect.job);
  const auto& run = job.attempts.back().nodes[static_cast<std::size_t>(effect.node_index)];
  const wire::PartKey part{effect.job, effect.attempt, effect.node_index};
  auto* session = session_to_tell(run.node, part, Told::stop);
  if (session == nullptr) return;
  // What is not prepared yet never will be.
  std::erase_if(session->sending, [&](const Sending& each) { return each.prepare.part == part; });
  const auto reason = job.kill_reason.get().value_or(job.status_reason);
  send(run.node, wire::Stop{part, core::kStopGraceSeconds, reason});
}

}  // namespace cox::head
