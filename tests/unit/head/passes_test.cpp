#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

#include "runtime/head/state.hpp"

/// A pass over the state's indexes: it places what place() would, and looks at no more jobs and
/// nodes on a large cluster with a long queue than on a small one.
namespace cox::head {
namespace {

constexpr Millis kThen{1'700'000'000'000};
const ComputeEnvironmentName kSmall{"small-ce"};
const ComputeEnvironmentName kLarge{"large-ce"};

ComputeEnvironment environment_of(const ComputeEnvironmentName& name, int vcpus, int nodes) {
  ComputeEnvironment environment;
  environment.name = name;
  environment.instance_types = {{"node", vcpus, MiB{1024 * vcpus}}};
  environment.max_vcpus = vcpus * nodes;
  environment.idle_ms_before_release = 60'000;
  return environment;
}

JobQueue queue_of(const std::string& name, int priority,
                  std::vector<ComputeEnvironmentName> environments) {
  JobQueue queue;
  queue.name = QueueName{name};
  queue.priority = priority;
  queue.environments = std::move(environments);
  return queue;
}

Node node_of(int number, const ComputeEnvironment& environment, NodeStatus status) {
  Node node;
  node.id = NodeId{fmt::format("i-{:017x}", number * 7919LL % 10'000'019)};
  node.ordinal = number;
  node.environment = environment.name;
  node.instance_type = "node";
  node.vcpus = environment.instance_types.front().vcpus;
  node.memory = environment.instance_types.front().memory;
  node.status = status;
  node.idle_since = kThen;
  return node;
}

/// A head's state, and what happens to it.
class World {
 public:
  explicit World(ClusterSettings cluster) : state(std::move(cluster)) {}

  void submit(const JobSpec& spec) {
    happen(JobId{fmt::format("{:06}", ++submitted_)}, core::Submitted{now, spec, {}, {}});
  }
  void happen(const JobId& id, const core::JobEvent& event) {
    const auto applied = state.apply(id, event);
    ASSERT_TRUE(applied) << applied.error().message;
  }
  void carry_out(const std::vector<core::Placement>& plan) {
    for (const auto& placement : plan) {
      core::Placed event{now, 1, {}, ""};
      for (const auto& id : placement.nodes) {
        NodeRun run;
        run.node = id;
        event.nodes.push_back(std::move(run));
      }
      const auto count = static_cast<int>(event.nodes.size());
      happen(placement.job, event);
      for (int i = 0; i < count; ++i) happen(placement.job, core::NodeStarted{now, 1, i});
      running.push_back(placement.job);
    }
  }
  void end(std::size_t index) {
    const auto id = running.at(index);
    running.erase(running.begin() + static_cast<std::ptrdiff_t>(index));
    for (int i = 0; i < state.find(id)->node_count(); ++i) {
      happen(id, core::NodeExited{now, 1, i, 0, ""});
    }
  }

  State state;
  Millis now = kThen;
  std::vector<JobId> running;

