#include <algorithm>
#include <boost/json.hpp>
#include <deque>

#include "runtime/base/text.hpp"
#include "runtime/head/head_core.hpp"

/// /cox/v1/output: lines of one or several logs of a job, merged by time, once or as they come.
namespace cox::head {

namespace json = boost::json;

namespace {

constexpr std::size_t kQueuedMax = 4u << 20;
constexpr std::size_t kChunkLines = 2000;

/// "0,2-4" → 0 2 3 4. Nothing when it is no such list.
std::optional<std::vector<int>> parse_ranks(std::string_view text) {
  std::vector<int> ranks;
  for (const auto& piece : split(text, ',')) {
    const auto dash = piece.find('-');
    const auto first = to_int(std::string_view(piece).substr(0, dash));
    const auto last =
        dash == std::string::npos ? first : to_int(std::string_view(piece).substr(dash + 1));
    if (!first || !last || *first < 0 || *last < *first || *last > 1'000'000) return std::nullopt;
    for (auto rank = *first; rank <= *last; ++rank) ranks.push_back(static_cast<int>(rank));
  }
  return ranks;
}

/// One log that is read from, in its own pace.
struct Source {
  logs::LogName log;
  std::optional<int> rank;
  int node_index = 0;
  std::deque<OutputLine> lines;  ///< read and not yet sent
  std::uint64_t after = 0;       ///< read up to this
  std::shared_ptr<void> followed;
};

class OutputStream : public std::enable_shared_from_this<OutputStream> {
 public:
  OutputStream(HeadCore& head, JobRef ref, std::shared_ptr<os::HttpReply> reply)
      : head_(head), ref_(std::move(ref)), reply_(std::move(reply)) {}

  std::optional<std::vector<int>> ranks;
  std::optional<StreamKind> stream;
  std::optional<std::size_t> first;
  std::optional<std::size_t> last;
  bool follow = false;

  void start() {
    os::HttpResponse head;
    head.content_type = "application/x-ndjson";
    reply_->begin(head);
    reply_->on_gone([self = shared_from_this()] { self->stop(); });
    const auto* job = head_.state().find(ref_.id);
    if (job != nullptr && job->current() != nullptr) open(*job);
    if (last) skip_to_last();
    pump();
  }

 private:
  /// Sources of the job's current attempt.
  void open(const Job& job) {
    const auto& attempt = *job.current();
    attempt_ = attempt.number;
    sources_.clear();
    if (!ranks) {
      const int index = ref_.node_index.value_or(job.spec->main_node);
      sources_.push_back({main_log(job.id, attempt_, index), {}, index, {}, 0, {}});
    } else {
      // A rank is where mpirun put it, and a second mpirun of the script may put it elsewhere: each
      // node has its own log of each rank. Without following, only those that are there count.
      for (const int rank : *ranks) {
        for (int index = 0; index < static_cast<int>(attempt.nodes.size()); ++index) {
          if (ref_.node_index.value_or(index) != index) continue;
          const auto log = rank_log(job.id, attempt_, index, rank);
          if (follow || head_.logs().info(log)) sources_.push_back({log, rank, index, {}, 0, {}});
        }
      }
    }
    for (auto& source : sources_) {
      if (!follow) continue;
      source.followed = head_.logs().follow(source.log, [weak = weak_from_this()] {
        if (const auto self = weak.lock()) self->pump();
      });
    }
  }

