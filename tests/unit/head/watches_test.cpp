#include "runtime/head/watches.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cox::head {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const JobId kJob{"j"};

TEST(Watches, TellInOrderWhoWatchesTheJob) {
  Watches watches;
  std::vector<std::string> told;
  const auto first = watches.watch(kJob, [&] { told.emplace_back("first"); });
  const auto second = watches.watch(kJob, [&] { told.emplace_back("second"); });
  const auto other = watches.watch(JobId{"other"}, [&] { told.emplace_back("other"); });

  watches.tell(kJob);
  watches.tell(JobId{"nobody's"});

  EXPECT_THAT(told, ElementsAre("first", "second"));
}

TEST(Watches, TellNobodyWhoseTokenIsDropped) {
  Watches watches;
  int told = 0;
  auto token = watches.watch(kJob, [&] { ++told; });
  watches.tell(kJob);

  token.reset();
  watches.tell(kJob);

  EXPECT_EQ(told, 1);
}

TEST(Watches, LetAHandlerDropItsOwnTokenAndThoseOfOthers) {
  Watches watches;
  std::vector<std::string> told;
  std::shared_ptr<void> first;
  std::shared_ptr<void> second;
  first = watches.watch(kJob, [&] {
    told.emplace_back("first");
    first.reset();
    second.reset();
  });
  second = watches.watch(kJob, [&] { told.emplace_back("second"); });

  watches.tell(kJob);
  watches.tell(kJob);

  EXPECT_THAT(told, ElementsAre("first"));
}

TEST(Watches, TellWhoBeginsToWatchMeanwhileOnlyTheNextTime) {
  Watches watches;
  int late = 0;
  std::vector<std::shared_ptr<void>> tokens;
  tokens.push_back(watches.watch(kJob, [&] {
    if (tokens.size() == 1) tokens.push_back(watches.watch(kJob, [&] { ++late; }));
  }));

  watches.tell(kJob);
  EXPECT_EQ(late, 0);

  watches.tell(kJob);
  EXPECT_EQ(late, 1);
}

TEST(Watches, MayHoldTokensInHandlersThatGoTogether) {
  Watches watches;
  std::vector<std::string> told;
  auto inner = watches.watch(JobId{"other"}, [&] { told.emplace_back("inner"); });
  auto outer = watches.watch(kJob, [&told, inner] { told.emplace_back("outer"); });
  inner.reset();

  outer.reset();
  watches.tell(kJob);
  watches.tell(JobId{"other"});

  EXPECT_THAT(told, IsEmpty());
}

TEST(Watches, MayEndBeforeTheirTokens) {
  std::shared_ptr<void> token;
  {
    Watches watches;
    token = watches.watch(kJob, [] {});
  }
  token.reset();
}

}  // namespace
}  // namespace cox::head
