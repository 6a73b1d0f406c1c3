#include "runtime/head/state.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "runtime/core/array_children.hpp"

namespace cox::head {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;
using testing::UnorderedElementsAre;

constexpr Millis kThen{1'700'000'000'000};

/// Two queues over one environment of 12 vCPUs: "q", and "urgent", which is served first.
ClusterSettings settings() {
  ClusterSettings cluster;
  cluster.name = "tutor";
  ComputeEnvironment environment;
  environment.name = ComputeEnvironmentName{"ce"};
  environment.max_vcpus = 12;
  environment.instance_types = {{"small", 2, MiB{2048}}};
  environment.idle_ms_before_release = 60'000;
  cluster.environments = {environment};
  for (const auto& [name, priority] : {std::pair("q", 1), std::pair("urgent", 9)}) {
    JobQueue queue;
    queue.name = QueueName{name};
    queue.priority = priority;
    queue.environments = {environment.name};
    cluster.queues.push_back(queue);
  }
  return cluster;
}

JobSpec spec_of(int vcpus = 1, const std::string& queue = "q") {
  JobSpec spec;
  spec.queue = QueueName{queue};
  spec.vcpus = vcpus;
  return spec;
}

class StateTest : public testing::Test {
 protected:
  void apply(const std::string& id, const core::JobEvent& event) {
    const auto applied = state_.apply(JobId{id}, event);
    ASSERT_TRUE(applied) << applied.error().message;
  }
  void submit(const std::string& id, JobSpec spec, std::vector<JobId> waits_for = {},
              std::optional<int> index = {}) {
    apply(id, core::Submitted{kThen, std::move(spec), index, std::move(waits_for)});
  }
  void place(const std::string& id, const std::vector<std::string>& nodes, int attempt = 1) {
    core::Placed event{kThen, attempt, {}, ""};
    for (const auto& node : nodes) {
      NodeRun run;
      run.node = NodeId{node};
      event.nodes.push_back(run);
    }
    apply(id, event);
  }
  void node(const std::string& id, int ordinal, NodeStatus status = NodeStatus::up) {
    Node added;
    added.id = NodeId{id};
    added.ordinal = ordinal;
    added.environment = ComputeEnvironmentName{ordinal == 0 ? "" : "ce"};
    added.vcpus = 2;
    added.memory = MiB{2048};
    added.status = status;
    added.idle_since = kThen;
    state_.put_node(added);
  }
  [[nodiscard]] std::vector<std::string> waiting() const {
    std::vector<std::string> ids;
    for (const auto* job : state_.snapshot(kThen).waiting) ids.push_back(job->id.value);
    return ids;
  }
  [[nodiscard]] std::vector<std::string> listed(JobStatus status) const {
    std::vector<std::string> ids;
    for (const auto* job : state_.jobs(QueueName{"q"}, status)) ids.push_back(job->id.value);
    return ids;
  }

