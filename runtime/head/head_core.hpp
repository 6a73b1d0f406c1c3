#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "runtime/head/blobs.hpp"
#include "runtime/head/head.hpp"
#include "runtime/head/journal.hpp"
#include "runtime/head/state.hpp"
#include "runtime/logs/log_store.hpp"
#include "runtime/os/frame_link.hpp"
#include "runtime/os/http.hpp"
#include "runtime/store/store.hpp"
#include "runtime/wire/message.hpp"

namespace cox::head {

/// A line of the cluster's own story, for `pcluster create` and /cox/v1/events.
struct ClusterEvent {
  Millis at;
  std::string resource;  ///< "HeadNode", "ComputeNode i-…", the cluster's name
  std::string state;     ///< CloudFormation's words: CREATE_IN_PROGRESS …
  std::string reason;
};

/// An agent that is connected.
struct Session {
  std::unique_ptr<os::FrameLink> link;
  bool greeted = false;  ///< Hello was heard
  int hardware_threads = 0;
  std::string hwloc_xml;
  std::set<std::string> sent;  ///< effects sent on this connection: not twice
};

/// What is known of the ranks of an --mpi attempt that ended badly: the first one by time.
struct FailedRank {
  int rank = 0;
  int exit_code = 0;
  std::int64_t at_ms = 0;
  int node_index = 0;
  std::string hostname;
};

/// The head itself. One class over the state, in several files by the reader's question:
/// head.cpp (start, replay), jobs.cpp (events, submission, effects), agents.cpp (sessions and their
/// messages), nodes.cpp (placing, scaling, loss), routes.cpp (HTTP), output_routes.cpp.
class HeadCore : public Head {
 public:
  HeadCore(os::EventLoop& loop, const Clock& clock, NodeProvider& provider, HeadOptions options);
  ~HeadCore() override;

  [[nodiscard]] Result<void> start() override;
  void on_readiness(std::function<void(Readiness)> handler) override {
    readiness_ = std::move(handler);
  }
  void on_shutdown(std::function<void()> handler) override { shutdown_ = std::move(handler); }

  // What routes and output streams use.
  [[nodiscard]] const State& state() const { return state_; }
  [[nodiscard]] const logs::LogStore& logs() const { return *logs_; }
  [[nodiscard]] logs::LogStore& logs() { return *logs_; }
  /// Calls once, soon, after the job has changed and that is durable.
  void when_changed(const JobId& id, std::function<void()> handler);

 private:
  // head.cpp
  [[nodiscard]] Result<void> open_directory();
  [[nodiscard]] Result<void> replay();
  [[nodiscard]] Result<void> serve();
  void check_readiness();
  void become_ready();
  void fail_creation(const std::string& why);
  void tell(std::string resource, std::string state, std::string reason);
  void rearm_timer();
  void timer_fired();
  void forget_old_jobs(Millis now);

  // jobs.cpp
  bool apply(const JobId& id, const core::JobEvent& event);
  void follow_up(const Applied& applied, Millis at);
  [[nodiscard]] Result<JobId> submit(JobSpec spec);
  void submit_one(const JobId& id, const JobSpec& spec, std::optional<int> index,
                  const std::vector<JobId>& waits_for);
  void kill(const JobId& id, const std::string& reason, bool only_waiting);
  void act(const JobId& id);
  void act_on(const core::PrepareNode& effect);
  void act_on(const core::LaunchNode& effect);
  void act_on(const core::StopNode& effect);
  void send_once(const NodeId& node, const std::string& key, const wire::Message& message);
  [[nodiscard]] std::string new_uuid();

  // agents.cpp
  void connected(std::unique_ptr<os::FrameLink> link);
  void frame(const NodeId& node, const std::string& bytes);
  void disconnected(const NodeId& node, const std::string& why);
  void on(const NodeId& node, const wire::Hello& message);
  void on(const NodeId& node, const wire::Prepared& message);
  void on(const NodeId& node, const wire::Started& message);
  void on(const NodeId& node, const wire::Exited& message);
  void on(const NodeId& node, const wire::Output& message);
  void on(const NodeId& node, const wire::RankExited& message);
  void on(const NodeId& node, const wire::RemoteStart& message);
  void on(const NodeId& node, const wire::RemoteInput& message);
  void on(const NodeId& node, const wire::RemoteOutput& message);
  void on(const NodeId& node, const wire::RemoteExited& message);
  template <class Other>
  void on(const NodeId& node, const Other& message);
  void end_part(const NodeId& node, const wire::Exited& message);
  void compare_parts(const NodeId& node, const std::vector<wire::PartKey>& reported);
  [[nodiscard]] std::string describe(const FailedRank& failed, const Job& job) const;
  [[nodiscard]] const NodeRun* part_on(const NodeId& node, const wire::PartKey& part) const;
  void send(const NodeId& node, const wire::Message& message);
  void relay(const wire::PartKey& from, int target_index, const NodeId& from_node, std::uint64_t id,
             const wire::Message& message);

