#include <fcntl.h>

#include <utility>

#include "runtime/head/head_core.hpp"
#include "runtime/head/node_scripts.hpp"
#include "runtime/os/files.hpp"
#include "runtime/os/log.hpp"

/// Output of jobs on its way from the agents to the log store.
namespace cox::head {

namespace {

/// Whether an attempt's ranks write nothing but their own logs.
bool is_direct(const Job& job, const wire::PartKey& part) {
  return job.attempts[static_cast<std::size_t>(part.attempt) - 1].is_direct();
}

/// The runs that an agent tells of; nothing unless they follow on each other.
std::vector<logs::Run> runs_of(const wire::OutputKept& message) {
  std::vector<logs::Run> runs;
  runs.reserve(message.runs.size());
  for (const auto& run : message.runs) {
    const bool follows = runs.empty() ? run.sequence > 0 : run.sequence == runs.back().last() + 1;
    if (!follows || run.lines == 0) return {};
    runs.push_back({run.sequence, Millis{run.at_ms},
                    run.stream == 0 ? StreamKind::out : StreamKind::err, run.lines, run.offset,
                    run.bytes});
  }
  return runs;
}

}  // namespace

/// What ranks of a direct attempt write goes to their logs; the main node's, which mpirun would
/// have written, names these lines as they come. Should the head die in between, what the one has
/// is found missing in the other when more comes.
Result<void> HeadCore::append_output(const wire::Output& message, std::vector<OutputLine> lines) {
  const auto& part = message.part;
  if (message.rank < 0) {
    return logs_->append(main_log(part.job, part.attempt, part.node_index), lines);
  }
  const auto own = rank_log(part.job, part.attempt, part.node_index, message.rank);
  if (!is_direct(*state_.find(part.job), part)) return logs_->append(own, lines);
  std::vector<logs::Run> runs;
  if (auto added = logs_->append(own, lines, &runs); !added) return added;
  return logs_->merge(main_log(part.job, part.attempt, 0), own, runs);
}

void HeadCore::on(const NodeId& node, wire::Output message) {
  if (message.records.empty()) return;
  const auto& part = message.part;
  if (is_script(part)) return keep_script_output(node, message);
  std::vector<OutputLine> lines;
  lines.reserve(message.records.size());
  std::size_t bytes = 0;
  for (auto& record : message.records) {
    bytes += record.text.size();
    const auto count = lines_in(record.text);
    lines.push_back({record.sequence, Millis{record.at_ms},
                     record.stream == 0 ? StreamKind::out : StreamKind::err, std::move(record.text),
                     count});
  }
  const auto last = lines.back().sequence + lines.back().lines - 1;
  const wire::OutputAck ack{part, message.rank, last};
  // Of a job that was forgotten, or of none that this node ever ran.
  if (!was_on(node, part)) return send(node, ack);
  const bool is_new = lines.front().sequence == 1;
  if (const auto appended = append_output(message, std::move(lines)); !appended) {
    os::log_error("output of {}/{}/{}: {}", part.job, part.attempt, part.node_index,
                  appended.error().message);
    return;
  }
  output_came(node, ack, bytes, is_new);
}

/// It is acknowledged once it is durable.
void HeadCore::output_came(const NodeId& node, const wire::OutputAck& ack, std::size_t bytes,
                           bool is_new) {
  // Whoever follows the job learns of its new log.
  if (is_new) watches_.tell(ack.part.job);
  journal_->output_written(bytes, [this, node, ack] { send(node, ack); });
}

/// Takes a log over from the agent's disk: the file gets a name among ours, and no byte of it
/// moves.
Result<void> HeadCore::take_kept(const NodeId& node, const wire::OutputKept& message) {
  const auto& part = message.part;
  const auto runs = runs_of(message);
  if (runs.empty() || message.rank < 0 || !is_direct(*state_.find(part.job), part)) {
    return fail(Errc::invalid_argument, "no lines that could be kept");
  }
  const auto own = rank_log(part.job, part.attempt, part.node_index, message.rank);
  if (runs.front().sequence == 1) {
    const auto path = fmt::format("{}/{}.log", wire::kSpoolDirectory, message.log);
    const auto file = os::open_beneath(sessions_.at(node).scratch.get(), path,
                                       O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (!file) return fail(file.error());
    if (auto adopted = logs_->adopt(own, file->get()); !adopted) return adopted;
  }
  if (auto extended = logs_->extend(own, runs); !extended) return extended;
  return logs_->merge(main_log(part.job, part.attempt, 0), own, runs);
}

void HeadCore::on(const NodeId& node, const wire::OutputKept& message) {
  if (message.runs.empty()) return;
  const auto& part = message.part;
  const auto& newest = message.runs.back();
  const wire::OutputAck ack{part, message.rank, newest.sequence + newest.lines - 1};
  if (is_script(part) || !was_on(node, part)) return send(node, ack);
  if (const auto taken = take_kept(node, message); !taken) {
    os::log_warn("output of {}/{}/{} is sent by its node: {}", part.job, part.attempt,
                 part.node_index, taken.error().message);
    return send(node, wire::OutputUnseen{part, message.rank});
  }
  std::size_t bytes = 0;
  for (const auto& run : message.runs) bytes += run.bytes;
  output_came(node, ack, bytes, message.runs.front().sequence == 1);
}

}  // namespace cox::head
