#include "runtime/mpi/launch_hub.hpp"

#include <gtest/gtest.h>

namespace cox::mpi {
namespace {

LaunchHub three_nodes() { return LaunchHub({"ip-a", "ip-b", "ip-c"}); }

TEST(LaunchHub, CompletesABarrierWithTheKeysOfAllNodes) {
  auto hub = three_nodes();

  EXPECT_EQ(hub.entered(1, "b 1\n"), std::nullopt);
  EXPECT_EQ(hub.entered(0, "a 1\n"), std::nullopt);
  EXPECT_EQ(hub.entered(2, ""), "b 1\na 1\n");

  EXPECT_EQ(hub.entered(2, "c 2\n"), std::nullopt);
  EXPECT_EQ(hub.entered(1, ""), std::nullopt);
  EXPECT_EQ(hub.entered(0, ""), "c 2\n") << "each key travels once";
}

TEST(LaunchHub, CountsANodeOnceInABarrier) {
  auto hub = three_nodes();
  (void)hub.entered(0, "");
  (void)hub.entered(1, "");

  EXPECT_EQ(hub.entered(1, ""), std::nullopt);
}

TEST(LaunchHub, WaitsForNoNodeThatHasNoRanks) {
  auto hub = three_nodes();
  hub.without_ranks(0);
  (void)hub.entered(1, "b 1\n");

  EXPECT_EQ(hub.entered(2, "c 1\n"), "b 1\nc 1\n");
  (void)hub.entered(2, "");
  EXPECT_EQ(hub.entered(1, ""), "") << "nor in the next barrier";
  hub.done(1, 0);
  EXPECT_FALSE(hub.is_over());
  hub.done(2, 0);
  EXPECT_TRUE(hub.is_over());
}

TEST(LaunchHub, HasSucceededWhenAllNodesAreDone) {
  auto hub = three_nodes();
  hub.done(2, 0);
  hub.done(0, 0);
  EXPECT_FALSE(hub.is_over());

  hub.done(1, 0);

  ASSERT_TRUE(hub.is_over());
  EXPECT_EQ(hub.end(), (RankFailure{0, ""}));
}

TEST(LaunchHub, EndsWithTheFirstFailure) {
  auto hub = three_nodes();
  hub.failed({42, ""});
  hub.failed({7, "later"});
  hub.lost(2);

  ASSERT_TRUE(hub.is_over());
  EXPECT_EQ(hub.end(), (RankFailure{42, ""}));
  EXPECT_EQ(hub.entered(0, ""), std::nullopt);
}

TEST(LaunchHub, FailsWhenANodeIsLostBeforeItIsDone) {
  auto hub = three_nodes();
  hub.done(1, 0);
  hub.lost(1);
  EXPECT_FALSE(hub.is_over()) << "it was done";

  hub.lost(2);

  ASSERT_TRUE(hub.is_over());
  EXPECT_EQ(hub.end(), (RankFailure{137, "node ip-c was lost"}));
}

TEST(LaunchHub, FailsWhenOthersWaitForARankThatHasEnded) {
  const RankFailure want{
      1, "rank 4 on ip-c ended while other ranks wait for it in MPI_Init or MPI_Finalize"};
  auto before = three_nodes();
  before.rank_gone(2, 4);
  EXPECT_FALSE(before.is_over()) << "nobody waits";
  (void)before.entered(0, "");
  ASSERT_TRUE(before.is_over());
  EXPECT_EQ(before.end(), want);

  auto after = three_nodes();
  (void)after.entered(0, "");
  after.rank_gone(2, 4);
  ASSERT_TRUE(after.is_over());
  EXPECT_EQ(after.end(), want);
}

TEST(LaunchHub, KeepsTheCodeOfARankThatWasStopped) {
  auto hub = three_nodes();
  hub.done(0, 0);
  hub.done(1, 143);
  hub.done(2, 0);

  ASSERT_TRUE(hub.is_over());
  EXPECT_EQ(hub.end(), (RankFailure{143, ""}));
}

}  // namespace
}  // namespace cox::mpi
