#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <memory>
#include <set>

#include "runtime/core/lending.hpp"
#include "tests/unit/core/any_world.hpp"

/// What never happens where nodes are lent, whatever the cluster and its jobs.
namespace cox::core {
namespace {

JobSpec any_spec() {
  auto spec = one_in(2) ? wide_spec(between(1, 4), between(1, 2)) : spec_of(between(1, 2));
  if (!one_in(3)) spec.timeout_s = between(1, 5) * 300;
  return spec;
}

/// An environment of lent nodes, perhaps before one of nodes that stay, and jobs that wait.
std::unique_ptr<World> any_world() {
  auto lent = environment_of("ce", between(0, 3) * 2, between(3, 8) * 2, {kSmall});
  lent.idle_ms_before_release = (between(0, 2) - 1) * 60'000;
  std::vector<ComputeEnvironment> environments{lent};
  if (one_in(4)) environments.push_back(environment_of("de", 0, between(1, 4) * 2, {kSmall}));
  auto cluster = cluster_of(std::move(environments));
  cluster.lent[lent.name] = {between(1, 3) * 1200, one_in(3) ? 1500 : 0};
  auto world = std::make_unique<World>(std::move(cluster));
  for (int i = between(0, 4); i > 0; --i) world->waits(fmt::format("o{}", i), any_spec());
  world->carry_out(scale(world->snapshot()));
  world->settle_nodes();
  world->carry_out(place(world->snapshot()));
  world->now = world->now + between(0, 1000) * 1000;
  for (int i = between(1, 8); i > 0; --i) world->waits(fmt::format("w{}", i), any_spec());
  return world;
}

bool can_ever_run(const World& world, const JobSpec& spec) {
  const auto& all = world.cluster.environments;
  return std::any_of(all.begin(), all.end(), [&](const ComputeEnvironment& environment) {
    const auto* lending = lending_of(world.cluster, environment.name);
    return smallest_fit(environment, spec) && (lending == nullptr || is_lent_for(*lending, spec));
  });
}

/// What is taken away now goes; a job's nodes stay: it ends in time.
void end_allocations(World& world) {
  std::erase_if(world.nodes, [&](const Node& node) {
    const bool is_held = std::any_of(world.jobs.begin(), world.jobs.end(),
                                     [&](const Job& job) { return holds_node(job, node.id); });
    return node.lent_until.set() && node.lent_until < world.now && !is_held;
  });
}

RC_GTEST_PROP(LentPlacing, KeepsAJobInOneAllocationThatLasts, ()) {
  const auto world = any_world();
  RC_LOG() << in_words(*world);
  const auto plan = place(world->snapshot());

  for (const auto& placement : plan.placed) {
    const auto& spec = world->find_job(placement.job)->spec;
    for (const auto& id : placement.nodes) {
      const auto* node = world->find_node(id);
      const auto* lending = lending_of(world->cluster, node->environment);
      RC_ASSERT(lending == nullptr || lasts_for(*node, *lending, spec, world->now));
    }
  }
  std::size_t told = plan.placed.size();
  for (const auto& [job, blocks] : plan.blocked) told += blocks.empty() ? 0 : 1;
  RC_ASSERT(told == world->snapshot().waiting.size());
  RC_ASSERT(world->carry_out(plan));
  expect_sound(*world);
}

RC_GTEST_PROP(LentScaling, GivesBackWholeAllocationsWithoutJobs, ()) {
  const auto world = any_world();
  RC_LOG() << in_words(*world);
  const auto plan = scale(world->snapshot());

  const std::set<NodeId> released(plan.release.begin(), plan.release.end());
  std::set<std::string_view> allocations;
  for (const auto& id : released) allocations.insert(allocation_of(*world->find_node(id)));
  for (const auto& node : world->nodes) {
    const bool goes = allocations.contains(allocation_of(node));
    RC_ASSERT(goes == released.contains(node.id));
  }
  world->carry_out(plan);
  expect_sound(*world);
}

RC_GTEST_PROP(LentScaling, ComesToRestWhileNothingEnds, ()) {
  const auto world = any_world();
  RC_LOG() << in_words(*world);
  std::vector<std::string> last{"not begun"};
  for (int round = 0; round < 20 && !last.empty(); ++round) {
    const auto placed = place(world->snapshot());
    world->carry_out(placed);
    const auto plan = scale(world->snapshot());
    world->carry_out(plan);
    expect_sound(*world);
    last = shown(plan);
    for (const auto& line : shown(placed.placed)) last.push_back(line);
    if (!plan.launch.empty() && plan.release.empty()) {
      // Nodes on their way are counted on: a second look asks for no more.
      RC_ASSERT(shown(scale(world->snapshot())) == std::vector<std::string>{});
    }
    world->settle_nodes();
  }
  RC_LOG() << in_words(*world);
  RC_ASSERT(last == std::vector<std::string>{});
}

RC_GTEST_PROP(LentLife, LetsEveryJobRunThatEverCan, ()) {
  const auto world = any_world();
  RC_LOG() << in_words(*world);

  for (int round = 0; round < 100; ++round) {
    if (round < 30) world->waits(fmt::format("new{}", round), spec_of(1 + round % 2));
    world->carry_out(place(world->snapshot()));
    world->carry_out(scale(world->snapshot()));
    expect_sound(*world);
    end_allocations(*world);
    world->settle_nodes();
    world->now = world->now + 10'000;
    const auto oldest = std::find_if(world->jobs.begin(), world->jobs.end(),
                                     [](const Job& job) { return holds_nodes(job); });
    if (oldest != world->jobs.end()) world->end(*oldest);
  }

  RC_LOG() << in_words(*world);
  for (const auto& job : world->jobs) {
    RC_ASSERT((job.status == JobStatus::succeeded) == can_ever_run(*world, job.spec));
  }
}

}  // namespace
}  // namespace cox::core
