#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/head/state.hpp"

/// Shares, tokens and what a waiting job is told, as the head's state keeps them.
namespace cox::head {
namespace {

using Ids = std::vector<std::string>;

constexpr Millis kThen{1'700'000'000'000};
const QueueName kFair{"fair"};

SchedulingPolicy policy_of(std::vector<Share> shares, int decay_s = 3600) {
  SchedulingPolicy policy;
  policy.name = "policy";
  policy.decay_s = decay_s;
  policy.shares = std::move(shares);
  return policy;
}

/// Queue "fair" with a policy and "plain" without, over an environment of one node of two vCPUs.
class SharesTest : public testing::Test {
 protected:
  static ClusterSettings settings() {
    ClusterSettings cluster;
    ComputeEnvironment environment;
    environment.name = ComputeEnvironmentName{"ce"};
    environment.max_vcpus = 2;
    environment.instance_types = {{"small", 2, MiB{2048}}};
    cluster.environments = {environment};
    JobQueue fair;
    fair.name = kFair;
    fair.policy = "policy";
    fair.environments = {environment.name};
    auto plain = fair;
    plain.name = QueueName{"plain"};
    plain.policy.clear();
    cluster.queues = {fair, plain};
    return cluster;
  }
  static JobSpec spec_of(const std::string& share, int vcpus = 1) {
    JobSpec spec;
    spec.queue = share.empty() ? QueueName{"plain"} : kFair;
    spec.share = share;
    spec.vcpus = vcpus;
    return spec;
  }
  static void apply(State& state, const std::string& id, const core::JobEvent& event) {
    const auto applied = state.apply(JobId{id}, event);
    ASSERT_TRUE(applied) << applied.error().message;
  }
  void happen(const std::string& id, const core::JobEvent& event) {
    apply(state_, id, event);
    events_.emplace_back(id, event);
  }
  void submit(const std::string& id, const JobSpec& spec) {
    happen(id, core::Submitted{kThen, spec, {}, {}});
  }
  void start(const std::string& id, std::int64_t at_s) {
    NodeRun run;
    run.node = NodeId{"n1"};
    happen(id, core::Placed{kThen + 1000 * at_s, 1, {run}, ""});
    happen(id, core::NodeStarted{kThen + 1000 * at_s, 1, 0});
  }
  void end(const std::string& id, std::int64_t at_s) {
    happen(id, core::NodeExited{kThen + 1000 * at_s, 1, 0, 0, ""});
  }
  void add_node(State& state) {
    Node node;
    node.id = NodeId{"n1"};
    node.ordinal = 1;
    node.environment = ComputeEnvironmentName{"ce"};
    node.vcpus = 2;
    node.memory = MiB{2048};
    node.status = NodeStatus::up;
    state.put_node(node);
  }
  static Ids front(const State& state, std::int64_t at_s, std::size_t count = 100) {
    Ids ids;
    for (const auto* job : state.front_of_queue(kFair, count, kThen + 1000 * at_s)) {
      ids.push_back(job->id.value);
    }
    return ids;
  }

