#include "runtime/core/array_children.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/core/samples.hpp"

namespace cox::core {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

const JobId kArray{"a"};

Submitted array_of(int size, std::vector<Dependency> depends_on = {}) {
  auto spec = spec_of();
  spec.array_size = size;
  spec.depends_on = std::move(depends_on);
  return {kThen, spec, {}, {}};
}

std::vector<Submitted> children_of(const Submitted& array) {
  std::vector<Submitted> list;
  each_child(array, kArray, [&](const JobId& child, Submitted first) {
    EXPECT_EQ(child, child_of(kArray, static_cast<int>(list.size())));
    EXPECT_EQ(first.array_index, static_cast<int>(list.size()));
    EXPECT_EQ(first.at, array.at);
    EXPECT_EQ(first.spec, array.spec);
    list.push_back(std::move(first));
  });
  return list;
}

TEST(ArrayChildren, AreOneEntryWhereAllWaitForTheSame) {
  auto array = array_of(10'000);
  for (int i = 0; i < 10'000; ++i) add_child(array, kArray, {JobId{"w"}});

  EXPECT_THAT(array.children, SizeIs(1));
  const auto children = children_of(array);
  ASSERT_THAT(children, SizeIs(10'000));
  EXPECT_THAT(children[0].waits_for, ElementsAre(JobId{"w"}));
  EXPECT_THAT(children[9'999].waits_for, ElementsAre(JobId{"w"}));
}

TEST(ArrayChildren, EachWaitForTheOneBeforeIt) {
  auto array = array_of(4, {{JobId{}, DependencyKind::sequential}});
  add_child(array, kArray, {});
  for (int i = 1; i < 4; ++i) add_child(array, kArray, {child_of(kArray, i - 1)});

  EXPECT_THAT(array.children, SizeIs(2));
  const auto children = children_of(array);
  ASSERT_THAT(children, SizeIs(4));
  EXPECT_THAT(children[0].waits_for, IsEmpty());
  EXPECT_THAT(children[3].waits_for, ElementsAre(JobId{"a:2"}));
}

TEST(ArrayChildren, WaitForThoseOfAnotherArrayThatHaveNotEnded) {
  auto array = array_of(5, {{JobId{"other"}, DependencyKind::n_to_n}});
  add_child(array, kArray, {JobId{"other:0"}});
  add_child(array, kArray, {});  // the other's had ended
  for (int i = 2; i < 5; ++i) add_child(array, kArray, {child_of(JobId{"other"}, i)});

  EXPECT_THAT(array.children, SizeIs(3));
  const auto children = children_of(array);
  ASSERT_THAT(children, SizeIs(5));
  EXPECT_THAT(children[0].waits_for, ElementsAre(JobId{"other:0"}));
  EXPECT_THAT(children[1].waits_for, IsEmpty());
  EXPECT_THAT(children[4].waits_for, ElementsAre(JobId{"other:4"}));
}

TEST(ArrayChildren, OfAnArrayWhoseEventSaysNothingOfThemComeByThemselves) {
  EXPECT_THAT(children_of(array_of(3)), IsEmpty());
}

}  // namespace
}  // namespace cox::core
