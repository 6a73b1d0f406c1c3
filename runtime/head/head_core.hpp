#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "runtime/core/time_limits.hpp"
#include "runtime/head/access_keys.hpp"
#include "runtime/head/blobs.hpp"
#include "runtime/head/head.hpp"
#include "runtime/head/journal.hpp"
#include "runtime/head/staging_plan.hpp"
#include "runtime/head/state.hpp"
#include "runtime/head/uploads.hpp"
#include "runtime/head/watches.hpp"
#include "runtime/logs/log_store.hpp"
#include "runtime/mpi/launch_plan.hpp"
#include "runtime/os/frame_link.hpp"
#include "runtime/os/http.hpp"
#include "runtime/store/store.hpp"
#include "runtime/wire/message.hpp"

namespace cox::api {
struct Claim;
struct KeepUpload;
struct StackAnswer;
}  // namespace cox::api

namespace cox::head {

/// A line of the cluster's own story, for `pcluster create` and /cox/v1/events.
struct ClusterEvent {
  Millis at;
  std::string resource;  ///< "HeadNode", "ComputeNode i-…", the cluster's name
  std::string state;     ///< CloudFormation's words: CREATE_IN_PROGRESS …
  std::string reason;
};

/// What an agent was told of a part on the present connection: nothing twice.
enum class Told : std::uint8_t { prepare, launch, stop };

/// A part's files on their way, with what is sent after them.
struct Sending {
  wire::Prepare prepare;
  std::vector<JobFile> files;
  std::size_t file = 0;     ///< the one that is being sent
  std::int64_t offset = 0;  ///< bytes of it that were sent
};

/// An agent that is connected.
struct Session {
  std::unique_ptr<os::FrameLink> link;
  bool greeted = false;  ///< Hello was heard
  std::string life;      ///< as Hello has it
  int hardware_threads = 0;
  mpi::Topology topology;  ///< without cores when the node could not tell
  bool open_mpi_flux = false;
  mpi::NodePaths paths = {};
  os::Fd scratch;  ///< the node's scratch directory, where it is on this machine
  std::set<std::pair<wire::PartKey, Told>> told;
  std::deque<Sending> sending;
  os::SubscriptionPtr pace;  ///< waits until the link has taken some of it
};

/// The rank of an --mpi attempt that ended badly first.
struct FailedRank {
  int rank = 0;
  int exit_code = 0;
  std::int64_t at_ms = 0;
  int node_index = 0;
  std::string hostname;
  std::string how;  ///< as wire::RankExited
};

/// The end of an --mpi attempt that waits for the word of the rank that caused it, or for the last
/// output of its other nodes.
struct DelayedEnd {
  NodeId node;
  wire::Exited message;
  os::SubscriptionPtr limit;
};

/// Results of a job that are on their way here, before its end is told.
struct Fetching {
  NodeId main_node;
  wire::Exited message;
  std::vector<std::pair<NodeId, StagedSet>> next;  ///< the last are begun first
  std::map<int, std::unique_ptr<Stager::Run>> runs;
  std::map<std::string, bool> found;  ///< by path: whether any node had it
  std::string failure;
  int count = 0;
  bool is_over = false;
};

/// What is copied for jobs, and what for.
struct Staging {
  StagingPlan plan;
  std::map<int, std::unique_ptr<Stager::Run>> runs;
  std::map<int, int> percent;           ///< of a copy
  std::map<wire::PartKey, bool> parts;  ///< whether the part has all that it asked for
  std::map<wire::PartKey, Fetching> fetches;
  std::string note;  ///< why nodes do not serve each other
};

/// A compute environment whose nodes do not start: tried again later and later.
struct Backoff {
  Millis until;
  int failures = 0;
  std::string why{};  ///< of the last that failed
};

/// A node that runs its scripts before it is up.
struct NodeActions {
  NodeScripts scripts;            ///< as they were when it came up
  std::size_t at = 0;             ///< the one that is due
  bool is_begun = false;          ///< sent, on the present connection
  std::set<wire::PartKey> there;  ///< what the agent had when it connected
  os::SubscriptionPtr limit;
};

/// What an update runs on the head node; its parts have numbers.
struct UpdateScripts {
  bool is_open = false;  ///< the update is not in force yet, nor taken back
  NodeScripts scripts;
  std::size_t at = 0;                               ///< the one that is due
  std::vector<int> numbers;                         ///< of those that were begun, in their order
  int last_number = 0;                              ///< that was ever given
  std::set<int> there;                              ///< what the agent has
  std::map<int, std::pair<int, std::string>> ends;  ///< exit code and reason; not forgotten yet
  os::SubscriptionPtr limit;
  std::function<void(Result<void>)> done;  ///< set while they run
};

/// What of a script's output is in its log.
struct ScriptLog {
  std::uint64_t lines = 0;
  std::size_t bytes = 0;
};

/// The head itself. One class over the state, in several files by the reader's question:
/// head.cpp (start, replay, turns, time), jobs.cpp (events, submission, effects), agents.cpp
/// (sessions and their messages), nodes.cpp (placing, scaling, loss), routes.cpp and the other
/// *_route*.cpp (HTTP).
class HeadCore : public Head {
 public:
  HeadCore(os::EventLoop& loop, const Clock& clock, NodeProvider& provider, HeadOptions options);
  ~HeadCore() override;

