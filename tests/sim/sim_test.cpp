#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "tests/sim/sim_world.hpp"

/// Lives of a cluster by seed. A failing one is repeated by COX_SIM_SEED=<seed>, which runs it
/// beside the fixed ones.
namespace cox::sim {
namespace {

constexpr int kTurns = 1500;
constexpr std::uint64_t kSeeds = 16;

std::vector<std::uint64_t> seeds() {
  std::vector<std::uint64_t> list;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) list.push_back(seed);
  if (const char* more = std::getenv("COX_SIM_SEED"))
    list.push_back(std::strtoull(more, nullptr, 10));
  return list;
}

class Life : public testing::TestWithParam<std::uint64_t> {};

TEST_P(Life, KeepsEveryPromiseWhateverHappens) {
  SCOPED_TRACE(fmt::format("COX_SIM_SEED={}", GetParam()));
  World world(GetParam());

  for (int i = 0; i < kTurns && !HasFailure(); ++i) {
    world.turn();
    if (HasFailure()) ADD_FAILURE() << "in turn " << i;
  }
  if (!HasFailure()) world.settle();

  // A life in which nothing happened would show nothing.
  EXPECT_GT(world.deaths(), 20);
  EXPECT_GT(world.ended_well(), 10);
}

INSTANTIATE_TEST_SUITE_P(, Life, testing::ValuesIn(seeds()),
                         [](const auto& test) { return std::to_string(test.param); });

}  // namespace
}  // namespace cox::sim
