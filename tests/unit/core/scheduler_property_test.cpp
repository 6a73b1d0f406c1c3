#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <memory>

#include "tests/unit/core/any_world.hpp"

/// What never happens, whatever the cluster and its jobs.
namespace cox::core {
namespace {

const std::vector<InstanceType> kTypes = {type_of("small", 2), type_of("large", 4),
                                          type_of("fat", 4, MiB{8192}), type_of("huge", 8)};

ComputeEnvironment any_environment(const std::string& name) {
  std::vector<InstanceType> types;
  for (const auto& type : kTypes) {
    if (!one_in(3)) types.push_back(type);
  }
  if (types.empty()) types.push_back(kTypes[0]);
  auto environment = environment_of(name, between(0, 6), between(6, 20), types);
  environment.spot = one_in(5);
  environment.enabled = !one_in(10);
  environment.idle_ms_before_release = (between(0, 2) - 1) * 60'000;
  return environment;
}

JobSpec any_spec() {
  if (one_in(3)) return wide_spec(between(1, 4), between(1, 4));
  return spec_of(between(1, 5), MiB{between(1, 5) * 900});
}

NodeStatus any_status() {
  constexpr NodeStatus kOthers[] = {NodeStatus::pending, NodeStatus::silent,
                                    NodeStatus::terminating};
  return one_in(2) ? kOthers[between(0, 2)] : NodeStatus::up;
}

void add_any_node(World& world, int number) {
  const auto& environments = world.cluster.environments;
  const auto& environment =
      environments[static_cast<std::size_t>(between(0, static_cast<int>(environments.size()) - 1))];
  const auto& types = environment.instance_types;
  const auto& type =
      types[static_cast<std::size_t>(between(0, static_cast<int>(types.size()) - 1))];
  if (world.vcpus(environment.name) + type.vcpus > environment.max_vcpus) return;
  world.node(fmt::format("{:02}-old", (number * 61) % 100), type, any_status(),
             environment.name.value);
}

/// A cluster with nodes in every status, jobs that run on some of them, and jobs that wait.
std::unique_ptr<World> any_world() {
  std::vector<ComputeEnvironment> environments{any_environment("ce")};
  if (one_in(2)) environments.push_back(any_environment("de"));
  auto world = std::make_unique<World>(cluster_of(std::move(environments)));
  const int nodes = between(0, 6);
  for (int i = 0; i < nodes; ++i) add_any_node(*world, i);
  const int running = between(0, 5);
  for (int i = 0; i < running; ++i) world->waits(fmt::format("r{}", i), any_spec());
  world->carry_out(place(world->snapshot()));
  std::erase_if(world->jobs, [](const Job& job) { return !holds_nodes(job); });
  const int waiting = between(0, 8);
  for (int i = 0; i < waiting; ++i) world->waits(fmt::format("w{}", i), any_spec());
  if (one_in(2)) world->now = kThen + 60'000;
  return world;
}

bool can_ever_run(const World& world, const JobSpec& spec) {
  const auto& all = world.cluster.environments;
  return std::any_of(all.begin(), all.end(), [&](const ComputeEnvironment& environment) {
    return environment.enabled && !(spec.nodes && environment.spot) &&
           smallest_fit(environment, spec);
  });
}

RC_GTEST_PROP(Placing, KeepsEveryLimitAndTellsOfEachJob, ()) {
  const auto world = any_world();
  expect_sound(*world);

  const auto plan = place(world->snapshot());

  std::size_t told = plan.placed.size();
  for (const auto& [job, blocks] : plan.blocked) told += blocks.empty() ? 0 : 1;
  RC_ASSERT(told == world->snapshot().waiting.size());
  RC_ASSERT(world->carry_out(plan));
  expect_sound(*world);
}

RC_GTEST_PROP(Placing, OfTheSamePlanTwiceIsRefused, ()) {
  const auto world = any_world();
  const auto plan = place(world->snapshot());
  RC_PRE(!plan.placed.empty());

  RC_ASSERT(world->carry_out(plan));
  RC_ASSERT(!world->carry_out(plan));

  expect_sound(*world);
}

RC_GTEST_PROP(Placing, LeavesTheFirstJobWaitingOnlyWhereNoEnvironmentHasItsNodesFree, ()) {
  const auto world = any_world();
  const auto snapshot = world->snapshot();
  RC_PRE(!snapshot.waiting.empty());
  const JobSpec& spec = snapshot.waiting.front()->spec;
  bool fits = false;
  for (const auto& environment : world->cluster.environments) {
    int free = 0;
    for (const auto& each : snapshot.nodes) {
      const bool whole =
          each.jobs == 0 && each.node->vcpus >= spec.vcpus && each.node->memory >= spec.memory;
      const bool part = each.free_vcpus >= spec.vcpus && each.free_memory >= spec.memory;
      if (each.node->environment == environment.name && each.node->status == NodeStatus::up &&
          (spec.nodes ? whole : part)) {
        ++free;
      }
    }
    if (environment.enabled && !(spec.nodes && environment.spot) &&
        free >= spec.nodes.value_or(1)) {
      fits = true;
    }
  }

  const auto plan = place(snapshot);

  RC_ASSERT(fits == !plan.blocked.contains(snapshot.waiting.front()->id));
}

RC_GTEST_PROP(Placing, IsTheSameForTheSameCluster, ()) {
  const auto world = any_world();
  World copy(world->cluster);
  copy.nodes = world->nodes;
  copy.jobs = world->jobs;
  copy.now = world->now;

  const auto plan = place(world->snapshot());
  const auto again = place(copy.snapshot());

  RC_ASSERT(shown(plan.placed) == shown(again.placed));
  RC_ASSERT(plan.blocked == again.blocked);
  RC_ASSERT(shown(scale(world->snapshot())) == shown(scale(copy.snapshot())));
}

RC_GTEST_PROP(Scaling, StaysBetweenMinimumAndMaximum, ()) {
  const auto world = any_world();
  world->carry_out(place(world->snapshot()));

  const auto plan = scale(world->snapshot());

  const bool somebody_waits = !world->snapshot().waiting.empty();
  world->carry_out(plan);
  expect_sound(*world);  // no environment above its maximum, no node of a job given back
  for (const auto& environment : world->cluster.environments) {
    const int vcpus = world->vcpus(environment.name);
    const bool is_full = vcpus + environment.instance_types.front().vcpus > environment.max_vcpus;
    const bool makes_room = somebody_waits && !plan.release.empty();
    RC_ASSERT(!environment.enabled || vcpus >= environment.min_vcpus || is_full || makes_room);
  }
}

RC_GTEST_PROP(Scaling, GivesBackOnlyNodesThatAreUpAndIdle, ()) {
  const auto world = any_world();
  const auto snapshot = world->snapshot();

  const auto plan = scale(snapshot);

  for (const auto& id : plan.release) {
    const auto node = std::find_if(snapshot.nodes.begin(), snapshot.nodes.end(),
                                   [&](const FreeNode& each) { return each.node->id == id; });
    RC_ASSERT(node != snapshot.nodes.end());
    RC_ASSERT(node->node->status == NodeStatus::up);
    RC_ASSERT(node->jobs == 0);
  }
}

RC_GTEST_PROP(Scaling, WantsNothingMoreWhenItsPlanIsCarriedOut, ()) {
  const auto world = any_world();
  world->carry_out(place(world->snapshot()));
  const auto plan = scale(world->snapshot());
  RC_PRE(plan.release.empty());

  world->carry_out(plan);

  RC_ASSERT(shown(scale(world->snapshot())) == std::vector<std::string>{});
}

RC_GTEST_PROP(Scaling, ComesToRestWhileNothingEnds, ()) {
  const auto world = any_world();
  RC_LOG() << in_words(*world);
  std::vector<std::string> last{"not begun"};
  for (int round = 0; round < 12 && !last.empty(); ++round) {
    const auto placed = place(world->snapshot());
    world->carry_out(placed);
    const auto plan = scale(world->snapshot());
    world->carry_out(plan);
    world->settle_nodes();
    expect_sound(*world);
    last = shown(plan);
    for (const auto& line : shown(placed.placed)) last.push_back(line);
  }
  RC_ASSERT(last == std::vector<std::string>{});
}

/// One round of a cluster's life: jobs are placed, nodes come and go, the oldest job ends.
void live_a_round(World& world) {
  world.carry_out(place(world.snapshot()));
  world.carry_out(scale(world.snapshot()));
  expect_sound(world);
  std::erase_if(world.nodes, [&](const Node& node) {
    return node.status == NodeStatus::silent &&
           std::none_of(world.jobs.begin(), world.jobs.end(),
                        [&](const Job& job) { return holds_node(job, node.id); });
  });
  world.settle_nodes();
  world.now = world.now + 10'000;
  const auto oldest = std::find_if(world.jobs.begin(), world.jobs.end(),
                                   [](const Job& job) { return holds_nodes(job); });
  if (oldest != world.jobs.end()) world.end(*oldest);
}

RC_GTEST_PROP(Life, LetsEveryJobRunThatEverCan, ()) {
  const auto world = any_world();
  RC_LOG() << in_words(*world);

  for (int round = 0; round < 60; ++round) live_a_round(*world);

  RC_LOG() << in_words(*world);
  for (const auto& job : world->jobs) {
    RC_ASSERT((job.status == JobStatus::succeeded) == can_ever_run(*world, job.spec));
  }
}

RC_GTEST_PROP(Life, LetsAJobRunThoughOthersKeepComing, ()) {
  const auto world = any_world();
  world->waits("patient", any_spec());
  RC_PRE(can_ever_run(*world, world->jobs.back().spec));
  RC_LOG() << in_words(*world);

  for (int round = 0; round < 80; ++round) {
    world->waits(fmt::format("new{}", round), spec_of(1 + round % 2));
    live_a_round(*world);
  }

  RC_LOG() << in_words(*world);
  RC_ASSERT(world->find_job(JobId{"patient"})->status == JobStatus::succeeded);
}

}  // namespace
}  // namespace cox::core
