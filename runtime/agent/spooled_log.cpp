#include "runtime/agent/spooled_log.hpp"

#include <algorithm>
#include <utility>

#include "runtime/os/log.hpp"

namespace cox::agent {

SpooledLog::SpooledLog(logs::LogStore& spool, logs::LogName name, wire::PartKey part, int rank)
    : spool_(spool), name_(std::move(name)), part_(std::move(part)), rank_(rank) {}

void SpooledLog::add(std::int64_t at_ms, std::uint8_t stream, std::string text,
                     std::uint32_t lines) {
  unstored_.push_back({last_ + 1, Millis{at_ms}, stream == 0 ? StreamKind::out : StreamKind::err,
                       std::move(text), lines});
  last_ += lines;
}

void SpooledLog::add_run(std::int64_t at_ms, std::uint8_t stream, std::string& text,
                         std::uint32_t lines) {
  const bool now = kept_ && unstored_.empty() && text.size() >= kLargeRunBytes;
  add(at_ms, stream, std::move(text), lines);
  if (!now || !store_one()) return;
  text = std::move(unstored_.back().text);
  unstored_.clear();
}

/// False where the disk refuses: store() tries again, and tells.
bool SpooledLog::store_one() {
  std::vector<logs::Run> runs;
  if (!spool_.append(name_, unstored_, &runs)) return false;
  wait_to_be_told(runs);
  return true;
}

Result<void> SpooledLog::store() {
  if (unstored_.empty()) return {};
  std::vector<logs::Run> runs;
  if (auto stored = spool_.append(name_, unstored_, kept_ ? &runs : nullptr); !stored) {
    return stored;
  }
  if (kept_) {
    unstored_.clear();
    wait_to_be_told(runs);
  } else {
    wait_to_be_sent(std::exchange(unstored_, {}));
  }
  return {};
}

void SpooledLog::wait_to_be_told(const std::vector<logs::Run>& runs) {
  for (const auto& run : runs) {
    const auto before = fresh_runs_.empty() ? sent_ : fresh_runs_.back().last();
    if (fresh_runs_.size() >= kWaitingRunsMax || run.sequence != before + 1) break;
    fresh_bytes_ += run.bytes;
    fresh_runs_.push_back(run);
  }
}

/// Kept in memory as well while they are few: then sending needs no look at the disk.
void SpooledLog::wait_to_be_sent(std::vector<OutputLine> lines) {
  for (auto& line : lines) {
    if (behind()) break;
    const bool follows =
        line.sequence ==
        (fresh_.empty() ? sent_ : fresh_.back().sequence + fresh_.back().lines - 1) + 1;
    if (!follows) break;
    fresh_bytes_ += line.text.size() + sizeof line;
    fresh_.push_back(std::move(line));
  }
}

void SpooledLog::forget_waiting() {
  fresh_.clear();
  fresh_runs_.clear();
  fresh_bytes_ = 0;
}

void SpooledLog::keep(bool kept) {
  kept = kept && !refused_;
  if (kept_ != kept) forget_waiting();
  kept_ = kept;
  was_kept_ |= kept;
}

void SpooledLog::send_instead() {
  refused_ = true;
  if (!kept_) return;
  keep(false);
  rewind();
}

void SpooledLog::pump_runs(const std::function<void(const wire::Message&)>& send) {
  while (sent_ < last_ && in_flight_bytes_ < kKeptBytesMax) {
    wire::OutputKept batch{part_, rank_, name_, {}};
    std::size_t bytes = 0;
    const auto take = [&](const logs::Run& run) {
      sent_ = run.last();
      bytes += run.bytes;
      batch.runs.push_back({run.sequence, run.at.value,
                            static_cast<std::uint8_t>(run.stream == StreamKind::out ? 0 : 1),
                            run.lines, run.offset, run.bytes});
    };
    if (!fresh_runs_.empty() && fresh_runs_.front().sequence == sent_ + 1) {
      while (!fresh_runs_.empty() && batch.runs.size() < kRunsMax) {
        fresh_bytes_ -= fresh_runs_.front().bytes;
        take(fresh_runs_.front());
        fresh_runs_.pop_front();
      }
    } else {
      forget_waiting();
      const auto runs = spool_.runs(name_, sent_, kRunsMax);
      if (!runs) return;
      for (const auto& run : *runs) take(run);
    }
    if (batch.runs.empty()) return;
    in_flight_.emplace_back(sent_, bytes);
    in_flight_bytes_ += bytes;
    send(batch);
  }
}

void SpooledLog::send_batch(wire::Output& batch,
                            const std::function<void(const wire::Message&)>& send) {
  std::size_t bytes = 0;
  for (const auto& record : batch.records) bytes += record.text.size() + sizeof record;
  in_flight_.emplace_back(sent_, bytes);
  in_flight_bytes_ += bytes;
  send(batch);
  batch.records.clear();
}

void SpooledLog::pump(const std::function<void(const wire::Message&)>& send) {
  if (kept_) return pump_runs(send);
  while (sent_ < last_ && in_flight_bytes_ < kWindowBytes) {
    wire::Output batch{part_, rank_, {}};
    const auto take = [&](OutputLine& line) {
      sent_ = line.sequence + line.lines - 1;
      batch.records.push_back({line.sequence, line.at.value,
                               static_cast<std::uint8_t>(line.stream == StreamKind::out ? 0 : 1),
                               std::move(line.text)});
    };
    std::size_t bytes = 0;
    if (!fresh_.empty() && fresh_.front().sequence == sent_ + 1) {
      while (!fresh_.empty() && bytes < kBatchBytes) {
        const auto size = fresh_.front().text.size() + sizeof(OutputLine);
        bytes += size;
        fresh_bytes_ -= size;
        take(fresh_.front());
        fresh_.pop_front();
      }
    } else {
      fresh_.clear();
      fresh_bytes_ = 0;
      logs::ReadSpec what;
      what.after_sequence = sent_;
      what.first = 2000;
      what.in_runs = true;
      auto lines = spool_.read(name_, what);
      if (!lines) return tell_unreadable(lines.error());
      if (lines->empty()) return;
      for (auto& line : *lines) {
        if (bytes >= kBatchBytes) break;
        bytes += line.text.size() + sizeof line;
        take(line);
      }
    }
    if (batch.records.empty()) return;
    send_batch(batch, send);
  }
}

/// Once: it is met again with every line that comes.
void SpooledLog::tell_unreadable(const Error& error) {
  if (error.code == Errc::not_found || unreadable_) return;  // store() told of the former
  unreadable_ = true;
  os::log_error("output of {} cannot be sent: {}", name_, error.message);
}

void SpooledLog::acknowledged(std::uint64_t sequence) {
  acknowledged_ = std::max(acknowledged_, sequence);
  while (!in_flight_.empty() && in_flight_.front().first <= sequence) {
    in_flight_bytes_ -= in_flight_.front().second;
    in_flight_.pop_front();
  }
  // It may be of lines that went by the connection before, further than this one has come.
  sent_ = std::max(sent_, std::min(acknowledged_, last_));
  if (!was_kept_) spool_.forget(name_, acknowledged_);
}

}  // namespace cox::agent