  [[nodiscard]] Result<void> start() override;
  void on_readiness(std::function<void(Readiness)> handler) override {
    readiness_ = std::move(handler);
  }
  void on_shutdown(std::function<void()> handler) override { shutdown_ = std::move(handler); }

  void on_update(
      std::function<void(UpdateRequest, std::function<void(Result<void>)>)> handler) override {
    update_ = std::move(handler);
  }
  // reconfigure.cpp
  [[nodiscard]] Result<void> check(const ClusterSettings& settings) const override;
  [[nodiscard]] Result<void> reconfigure(ClusterSettings settings,
                                         std::function<void()> done) override;
  // update_scripts.cpp
  void run_on_head_node(NodeScripts scripts, std::function<void(Result<void>)> done) override;
  void forget_head_node_scripts() override;
  // story.cpp
  void tell(std::string resource, std::string state, std::string reason) override;

  // What routes and output streams use.
  [[nodiscard]] const State& state() const { return state_; }
  [[nodiscard]] logs::LogStore& logs() { return *logs_; }
  /// Told after a job's change is durable, and when a log of it was begun.
  [[nodiscard]] Watches& watches() { return watches_; }

 private:
  // head.cpp
  [[nodiscard]] Result<void> open_directory();
  [[nodiscard]] Result<void> open_ca();
  [[nodiscard]] Result<void> replay();
  void adopt(Node node, bool lives);
  [[nodiscard]] Result<void> serve();
  void read_story();
  void begin_creation();
  void check_readiness();
  void created();
  void fail_creation(const std::string& why);
  [[nodiscard]] std::string missing_nodes() const;
  void turn_end();
  void do_what_is_due(Millis now);
  void rearm_timer(Millis now);
  void forget_old_jobs(Millis now);
  void remove_old_logs(Millis now);

  // jobs.cpp
  bool apply(const JobId& id, const core::JobEvent& event);
  bool apply_one(const JobId& id, const core::JobEvent& event);
  [[nodiscard]] Result<JobId> submit(Shared<JobSpec> spec);
  struct Waits {
    std::vector<JobId> open;
    std::optional<core::DependencyEnded> missed;
  };
  [[nodiscard]] Waits open_waits(const JobSpec& spec, std::optional<int> index,
                                 const std::vector<JobId>& waits_for) const;
  void submit_array(const JobId& id, const Shared<JobSpec>& spec,
                    const std::vector<JobId>& waits_for);
  void kill(const JobId& id, const std::string& reason, bool only_waiting);
  void act(const JobId& id);
  void act_on(const core::PrepareNode& effect);
  [[nodiscard]] std::optional<wire::Meeting> meeting_of(const Job& job, int node_index) const;
  void act_on(const core::LaunchNode& effect);
  void act_on(const core::StopNode& effect);
  [[nodiscard]] Session* session_to_tell(const NodeId& node, const wire::PartKey& part, Told what);
  void send_files(const NodeId& node);
  [[nodiscard]] std::string new_uuid();

