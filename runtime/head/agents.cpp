#include <algorithm>
#include <csignal>
#include <cstring>

#include "runtime/base/text.hpp"
#include "runtime/head/head_core.hpp"
#include "runtime/os/log.hpp"

/// Sessions of agents: what they say becomes events, output goes to the log store.
namespace cox::head {

namespace {

constexpr auto kRankWordTime = std::chrono::milliseconds(300);
constexpr std::size_t kLastLines = 5;
constexpr std::size_t kLastBytes = 1024;

/// Text of a job, fit for a reason: no control characters, bounded.
std::string cleaned(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  if (text.size() > kLastBytes) text = "…" + text.substr(text.size() - kLastBytes);
  return text;
}

std::string part_text(const wire::PartKey& part) {
  return fmt::format("{}/{}/{}", part.job, part.attempt, part.node_index);
}

}  // namespace

void HeadCore::send(const NodeId& node, const wire::Message& message) {
  const auto session = sessions_.find(node);
  if (session != sessions_.end()) session->second.link->send(wire::encode(message));
}

void HeadCore::connected(std::unique_ptr<os::FrameLink> link) {
  const NodeId id{link->peer_name()};
  if (state_.node(id) == nullptr || shutting_down_) {
    os::log_warn("node {} is not of this cluster: its agent is turned away", id);
    return;
  }
  Session session;
  session.link = std::move(link);
  // A new connection takes the place of an old one that may still look alive from here.
  auto& kept = sessions_[id] = std::move(session);
  kept.link->on_frame([this, id](std::string bytes) { frame(id, bytes); });
  kept.link->on_closed([this, id](const std::string& why) { disconnected(id, why); });
}

void HeadCore::frame(const NodeId& node, const std::string& bytes) {
  const auto message = wire::decode(bytes);
  if (!message) {
    os::log_error("node {}: {}", node, message.error().message);
    loop_.post([this, node] { disconnected(node, "it sent what is no message"); });
    return;
  }
  const auto session = sessions_.find(node);
  if (session == sessions_.end()) return;
  if (!session->second.greeted && !std::holds_alternative<wire::Hello>(*message)) return;
  std::visit([&](const auto& m) { on(node, m); }, *message);
}

void HeadCore::disconnected(const NodeId& node, const std::string& why) {
  if (sessions_.erase(node) == 0) return;
  const auto* known = state_.node(node);
  if (known == nullptr || shutting_down_) return;
  os::log_warn("node {} went silent: {}", node, why);
  Node silent = *known;
  silent.status = NodeStatus::silent;
  silent.reason = why;
  state_.put_node(silent);
  silence_[node] = loop_.after(std::chrono::milliseconds(options_.node_lost_after_ms),
                               [this, node] { lose(node, "its agent did not come back"); });
  schedule_pass();
}

void HeadCore::on(const NodeId& node, const wire::Hello& message) {
  auto& session = sessions_.at(node);
  if (message.version != wire::kVersion || message.node != node) {
    os::log_error("node {} speaks version {} as {}: turned away", node, message.version,
                  message.node);
    loop_.post([this, node] { disconnected(node, "its agent is of another version"); });
    return;
  }
  session.greeted = true;
  session.hardware_threads = message.hardware_threads;
  session.hwloc_xml = message.hwloc_xml;
  silence_.erase(node);
  Node known = *state_.node(node);
  const bool first_time = known.status == NodeStatus::pending;
  known.status = NodeStatus::up;
  known.reason.clear();
  if (first_time) known.idle_since = clock_.now();
  state_.put_node(known);
  journal_->add(known);
  send(node, wire::Welcome{state_.cluster().name});
  if (first_time) {
    const bool is_head = known.ordinal == 0;
    tell(is_head ? "HeadNode" : fmt::format("ComputeNode {}", known.id), "CREATE_COMPLETE",
         known.hostname);
  }
  compare_parts(node, message.parts);
  journal_->then([this, node] {
    for (const auto* job : state_.holders(node)) {
      const auto id = job->id;
      loop_.post([this, id] { act(id); });
    }
  });
  schedule_pass();
  check_readiness();
  rearm_timer();
}

/// After a reconnect: what the agent has and the head does not want is stopped; what the head
/// thinks it runs and it does not know is over.
void HeadCore::compare_parts(const NodeId& node, const std::vector<wire::PartKey>& reported) {
  for (const auto& part : reported) {
    if (part_on(node, part) == nullptr) {
      send(node, wire::Stop{part, 0, "it is not wanted any more"});
    }
  }
  std::vector<wire::PartKey> lost;
  for (const auto* job : state_.holders(node)) {
    const auto& attempt = job->attempts.back();
    for (int i = 0; i < static_cast<int>(attempt.nodes.size()); ++i) {
      const auto& run = attempt.nodes[static_cast<std::size_t>(i)];
      const wire::PartKey part{job->id, attempt.number, i};
      const bool has_it = std::find(reported.begin(), reported.end(), part) != reported.end();
      const bool should = run.phase == NodePhase::ready || run.phase == NodePhase::running;
      if (run.node == node && should && !has_it) lost.push_back(part);
    }
  }
  for (const auto& part : lost) {
    const auto hostname = state_.node(node)->hostname;
    apply(part.job,
          core::NodeExited{
              clock_.now(), part.attempt, part.node_index, 1,
              fmt::format("node {} ({}) lost the job when its agent restarted", hostname, node)});
  }
}

const NodeRun* HeadCore::part_on(const NodeId& node, const wire::PartKey& part) const {
  const auto* job = state_.find(part.job);
  if (job == nullptr || job->current() == nullptr || job->current()->number != part.attempt ||
      part.node_index < 0 ||
      static_cast<std::size_t>(part.node_index) >= job->current()->nodes.size()) {
    return nullptr;
  }
  const auto& run = job->current()->nodes[static_cast<std::size_t>(part.node_index)];
  return run.node == node && run.phase != NodePhase::exited ? &run : nullptr;
}

void HeadCore::on(const NodeId& node, const wire::Prepared& message) {
  if (part_on(node, message.part) == nullptr) return send(node, wire::Stop{message.part, 0, ""});
  apply(message.part.job,
        core::NodeReady{clock_.now(), message.part.attempt, message.part.node_index});
}

void HeadCore::on(const NodeId& node, const wire::Started& message) {
  if (part_on(node, message.part) == nullptr) return;
  apply(message.part.job,
        core::NodeStarted{Millis{message.at_ms}, message.part.attempt, message.part.node_index});
}

void HeadCore::on(const NodeId& node, const wire::Exited& message) {
  const auto* run = part_on(node, message.part);
  if (run == nullptr) {
    // Of an older attempt, or told before: durable or not wanted, either way it may forget it.
    journal_->then([this, node, part = message.part] { send(node, wire::ExitedAck{part}); });
    return;
  }
  const auto* job = state_.find(message.part.job);
  const bool may_name_a_rank =
      job->spec.mpi && message.part.node_index == 0 && message.exit_code != 0 && !job->kill_reason;
  if (may_name_a_rank && !failed_ranks_.contains({message.part.job, message.part.attempt})) {
    // The failing rank's word may come from another node a little later.
    const auto key = part_text(message.part);
    delayed_ends_[key] = loop_.after(kRankWordTime, [this, node, message, key] {
      const auto keep = std::move(delayed_ends_[key]);
      delayed_ends_.erase(key);
      end_part(node, message);
    });
    return;
  }
  end_part(node, message);
}

void HeadCore::end_part(const NodeId& node, const wire::Exited& message) {
  const auto& part = message.part;
  if (part_on(node, part) != nullptr) {
    core::NodeExited event{Millis{message.at_ms}, part.attempt, part.node_index, message.exit_code,
                           message.reason};
    const auto failed = failed_ranks_.find({part.job, part.attempt});
    const auto& job = *state_.find(part.job);
    if (failed != failed_ranks_.end() && part.node_index == 0 && job.spec.mpi && !job.kill_reason) {
      event.reason = describe(failed->second, job);
      if (event.exit_code == 0) event.exit_code = failed->second.exit_code;
    }
    apply(part.job, event);
    if (part.node_index == 0) failed_ranks_.erase({part.job, part.attempt});
  }
  if (const auto* known = state_.node(node); known != nullptr && state_.holders(node).empty()) {
    Node idle = *known;
    idle.idle_since = clock_.now();
    state_.put_node(idle);
    rearm_timer();
  }
  journal_->then([this, node, part] { send(node, wire::ExitedAck{part}); });
}

std::string HeadCore::describe(const FailedRank& failed, const Job& job) const {
  auto text = fmt::format("rank {} on {} ", failed.rank, failed.hostname);
  if (failed.exit_code > 128 && failed.exit_code < 128 + NSIG) {
    const int signal = failed.exit_code - 128;
    const char* name = ::sigabbrev_np(signal);
    text += name != nullptr ? fmt::format("ended by signal {} (SIG{})", signal, name)
                            : fmt::format("ended by signal {}", signal);
  } else {
    text += fmt::format("exited with code {}", failed.exit_code);
  }
  logs::ReadSpec tail;
  tail.last = kLastLines;
  const auto lines =
      logs_->read(rank_log(job.id, job.current()->number, failed.node_index, failed.rank), tail);
  std::vector<std::string> last;
  for (std::size_t i = 0; lines && i < lines->size(); ++i) last.push_back((*lines)[i].text);
  if (!last.empty()) text += fmt::format("; its last lines: {}", cleaned(join(last, " | ")));
  return text;
}

void HeadCore::on(const NodeId& node, const wire::Output& message) {
  if (message.records.empty()) return;
  const auto& part = message.part;
  const auto last = message.records.back().sequence;
  const wire::OutputAck ack{part, message.rank, last};
  if (state_.find(part.job) == nullptr) return send(node, ack);
  std::vector<OutputLine> lines;
  lines.reserve(message.records.size());
  for (const auto& record : message.records) {
    lines.push_back({record.sequence, Millis{record.at_ms},
                     record.stream == 0 ? StreamKind::out : StreamKind::err, record.text});
  }
  const auto log = message.rank < 0
                       ? main_log(part.job, part.attempt, part.node_index)
                       : rank_log(part.job, part.attempt, part.node_index, message.rank);
  if (const auto appended = logs_->append(log, lines); !appended) {
    os::log_error("output of {}: {}", part_text(part), appended.error().message);
    return;
  }
  journal_->output_written();
  journal_->then([this, node, ack] { send(node, ack); });
}

void HeadCore::on(const NodeId& node, const wire::RankExited& message) {
  const auto* where = state_.node(node);
  if (message.exit_code == 0 || where == nullptr) return;
  const std::pair key{message.part.job, message.part.attempt};
  const FailedRank failed{message.rank, message.exit_code, message.at_ms, message.part.node_index,
                          where->hostname};
  const auto [known, added] = failed_ranks_.emplace(key, failed);
  if (!added && failed.at_ms < known->second.at_ms) known->second = failed;
}

/// Passes a message between two nodes of a job; tells the asking node when that cannot be.
void HeadCore::relay(const wire::PartKey& from, int target_index, const NodeId& from_node,
                     std::uint64_t id, const wire::Message& message) {
  const auto* job = state_.find(from.job);
  const bool known = job != nullptr && job->current() != nullptr &&
                     job->current()->number == from.attempt && target_index >= 0 &&
                     static_cast<std::size_t>(target_index) < job->current()->nodes.size();
  const NodeId target =
      known ? job->current()->nodes[static_cast<std::size_t>(target_index)].node : NodeId{};
  if (!known || !sessions_.contains(target)) {
    send(from_node, wire::RemoteExited{id, from, from_node, 255, "the node cannot be reached"});
    return;
  }
  send(target, message);
}

void HeadCore::on(const NodeId& node, const wire::RemoteStart& message) {
  if (part_on(node, message.from) == nullptr) return;
  relay(message.from, message.target_index, node, message.id, message);
}

void HeadCore::on(const NodeId& node, const wire::RemoteInput& message) {
  if (part_on(node, message.from) == nullptr) return;
  relay(message.from, message.target_index, node, message.id, message);
}

void HeadCore::on(const NodeId&, const wire::RemoteOutput& message) {
  send(message.from_node, message);
}

void HeadCore::on(const NodeId&, const wire::RemoteExited& message) {
  send(message.from_node, message);
}

template <class Other>
void HeadCore::on(const NodeId& node, const Other&) {
  os::log_warn("node {} sent a message that only the head sends", node);
}

}  // namespace cox::head
