#include <algorithm>

#include "runtime/base/text.hpp"
#include "runtime/head/head_core.hpp"
#include "runtime/head/plain_text.hpp"

/// CloudWatch Logs: reading, listing and searching what jobs wrote.
namespace cox::head {

namespace {

constexpr std::size_t kReadAtOnce = 1000;

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

/// Reads the stream on from its last event, up to the end of the asked time.
class Source {
 public:
  Source(const logs::LogStore& logs, const api::SearchLogs& asked, const api::LogStream& stream)
      : logs_(logs), asked_(asked), stream_(stream) {}

  /// The next line that is sought, or null.
  const api::LogEvent* next() {
    while (at_ == events_.size() && !over_) refill();
    return at_ == events_.size() ? nullptr : &events_[at_];
  }
  void pass() { ++at_; }
  [[nodiscard]] const api::LogStream& stream() const { return stream_; }

 private:
  void refill() {
    events_.clear();
    at_ = 0;
    logs::ReadSpec what;
    if (asked_.start_ms) what.from = Millis{*asked_.start_ms};
    if (asked_.end_ms) what.before = Millis{*asked_.end_ms};
    what.after_sequence = after_;
    what.first = kReadAtOnce;
    const auto lines = logs_.read(main_log(stream_.job, stream_.attempt, stream_.node_index), what);
    over_ = !lines || lines->size() < kReadAtOnce;
    if (!lines) return;
    for (const auto& line : *lines) {
      after_ = line.sequence;
      auto text = as_utf8(line.text);
      if (!api::is_sought(asked_, text)) continue;
      events_.push_back({line.sequence, line.at.value, std::move(text)});
    }
  }

  const logs::LogStore& logs_;
  const api::SearchLogs& asked_;
  const api::LogStream& stream_;
  std::vector<api::LogEvent> events_;
  std::size_t at_ = 0;
  std::uint64_t after_ = 0;
  bool over_ = false;
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
  if (asked.start_ms) what.from = Millis{*asked.start_ms};
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
  std::vector<Source> sources;
  sources.reserve(search.streams.size());
  for (const auto& stream : search.streams) sources.emplace_back(*logs_, search, stream);
  // The earliest first, over all streams.
  const auto later = [](Source* a, Source* b) { return a->next()->at_ms > b->next()->at_ms; };
  std::vector<Source*> heap;
  for (auto& source : sources) {
    if (source.next() != nullptr) heap.push_back(&source);
  }
  std::make_heap(heap.begin(), heap.end(), later);
  std::vector<api::FoundEvent> found;
  std::size_t skipped = 0;
  while (!heap.empty() && found.size() <= search.limit) {
    std::pop_heap(heap.begin(), heap.end(), later);
    auto* source = heap.back();
    if (skipped < search.skipped) {
      ++skipped;
    } else {
      found.push_back({&source->stream(), *source->next()});
    }
    source->pass();
    if (source->next() == nullptr) {
      heap.pop_back();
    } else {
      std::push_heap(heap.begin(), heap.end(), later);
    }
  }
  const auto given = api::render_found(search, found);
  answer(reply, given.status, given.body, given.error_type);
}

}  // namespace cox::head
