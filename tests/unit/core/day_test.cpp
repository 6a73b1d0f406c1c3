#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "tests/unit/core/world.hpp"

/// A day of a cluster: quiet nights, a busy morning, narrow jobs in hundreds and wide ones now and
/// then. What a cluster's owner cares for is looked at each minute.
namespace cox::core {
namespace {

constexpr std::int64_t kMinuteMs = 60'000;
constexpr std::int64_t kIdleMs = 10 * kMinuteMs;
constexpr int kMinVcpus = 4;
constexpr int kMaxVcpus = 64;

class Day {
 public:
  explicit Day(unsigned seed)
      : random_(seed),
        world_(cluster_of({environment_of("ce", kMinVcpus, kMaxVcpus, {kSmall, kLarge})})) {
    world_.cluster.environments[0].idle_ms_before_release = kIdleMs;
  }

  void minute(int jobs) {
    for (int i = 0; i < jobs; ++i) submit();
    end_jobs();
    world_.settle_nodes();  // what was asked for a minute ago is up
    const auto placed = place(world_.snapshot());
    ASSERT_TRUE(world_.carry_out(placed));
    for (const auto& each : placed.placed) began(each.job);
    scale_and_look();
    EXPECT_THAT(world_.faults(), testing::IsEmpty());
    world_.now = world_.now + kMinuteMs;
  }

  [[nodiscard]] int vcpus() const { return world_.vcpus(ComputeEnvironmentName{"ce"}); }
  [[nodiscard]] std::size_t waiting() const { return world_.snapshot().waiting.size(); }

  int launched = 0;
  int most_vcpus = 0;
  std::int64_t longest_wait_ms = 0;
  int ended = 0;

 private:
  int below(int limit) { return static_cast<int>(random_() % static_cast<unsigned>(limit)); }

  void submit() {
    const auto id = fmt::format("j{:05}", ++submitted_);
    world_.waits(id,
                 below(20) == 0 ? wide_spec(2 + below(7), 1 + below(4)) : spec_of(1 + below(4)));
    submitted_at_[JobId{id}] = world_.now;
  }

  void began(const JobId& id) {
    ends_at_[id] = world_.now + kMinuteMs * (1 + below(20));
    longest_wait_ms = std::max(longest_wait_ms, world_.now - submitted_at_.at(id));
  }

  void end_jobs() {
    for (auto& job : world_.jobs) {
      const auto end = ends_at_.find(job.id);
      if (end == ends_at_.end() || end->second > world_.now) continue;
      world_.end(job);
      ends_at_.erase(end);
      ++ended;
    }
    std::erase_if(world_.jobs, [](const Job& job) { return is_terminal(job.status); });
  }

  void scale_and_look() {
    const bool somebody_waits = waiting() > 0;
    const auto plan = scale(world_.snapshot());
    for (const auto& id : plan.release) {
      // Given back early only to make room.
      const auto idle_ms = world_.now - world_.find_node(id)->idle_since;
      EXPECT_TRUE(idle_ms >= kIdleMs || somebody_waits) << id.value << ": " << idle_ms << " ms";
    }
    for (const auto& wanted : plan.launch) launched += wanted.count;
    world_.carry_out(plan);
    EXPECT_GE(vcpus(), kMinVcpus);
    EXPECT_LE(vcpus(), kMaxVcpus);
    most_vcpus = std::max(most_vcpus, vcpus());
  }

  std::mt19937 random_;
  World world_;
  std::map<JobId, Millis> submitted_at_;
  std::map<JobId, Millis> ends_at_;
  int submitted_ = 0;
};

class ADay : public testing::TestWithParam<unsigned> {};

TEST_P(ADay, GrowsForItsLoadAndGivesBackWhatItDoesNotNeed) {
  Day day(GetParam());
  for (int minute = 0; minute < 7 * 60; ++minute) day.minute(minute % 60 == 0 ? 1 : 0);
  const int by_night = day.launched;
  EXPECT_LE(day.most_vcpus, 32);

  for (int minute = 0; minute < 5 * 60; ++minute) day.minute(minute % 2 == 0 ? 3 : 0);
  EXPECT_GE(day.most_vcpus, kMaxVcpus - 3);  // the morning needs it all

  for (int minute = 0; minute < 12 * 60; ++minute) day.minute(minute % 30 == 0 ? 1 : 0);
  for (int minute = 0; minute < 60; ++minute) day.minute(0);

  EXPECT_EQ(day.waiting(), 0u);
  EXPECT_GT(day.ended, 400);
  EXPECT_LE(day.vcpus(), kMinVcpus + 3);  // the last large node may stay
  // Nobody waits for long behind the others: an hour holds three of the longest jobs.
  EXPECT_LE(day.longest_wait_ms, 60 * kMinuteMs);
  // Nodes are kept while they are used: there is no coming and going with every job.
  EXPECT_LT(day.launched - by_night, day.ended / 4);
}

INSTANTIATE_TEST_SUITE_P(, ADay, testing::Values(1u, 2u, 3u),
                         [](const auto& test) { return std::to_string(test.param); });

}  // namespace
}  // namespace cox::core
