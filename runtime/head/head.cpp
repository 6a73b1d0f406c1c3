#include "runtime/head/head.hpp"

#include <unistd.h>

#include <algorithm>

#include "runtime/head/head_core.hpp"
#include "runtime/os/files.hpp"
#include "runtime/os/log.hpp"

namespace cox::head {

namespace {

constexpr auto kCreationTime = std::chrono::seconds(30);
constexpr std::int64_t kKeptMs = 7LL * 24 * 3600 * 1000;  // AWS Batch: finished jobs stay 7 days
constexpr std::int64_t kHourMs = 3600 * 1000;
constexpr std::size_t kEventsKept = 1000;

}  // namespace

std::unique_ptr<Head> make_head(os::EventLoop& loop, const Clock& clock, NodeProvider& provider,
                                HeadOptions options) {
  return std::make_unique<HeadCore>(loop, clock, provider, std::move(options));
}

HeadCore::HeadCore(os::EventLoop& loop, const Clock& clock, NodeProvider& provider,
                   HeadOptions options)
    : loop_(loop),
      clock_(clock),
      provider_(provider),
      options_(std::move(options)),
      state_(options_.cluster) {}

HeadCore::~HeadCore() = default;

Result<void> HeadCore::start() {
  provider_.on_node_ended([this](const NodeId& id, const std::string& how) { lose(id, how); });
  if (auto opened = open_directory(); !opened) return opened;
  if (auto replayed = replay(); !replayed) return replayed;
  if (auto serving = serve(); !serving) return serving;
  if (head_node_.empty()) {
    tell(state_.cluster().name, "CREATE_IN_PROGRESS", "User Initiated");
    creation_limit_ = loop_.after(kCreationTime, [this] {
      fail_creation("no agent dialled home within 30 s; the nodes' log may tell why");
    });
    first_nodes();
  } else {
    ready_ = true;
    tell(state_.cluster().name, "CREATE_COMPLETE", "");
    become_ready();
  }
  schedule_pass();
  rearm_timer();
  return {};
}

Result<void> HeadCore::open_directory() {
  const auto& directory = options_.directory;
  if (auto made = os::make_directories(directory, 0700); !made) return made;
  const auto certificate = directory + "/ca.crt";
  const auto key = directory + "/ca.key";
  if (::access(key.c_str(), R_OK) == 0) {
    auto stored_certificate = os::read_file(certificate);
    auto stored_key = os::read_file(key);
    if (!stored_certificate) return fail(stored_certificate.error());
    if (!stored_key) return fail(stored_key.error());
    ca_ = {std::move(*stored_certificate), std::move(*stored_key)};
  } else {
    auto made = os::make_ca(state_.cluster().name);
    if (!made) return fail(made.error());
    ca_ = std::move(*made);
    if (auto kept = os::write_file_atomic(certificate, ca_.certificate); !kept) return kept;
    if (auto kept = os::write_file_atomic(key, ca_.private_key); !kept) return kept;
  }
  auto logs = logs::open_log_store(directory + "/logs");
  if (!logs) return fail(logs.error());
  logs_ = std::move(*logs);
  auto store = store::open_store(directory + "/store.db");
  if (!store) return fail(store.error());
  store_ = std::move(*store);
  blobs_ = std::make_unique<Blobs>(directory + "/blobs");
  journal_ = std::make_unique<Journal>(loop_, *store_, *logs_);
  return {};
}

Result<void> HeadCore::replay() {
  auto stored = store_->load();
  if (!stored) return fail(stored.error());
  for (const auto& [id, event] : stored->events) {
    const auto applied = state_.apply(id, event);
    if (!applied) return fail(within("stored event", applied.error()));
    if (const auto limit = core::deadline(*applied->job)) {
      deadlines_[id] = *limit;
    } else {
      deadlines_.erase(id);
    }
  }
  const auto living = provider_.adopt(stored->nodes);
  for (auto& node : stored->nodes) {
    const bool lives = std::find(living.begin(), living.end(), node.id) != living.end();
    if (node.ordinal == 0 && lives) head_node_ = node.id;
    node.status = NodeStatus::silent;
    const auto id = node.id;
    state_.put_node(std::move(node));
    if (lives) {
      silence_[id] = loop_.after(std::chrono::milliseconds(options_.node_lost_after_ms),
                                 [this, id] { lose(id, "its agent did not come back"); });
    } else {
      loop_.post([this, id] { lose(id, "it ended while the head was away"); });
    }
  }
  return {};
}

Result<void> HeadCore::serve() {
  auto identity = os::issue_certificate(ca_, "head");
  if (!identity) return fail(identity.error());
  auto agents =
      os::serve_frames(loop_, std::move(options_.agent_listener), *identity,
                       [this](std::unique_ptr<os::FrameLink> link) { connected(std::move(link)); });
  if (!agents) return fail(agents.error());
  agents_ = std::move(*agents);
  os::HttpLimits limits;
  limits.body_bytes_max = 512u << 20;
  auto http = os::serve_http(
      loop_, std::move(options_.api_listener),
      [this](os::HttpRequest request, std::shared_ptr<os::HttpReply> reply) {
        handle(std::move(request), reply);
      },
      limits);
  if (!http) return fail(http.error());
  http_ = std::move(*http);
  return {};
}

/// Ready: the head node and every node that was asked for at the start are up.
void HeadCore::check_readiness() {
  if (ready_ || !failure_.empty() || head_node_.empty()) return;
  for (const auto* node : state_.nodes()) {
    if (node->status != NodeStatus::up) return;
  }
  ready_ = true;
  tell(state_.cluster().name, "CREATE_COMPLETE", "");
  become_ready();
}

void HeadCore::become_ready() {
  creation_limit_.reset();
  if (readiness_) readiness_({true, ""});
}

void HeadCore::fail_creation(const std::string& why) {
  if (ready_ || !failure_.empty()) return;
  failure_ = why;
  creation_limit_.reset();
  tell(state_.cluster().name, "CREATE_FAILED", why);
  end_nodes([this] {
    if (readiness_) readiness_({false, failure_});
  });
}

void HeadCore::tell(std::string resource, std::string state, std::string reason) {
  os::log_info("{} {} {}", resource, state, reason);
  events_.push_back({clock_.now(), std::move(resource), std::move(state), std::move(reason)});
  if (events_.size() > kEventsKept) events_.pop_front();
  std::erase_if(event_followers_, [](const auto& follower) { return follower.expired(); });
  for (const auto& follower : event_followers_) {
    if (const auto reply = follower.lock()) reply->write(event_json(events_.back()));
  }
}

/// One timer for whatever is due next: an attempt's time limit, an idle node's release.
void HeadCore::rearm_timer() {
  const auto now = clock_.now();
  auto next = now + kHourMs;
  for (const auto& [job, limit] : deadlines_) next = std::min(next, limit);
  for (const auto* node : state_.nodes()) {
    if (node->environment.empty() || node->status != NodeStatus::up) continue;
    for (const auto& environment : state_.cluster().environments) {
      if (environment.name != node->environment || environment.idle_ms_before_release < 0) continue;
      const auto until = node->idle_since + environment.idle_ms_before_release;
      if (until > now && state_.holders(node->id).empty()) next = std::min(next, until);
    }
  }
  for (const auto& [environment, until] : backoff_until_) {
    if (until > now) next = std::min(next, until);
  }
  const auto wait = std::max<std::int64_t>(1, next - now + 1);
  timer_ = loop_.after(std::chrono::milliseconds(wait), [this] { timer_fired(); });
}

void HeadCore::timer_fired() {
  const auto now = clock_.now();
  std::vector<JobId> over;
  for (const auto& [job, limit] : deadlines_) {
    if (limit <= now) over.push_back(job);
  }
  for (const auto& id : over) {
    const auto* job = state_.find(id);
    deadlines_.erase(id);
    if (job != nullptr && job->current() != nullptr) {
      apply(id, core::TimedOut{now, job->current()->number});
    }
  }
  forget_old_jobs(now);
  schedule_pass();
  rearm_timer();
}

void HeadCore::forget_old_jobs(Millis now) {
  for (const auto* job : state_.all_jobs()) {
    if (!is_terminal(job->status) || now - job->stopped_at < kKeptMs || core::holds_nodes(*job)) {
      continue;
    }
    const auto id = job->id;
    if (const auto removed = logs_->remove(id.value + "/"); !removed) {
      os::log_warn("old output: {}", removed.error().message);
    }
    journal_->forgotten(id);
    state_.forget(id);
  }
}

void HeadCore::when_changed(const JobId& id, std::function<void()> handler) {
  watchers_[id].push_back(std::move(handler));
}

logs::LogName main_log(const JobId& job, int attempt, int node_index) {
  return fmt::format("{}/{}/{}/main", job, attempt, node_index);
}

logs::LogName rank_log(const JobId& job, int attempt, int node_index, int rank) {
  return fmt::format("{}/{}/{}/rank-{}", job, attempt, node_index, rank);
}

}  // namespace cox::head