 private:
  int submitted_ = 0;
};

using Shown = std::vector<std::pair<JobId, std::vector<NodeId>>>;
Shown shown(const std::vector<core::Placement>& plan) {
  Shown list;
  for (const auto& each : plan) list.emplace_back(each.job, each.nodes);
  return list;
}

std::string shown(const core::ScalePlan& plan) {
  std::string text;
  for (const auto& each : plan.launch) {
    text += fmt::format("{} {} {}; ", each.environment, each.type.name, each.count);
  }
  for (const auto& id : plan.release) text += fmt::format("-{}; ", id);
  return text;
}

int between(int least, int most) { return *rc::gen::inRange(least, most + 1); }
bool one_in(int n) { return between(0, n - 1) == n - 1; }

std::unique_ptr<World> any_world() {
  ClusterSettings cluster;
  cluster.environments = {environment_of(kSmall, 2, between(1, 6)),
                          environment_of(kLarge, 4, between(1, 4))};
  cluster.environments[1].spot = one_in(4);
  cluster.environments[0].enabled = !one_in(8);
  cluster.queues = {queue_of("a", between(1, 2), {kSmall}), queue_of("b", 1, {kSmall, kLarge}),
                    queue_of("c", between(1, 2), {kLarge})};
  if (one_in(3)) cluster.queues[0].max_running = between(1, 3);
  const bool shares = !one_in(3);
  if (shares) cluster.queues[1].policy = "policy";
  const bool is_lent = one_in(3);
  if (is_lent) cluster.lent[kSmall] = {600, one_in(3) ? 300 : 0};
  auto world = std::make_unique<World>(cluster);
  if (shares) {
    SchedulingPolicy policy;
    policy.name = "policy";
    policy.decay_s = one_in(2) ? 0 : 600;
    policy.reservation = one_in(3) ? 30 : 0;
    policy.shares = {{"x", 0.5}};
    world->state.put(policy);
  }
  int number = 0;
  for (const auto& environment : cluster.environments) {
    const int most = environment.max_vcpus / environment.instance_types.front().vcpus;
    for (int i = between(0, most); i > 0; --i) {
      const auto status = one_in(5)   ? NodeStatus::pending
                          : one_in(8) ? NodeStatus::silent
                                      : NodeStatus::up;
      auto node = node_of(++number, environment, status);
      if (is_lent && environment.name == kSmall) {
        node.allocation = fmt::format("p{}", between(1, 3));
        node.lent_s = between(1, 3) * 250;
        node.lent_until = kThen + node.lent_s * 1000;
      }
      world->state.put_node(std::move(node));
    }
  }
  return world;
}

JobSpec any_spec(const State& state) {
  JobSpec spec;
  const auto& queue = state.cluster().queues[static_cast<std::size_t>(between(0, 2))];
  spec.queue = queue.name;
  if (!queue.policy.empty()) {
    spec.share = one_in(2) ? "x" : "y";
    spec.priority = between(0, 2);
  }
  spec.vcpus = between(1, 3);
  spec.memory = MiB{between(1, 3) * 700};
  if (one_in(4)) spec.nodes = between(1, 3);
  if (one_in(2)) spec.timeout_s = between(1, 4) * 60;
  return spec;
}

RC_GTEST_PROP(Passes, PlaceWhatALookAtEverythingWouldPlace, ()) {
  const auto world = any_world();
  for (int step = between(4, 30); step > 0; --step) {
    if (one_in(3) && !world->running.empty()) {
      world->end(static_cast<std::size_t>(between(0, static_cast<int>(world->running.size()) - 1)));
    } else {
      world->submit(any_spec(world->state));
    }
    world->now = world->now + between(0, 40) * 1000;
    const auto all = core::place(world->state.snapshot(world->now));
    const auto plan = world->state.place(world->now);
    RC_ASSERT(shown(plan) == shown(all.placed));
    // What the pass has tried out it has given back.
    RC_ASSERT(shown(world->state.place(world->now)) == shown(all.placed));
    if (one_in(4)) continue;  // several things may happen between two passes
    world->carry_out(plan);
    RC_ASSERT(shown(world->state.scale(world->now)) ==
              shown(core::scale(world->state.snapshot(world->now))));
  }
}

TEST(Passes, GiveBackALentNodeThatNobodyCanUse) {
  for (const auto status :
       {NodeStatus::up, NodeStatus::pending, NodeStatus::silent, NodeStatus::unfit}) {
    ClusterSettings cluster;
    cluster.environments = {environment_of(kSmall, 2, 2)};
    cluster.queues = {queue_of("a", 1, {kSmall})};
    cluster.lent[kSmall] = {600, 0};
    World world(cluster);
    auto node = node_of(1, cluster.environments[0], status);
    node.allocation = "p1";
    node.lent_s = 600;
    node.lent_until = kThen + 600'000;
    world.state.put_node(node);

    EXPECT_EQ(shown(world.state.scale(kThen + 59'999)), "");
    EXPECT_EQ(shown(world.state.scale(kThen + 60'000)), fmt::format("-{}; ", node.id));
  }
}

TEST(Passes, GiveBackALentNodeThatAFaultKeepsJobsFromForOneThatTakesThem) {
  ClusterSettings cluster;
  cluster.environments = {environment_of(kSmall, 2, 1)};
  cluster.queues = {queue_of("a", 1, {kSmall})};
  cluster.lent[kSmall] = {600, 0};
  World world(cluster);
  auto node = node_of(1, cluster.environments[0], NodeStatus::unfit);
  node.allocation = "p1";
  node.lent_s = 600;
  world.state.put_node(node);
  JobSpec spec;
  spec.queue = QueueName{"a"};
  world.submit(spec);

  EXPECT_EQ(shown(world.state.scale(kThen)), fmt::format("-{}; ", node.id));
}

RC_GTEST_PROP(Passes, FindOutWhyTheOthersWaitWhenAsked, ()) {
  const auto world = any_world();
  for (int i = between(1, 12); i > 0; --i) world->submit(any_spec(world->state));
  world->carry_out(world->state.place(world->now));

  const auto all = core::place(world->state.snapshot(world->now));

  for (const auto& [id, blocks] : all.blocked) RC_ASSERT(world->state.blocks(id) == blocks);
}

// What a turn looks at.

ClusterSettings cluster_of(int nodes) {
  ClusterSettings cluster;
  cluster.environments = {environment_of(kSmall, 2, nodes)};
  cluster.queues = {queue_of("a", 1, {kSmall})};
  return cluster;
}

JobSpec spec_of(int vcpus = 1) {
  JobSpec spec;
  spec.queue = QueueName{"a"};
  spec.vcpus = vcpus;
  return spec;
}

/// Jobs and nodes that the pass after each kind of event looks at.
struct Cost {
  std::uint64_t jobs = 0;
  std::uint64_t nodes = 0;
  std::size_t placed = 0;

  friend bool operator==(const Cost&, const Cost&) = default;
  friend void PrintTo(const Cost& cost, std::ostream* out) {
    *out << cost.jobs << " jobs, " << cost.nodes << " nodes, " << cost.placed << " placed";
  }
};

Cost pass(World& world) {
  const auto before = world.state.work();
  const auto plan = world.state.place(world.now);
  world.carry_out(plan);
  const auto scaled = world.state.scale(world.now);
  EXPECT_TRUE(scaled.launch.empty() && scaled.release.empty()) << shown(scaled);
  return {world.state.work().jobs - before.jobs, world.state.work().nodes - before.nodes,
          plan.size()};
}

std::vector<Cost> costs(int nodes, int waiting) {
  World world(cluster_of(nodes));
  const auto& environment = world.state.cluster().environments.front();
  for (int i = 1; i <= nodes; ++i) world.state.put_node(node_of(i, environment, NodeStatus::up));
  std::vector<Cost> list;
  const auto after = [&](const std::function<void()>& change) {
    change();
    list.push_back(pass(world));
  };
  // A job comes to nodes that are free.
  after([&] { world.submit(spec_of()); });
  // All is full, and a long queue waits, of jobs of two kinds.
  for (int i = 1; i < 2 * nodes; ++i) world.submit(spec_of());
  (void)pass(world);
  EXPECT_EQ(world.running.size(), static_cast<std::size_t>(2 * nodes));
  for (int i = 0; i < waiting; ++i) world.submit(spec_of(1 + i % 2));
  after([] {});
  after([&] { world.submit(spec_of()); });
  after([&] { world.submit(spec_of(2)); });
  after([&] { world.end(0); });
  after([&] {  // one of those that wait is cancelled
    world.happen(JobId{fmt::format("{:06}", 2 * nodes + waiting / 2)},
                 core::KillAsked{world.now, "no more", true});
  });
  const auto id = world.state.holders(node_of(1, environment, NodeStatus::up).id).front()->id;
  after([&] {  // a node's agent goes, and comes back
    world.state.put_node(node_of(1, environment, NodeStatus::silent));
    EXPECT_NE(world.state.find(id), nullptr);
  });
  after([&] { world.state.put_node(node_of(1, environment, NodeStatus::up)); });
  return list;
}

TEST(PassCost, DoesNotGrowWithWhatWaitsAndWithWhatThereIs) {
  const auto few = costs(10, 1'000);
  ASSERT_EQ(few[0].placed, 1u);
  ASSERT_EQ(few[4].placed, 1u);
  for (const auto& cost : few) {
    EXPECT_LE(cost.jobs, 8u);
    EXPECT_LE(cost.nodes, 8u);
  }
  EXPECT_EQ(costs(10, 100'000), few);
  EXPECT_EQ(costs(10'000, 1'000), few);
  EXPECT_EQ(costs(10'000, 100'000), few);
}

TEST(PassCost, OfACheckWhetherToGrowIsSpreadOverTime) {
  constexpr int kNodes = 1000;
  World world(cluster_of(2 * kNodes));
  const auto& environment = world.state.cluster().environments.front();
  for (int i = 1; i <= kNodes; ++i) {
    world.state.put_node(node_of(i, environment, NodeStatus::pending));
  }
  for (int i = 0; i < 2 * kNodes; ++i) world.submit(spec_of());
  (void)world.state.scale(world.now);  // looks at everything
  EXPECT_EQ(world.state.next_scale(), std::nullopt);
  const auto before = world.state.work();

  for (int i = 0; i < 100; ++i) {
    world.submit(spec_of());
    (void)world.state.scale(world.now);
  }

  EXPECT_EQ(world.state.work().jobs, before.jobs);
  EXPECT_EQ(world.state.work().nodes, before.nodes);
  ASSERT_NE(world.state.next_scale(), std::nullopt) << "the look was put off, not left out";
  world.now = *world.state.next_scale();
  EXPECT_EQ(shown(world.state.scale(world.now)), "small-ce node 50; ");
  EXPECT_EQ(world.state.next_scale(), std::nullopt);
}

// What a page of a list looks at.

/// The ids of a page of a queue's jobs that wait or have failed.
std::vector<JobId> page(const State& state, const std::optional<api::ListPlace>& after,
                        bool newest_first, std::size_t size) {
  std::vector<JobId> ids;
  state.each_job(QueueName{"a"}, {JobStatus::runnable, JobStatus::failed}, after, newest_first,
                 [&](const Job& job) {
                   ids.push_back(job.id);
                   return ids.size() < size;
                 });
  return ids;
}

JobId numbered(int number) { return JobId{fmt::format("{:06}", number)}; }

TEST(ListCost, OfAPageIsItsOwnWhereverItBegins) {
  World world(cluster_of(1));
  for (int i = 0; i < 100'000; ++i) world.submit(spec_of());
  for (int i = 500; i < 100'000; i += 1000) {
    world.happen(numbered(i), core::KillAsked{world.now, "no more", true});
  }
  for (const int place : {0, 1'000, 50'500, 99'000}) {
    for (const bool newest_first : {false, true}) {
      if (newest_first && place > 0 && place < 1'000) continue;
      const auto after =
          place == 0 ? std::nullopt : std::optional(api::ListPlace{kThen, numbered(place)});
      const auto before = world.state.work().jobs;

      const auto ids = page(world.state, after, newest_first, 100);

      EXPECT_EQ(world.state.work().jobs - before, 100u) << place;
      ASSERT_EQ(ids.size(), 100u);
      const int first = newest_first ? (place == 0 ? 100'000 : place - 1) : place + 1;
      EXPECT_EQ(ids.front(), numbered(first));
      EXPECT_EQ(ids.back(), numbered(newest_first ? first - 99 : first + 99));
    }
  }
}

RC_GTEST_PROP(ListedJobs, AreAllInOrderWhateverThePages, ()) {
  World world(cluster_of(1));
  const int count = between(0, 30);
  for (int i = 1; i <= count; ++i) world.submit(spec_of());
  for (int i = 1; i <= count; ++i) {
    if (one_in(3)) world.happen(numbered(i), core::KillAsked{world.now, "no more", true});
  }
  const bool newest_first = one_in(2);
  const auto size = static_cast<std::size_t>(between(1, 7));

  std::vector<JobId> all;
  std::optional<api::ListPlace> after;
  while (true) {
    const auto next = page(world.state, after, newest_first, size);
    all.insert(all.end(), next.begin(), next.end());
    if (next.size() < size) break;
    after = api::ListPlace{kThen, next.back()};
  }

  std::vector<JobId> wanted;
  for (int i = 1; i <= count; ++i) wanted.push_back(numbered(i));
  if (newest_first) std::reverse(wanted.begin(), wanted.end());
  RC_ASSERT(all == wanted);
}

}  // namespace
}  // namespace cox::head
