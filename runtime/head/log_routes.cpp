#include "runtime/base/text.hpp"
#include "runtime/core/retention.hpp"
#include "runtime/head/head_core.hpp"
#include "runtime/head/plain_text.hpp"

/// CloudWatch Logs: reading, listing and searching what jobs wrote.
namespace cox::head {

namespace {

constexpr std::size_t kReadAtOnce = 1000;
constexpr std::size_t kReadInAll = 100'000;  // some 50 ms

/// The job, attempt and node whose log a CloudWatch stream name means.
struct StreamPart {
  JobId job;
  int attempt = 0;
  int node_index = 0;
};

/// Takes log_stream_name() apart: "<definition>/default/<uuid>[-<child>]-<attempt>-<node>".
std::optional<StreamPart> parse_stream(const std::string& stream) {
  constexpr std::size_t kUuid = 36;
  const auto last = stream.substr(stream.rfind('/') + 1);
  if (last.size() < kUuid + 4 || last[kUuid] != '-') return std::nullopt;
  const auto numbers = split(last.substr(kUuid + 1), '-');
  std::vector<int> values;
  for (const auto& text : numbers) {
    const auto value = to_int(text);
    if (!value || *value < 0 || *value > 1'000'000) return std::nullopt;
    values.push_back(static_cast<int>(*value));
  }
  const JobId parent{last.substr(0, kUuid)};
  if (values.size() == 2) return StreamPart{parent, values[0], values[1]};
  if (values.size() == 3) return StreamPart{child_of(parent, values[0]), values[1], values[2]};
  return std::nullopt;
}

/// From when on lines are read: what is asked for, as far as logs are kept.
std::optional<Millis> first_kept(std::optional<std::int64_t> asked, std::optional<Millis> kept) {
  if (!asked) return kept;
  return kept ? std::max(*kept, Millis{*asked}) : Millis{*asked};
}

/// One look at logs: stream after stream, until enough is found or enough was read. The rest is for
/// the client's next request, so that no search holds up the head.
class Look {
 public:
  Look(const logs::LogStore& logs, const api::SearchLogs& asked, std::optional<Millis> kept)
      : logs_(logs), asked_(asked), kept_(kept) {}

  api::FoundPage run() {
    for (const auto& stream : asked_.streams) {
      if (stream.name < asked_.after_stream) continue;
      const bool goes_on = stream.name == asked_.after_stream;
      if (!read_on(stream, goes_on ? asked_.after_sequence : 0)) break;
    }
    return std::move(page_);
  }

 private:
  /// False when the look is over within the stream.
  bool read_on(const api::LogStream& stream, std::uint64_t after) {
    logs::ReadSpec what;
    what.from = first_kept(asked_.start_ms, kept_);
    if (asked_.end_ms) what.before = Millis{*asked_.end_ms};
    what.first = kReadAtOnce;
    for (;;) {
      what.after_sequence = after;
      const auto lines = logs_.read(main_log(stream.job, stream.attempt, stream.node_index), what);
      if (!lines) return true;
      for (const auto& line : *lines) {
        if (page_.events.size() == asked_.limit || read_ == kReadInAll) {
          page_.next_stream = &stream;
          page_.next_sequence = after;
          return false;
        }
        ++read_;
        after = line.sequence;
        auto text = as_utf8(line.text);
        if (!api::is_sought(asked_, text)) continue;
        page_.events.push_back({&stream, {line.sequence, line.at.value, std::move(text)}});
      }
      if (lines->size() < kReadAtOnce) return true;
    }
  }

  const logs::LogStore& logs_;
  const api::SearchLogs& asked_;
  std::optional<Millis> kept_;  ///< what is older has expired
  api::FoundPage page_;
  std::size_t read_ = 0;
};

}  // namespace

void HeadCore::read_log(const api::ReadLog& asked, const JobUser& user,
                        const std::shared_ptr<os::HttpReply>& reply) {
  const auto send = [&](const api::Answer& given) {
    answer(reply, given.status, given.body, given.error_type);
  };
  const auto part = parse_stream(asked.stream);
  const auto* job = part ? state_.find(part->job) : nullptr;
  if (job == nullptr || !may_see(*job, user) ||
      job->attempts.size() < static_cast<std::size_t>(part->attempt)) {
    return send(api::render_no_such_log(asked));
  }
  logs::ReadSpec what;
  what.from = first_kept(asked.start_ms,
                         core::logs_kept_from(state_.cluster().log_retention_days, clock_.now()));
  if (asked.end_ms) what.before = Millis{*asked.end_ms};
  if (!asked.token.empty() && !asked.backward) {
    what.after_sequence = asked.after_sequence;
    what.first = asked.limit;
  } else if (asked.backward) {
    // Records before the one that the token names: numbers have no gaps.
    const auto end = asked.after_sequence.value_or(1);
    const auto begin = end > asked.limit ? end - asked.limit : 1;
    what.after_sequence = begin - 1;
    what.first = end > begin ? end - begin : 0;
  } else if (asked.from_head) {
    what.first = asked.limit;
  } else {
    what.last = asked.limit;
  }
  std::vector<api::LogEvent> events;
  const auto lines = logs_->read(main_log(part->job, part->attempt, part->node_index), what);
  if (lines && !(asked.backward && what.first == 0)) {
    for (const auto& line : *lines)
      events.push_back({line.sequence, line.at.value, as_utf8(line.text)});
  }
  send(api::render_log_events(asked, events));
}

/// Fills in the first and last times of each stream.
void HeadCore::list_streams(api::ListStreams list, const api::Request& request,
                            const std::shared_ptr<os::HttpReply>& reply) {
  for (auto& stream : list.streams) {
    const auto info = logs_->info(main_log(stream.job, stream.attempt, stream.node_index));
    if (!info || info->last_sequence == 0) continue;
    stream.first_ms = info->first_at.value;
    stream.last_ms = info->last_at.value;
  }
  const auto given = api::render_streams(state_, request, list);
  answer(reply, given.status, given.body, given.error_type);
}

void HeadCore::search_logs(const api::SearchLogs& search,
                           const std::shared_ptr<os::HttpReply>& reply) {
  const auto given = api::render_found(
      Look(*logs_, search, core::logs_kept_from(state_.cluster().log_retention_days, clock_.now()))
          .run());
  answer(reply, given.status, given.body, given.error_type);
}

}  // namespace cox::head