  /// Keeps only the newest lines over all sources.
  void skip_to_last() {
    std::vector<std::pair<Millis, Source*>> newest;
    for (auto& source : sources_) {
      logs::ReadSpec what;
      what.last = last;
      what.stream = stream;
      const auto lines = head_.logs().read(source.log, what);
      if (!lines || lines->empty()) continue;
      source.lines.assign(lines->begin(), lines->end());
      source.after = lines->back().sequence;
      for (const auto& line : *lines) newest.emplace_back(line.at, &source);
    }
    std::stable_sort(newest.begin(), newest.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    const auto surplus = newest.size() > *last ? newest.size() - *last : 0;
    for (std::size_t i = 0; i < surplus; ++i) newest[i].second->lines.pop_front();
  }

  void refill(Source& source) {
    logs::ReadSpec what;
    what.after_sequence = source.after;
    what.first = kChunkLines;
    what.stream = stream;
    const auto lines = head_.logs().read(source.log, what);
    if (!lines || lines->empty()) return;
    source.after = lines->back().sequence;
    source.lines.assign(lines->begin(), lines->end());
  }

  /// Sends what there is until the client's queue is full, then waits: for the client, for more
  /// output, or for the job to change.
  void pump() {
    if (!reply_ || pumping_) return;
    pumping_ = true;
    const bool was_complete = complete();  // asked before the last look: what came before is read
    std::string text;
    while (text.size() + reply_->queued_bytes() < kQueuedMax && !(first && sent_ >= *first)) {
      Source* const next = earliest();
      if (next == nullptr) break;
      append_line(text, *next, next->lines.front());
      next->lines.pop_front();
      ++sent_;
    }
    const bool full = text.size() + reply_->queued_bytes() >= kQueuedMax;
    reply_->write(std::move(text));
    pumping_ = false;
    if (full) {
      reply_->on_drained([self = shared_from_this()] { self->pump(); });
    } else if ((first && sent_ >= *first) || !follow || was_complete) {
      finish();
    } else {
      watch();
    }
  }

  Source* earliest() {
    Source* next = nullptr;
    for (auto& source : sources_) {
      if (source.lines.empty()) refill(source);
      if (source.lines.empty()) continue;
      if (next == nullptr || source.lines.front().at < next->lines.front().at) next = &source;
    }
    return next;
  }

  void append_line(std::string& text, const Source& source, const OutputLine& line) const {
    json::object shown{{"t", line.at.value},
                       {"q", line.sequence},
                       {"s", line.stream == StreamKind::out ? "stdout" : "stderr"},
                       {"n", source.node_index}};
    if (const auto* host = host_of(source.node_index)) shown["h"] = *host;
    if (source.rank) shown["r"] = *source.rank;
    shown["m"] = line.text;
    text += json::serialize(shown);
    text += '\n';
  }

  const std::string* host_of(int node_index) const {
    const auto* job = head_.state().find(ref_.id);
    if (job == nullptr || job->attempts.size() < static_cast<std::size_t>(attempt_) ||
        attempt_ == 0) {
      return nullptr;
    }
    const auto& nodes = job->attempts[static_cast<std::size_t>(attempt_) - 1].nodes;
    return static_cast<std::size_t>(node_index) < nodes.size()
               ? &nodes[static_cast<std::size_t>(node_index)].hostname
               : nullptr;
  }

  /// True when nothing more can come.
  [[nodiscard]] bool complete() const {
    const auto* job = head_.state().find(ref_.id);
    if (job == nullptr) return true;
    if (!is_terminal(job->status)) return false;
    const auto* attempt = job->current();
    if (attempt == nullptr) return true;
    if (!ranks) {
      const auto index = static_cast<std::size_t>(ref_.node_index.value_or(job->spec->main_node));
      return attempt->nodes[index].phase == NodePhase::exited;
    }
    return !core::holds_nodes(*job);
  }

  void watch() {
    if (watched_) return;
    watched_ = head_.watches().watch(ref_.id, [weak = weak_from_this()] {
      const auto self = weak.lock();
      if (!self || !self->reply_) return;
      const auto* job = self->head_.state().find(self->ref_.id);
      if (job != nullptr && job->current() != nullptr && job->current()->number != self->attempt_) {
        self->open(*job);
      }
      self->pump();
    });
  }

  void finish() {
    const auto* job = head_.state().find(ref_.id);
    const char* status = job != nullptr ? to_string(job->status) : "UNKNOWN";
    reply_->write(json::serialize(json::object{{"end", true}, {"status", status}}) + "\n");
    reply_->finish();
    stop();
  }

  void stop() {
    sources_.clear();
    watched_.reset();
    reply_.reset();
  }

  HeadCore& head_;
  JobRef ref_;
  std::shared_ptr<os::HttpReply> reply_;
  std::vector<Source> sources_;
  int attempt_ = 0;
  std::size_t sent_ = 0;
  bool pumping_ = false;
  std::shared_ptr<void> watched_;
};

}  // namespace

void stream_output(HeadCore& head, const JobRef& ref,
                   const std::map<std::string, std::string>& query,
                   const std::shared_ptr<os::HttpReply>& reply) {
  const auto refuse = [&](const std::string& text) {
    os::HttpResponse response;
    response.status = 400;
    response.body = json::serialize(json::object{{"message", text}});
    reply->send(std::move(response));
  };
  const auto* job = head.state().find(ref.id);
  if (ref.node_index && (!job->is_multi_node() || *ref.node_index >= job->node_count())) {
    return refuse(fmt::format("job {} has no node {}", ref.id, *ref.node_index));
  }
  const auto stream = std::make_shared<OutputStream>(head, ref, reply);
  for (const auto& [name, value] : query) {
    const auto number = to_int(value);
    if (name == "ranks") {
      stream->ranks = parse_ranks(value);
      if (!stream->ranks)
        return refuse(fmt::format("ranks: {} is not a list such as 0,2-4", value));
    } else if (name == "stream") {
      stream->stream = value == "stderr" ? StreamKind::err : StreamKind::out;
    } else if (name == "follow") {
      stream->follow = value == "1";
    } else if (name == "head" || name == "tail") {
      if (!number || *number < 0)
        return refuse(fmt::format("{}: {} is not a number of lines", name, value));
      (name == "head" ? stream->first : stream->last) = static_cast<std::size_t>(*number);
    }
  }
  stream->start();
}

}  // namespace cox::head