  // nodes.cpp
  void schedule_pass();
  void pass();
  void launch(const core::NodesWanted& wanted);
  void provision(Node node);
  void provisioned(const NodeId& id, Result<ProvisionedNode> result);
  void release(const NodeId& id, const std::string& why);
  void lose(const NodeId& id, const std::string& why);
  void first_nodes();
  [[nodiscard]] bool more_ranks_than_cores(const Job& job) const;

  // routes.cpp
  void handle(os::HttpRequest request, const std::shared_ptr<os::HttpReply>& reply);
  void handle_aws(const os::HttpRequest& request, const JobUser& user,
                  const std::shared_ptr<os::HttpReply>& reply);
  void handle_own(const os::HttpRequest& request, const JobUser& user,
                  const std::shared_ptr<os::HttpReply>& reply);
  void read_log(const api::ReadLog& asked, const JobUser& user,
                const std::shared_ptr<os::HttpReply>& reply);
  void route_wait(const std::string& job, const JobUser& user,
                  const std::shared_ptr<os::HttpReply>& reply);
  void route_events(bool follow, const std::shared_ptr<os::HttpReply>& reply);
  void route_layout(const std::string& body, const std::shared_ptr<os::HttpReply>& reply);
  void route_fleet(const std::string& body, const std::shared_ptr<os::HttpReply>& reply);
  void route_shutdown(const JobUser& user, const std::shared_ptr<os::HttpReply>& reply);
  void end_nodes(std::function<void()> done);
  [[nodiscard]] std::string cluster_json() const;
  [[nodiscard]] std::string event_json(const ClusterEvent& event) const;
  /// Sends after what was gathered so far is durable.
  void answer(const std::shared_ptr<os::HttpReply>& reply, int status, std::string body,
              const std::string& error_type = {});

  os::EventLoop& loop_;
  const Clock& clock_;
  NodeProvider& provider_;
  HeadOptions options_;
  State state_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<logs::LogStore> logs_;
  std::unique_ptr<Journal> journal_;
  std::unique_ptr<Blobs> blobs_;
  os::CaKeys ca_;
  std::unique_ptr<os::FrameServer> agents_;
  std::unique_ptr<os::HttpServer> http_;
  std::random_device random_;

  std::map<NodeId, Session> sessions_;
  std::map<NodeId, os::SubscriptionPtr> silence_;  ///< nodes that went silent
  std::map<std::pair<JobId, int>, FailedRank> failed_ranks_;
  std::map<std::string, os::SubscriptionPtr> delayed_ends_;  ///< waiting for a rank's word
  std::map<JobId, Millis> deadlines_;
  std::map<JobId, std::vector<std::function<void()>>> watchers_;
  std::map<ComputeEnvironmentName, Millis> backoff_until_;
  std::set<NodeId> releasing_;
  os::SubscriptionPtr timer_;
  bool pass_scheduled_ = false;
  bool shutting_down_ = false;

  bool ready_ = false;
  std::string failure_;
  NodeId head_node_;
  os::SubscriptionPtr creation_limit_;
  std::deque<ClusterEvent> events_;
  std::vector<std::weak_ptr<os::HttpReply>> event_followers_;
  std::function<void(Readiness)> readiness_;
  std::function<void()> shutdown_;
};

/// A user name for a uid; the number where there is none.
[[nodiscard]] std::string user_name(std::uint32_t uid);

/// /cox/v1/output (output_routes.cpp): streams lines of a job's logs to the reply.
void stream_output(HeadCore& head, const JobRef& ref,
                   const std::map<std::string, std::string>& query,
                   std::shared_ptr<os::HttpReply> reply);

[[nodiscard]] logs::LogName main_log(const JobId& job, int attempt, int node_index);
[[nodiscard]] logs::LogName rank_log(const JobId& job, int attempt, int node_index, int rank);

}  // namespace cox::head
