#include "runtime/head/head.hpp"

#include <unistd.h>

#include <algorithm>

#include "runtime/base/text.hpp"
#include "runtime/core/retention.hpp"
#include "runtime/head/head_core.hpp"
#include "runtime/os/files.hpp"
#include "runtime/os/log.hpp"

namespace cox::head {

namespace {

constexpr std::int64_t kHourMs = 3600 * 1000;
constexpr std::int64_t kDayMs = 24 * kHourMs;
constexpr std::size_t kRequestBytesMax = 512u << 20;
// Small facts about the cluster that outlive the head, each a file.
constexpr const char* kCreatedFile = "/created";
constexpr const char* kDisabledFile = "/disabled";

bool is_there(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

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
      state_(options_.cluster),
      keys_(options_.directory + "/keys"),
      uploads_(options_.directory + "/uploads"),
      replays_(clock.now()) {
  update_scripts_.is_open = options_.update_goes_on;
}

HeadCore::~HeadCore() { alive_.reset(); }

/// How long jobs are kept that have ended.
std::int64_t HeadCore::kept_ms() const { return kDayMs * state_.cluster().history_days; }

Result<void> HeadCore::start() {
  provider_.on_node_ended(
      guarded([this](const NodeId& id, const std::string& how) { lose(id, how); }));
  provider_.on_node_waiting(
      guarded([this](const NodeId& id, const std::string& why) { waits(id, why); }));
  provider_.on_node_lent(guarded([this](const NodeId& id) { is_lent(id); }));
  if (auto opened = open_directory(); !opened) return opened;
  journal_->at_turn_end([this] { turn_end(); });
  read_story();
  ready_ = is_there(options_.directory + kCreatedFile);
  if (auto replayed = replay(); !replayed) return replayed;
  read_queue_heads();
  if (auto serving = serve(); !serving) return serving;
  blobs_->sweep(clock_.now() + -kept_ms(),
                [this](const std::string& hash) { return state_.needs_file(hash); });
  if (ready_) {
    // The story so far says it, unless it was lost.
    if (events_.empty()) tell(state_.cluster().name, "CREATE_COMPLETE", "");
    loop_.post(guarded([this] {
      if (readiness_) readiness_({true, ""});
    }));
  } else {
    head_node_ = NodeId{};
    clear_leftovers([this] { begin_creation(); });
  }
  remove_old_logs(clock_.now());
  want_pass();
  return {};
}

Result<void> HeadCore::open_ca() {
  const auto certificate = options_.directory + "/ca.crt";
  const auto key = options_.directory + "/ca.key";
  if (is_there(key)) {
    auto stored_certificate = os::read_file(certificate);
    auto stored_key = os::read_file(key);
    if (!stored_certificate) return fail(stored_certificate.error());
    if (!stored_key) return fail(stored_key.error());
    ca_ = {std::move(*stored_certificate), std::move(*stored_key)};
    return {};
  }
  auto made = os::make_ca(state_.cluster().name);
  if (!made) return fail(made.error());
  ca_ = std::move(*made);
  // The key last: where it is, the other is too.
  if (auto kept = os::write_file_atomic(certificate, ca_.certificate); !kept) return kept;
  return os::write_file_atomic(key, ca_.private_key);
}

Result<void> HeadCore::open_directory() {
  const auto& directory = options_.directory;
  if (auto made = os::make_directories(directory, 0700); !made) return made;
  if (auto opened = open_ca(); !opened) return opened;
  auto logs = logs::open_log_store(directory + "/logs", logs::Linked::adopted);
  if (!logs) return fail(logs.error());
  logs_ = std::move(*logs);
  auto store = store::open_store(directory + "/store.db");
  if (!store) return fail(store.error());
  store_ = std::move(*store);
  blobs_ = std::make_unique<Blobs>(loop_, directory + "/blobs");
  journal_ = std::make_unique<Journal>(loop_, *store_, *logs_);
  return {};
}

Result<void> HeadCore::replay() {
  auto stored = store_->load_rows();
  if (!stored) return fail(stored.error());
  state_.find_types_by(options_.find_types);
  state_.find_podman_by(options_.has_podman);
  for (auto& item : stored->items) state_.put(std::move(item));
  if (is_there(options_.directory + kDisabledFile)) state_.enable_environments(false);
  const auto living = provider_.adopt(stored->nodes);
  for (auto& node : stored->nodes) {
    const bool lives = std::find(living.begin(), living.end(), node.id) != living.end();
    adopt(std::move(node), lives);
  }
  return store_->each_event([this](store::StoredEvent stored_event) -> Result<void> {
    if (auto* first = std::get_if<core::Submitted>(&stored_event.event)) {
      state_.share_alike(stored_event.job, first->array_index, first->spec);
    }
    const auto applied = state_.replay(stored_event.job, stored_event.event);
    if (!applied) return fail(within("stored event", applied.error()));
    return {};
  });
}

/// A node from before: one that lives has a while to come back, its jobs go on.
void HeadCore::adopt(Node node, bool lives) {
  const auto id = node.id;
  if (node.ordinal == 0) head_node_ = id;
  if (node.status == NodeStatus::terminating && ready_) {
    // What it was given back for counts on its end; nothing is to run there again.
    state_.put_node(std::move(node));
    loop_.post(guarded([this, id] {
      clear_away(id, [this, id] {
        if (id == head_node_) head_node_ = NodeId{};
        want_pass();
      });
    }));
    return;
  }
  if (node.status == NodeStatus::pending && lives && provider_.may_wait(id)) {
    state_.put_node(std::move(node));
    return;
  }
  if (node.status == NodeStatus::up) were_up_.insert(id);
  node.status = NodeStatus::silent;
  node.reason = "the head was away";
  state_.put_node(std::move(node));
  if (lives) {
    silence_[id] = loop_.after(std::chrono::milliseconds(options_.node_lost_after_ms),
                               [this, id] { lose(id, "its agent did not come back"); });
  } else {
    loop_.post(guarded([this, id] { lose(id, "it ended while the head was away"); }));
  }
}

Result<void> HeadCore::serve() {
  auto identity = os::issue_certificate(ca_, "head");
  if (!identity) return fail(identity.error());
  for (auto* listener : {&options_.agent_listener, &options_.host_listener}) {
    if (!*listener) continue;
    auto agents = os::serve_frames(
        loop_, std::move(*listener), *identity,
        [this](std::unique_ptr<os::FrameLink> link) { connected(std::move(link)); });
    if (!agents) return fail(agents.error());
    agents_.push_back(std::move(*agents));
  }
  os::HttpLimits limits;
  limits.body_bytes_max = kRequestBytesMax;
  auto http = os::serve_http(
      loop_, std::move(options_.api_listener),
      [this](os::HttpRequest request, const std::shared_ptr<os::HttpReply>& reply) {
        handle(std::move(request), reply);
      },
      limits);
  if (!http) return fail(http.error());
  http_ = std::move(*http);
  return serve_network();
}

/// Says on disk whether the fleet is stopped: that outlives the head.
Result<void> HeadCore::keep_fleet_status(bool enabled) const {
  const auto path = options_.directory + kDisabledFile;
  if (!enabled) return os::write_file_atomic(path, "");
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return fail(os::errno_error(errno, path));
  return {};
}

// The making of the cluster.

void HeadCore::begin_creation() {
  tell(state_.cluster().name, "CREATE_IN_PROGRESS", "User Initiated");
  creation_limit_ = loop_.after(creation_time(), [this] {
    fail_creation(
        fmt::format("no agent dialled home within {} s from {}; the log of the node may "
                    "tell why",
                    options_.creation_ms / 1000, missing_nodes()));
  });
  first_nodes();
}

/// What the first nodes' scripts may take comes on top.
std::chrono::milliseconds HeadCore::creation_time() const {
  int longest_s = 0;
  for (const auto& [environment, scripts] : state_.cluster().scripts) {
    if (!scripts.list.empty()) longest_s = std::max(longest_s, scripts.limit_s);
  }
  return std::chrono::milliseconds(options_.creation_ms) + std::chrono::seconds(longest_s);
}

std::string HeadCore::missing_nodes() const {
  std::vector<std::string> names;
  for (const auto* node : state_.nodes()) {
    if (node->status == NodeStatus::up) continue;
    names.push_back(node->ordinal == 0 ? "the head node" : fmt::format("node {}", node->id));
  }
  return join(names, ", ");
}

/// Ready: the head node and every node that was asked for at the start are up.
void HeadCore::check_readiness() {
  if (ready_ || !failure_.empty() || head_node_.empty()) return;
  for (const auto status : {NodeStatus::pending, NodeStatus::silent, NodeStatus::terminating}) {
    if (state_.count(status) > 0) return;
  }
  const auto kept = os::write_file_atomic(options_.directory + kCreatedFile, "");
  if (!kept) return fail_creation(kept.error().message);
  ready_ = true;
  creation_limit_.reset();
  tell(state_.cluster().name, "CREATE_COMPLETE", "");
  // After what the nodes' coming up has changed is durable.
  journal_->then([this] {
    if (readiness_) readiness_({true, ""});
  });
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

// The turn.

/// Runs when all handlers of a turn have run, before what they changed is committed.
void HeadCore::turn_end() {
  const auto now = clock_.now();
  if (!shutting_down_) {
    if (due_at_ && now >= *due_at_) do_what_is_due(now);
    if (pass_wanted_) pass(now);
    rearm_timer(now);
  }
  if (touched_.empty()) return;
  journal_->then([this, changed = std::exchange(touched_, {})] {
    for (const auto& id : changed) {
      act(id);
      watches_.tell(id);
    }
  });
}

void HeadCore::do_what_is_due(Millis now) {
  due_at_.reset();
  for (const auto& id : state_.past_deadline(now)) {
    apply(id, core::TimedOut{now, state_.find(id)->current()->number});
  }
  forget_old_jobs(now);
  remove_old_logs(now);
  pass_wanted_ = true;
}

/// One timer for whatever is due next: an attempt's time limit, an idle node's release, a further
/// try at a node, a job to forget.
void HeadCore::rearm_timer(Millis now) {
  auto next = now + kHourMs;
  const auto consider = [&](std::optional<Millis> moment) {
    if (moment) next = std::min(next, std::max(*moment, now));
  };
  consider(state_.next_deadline());
  consider(state_.next_release(now));
  consider(state_.next_scale());
  if (const auto end = state_.first_end()) consider(*end + kept_ms());
  consider(next_look_at_limits());
  for (const auto& [environment, backoff] : backoff_) {
    if (backoff.until > now) consider(backoff.until);
  }
  if (timer_ && due_at_ == next) return;
  // With nothing due the timer that runs is as good as a later one.
  if (timer_ && due_at_ && *due_at_ > now && next == now + kHourMs) return;
  due_at_ = next;
  timer_ = loop_.after(std::chrono::milliseconds(std::max<std::int64_t>(1, next - now)), [this] {
    timer_.reset();
    journal_->wake();
  });
}

void HeadCore::forget_old_jobs(Millis now) {
  for (const auto& id : state_.ended_until(now + -kept_ms())) {
    std::vector<std::string> unused;
    for (const auto& gone : state_.forget(id, unused)) {
      if (const auto removed = logs_->remove(gone.value + "/"); !removed) {
        os::log_warn("old output: {}", removed.error().message);
      }
      journal_->forgotten(gone);
    }
    for (const auto& hash : unused) blobs_->remove(hash);
  }
}

/// What jobs wrote that ended before the time for which logs are kept; the jobs stay. What a job
/// wrote so long ago that still runs, readers pass over.
void HeadCore::remove_old_logs(Millis now) {
  const auto kept_from = core::logs_kept_from(state_.cluster().log_retention_days, now);
  if (!kept_from || *kept_from <= logs_gone_until_) return;
  for (const auto& id : state_.ended_until(*kept_from)) {
    const auto* job = state_.find(id);
    if (job->stopped_at <= logs_gone_until_) continue;
    for (const auto* mark : {"/", ":"}) {  // its own, and of an array's children
      if (mark[0] == ':' && !job->is_array_parent()) continue;
      if (const auto removed = logs_->remove(id.value + mark); !removed) {
        os::log_warn("old output: {}", removed.error().message);
      }
    }
  }
  logs_gone_until_ = *kept_from;
  remove_old_script_logs(*kept_from);
}

logs::LogName main_log(const JobId& job, int attempt, int node_index) {
  return fmt::format("{}/{}/{}/main", job, attempt, node_index);
}

logs::LogName rank_log(const JobId& job, int attempt, int node_index, int rank) {
  return fmt::format("{}/{}/{}/rank-{}", job, attempt, node_index, rank);
}

}  // namespace cox::head
