#include "runtime/head/access_keys.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <string>

#include "runtime/os/files.hpp"

namespace cox::head {
namespace {

class KeyFile : public testing::Test {
 protected:
  KeyFile() {
    std::string name = testing::TempDir() + "cox-keys-XXXXXX";
    directory_ = ::mkdtemp(name.data());
    path_ = directory_ + "/keys";
  }
  ~KeyFile() override { (void)os::remove_tree(directory_); }

  std::string directory_;
  std::string path_;
};

TEST_F(KeyFile, GivesEachUserOneKeyThatOutlivesTheHead) {
  AccessKeys keys(path_);
  ASSERT_TRUE(keys.load());
  const auto anna = keys.of({1001, 1001, "anna"}).value();
  const auto bert = keys.of({1002, 100, "bert"}).value();
  EXPECT_EQ(keys.of({1001, 1001, "anna"}).value().id, anna.id);
  EXPECT_NE(bert.id, anna.id);
  EXPECT_NE(bert.secret, anna.secret);

  AccessKeys later(path_);
  ASSERT_TRUE(later.load());
  const auto* found = later.find(bert.id);

  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->secret, bert.secret);
  EXPECT_EQ(found->user, (JobUser{1002, 100, "bert"}));
  EXPECT_EQ(later.of({1001, 1001, "anna"}).value().secret, anna.secret);
  EXPECT_EQ(later.find("AKIAAAAAAAAAAAAAAAAA"), nullptr);
}

TEST_F(KeyFile, IsForTheHeadsUserOnly) {
  AccessKeys keys(path_);
  ASSERT_TRUE(keys.of({1001, 1001, "anna"}));

  struct stat status {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777u, 0600u);
}

TEST_F(KeyFile, ThatIsDamagedIsRefused) {
  ASSERT_TRUE(os::write_file_atomic(path_, "AKIA secret 1 x anna\n"));
  AccessKeys keys(path_);

  const auto loaded = keys.load();

  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error(), (Error{Errc::invalid_argument, path_ + " is damaged: remove it"}));
}

const Millis kOpened{1'700'000'000'000};
constexpr std::int64_t kSkew = 300'000;

bool admit(ReplayWindow& window, const std::string& signature, Millis signed_at, Millis now) {
  return window.admit(signature, signed_at, now, signed_at + kSkew);
}

TEST(Replays, OfOneSecondAreLikeRequestsAndOfLaterOnesReplays) {
  ReplayWindow window(kOpened);
  const auto at = kOpened + 10'000;
  EXPECT_TRUE(admit(window, "a", at, at));
  EXPECT_TRUE(admit(window, "a", at, at + 2'000));
  EXPECT_FALSE(admit(window, "a", at, at + 2'001));
  EXPECT_FALSE(admit(window, "a", at, at + kSkew));
  EXPECT_TRUE(admit(window, "b", at, at + 2'001));
}

TEST(Replays, AreKnownEvenOfASignatureThatWasEarly) {
  ReplayWindow window(kOpened);
  const auto ahead = kOpened + kSkew;
  EXPECT_TRUE(admit(window, "a", ahead, kOpened));
  EXPECT_FALSE(admit(window, "a", ahead, ahead + kSkew));
}

TEST(Replays, OfBeforeTheStartAreRefused) {
  ReplayWindow window(kOpened);
  EXPECT_FALSE(admit(window, "a", kOpened + -2'001, kOpened + 100));
  EXPECT_TRUE(admit(window, "b", kOpened + -2'000, kOpened + 100));
}

}  // namespace
}  // namespace cox::head
