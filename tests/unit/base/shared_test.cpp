#include "runtime/base/shared.hpp"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

/// A value that is kept once however many hold it.
namespace cox {
namespace {

using Text = Shared<std::string>;
using Words = Shared<std::vector<std::string>>;

TEST(Shared, TakesTheRoomOfAPointer) {
  EXPECT_EQ(sizeof(Shared<std::map<std::string, std::string>>), sizeof(void*));
}

TEST(Shared, HoldsOneValueForAllCopiesUntilOneIsEdited) {
  Words one(std::vector<std::string>{"a"});
  Words other = one;
  EXPECT_EQ(&one.get(), &other.get());

  other.edit().push_back("b");

  EXPECT_EQ(one.get(), std::vector<std::string>{"a"});
  EXPECT_EQ(other.get(), (std::vector<std::string>{"a", "b"}));
  const auto* place = &other.get();
  other.edit().push_back("c");
  EXPECT_EQ(&other.get(), place) << "its own already";
}

TEST(Shared, IsEmptyFromTheStartAndAgainWhenItIsGivenNothing) {
  Words words;
  EXPECT_TRUE(words.empty());
  words = {"a", "b"};
  EXPECT_EQ(words.size(), 2u);
  words = {};
  EXPECT_EQ(&words.get(), &Words().get());
  EXPECT_EQ(words, std::vector<std::string>{});
}

TEST(Shared, TakesWhatItsValueTakesAndIsComparedByValue) {
  Text text;
  text = "a";
  EXPECT_EQ(text, "a");
  EXPECT_EQ(text, Text(std::string("a")));
  EXPECT_FALSE(text == Text());
  const std::string& plain = text;
  EXPECT_EQ(plain, "a");
}

TEST(Shared, HoldsTogetherWithAnotherWhatIsEqual) {
  Text one(std::string("a"));
  Text other(std::string("a"));
  one.share_with(other);
  EXPECT_EQ(&one.get(), &other.get());
  one.share_with(Text(std::string("b")));
  EXPECT_EQ(one, "a");
}

TEST(Shared, AsksAnOptionalAsItIsAsked) {
  Shared<std::optional<std::string>> maybe;
  EXPECT_FALSE(maybe);
  maybe = "why";
  ASSERT_TRUE(maybe);
  EXPECT_EQ(*maybe, "why");
  EXPECT_EQ(maybe->size(), 3u);
  maybe = std::nullopt;
  EXPECT_FALSE(maybe.has_value());
}

}  // namespace
}  // namespace cox