  // agents.cpp
  void connected(std::unique_ptr<os::FrameLink> link);
  void frame(const NodeId& node, const std::string& bytes);
  void disconnected(const NodeId& node, const std::string& why);
  void on(const NodeId& node, const wire::Hello& message);
  void on(const NodeId& node, const wire::Prepared& message);
  void on(const NodeId& node, const wire::Preparing& message);
  void on(const NodeId& node, const wire::Started& message);
  void on(const NodeId& node, const wire::Exited& message);
  void on(const NodeId& node, wire::Output message);
  void on(const NodeId& node, const wire::RankExited& message);
  void on(const NodeId& node, const wire::Health& message);
  void on(const NodeId& node, const wire::OutputKept& message);
  template <class Other>
  void on(const NodeId& node, const Other& message);
  template <class Remote>
  requires requires(const Remote& message) { message.route; }
  void on(const NodeId& node, const Remote& message) { relay(node, message.route, message); }
  void part_is_not_wanted(const NodeId& node, const wire::PartKey& part);
  [[nodiscard]] bool waits_for_a_rank(const wire::Exited& message) const;
  [[nodiscard]] bool waits_for_nodes(const wire::Exited& message) const;
  void delay_end(const NodeId& node, const wire::Exited& message);
  void end_what_waited(const JobId& job, int attempt);
  [[nodiscard]] Result<void> append_output(const wire::Output& message,
                                           std::vector<OutputLine> lines);
  [[nodiscard]] Result<void> take_kept(const NodeId& node, const wire::OutputKept& message);
  void output_came(const NodeId& node, const wire::OutputAck& ack, std::size_t bytes, bool is_new);
  void end_part(const NodeId& node, const wire::Exited& message);
  void compare_parts(const NodeId& node, const std::vector<wire::PartKey>& reported);
  [[nodiscard]] std::string describe(const FailedRank& failed, const Job& job) const;
  /// The part, when it is one of the job's current attempt, on this node and not over.
  [[nodiscard]] const NodeRun* part_on(const NodeId& node, const wire::PartKey& part) const;
  /// True when the part is or was on this node, in any attempt.
  [[nodiscard]] bool was_on(const NodeId& node, const wire::PartKey& part) const;
  [[nodiscard]] bool takes_part(const NodeId& node, const JobId& id) const;
  [[nodiscard]] Millis when_told(std::int64_t at_ms) const;
  void send(const NodeId& node, const wire::Message& message);
  void relay(const NodeId& node, const wire::RemoteRoute& route, const wire::Message& message);
  void tell_nodes_of_loss(const wire::PartKey& part);

  // nodes.cpp
  void want_pass();
  void pass(Millis now);
  void place(const core::Placement& placement, Millis now);
  void keep_time_limits(Millis now);
  [[nodiscard]] std::optional<Millis> next_look_at_limits() const;
  void read_queue_heads();
  [[nodiscard]] bool may_try(const ComputeEnvironmentName& environment) const;
  void launch(const core::NodesWanted& wanted);
  [[nodiscard]] std::string new_allocation();
  void provision(Node node);
  void provision_head_node();
  void provisioned(const NodeId& id, Result<ProvisionedNode> result);
  void is_up(const NodeId& id);
  void learn_address(const NodeId& id, const wire::Hello& message);
  void waits(const NodeId& id, const std::string& why);
  void is_lent(const NodeId& id);
  void did_not_start(const Node& node, const std::string& why);
  void went_silent(const NodeId& id, const std::string& why);
  void release(const NodeId& id, const std::string& why);
  void lose(const NodeId& id, const std::string& why);
  void did_not_call(const NodeId& id);
  void tell_jobs_of_loss(const NodeId& id, const std::string& why);
  void clear_away(const NodeId& id, std::function<void()> after);
  void clear_leftovers(const std::function<void()>& done);
  void first_nodes();
  void grow_to(const ComputeEnvironment& environment, int vcpus);
  void end_nodes(std::function<void()> done);
  [[nodiscard]] bool more_ranks_than_cores(const Job& job) const;

  // node_actions.cpp
  [[nodiscard]] const NodeScripts* scripts_of(const Node& node) const;
  void find_scripts(const NodeId& id, const std::vector<wire::PartKey>& reported);
  [[nodiscard]] bool has_run_scripts(const NodeId& id);
  void begin_script(const NodeId& id, NodeActions& actions);
  void send_script(const NodeId& id, std::size_t at, std::optional<std::string> text);
  [[nodiscard]] bool is_present_script(const NodeId& id, const wire::PartKey& part) const;
  void script_prepared(const NodeId& id, const wire::PartKey& part);
  void script_ended(const NodeId& id, const wire::Exited& message);
  void script_failed(const NodeId& id, const std::string& what);
  void forget_scripts(const NodeId& id);
  void remove_old_script_logs(Millis kept_from);
  [[nodiscard]] std::string script_log(const Node& node, const wire::PartKey& part) const;
  void keep_script_output(const NodeId& id, const wire::Output& message);
  [[nodiscard]] std::chrono::milliseconds creation_time() const;

  // update_scripts.cpp
  void find_update_scripts(const NodeId& id, const std::vector<wire::PartKey>& reported);
  void stop_strange_update_scripts();
  void go_on_with_update();
  void begin_update_script();
  void send_update_script(int number, std::optional<std::string> text);
  void update_script_prepared(const NodeId& id, const wire::PartKey& part);
  void update_script_ended(const NodeId& id, const wire::Exited& message);
  void update_script_failed(const std::string& what);
  void end_update_scripts(const Result<void>& how);

