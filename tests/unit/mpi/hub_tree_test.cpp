#include "runtime/mpi/hub_tree.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace cox::mpi {
namespace {

TEST(HubTree, IsAStarUpToSixteenNodesBesideTheMainOne) {
  const HubTree small{17, kHubFanOut};
  for (int node = 1; node < small.nodes; ++node) {
    EXPECT_EQ(small.parent(node), 0);
    EXPECT_FALSE(small.has_children(node));
  }
  const HubTree large{18, kHubFanOut};
  EXPECT_EQ(large.parent(17), 1);
  EXPECT_TRUE(large.has_children(1));
  EXPECT_FALSE(large.has_children(2));
}

TEST(HubTree, WithoutAFanOutIsAlwaysOne) {
  const HubTree star{1000, 0};
  EXPECT_EQ(star.parent(999), 0);
  EXPECT_TRUE(star.has_children(0));
  EXPECT_FALSE(star.has_children(1));
  EXPECT_TRUE(star.is_within(999, 0));
  EXPECT_FALSE(star.is_within(999, 1));
}

RC_GTEST_PROP(HubTree, LeadsEveryNodeToTheMainOne, ()) {
  const HubTree tree{*rc::gen::inRange(1, 5000), *rc::gen::inRange(1, 20)};
  const int node = *rc::gen::inRange(0, tree.nodes);
  RC_ASSERT(tree.is_within(node, node) && tree.is_within(node, 0));
  int children = 0;
  for (int each = 1; each < tree.nodes; ++each) children += tree.parent(each) == node ? 1 : 0;
  RC_ASSERT(children <= tree.fan_out);
  RC_ASSERT(tree.has_children(node) == (children > 0));
  if (node == 0) return;
  RC_ASSERT(tree.parent(node) < node);
  RC_ASSERT(tree.is_within(node, tree.parent(node)));
  RC_ASSERT(!tree.is_within(tree.parent(node), node));
}

}  // namespace
}  // namespace cox::mpi
