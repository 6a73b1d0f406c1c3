#include <fcntl.h>

#include <algorithm>
#include <csignal>
#include <cstring>

#include "runtime/base/text.hpp"
#include "runtime/head/head_core.hpp"
#include "runtime/head/node_scripts.hpp"
#include "runtime/head/plain_text.hpp"
#include "runtime/os/log.hpp"

/// Sessions of agents: what they say becomes events, output goes to the log store.
namespace cox::head {

namespace {

constexpr auto kRankWordTime = std::chrono::milliseconds(300);
constexpr auto kNodesTime = std::chrono::milliseconds(60'000);
constexpr const char* kNotReached = "the node cannot be reached";
constexpr std::size_t kLastLines = 5;
constexpr std::size_t kLastBytes = 1024;

/// A rank that mpirun ended because of another one; or one that asked for it.
bool was_ended_by_mpirun(int exit_code) {
  return exit_code == 128 + SIGTERM || exit_code == 128 + SIGKILL;
}

}  // namespace

std::string ending(int exit_code) {
  if (exit_code <= 128 || exit_code >= 128 + NSIG) {
    return fmt::format("exited with code {}", exit_code);
  }
  const int signal = exit_code - 128;
  const char* name = ::sigabbrev_np(signal);
  return name != nullptr ? fmt::format("ended by signal {} (SIG{})", signal, name)
                         : fmt::format("ended by signal {}", signal);
}

// Connections.

void HeadCore::send(const NodeId& node, const wire::Message& message) {
  const auto session = sessions_.find(node);
  if (session != sessions_.end()) session->second.link->send(wire::encode(message));
}

void HeadCore::connected(std::unique_ptr<os::FrameLink> link) {
  const NodeId id{link->peer_name()};
  const auto* known = state_.node(id);
  if (known == nullptr || known->status == NodeStatus::terminating || shutting_down_) {
    os::log_warn("node {} is not of this cluster: its agent is turned away", id);
    return;
  }
  Session session;
  session.link = std::move(link);
  // A new connection takes the place of an old one that may still look alive from here.
  auto& kept = sessions_[id] = std::move(session);
  // Their ids are copied: what they lead to may drop the link, and these handlers with it.
  kept.link->on_frame([this, id](const std::string& bytes) { frame(NodeId{id}, bytes); });
  kept.link->on_closed([this, id](const std::string& why) { disconnected(NodeId{id}, why); });
}

void HeadCore::frame(const NodeId& node, const std::string& bytes) {
  const auto session = sessions_.find(node);
  if (session == sessions_.end()) return;
  auto message = wire::decode(bytes);
  if (!message) {
    os::log_error("node {}: {}", node, message.error().message);
    return disconnected(node, "it sent what is no message");
  }
  if (!session->second.greeted && !std::holds_alternative<wire::Hello>(*message)) return;
  std::visit([&](auto& m) { on(node, std::move(m)); }, *message);
}

void HeadCore::disconnected(const NodeId& node, const std::string& why) {
  if (sessions_.erase(node) == 0 || shutting_down_) return;
  went_silent(node, why);
  std::vector<std::pair<JobId, int>> there;
  for (const auto* job : state_.holders(node)) {
    there.emplace_back(job->id, job->current()->number);
  }
  for (const auto& [job, attempt] : there) end_what_waited(job, attempt);
}

void HeadCore::on(const NodeId& node, const wire::Hello& message) {
  if (message.version != wire::kVersion || message.node != node) {
    os::log_error("node {} speaks version {} as {}: turned away", node, message.version,
                  message.node);
    return disconnected(node, "its agent is of another version");
  }
  auto& session = sessions_.at(node);
  session.greeted = true;
  session.life = message.life;
  session.hardware_threads = message.hardware_threads;
  if (auto topology = mpi::parse_topology(message.hwloc_xml)) {
    session.topology = std::move(*topology);
  }
  session.open_mpi_flux = message.open_mpi_flux;
  session.paths = {.bin_dir = message.bin_dir,
                   .mpirun = message.mpirun,
                   .topology_file = message.topology_file,
                   .interface = message.network,
                   .nodes_share_cores = !message.whole_machine};
  if (const auto scratch = provider_.scratch_here(node); !scratch.empty()) {
    session.scratch.reset(::open(scratch.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  }
  send(node, wire::Welcome{state_.cluster().name, static_cast<bool>(session.scratch)});
  compare_parts(node, message.parts);
  find_scripts(node, message.parts);
  learn_address(node, message);
  is_up(node);
  find_update_scripts(node, message.parts);
  // What is owed to the parts there was owed to the connection before this one.
  for (const auto* job : state_.holders(node)) touched_.insert(job->id);
  journal_->wake();
}

/// After a reconnect: what the agent has and the head does not want is stopped; what the head
/// thinks it runs and it does not know is over.
void HeadCore::compare_parts(const NodeId& node, const std::vector<wire::PartKey>& reported) {
  for (const auto& part : reported) {
    if (is_script(part)) continue;
    if (part_on(node, part) == nullptr) {
      part_is_not_wanted(node, part);
    } else {
      sessions_.at(node).told.emplace(part, Told::prepare);
    }
  }
  std::vector<wire::PartKey> lost;
  for (const auto* job : state_.holders(node)) {
    const auto& attempt = job->attempts.back();
    for (int i = 0; i < static_cast<int>(attempt.nodes.size()); ++i) {
      const auto& run = attempt.nodes[static_cast<std::size_t>(i)];
      const wire::PartKey part{job->id, attempt.number, i};
      const bool has_it = std::find(reported.begin(), reported.end(), part) != reported.end();
      // A part that starts by itself may have begun with an agent that told nobody any more.
      const auto told = told_to_start_.find({job->id, attempt.number});
      const bool may_have_begun = run.phase == NodePhase::preparing &&
                                  told != told_to_start_.end() &&
                                  told->second != sessions_.at(node).life;
      const bool should =
          may_have_begun || run.phase == NodePhase::ready || run.phase == NodePhase::running;
      if (run.node == node && should && !has_it) lost.push_back(part);
    }
  }
  for (const auto& part : lost) {
    const auto why = fmt::format("node {} ({}) lost the job when its agent restarted",
                                 state_.node(node)->hostname, node);
    apply(part.job, core::NodeExited{clock_.now(), part.attempt, part.node_index, 1, why});
    tell_nodes_of_loss(part);
  }
}

// Parts.

const NodeRun* HeadCore::part_on(const NodeId& node, const wire::PartKey& part) const {
  const auto* job = state_.find(part.job);
  if (job == nullptr || job->current() == nullptr || job->current()->number != part.attempt ||
      !was_on(node, part)) {
    return nullptr;
  }
  const auto& run = job->current()->nodes[static_cast<std::size_t>(part.node_index)];
  return run.phase != NodePhase::exited ? &run : nullptr;
}

bool HeadCore::was_on(const NodeId& node, const wire::PartKey& part) const {
  const auto* job = state_.find(part.job);
  if (job == nullptr || part.attempt < 1 || part.node_index < 0 ||
      static_cast<std::size_t>(part.attempt) > job->attempts.size()) {
    return false;
  }
  const auto& nodes = job->attempts[static_cast<std::size_t>(part.attempt) - 1].nodes;
  const auto index = static_cast<std::size_t>(part.node_index);
  return index < nodes.size() && nodes[index].node == node;
}

bool HeadCore::takes_part(const NodeId& node, const JobId& id) const {
  const auto* job = state_.find(id);
  if (job == nullptr || job->current() == nullptr) return false;
  const auto& nodes = job->current()->nodes;
  return std::any_of(nodes.begin(), nodes.end(),
                     [&](const NodeRun& run) { return run.node == node; });
}

void HeadCore::part_is_not_wanted(const NodeId& node, const wire::PartKey& part) {
  send(node, wire::Stop{part, 0, "it is not wanted any more"});
}

/// A node's word for when something was: its clock may be off, but nothing is in the future.
Millis HeadCore::when_told(std::int64_t at_ms) const {
  const auto now = clock_.now();
  return at_ms > 0 ? std::min(Millis{at_ms}, now) : now;
}

void HeadCore::on(const NodeId& node, const wire::Prepared& message) {
  const auto& part = message.part;
  if (is_script(part)) return script_prepared(node, part);
  const auto* run = part_on(node, part);
  if (run == nullptr) return part_is_not_wanted(node, part);
  const bool meets = message.meeting.port != 0;
  if (meets) meetings_[{part.job, part.attempt}][part.node_index] = message.meeting;
  if (run->phase != NodePhase::preparing) {  // told again, after a reconnect
    if (meets) act(part.job);
    return;
  }
  apply(part.job, core::NodeReady{clock_.now(), part.attempt, part.node_index});
  // Nobody is told of this, and the agent tells it again to the next head: there is nothing in it
  // that a disk must know before the job starts.
  act(part.job);
}

void HeadCore::on(const NodeId& node, const wire::Preparing& message) {
  const auto* run = part_on(node, message.part);
  if (run == nullptr) return part_is_not_wanted(node, message.part);
  if (run->phase != NodePhase::preparing) return;
  state_.set_progress(message.part.job, fmt::format("{}: {}", run->hostname, message.progress));
}

void HeadCore::on(const NodeId& node, const wire::Started& message) {
  const auto& part = message.part;
  if (is_script(part)) return;
  const auto* run = part_on(node, part);
  if (run == nullptr) return part_is_not_wanted(node, part);
  if (run->phase == NodePhase::running) return;
  apply(part.job, core::NodeStarted{when_told(message.at_ms), part.attempt, part.node_index});
}

void HeadCore::on(const NodeId& node, const wire::Exited& message) {
  if (is_script(message.part)) return script_ended(node, message);
  const bool known = part_on(node, message.part) != nullptr;
  if (known && brings_back(node, message)) return;
  if (known && (waits_for_a_rank(message) || waits_for_nodes(message))) {
    return delay_end(node, message);
  }
  end_part(node, message);
  end_what_waited(message.part.job, message.part.attempt);
}

void HeadCore::delay_end(const NodeId& node, const wire::Exited& message) {
  auto& delayed = delayed_ends_[message.part];
  delayed.node = node;
  delayed.message = message;
  const auto limit = waits_for_nodes(message) ? kNodesTime : kRankWordTime;
  delayed.limit = loop_.after(limit, [this, part = message.part] {
    const auto ended = delayed_ends_.extract(part);
    if (!ended.empty()) end_part(ended.mapped().node, ended.mapped().message);
  });
}

/// Ends the attempt's main part if that waits for nothing any more.
void HeadCore::end_what_waited(const JobId& job, int attempt) {
  const auto waiting = delayed_ends_.find({job, attempt, 0});
  if (waiting == delayed_ends_.end() || waits_for_a_rank(waiting->second.message) ||
      waits_for_nodes(waiting->second.message)) {
    return;
  }
  const auto ended = delayed_ends_.extract(waiting);
  end_part(ended.mapped().node, ended.mapped().message);
}

/// The nodes of a direct attempt end together, and what the others wrote belongs to the output of
/// the main node: it ends last. A node that cannot be reached is not waited for.
bool HeadCore::waits_for_nodes(const wire::Exited& message) const {
  const auto* job = state_.find(message.part.job);
  if (job == nullptr || job->current() == nullptr || message.part.node_index != 0 ||
      !job->current()->is_direct()) {
    return false;
  }
  const auto& nodes = job->current()->nodes;
  return std::any_of(nodes.begin() + 1, nodes.end(), [this](const NodeRun& run) {
    return run.phase != NodePhase::exited && sessions_.contains(run.node);
  });
}

/// The word of the failing rank may come from another node a little later than the main node's end.
bool HeadCore::waits_for_a_rank(const wire::Exited& message) const {
  const auto* job = state_.find(message.part.job);
  if (!job->spec->mpi || job->current()->is_direct() || message.part.node_index != 0 ||
      message.exit_code == 0 || job->kill_reason || job->timed_out) {
    return false;
  }
  const auto known = failed_ranks_.find({message.part.job, message.part.attempt});
  return known == failed_ranks_.end() || was_ended_by_mpirun(known->second.exit_code);
}

void HeadCore::end_part(const NodeId& node, const wire::Exited& message) {
  const auto& part = message.part;
  if (part_on(node, part) != nullptr) {
    core::NodeExited event{when_told(message.at_ms), part.attempt, part.node_index,
                           message.exit_code, message.reason};
    const auto& job = *state_.find(part.job);
    const auto failed = failed_ranks_.extract({part.job, part.attempt});
    if (!failed.empty() && part.node_index != 0) {
      failed_ranks_.emplace(failed.key(), failed.mapped());  // the main node's end will tell it
    } else if (!failed.empty() && !job.kill_reason && !job.timed_out) {
      event.reason = describe(failed.mapped(), job);
      const bool decides = event.exit_code == 0 || job.current()->is_direct();
      if (decides) event.exit_code = failed.mapped().exit_code;
    }
    apply(part.job, event);
  }
  // Also for one of an older attempt, or told before: it may forget it.
  journal_->then([this, node, part] {
    send(node, wire::ExitedAck{part});
    const auto session = sessions_.find(node);
    if (session == sessions_.end()) return;
    for (const auto what : {Told::prepare, Told::launch, Told::stop}) {
      session->second.told.erase({part, what});
    }
  });
}

std::string HeadCore::describe(const FailedRank& failed, const Job& job) const {
  auto text = fmt::format("rank {} on {} {}", failed.rank, failed.hostname,
                          failed.how.empty() ? ending(failed.exit_code) : failed.how);
  logs::ReadSpec tail;
  tail.last = kLastLines;
  const auto lines =
      logs_->read(rank_log(job.id, job.current()->number, failed.node_index, failed.rank), tail);
  std::vector<std::string> last;
  for (std::size_t i = 0; lines && i < lines->size(); ++i) last.push_back((*lines)[i].text);
  if (!last.empty()) text += fmt::format(": \"{}\"", on_one_line(join(last, " | "), kLastBytes));
  return text;
}

void HeadCore::on(const NodeId& node, const wire::RankExited& message) {
  const auto& part = message.part;
  const auto* run = part_on(node, part);
  if (run == nullptr || message.exit_code == 0 || !state_.find(part.job)->spec->mpi) return;
  const FailedRank failed{message.rank,    message.exit_code, message.at_ms,
                          part.node_index, run->hostname,     message.how};
  const auto [known, added] = failed_ranks_.emplace(std::pair{part.job, part.attempt}, failed);
  if (!added && failed.at_ms < known->second.at_ms) known->second = failed;
  end_what_waited(part.job, part.attempt);
}

// Commands that cox-rsh asks for on other nodes of a job.

/// Passes a message between two nodes of a job. A node that is away for a moment has it said again
/// by the other; of a part that is over, who speaks to it is told.
void HeadCore::relay(const NodeId& node, const wire::RemoteRoute& route,
                     const wire::Message& message) {
  const bool asker_runs = part_on(route.from_node, route.from) != nullptr;
  if (!route.to_target) {
    if (asker_runs && takes_part(node, route.from.job)) return send(route.from_node, message);
    const auto* have = std::get_if<wire::RemoteHave>(&message);
    if (route.number == 0 && (have == nullptr || !have->again)) return;
    const wire::RemoteTaken nobody{wire::way_back(route), wire::kNobodyReads};
    return journal_->then([this, node, nobody] { send(node, nobody); });
  }
  if (route.from_node != node) return;
  std::string why = "the job has ended";
  if (asker_runs) {
    const auto& nodes = state_.find(route.from.job)->current()->nodes;
    const auto index = static_cast<std::size_t>(route.target_index);
    if (index < nodes.size() && nodes[index].phase != NodePhase::exited) {
      return send(nodes[index].node, message);
    }
    const auto* target = index < nodes.size() ? state_.node(nodes[index].node) : nullptr;
    const bool is_there = target != nullptr && target->status != NodeStatus::terminating;
    why = is_there ? "the job has ended on that node" : kNotReached;
  }
  const wire::RemoteExited refusal{wire::way_back(route), 255, why};
  journal_->then([this, node, refusal] { send(node, refusal); });
}

/// The part's node or agent is gone, and cannot say what became of the commands that other nodes
/// had asked for there.
void HeadCore::tell_nodes_of_loss(const wire::PartKey& part) {
  journal_->then([this, part] {
    const auto* job = state_.find(part.job);
    const auto* attempt = job != nullptr ? job->current() : nullptr;
    if (attempt == nullptr || attempt->number != part.attempt) return;
    for (const auto& run : attempt->nodes) {
      if (run.phase != NodePhase::exited) send(run.node, wire::RemoteLost{part, kNotReached});
    }
  });
}

/// A host that is full, out of memory or has a wrong clock gets no job until that is mended.
void HeadCore::on(const NodeId& node, const wire::Health& message) {
  const auto* known = state_.node(node);
  if (known == nullptr) return;
  auto problem = message.problem;
  if (problem.empty()) problem = clock_problem(Millis{message.at_ms}, clock_.now());
  const auto status = problem.empty() ? NodeStatus::up : NodeStatus::unfit;
  const bool serves = known->status == NodeStatus::up || known->status == NodeStatus::unfit;
  if (!serves || (known->status == status && known->reason == problem)) return;
  if (problem.empty()) {
    os::log_info("node {} serves again", node);
  } else {
    os::log_warn("node {} gets no more jobs: {}", node, problem);
  }
  Node changed = *known;
  changed.status = status;
  changed.reason = std::move(problem);
  state_.put_node(changed);
  want_pass();
}

template <class Other>
void HeadCore::on(const NodeId& node, const Other&) {
  os::log_warn("node {} sent a message that only the head sends", node);
}

}  // namespace cox::head
