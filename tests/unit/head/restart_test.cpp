#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "runtime/head/head.hpp"
#include "runtime/logs/log_store.hpp"
#include "runtime/os/files.hpp"
#include "runtime/os/frame_link.hpp"
#include "runtime/store/store.hpp"
#include "tests/fakes/fake_clock.hpp"
#include "tests/fakes/fake_provider.hpp"
#include "tests/unit/os/run_until.hpp"
#include "tests/unit/os/temporary_directory.hpp"

/// What a head does with the nodes that it finds in its store.
namespace cox::head {
namespace {

const NodeId kHeadNode{"i-00000000000000001"};
const NodeId kCompute{"i-00000000000000002"};

class HeadRestart : public testing::Test {
 protected:
  void SetUp() override {
    ComputeEnvironment environment;
    environment.name = ComputeEnvironmentName{"ce"};
    environment.max_vcpus = 2;
    environment.instance_types = {{"small", 2, MiB{2048}}};
    environment.idle_ms_before_release = -1;
    cluster_.name = "tutor";
    cluster_.environments = {environment};
    ASSERT_TRUE(os::write_file_atomic(directory_ / "created", ""));
    provider_.add_living(kHeadNode);
    provider_.add_living(kCompute);
  }

  /// Stores both nodes, the compute node in this status, and starts a head over them.
  void start_with(NodeStatus status) {
    store::Changes changes;
    Node node;
    node.id = kHeadNode;
    node.address = "10.0.0.10";
    node.hostname = "ip-10-0-0-10";
    node.status = NodeStatus::up;
    changes.nodes.push_back(node);
    node.id = kCompute;
    node.ordinal = 1;
    node.environment = ComputeEnvironmentName{"ce"};
    node.instance_type = "small";
    node.vcpus = 2;
    node.status = status;
    changes.nodes.push_back(node);
    {
      auto store = store::open_store(directory_ / "store.db");
      ASSERT_TRUE(store) << store.error().message;
      ASSERT_TRUE((*store)->commit(changes));
    }
    HeadOptions options;
    options.cluster = cluster_;
    options.directory = directory_.path();
    options.api_listener = os::listen_unix(directory_ / "api", 0600).value();
    options.agent_listener = os::listen_tcp("127.0.0.1", 0).value();
    options.node_lost_after_ms = lost_after_ms_;
    head_ = make_head(loop_, clock_, provider_, std::move(options));
    const auto started = head_->start();
    ASSERT_TRUE(started) << started.error().message;
  }

  [[nodiscard]] std::vector<NodeId> stored_nodes() {
    head_.reset();
    auto store = store::open_store(directory_ / "store.db");
    std::vector<NodeId> ids;
    const auto stored = (*store)->load();
    for (const auto& node : stored->nodes) ids.push_back(node.id);
    return ids;
  }

  int lost_after_ms_ = 60'000;
  os::TemporaryDirectory directory_;
  ClusterSettings cluster_;
  os::EventLoop loop_;
  fakes::FakeClock clock_;
  fakes::FakeProvider provider_;
  std::unique_ptr<Head> head_;
};

TEST_F(HeadRestart, GivesANodeBackThatWasBeingGivenBack) {
  start_with(NodeStatus::terminating);

  ASSERT_TRUE(os::run_until(loop_, [&] { return provider_.has_ends(); }));
  EXPECT_EQ(provider_.finish_end(), kCompute);
  loop_.run_for(std::chrono::milliseconds(20));

  EXPECT_THAT(stored_nodes(), testing::ElementsAre(kHeadNode));
}

/// A job of the cluster that was cancelled so many days ago.
void add_ended(store::Changes& changes, const std::string& id, Millis now, std::int64_t days) {
  const auto at = now + -days * 24 * 3600 * 1000;
  changes.events.push_back({JobId{id}, core::Submitted{at + -1000, JobSpec{}, {}, {}}});
  changes.events.push_back({JobId{id}, core::KillAsked{at, "enough", true}});
}

TEST_F(HeadRestart, ForgetsJobsThatEndedLongerAgoThanTheyAreKept) {
  cluster_.history_days = 3;
  store::Changes changes;
  add_ended(changes, "four-days", clock_.now(), 4);
  add_ended(changes, "two-days", clock_.now(), 2);
  ASSERT_TRUE(store::open_store(directory_ / "store.db").value()->commit(changes));
  for (const auto* log : {"four-days/1/0/main", "two-days/1/0/main"}) {
    OutputLine line;
    line.sequence = 1;
    line.text = "hello";
    auto logs = logs::open_log_store(directory_ / "logs").value();
    ASSERT_TRUE(logs->append(log, std::vector{line}));
  }

  start_with(NodeStatus::up);
  const auto is_there = [&](const std::string& job) {
    return ::access((directory_ / ("logs/" + job)).c_str(), F_OK) == 0;
  };
  ASSERT_TRUE(os::run_until(loop_, [&] { return !is_there("four-days"); }));
  EXPECT_TRUE(is_there("two-days"));

  head_.reset();
  std::vector<std::string> ids;
  const auto stored = store::open_store(directory_ / "store.db").value()->load();
  for (const auto& event : stored->events) ids.push_back(event.job.value);
  EXPECT_THAT(ids, testing::ElementsAre("two-days", "two-days"));
}

TEST_F(HeadRestart, WaitsForTheAgentsOfNodesThatLive) {
  start_with(NodeStatus::up);
  loop_.run_for(std::chrono::milliseconds(20));

  EXPECT_FALSE(provider_.has_ends());
}

TEST_F(HeadRestart, LosesNodesWhoseAgentsDoNotComeBack) {
  lost_after_ms_ = 1;
  start_with(NodeStatus::up);

  ASSERT_TRUE(os::run_until(loop_, [&] { return provider_.has_ends(); }));
}

}  // namespace
}  // namespace cox::head