  State state_{settings()};
  std::vector<std::pair<std::string, core::JobEvent>> events_;
};

TEST_F(SharesTest, ServesTheShareThatHasHadLess) {
  state_.put(policy_of({}));
  submit("a0", spec_of("a"));
  start("a0", 0);
  end("a0", 100);
  for (const auto* id : {"a1", "a2"}) submit(id, spec_of("a"));
  for (const auto* id : {"b1", "b2"}) submit(id, spec_of("b"));
  EXPECT_EQ(front(state_, 100), (Ids{"b1", "a1", "b2", "a2"}));
  EXPECT_EQ(front(state_, 100, 1), (Ids{"b1"}));
}

TEST_F(SharesTest, IsTheSameAfterARestartAndAfterAChangeOfTheDecayAndBack) {
  state_.put(policy_of({}));
  for (int i = 0; i < 6; ++i) {
    const auto id = "old" + std::to_string(i);
    submit(id, spec_of(i % 3 == 0 ? "a" : "b"));
    start(id, 100 * i);
    end(id, 100 * i + 60);
  }
  for (const auto* id : {"a1", "a2", "a3"}) submit(id, spec_of("a"));
  for (const auto* id : {"b1", "b2"}) submit(id, spec_of("b"));
  const auto order = front(state_, 700);
  EXPECT_EQ(order, (Ids{"a1", "b1", "a2", "b2", "a3"}));

  State again{settings()};
  again.put(policy_of({}));
  for (const auto& [id, event] : events_) apply(again, id, event);
  EXPECT_EQ(front(again, 700), order);

  state_.put(policy_of({{"a", 100.0}}, 10));
  EXPECT_EQ(front(state_, 700), (Ids{"a1", "b1", "b2", "a2", "a3"}));
  state_.put(policy_of({}));
  EXPECT_EQ(front(state_, 700), order);
}

TEST_F(SharesTest, ForgetsWhatForgottenJobsHad) {
  state_.put(policy_of({}));
  submit("a0", spec_of("a"));
  start("a0", 0);
  end("a0", 100);
  submit("a1", spec_of("a"));
  submit("b1", spec_of("b"));
  EXPECT_EQ(front(state_, 100), (Ids{"b1", "a1"}));
  std::vector<std::string> unused;
  ASSERT_EQ(state_.forget(JobId{"a0"}, unused).size(), 1u);
  EXPECT_EQ(front(state_, 100), (Ids{"a1", "b1"}));
}

TEST_F(SharesTest, OfFewAlikeJobsLooksAtEachSharesOwn) {
  state_.put(policy_of({}));
  for (int i = 0; i < 50; ++i) submit("a" + std::to_string(i), spec_of("a"));
  submit("b", spec_of("b"));
  Ids waiting;
  for (const auto* job : state_.snapshot(kThen).waiting) waiting.push_back(job->id.value);
  EXPECT_EQ(waiting, (Ids{"a0", "b", "a1", "a2"}));  // two can run at once, and one more
}

TEST_F(SharesTest, CountsSharesWhoseJobsHaveNotEnded) {
  state_.put(policy_of({}));
  submit("a1", spec_of("a"));
  submit("b1", spec_of("b"));
  submit("p1", spec_of(""));
  start("a1", 0);
  EXPECT_THAT(state_.unfinished_shares(kFair), testing::ElementsAre("a", "b"));
  end("a1", 1);
  EXPECT_THAT(state_.unfinished_shares(kFair), testing::ElementsAre("b"));
}

TEST_F(SharesTest, FindsAJobByItsUsersToken) {
  auto spec = spec_of("");
  spec.client_token = "once";
  spec.user.edit().uid = 7;
  submit("p1", spec);
  ASSERT_NE(state_.submitted_with(7, "once"), nullptr);
  EXPECT_EQ(state_.submitted_with(7, "once")->id, JobId{"p1"});
  EXPECT_EQ(state_.submitted_with(8, "once"), nullptr);
  std::vector<std::string> unused;
  (void)state_.forget(JobId{"p1"}, unused);
  EXPECT_EQ(state_.submitted_with(7, "once"), nullptr);
}

TEST_F(SharesTest, TellsWhoHoldsWhatAJobWaitsForAndWhatWouldDo) {
  add_node(state_);
  submit("r1", spec_of(""));
  start("r1", 0);
  submit("w1", spec_of("", 2));
  state_.set_blocks(core::place(state_.snapshot(kThen)).blocked, kThen);

  const auto waiting = state_.waiting(JobId{"w1"}, 1000);

  ASSERT_EQ(waiting.blocks.size(), 1u);
  EXPECT_EQ(waiting.holders.at(ComputeEnvironmentName{"ce"}), (std::vector<JobId>{JobId{"r1"}}));
  ASSERT_EQ(waiting.changes.size(), 1u);
  EXPECT_EQ(core::to_sentence(waiting.changes[0]), "--vcpus 1 in place of 2 starts at once");
  EXPECT_TRUE(state_.waiting(JobId{"w1"}, 0).changes.empty());

  // And after a change what is so then.
  submit("w2", spec_of("", 2));
  state_.set_blocks(core::place(state_.snapshot(kThen)).blocked, kThen);
  EXPECT_EQ(state_.waiting(JobId{"w2"}, 0).ahead, 1u);
  end("r1", 5);
  EXPECT_TRUE(state_.waiting(JobId{"w1"}, 0).holders.at(ComputeEnvironmentName{"ce"}).empty());
}

}  // namespace
}  // namespace cox::head