  // ranks.cpp
  [[nodiscard]] std::string choose_launch(const JobSpec& spec,
                                          const std::vector<NodeRun>& nodes) const;
  [[nodiscard]] Result<std::vector<wire::Seat>> seats_of(const JobSpec& spec,
                                                         const std::vector<NodeRun>& nodes) const;
  [[nodiscard]] bool all_connected(const std::vector<NodeRun>& nodes) const;

  // staging.cpp
  [[nodiscard]] Result<bool> is_staged(const Job& job, int node_index);
  void start_copies();
  void copied(int number, const Result<StagedBytes>& result);
  void show_copies(const JobId& id);
  void forget_staging(const JobId& id);
  [[nodiscard]] bool brings_back(const NodeId& node, const wire::Exited& message);
  void fetch_more(const wire::PartKey& part);
  void fetched(const wire::PartKey& part, int number, const NodeId& node, const StagedSet& set,
               const Result<StagedBytes>& result);
  void end_fetch(const wire::PartKey& part);
  [[nodiscard]] std::string host_of(const NodeId& node) const;

  // routes.cpp
  void handle(os::HttpRequest request, const std::shared_ptr<os::HttpReply>& reply);
  void handle_aws(const os::HttpRequest& request, const JobUser& user, const std::string& region,
                  const std::shared_ptr<os::HttpReply>& reply);
  void handle_own(os::HttpRequest request, const JobUser& user,
                  const std::shared_ptr<os::HttpReply>& reply);
  void route_of_job(const std::string& route, const std::map<std::string, std::string>& query,
                    const JobUser& user, const std::shared_ptr<os::HttpReply>& reply);
  void route_wait(const JobRef& ref, const std::shared_ptr<os::HttpReply>& reply);
  void route_explain(const Job& job, const std::shared_ptr<os::HttpReply>& reply);
  void route_history(const std::map<std::string, std::string>& query, const JobUser& user,
                     const std::shared_ptr<os::HttpReply>& reply);
  [[nodiscard]] std::int64_t kept_ms() const;
  [[nodiscard]] bool is_owner(const JobUser& user) const;
  [[nodiscard]] bool may_see(const Job& job, const JobUser& user) const;

  void change_catalog(const api::ChangeCatalog& change);
  void tell_of_ignored_image(const CatalogItem& item) const;
  // log_routes.cpp
  void read_log(const api::ReadLog& asked, const JobUser& user,
                const std::shared_ptr<os::HttpReply>& reply);
  void list_streams(api::ListStreams list, const api::Request& request,
                    const std::shared_ptr<os::HttpReply>& reply);
  void search_logs(const api::SearchLogs& search, const std::shared_ptr<os::HttpReply>& reply);
  // signed_routes.cpp
  [[nodiscard]] Result<std::optional<os::TlsCertificate>> network_certificate();
  [[nodiscard]] Result<void> serve_network();
  void handle_signed(const os::HttpRequest& request, const std::shared_ptr<os::HttpReply>& reply);
  void answer(const std::shared_ptr<os::HttpReply>& reply, const api::StackAnswer& given);
  void handle_stack_service(const api::Claim& claim, const os::HttpRequest& request,
                            const JobUser& user, const std::shared_ptr<os::HttpReply>& reply);
  void keep_upload(const api::KeepUpload& upload, const std::string& bytes, const JobUser& user,
                   const std::shared_ptr<os::HttpReply>& reply);
  void attach_uploads(JobSpec& spec) const;
  void route_credentials(const JobUser& user, const std::shared_ptr<os::HttpReply>& reply);

  // cluster_routes.cpp
  void route_blob(std::string bytes, const std::shared_ptr<os::HttpReply>& reply);
  void route_events(bool follow, const std::shared_ptr<os::HttpReply>& reply);
  void route_fleet(const std::string& body, const std::shared_ptr<os::HttpReply>& reply);
  void route_shutdown(const std::shared_ptr<os::HttpReply>& reply);
  void route_update(const std::string& body, const std::shared_ptr<os::HttpReply>& reply);
  [[nodiscard]] Result<void> keep_fleet_status(bool enabled) const;
  [[nodiscard]] std::string cluster_json() const;
  [[nodiscard]] std::string scaling_json() const;
  [[nodiscard]] std::string event_json(const ClusterEvent& event) const;
  // layout_route.cpp
  void route_layout(const std::string& body, const std::shared_ptr<os::HttpReply>& reply);