  State state_{settings()};
};

TEST_F(StateTest, LooksAtAsManyAlikeJobsAsCanRunAtOnceAndOneMore) {
  constexpr int kJobs = 100'000;
  for (int i = 0; i < kJobs; ++i) submit(fmt::format("j{}", i), spec_of(2));

  const auto snapshot = state_.snapshot(kThen);

  EXPECT_EQ(snapshot.waiting.size(), 7u);  // 12 vCPUs hold six of two
  EXPECT_EQ(snapshot.waiting.front()->id, JobId{"j0"});
  EXPECT_EQ(snapshot.waiting.back()->id, JobId{"j6"});
  EXPECT_EQ(state_.jobs(QueueName{"q"}, JobStatus::runnable).size(), std::size_t{kJobs});
}

/// What a head stores of an array: what is not implied, with all that follows.
void live(State& state, std::vector<std::pair<JobId, core::JobEvent>>& stored, const JobId& id,
          const core::JobEvent& event) {
  const auto applied = state.apply(id, event);
  ASSERT_TRUE(applied) << applied.error().message;
  if (!state.is_implied(id, event)) stored.emplace_back(id, event);
  for (const auto& [other, next] : state.follow_ups(*applied, event)) {
    live(state, stored, other, next);
  }
}

TEST_F(StateTest, StoresOfAnArrayItsFirstEventAndWhatItsChildrenThenDo) {
  constexpr int kChildren = 10'000;
  core::Submitted first{kThen, spec_of(), {}, {}};
  first.spec.edit().array_size = kChildren;
  for (int i = 0; i < kChildren; ++i) core::add_child(first, JobId{"a"}, {});
  std::vector<std::pair<JobId, core::JobEvent>> stored;
  live(state_, stored, JobId{"a"}, first);
  EXPECT_EQ(stored.size(), 1u);
  NodeRun run;
  run.node = NodeId{"i-1"};
  live(state_, stored, JobId{"a:0"}, core::Placed{kThen, 1, {run}, ""});
  live(state_, stored, JobId{"a:0"}, core::NodeStarted{kThen, 1, 0});
  live(state_, stored, JobId{"a:7"}, core::KillAsked{kThen, "enough", true});
  EXPECT_EQ(stored.size(), 4u);

  State again{settings()};
  for (const auto& [id, event] : stored) ASSERT_TRUE(again.replay(id, event));

  const std::map<JobStatus, int> want{
      {JobStatus::submitted, 0}, {JobStatus::runnable, kChildren - 2},
      {JobStatus::starting, 0},  {JobStatus::running, 1},
      {JobStatus::succeeded, 0}, {JobStatus::failed, 1}};
  EXPECT_EQ(again.find(JobId{"a"})->children.get(), want);
  for (const auto* state : {&state_, &again}) {
    for (int i = 0; i < kChildren; ++i) {
      const auto id = child_of(JobId{"a"}, i);
      ASSERT_NE(state->find(id), nullptr);
      EXPECT_EQ(*state->find(id), *state_.find(id));
    }
    EXPECT_EQ(*state->find(JobId{"a"}), *state_.find(JobId{"a"}));
  }
}

TEST_F(StateTest, TakesChildrenThatAnOlderHeadStoredEach) {
  auto array = spec_of();
  array.array_size = 2;
  const std::vector<std::pair<JobId, core::JobEvent>> stored{
      {JobId{"a"}, core::Submitted{kThen, array, {}, {}}},
      {JobId{"a:0"}, core::Submitted{kThen, array, 0, {}}},
      {JobId{"a"}, core::ChildChanged{kThen, JobStatus::submitted, JobStatus::runnable}},
      {JobId{"a:1"}, core::Submitted{kThen, array, 1, {}}},
      {JobId{"a"}, core::ChildChanged{kThen, JobStatus::submitted, JobStatus::runnable}}};

  for (const auto& [id, event] : stored) ASSERT_TRUE(state_.replay(id, event));

  EXPECT_EQ(state_.find(JobId{"a"})->children->at(JobStatus::runnable), 2);
  EXPECT_FALSE(state_.is_implied(stored[2].first, stored[2].second));
}

TEST_F(StateTest, HoldsOnceWhatJobsOfADefinitionHaveAlike) {
  const auto come = [&](const std::string& id, const std::string& tag, std::optional<int> index) {
    auto spec = spec_of();
    spec.name = index ? "array" : id;
    spec.definition = "sweep:1";
    spec.tags = {{"team", tag}};
    Shared<JobSpec> shared(spec);
    state_.share_alike(JobId{id}, index, shared);
    apply(id, core::Submitted{kThen, shared, index, {}});
    EXPECT_EQ(state_.find(JobId{id})->spec.get(), spec);
  };
  const auto tags = [&](const char* id) { return &state_.find(JobId{id})->spec->tags.get(); };
  come("a", "ocean", {});
  come("b", "ocean", {});
  come("c", "ice", {});
  come("b:0", "ocean", 0);

  EXPECT_EQ(tags("a"), tags("b"));
  EXPECT_NE(tags("a"), tags("c"));
  EXPECT_NE(&state_.find(JobId{"b"})->spec.get(), &state_.find(JobId{"b:0"})->spec.get());
  come("array", "ocean", {});
  come("array:0", "ocean", 0);
  EXPECT_EQ(&state_.find(JobId{"array"})->spec.get(), &state_.find(JobId{"array:0"})->spec.get());
}

TEST_F(StateTest, LooksAtJobsOfOtherNeedsBehindManyAlike) {
  for (int i = 0; i < 100; ++i) submit(fmt::format("a{}", i), spec_of(4));
  submit("b", spec_of(1));
  auto wide = spec_of(4);
  wide.nodes = 3;
  submit("c", wide);

  EXPECT_THAT(waiting(), ElementsAre("a0", "a1", "a2", "a3", "b", "c"));
}

TEST_F(StateTest, TellsAJobFarBehindWhyThoseBeforeItWait) {
  for (int i = 0; i < 100; ++i) submit(fmt::format("j{}", i), spec_of(2));
  const core::Block block{core::BlockKind::nodes_busy, ComputeEnvironmentName{"ce"}, 1, 0, JobId{}};
  state_.set_blocks({{JobId{"j0"}, {block}}});

  EXPECT_THAT(state_.blocks(JobId{"j99"}), ElementsAre(block));
  EXPECT_THAT(state_.blocks(JobId{"none"}), IsEmpty());

  state_.set_note(ComputeEnvironmentName{"ce"}, "a small could not be started", true);
  EXPECT_EQ(state_.blocks(JobId{"j0"}).front().note, "a small could not be started");
  EXPECT_EQ(state_.environment_note(ComputeEnvironmentName{"ce"}), "a small could not be started");

  state_.set_note(ComputeEnvironmentName{"ce"}, "Growing by 1 small", false);
  EXPECT_EQ(state_.blocks(JobId{"j0"}).front().note, "");
}

TEST_F(StateTest, PutsTheQueueOfHigherPriorityFirstAndThenTheOlderJob) {
  submit("a", spec_of(1));
  submit("b", spec_of(1, "urgent"));
  submit("c", spec_of(2));
  submit("d", spec_of(2, "urgent"));

  EXPECT_THAT(waiting(), ElementsAre("b", "d", "a", "c"));
}

TEST_F(StateTest, KeepsAJobThatStillHoldsANodeOutOfTheQueue) {
  auto spec = spec_of();
  spec.nodes = 2;
  spec.attempts = 2;
  submit("j", spec);
  place("j", {"n1", "n2"});
  apply("j", core::NodeExited{kThen, 1, 0, 1, "broken"});

  EXPECT_THAT(listed(JobStatus::runnable), ElementsAre("j"));
  EXPECT_THAT(waiting(), IsEmpty());
  EXPECT_EQ(state_.snapshot(kThen).active.size(), 1u);

  apply("j", core::NodeExited{kThen, 1, 1, 143, ""});
  EXPECT_THAT(waiting(), ElementsAre("j"));
  EXPECT_THAT(state_.snapshot(kThen).active, IsEmpty());
}

TEST_F(StateTest, RefusesAnEventOfAnUnknownJobAndLeavesAKnownOneAsItWas) {
  submit("j", spec_of());
  const Job before = *state_.find(JobId{"j"});

  const auto unknown = state_.apply(JobId{"x"}, core::KillAsked{kThen, ""});
  const auto refused = state_.apply(JobId{"j"}, core::NodeReady{kThen, 1, 0});

  EXPECT_EQ(unknown.error(), (Error{Errc::not_found, "job x does not exist"}));
  EXPECT_EQ(refused.error().code, Errc::conflict);
  EXPECT_EQ(*state_.find(JobId{"j"}), before);
  EXPECT_EQ(state_.find(JobId{"x"}), nullptr);
  EXPECT_THAT(waiting(), ElementsAre("j"));
}

TEST_F(StateTest, ListsAQueuesJobsByStatusWithoutArrayChildren) {
  auto array = spec_of();
  array.array_size = 2;
  submit("a", array);
  submit("a:0", array, {}, 0);
  submit("j", spec_of());
  submit("k", spec_of());
  apply("k", core::KillAsked{kThen, "enough"});

  EXPECT_THAT(listed(JobStatus::pending), ElementsAre("a"));
  EXPECT_THAT(listed(JobStatus::runnable), ElementsAre("j"));
  EXPECT_THAT(listed(JobStatus::failed), ElementsAre("k"));
  EXPECT_THAT(state_.jobs(QueueName{"urgent"}, JobStatus::failed), IsEmpty());
}

TEST_F(StateTest, KnowsWhoWaitsForAJob) {
  submit("d", spec_of());
  submit("j", spec_of(), {JobId{"d"}});
  submit("k", spec_of(), {JobId{"d"}});
  EXPECT_THAT(state_.dependents(JobId{"d"}), ElementsAre(JobId{"j"}, JobId{"k"}));

  apply("j", core::DependencyEnded{kThen, JobId{"d"}, true});
  EXPECT_THAT(state_.dependents(JobId{"d"}), ElementsAre(JobId{"k"}));

  apply("k", core::KillAsked{kThen, "enough"});
  EXPECT_THAT(state_.dependents(JobId{"d"}), IsEmpty());
}

TEST_F(StateTest, CountsWhatJobsTakeOfANode) {
  node("n1", 1);
  submit("j", spec_of(1));
  submit("k", spec_of(1));
  place("j", {"n1"});
  place("k", {"n1"});
  apply("j", core::NodeStarted{kThen, 1, 0});

  const auto full = state_.load(NodeId{"n1"});
  EXPECT_EQ(full.running_jobs, 1);
  EXPECT_EQ(full.pending_jobs, 1);
  EXPECT_EQ(full.free_vcpus, 0);
  EXPECT_EQ(full.free_memory, MiB{2048 - 256});
  EXPECT_EQ(state_.holders(NodeId{"n1"}).size(), 2u);

  apply("j", core::NodeExited{kThen, 1, 0, 0, ""});
  const auto half = state_.load(NodeId{"n1"});
  EXPECT_EQ(half.running_jobs, 0);
  EXPECT_EQ(half.free_vcpus, 1);
  EXPECT_EQ(state_.holders(NodeId{"n1"}).size(), 1u);
}

TEST_F(StateTest, GivesAMultiNodeJobItsNodesWhole) {
  node("n1", 1);
  auto spec = spec_of(1);
  spec.nodes = 1;
  submit("j", spec);
  place("j", {"n1"});

  EXPECT_EQ(state_.load(NodeId{"n1"}).free_vcpus, 0);
  EXPECT_EQ(state_.load(NodeId{"n1"}).free_memory, MiB{});
  EXPECT_EQ(state_.snapshot(kThen).nodes.front().jobs, 1);
}

TEST_F(StateTest, ShowsTheSchedulerNoHeadNode) {
  node("head", 0);
  node("n1", 1);

  ASSERT_EQ(state_.snapshot(kThen).nodes.size(), 1u);
  EXPECT_EQ(state_.snapshot(kThen).nodes[0].node->id, NodeId{"n1"});
  ASSERT_EQ(state_.nodes().size(), 2u);
  EXPECT_EQ(state_.nodes()[0]->id, NodeId{"head"});
}

TEST_F(StateTest, GivesTheSmallestOrdinalThatIsFree) {
  EXPECT_EQ(state_.free_ordinal(), 1);
  node("head", 0);
  node("n1", 1);
  node("n3", 3);
  EXPECT_EQ(state_.free_ordinal(), 2);
  node("n2", 2);
  EXPECT_EQ(state_.free_ordinal(), 4);
  state_.remove_node(NodeId{"n1"});
  EXPECT_EQ(state_.free_ordinal(), 1);
}

TEST_F(StateTest, KnowsTheNextDeadlineAndThoseThatPassed) {
  auto spec = spec_of();
  spec.timeout_s = 60;
  submit("j", spec);
  spec.timeout_s = 90;
  submit("k", spec);
  place("j", {"n1"});
  place("k", {"n2"});
  EXPECT_EQ(state_.next_deadline(), std::nullopt);

  apply("k", core::NodeStarted{kThen, 1, 0});
  apply("j", core::NodeStarted{kThen, 1, 0});
  EXPECT_EQ(state_.next_deadline(), kThen + 60'000);
  EXPECT_THAT(state_.past_deadline(kThen + 59'999), IsEmpty());
  EXPECT_THAT(state_.past_deadline(kThen + 60'000), ElementsAre(JobId{"j"}));
  EXPECT_THAT(state_.past_deadline(kThen + 90'000), ElementsAre(JobId{"j"}, JobId{"k"}));

  apply("j", core::NodeExited{kThen, 1, 0, 0, ""});
  EXPECT_EQ(state_.next_deadline(), kThen + 90'000);
}

TEST_F(StateTest, KnowsWhenTheNextIdleNodeMayGo) {
  node("n1", 1);
  node("n2", 2, NodeStatus::pending);
  EXPECT_EQ(state_.next_release(kThen), kThen + 60'000);
  EXPECT_EQ(state_.next_release(kThen + 60'000), std::nullopt);  // it is due already

  submit("j", spec_of());
  place("j", {"n1"});
  EXPECT_EQ(state_.next_release(kThen), std::nullopt);

  apply("j", core::NodeExited{kThen + 5000, 1, 0, 0, ""});
  EXPECT_EQ(state_.next_release(kThen), kThen + 65'000);
  EXPECT_EQ(state_.node(NodeId{"n1"})->idle_since, kThen + 5000);

  state_.remove_node(NodeId{"n1"});
  EXPECT_EQ(state_.next_release(kThen), std::nullopt);
}

TEST_F(StateTest, CountsAJobAsEndedWhenItHoldsNothingMore) {
  auto spec = spec_of();
  spec.nodes = 2;
  submit("j", spec);
  place("j", {"n1", "n2"});
  apply("j", core::NodeStarted{kThen, 1, 0});
  apply("j", core::NodeExited{kThen + 1, 1, 0, 0, ""});
  EXPECT_EQ(state_.first_end(), std::nullopt);

  apply("j", core::NodeExited{kThen + 2, 1, 1, 143, ""});
  EXPECT_EQ(state_.first_end(), kThen + 1);
  EXPECT_THAT(state_.ended_until(kThen), IsEmpty());
  EXPECT_THAT(state_.ended_until(kThen + 1), ElementsAre(JobId{"j"}));
}

TEST_F(StateTest, ForgetsAnArrayWithItsChildrenAndFilesThatNobodyNeeds) {
  auto array = spec_of();
  array.array_size = 2;
  array.files = {{"a", "hash-a", 1, 0600}, {"b", "hash-b", 1, 0600}};
  submit("p", array);
  submit("p:0", array, {}, 0);
  submit("p:1", array, {}, 1);
  auto other = spec_of();
  other.files = {{"b", "hash-b", 1, 0600}};
  submit("j", other);

  std::vector<std::string> unused;
  const auto gone = state_.forget(JobId{"p"}, unused);

  EXPECT_THAT(gone, UnorderedElementsAre(JobId{"p"}, JobId{"p:0"}, JobId{"p:1"}));
  EXPECT_THAT(unused, ElementsAre("hash-a"));
  EXPECT_FALSE(state_.needs_file("hash-a"));
  EXPECT_TRUE(state_.needs_file("hash-b"));
  EXPECT_EQ(state_.find(JobId{"p:1"}), nullptr);
  EXPECT_THAT(waiting(), ElementsAre("j"));
  EXPECT_THAT(listed(JobStatus::pending), IsEmpty());
  EXPECT_THAT(state_.forget(JobId{"p"}, unused), IsEmpty());
}

TEST_F(StateTest, TurnsItsEnvironmentsOffAndOn) {
  state_.enable_environments(false);
  EXPECT_FALSE(state_.cluster().environments[0].enabled);
  EXPECT_FALSE(state_.environments_enabled());
  state_.enable_environments(true);
  EXPECT_TRUE(state_.cluster().environments[0].enabled);
}

}  // namespace
}  // namespace cox::head
