#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/head/head.hpp"
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