  /// Sends after what was gathered so far is durable.
  void answer(const std::shared_ptr<os::HttpReply>& reply, int status, std::string body,
              const std::string& error_type = {});
  void refuse(const std::shared_ptr<os::HttpReply>& reply, int status, std::string_view why);

  /// The handler, made to do nothing once the head is gone: for calls that nobody can take back.
  template <class Handler>
  [[nodiscard]] auto guarded(Handler handler) const {
    return [alive = std::weak_ptr<const bool>(alive_),
            handler = std::move(handler)](auto&&... args) mutable {
      if (!alive.expired()) handler(std::forward<decltype(args)>(args)...);
    };
  }

  os::EventLoop& loop_;
  const Clock& clock_;
  NodeProvider& provider_;
  HeadOptions options_;
  State state_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<logs::LogStore> logs_;
  std::unique_ptr<Journal> journal_;
  std::unique_ptr<Blobs> blobs_;
  Watches watches_;
  os::CaKeys ca_;
  std::vector<std::unique_ptr<os::FrameServer>> agents_;  ///< of the bridge, of the host
  std::unique_ptr<os::HttpServer> http_;
  std::unique_ptr<os::HttpServer> network_;
  AccessKeys keys_;
  Uploads uploads_;
  ReplayWindow replays_;
  std::string endpoint_;   ///< "http://127.0.0.1:4711"; empty: none
  std::string ca_bundle_;  ///< path of what the endpoint's clients verify it by; empty: none needed
  std::random_device random_;

  // The turn.
  std::deque<std::pair<JobId, core::JobEvent>> follow_ups_;  ///< what events lead to, in order
  std::unordered_set<JobId> touched_;                        ///< jobs that the turn has changed
  bool pass_wanted_ = false;
  std::optional<Millis> due_at_;  ///< what timer_ waits for
  os::SubscriptionPtr timer_;

  std::map<NodeId, Session> sessions_;
  std::map<NodeId, os::SubscriptionPtr> silence_;  ///< nodes that went silent
  std::map<std::pair<JobId, int>, FailedRank> failed_ranks_;
  std::map<wire::PartKey, DelayedEnd> delayed_ends_;
  /// The life of the agent that was told to start an attempt by itself.
  std::map<std::pair<JobId, int>, std::string> told_to_start_;
  /// Of direct attempts: where nodes meet, by the index of the one that listens.
  std::map<std::pair<JobId, int>, std::map<int, wire::Meeting>> meetings_;
  Staging staging_;

  core::HeadsOfQueues queue_heads_;                    ///< of queues with time limits
  Millis limits_kept_at_;                              ///< the last look at them
  bool limits_put_off_ = false;                        ///< another one was wanted too soon
  std::map<ComputeEnvironmentName, Backoff> backoff_;  ///< the empty name: the head node's
  std::map<NodeId, NodeActions> actions_;
  UpdateScripts update_scripts_;
  std::map<std::pair<NodeId, wire::PartKey>, ScriptLog> script_lines_;
  std::set<NodeId> were_up_;  ///< have been up, in this life of the head or before
  Millis logs_gone_until_;    ///< of jobs that ended up to then
  bool shutting_down_ = false;

  bool ready_ = false;
  std::string failure_;
  NodeId head_node_;
  os::SubscriptionPtr creation_limit_;
  std::deque<ClusterEvent> events_;
  os::Fd story_;  ///< where they are kept
  std::map<std::uint64_t, std::weak_ptr<os::HttpReply>> event_followers_;
  std::function<void(Readiness)> readiness_;
  std::function<void()> shutdown_;
  std::function<void(UpdateRequest, std::function<void(Result<void>)>)> update_;
  std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);
};

/// A part that an update runs (update_scripts.cpp).
[[nodiscard]] bool is_update_script(const wire::PartKey& part);
/// "exited with code 7", "ended by signal 11 (SIGSEGV)".
[[nodiscard]] std::string ending(int exit_code);
/// "HeadNode", "ComputeNode i-…": a node in the cluster's story.
[[nodiscard]] std::string shown(const Node& node);

/// A user name for a uid; the number where there is none.
[[nodiscard]] std::string user_name(std::uint32_t uid);

/// /cox/v1/output (output_routes.cpp): streams lines of a job's logs to the reply.
void stream_output(HeadCore& head, const JobRef& ref,
                   const std::map<std::string, std::string>& query,
                   const std::shared_ptr<os::HttpReply>& reply);

[[nodiscard]] logs::LogName main_log(const JobId& job, int attempt, int node_index);
[[nodiscard]] logs::LogName rank_log(const JobId& job, int attempt, int node_index, int rank);

}  // namespace cox::head
