#include "runtime/head/blobs.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <ctime>
#include <filesystem>
#include <optional>

#include "tests/unit/os/run_until.hpp"
#include "tests/unit/os/temporary_directory.hpp"

namespace cox::head {
namespace {

// SHA-256 of "abc" and of nothing (FIPS 180-4's examples).
constexpr const char* kHashOfAbc =
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
constexpr const char* kHashOfNothing =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

class BlobsTest : public testing::Test {
 protected:
  Result<std::string> put(const std::string& bytes) {
    std::optional<Result<std::string>> stored;
    blobs_.put(bytes, [&](Result<std::string> result) { stored = std::move(result); });
    EXPECT_FALSE(stored) << "answered before it was stored";
    EXPECT_TRUE(os::run_until(loop_, [&] { return stored.has_value(); }));
    return stored.value_or(fail(Errc::internal, "no answer"));
  }
  void make_old(const std::string& hash, std::time_t at) const {
    const timespec times[2] = {{at, 0}, {at, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, (directory_ / ("blobs/" + hash)).c_str(), times, 0), 0);
  }
  /// Everything asked of the blobs' own thread before this has been done.
  void let_it_finish() { (void)put("a last one"); }

  os::TemporaryDirectory directory_;
  os::EventLoop loop_;
  Blobs blobs_{loop_, directory_ / "blobs"};
};

TEST_F(BlobsTest, KeepWhatIsPutByItsHash) {
  EXPECT_FALSE(blobs_.has(kHashOfAbc));

  EXPECT_EQ(put("abc"), kHashOfAbc);
  EXPECT_EQ(put(""), kHashOfNothing);

  EXPECT_TRUE(blobs_.has(kHashOfAbc));
  EXPECT_EQ(blobs_.read(kHashOfAbc, 0, 100), "abc");
  EXPECT_EQ(blobs_.read(kHashOfNothing, 0, 100), "");
  struct stat status {};
  ASSERT_EQ(::stat((directory_ / "blobs").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700u);
}

TEST_F(BlobsTest, AreReadInPieces) {
  ASSERT_TRUE(put("abc"));

  EXPECT_EQ(blobs_.read(kHashOfAbc, 0, 2), "ab");
  EXPECT_EQ(blobs_.read(kHashOfAbc, 2, 2), "c");
  EXPECT_EQ(blobs_.read(kHashOfAbc, 3, 2), "");
  EXPECT_EQ(blobs_.read(kHashOfNothing, 0, 1).error().code, Errc::not_found);
}

TEST_F(BlobsTest, AreRemovedOnlyWhenTheyWereNotPutLately) {
  ASSERT_TRUE(put("abc"));

  blobs_.remove(kHashOfAbc);
  let_it_finish();
  EXPECT_TRUE(blobs_.has(kHashOfAbc));

  make_old(kHashOfAbc, std::time(nullptr) - 3700);
  blobs_.remove(kHashOfAbc);
  let_it_finish();
  EXPECT_FALSE(blobs_.has(kHashOfAbc));
}

TEST_F(BlobsTest, AreFreshAgainWhenPutAgain) {
  ASSERT_TRUE(put("abc"));
  make_old(kHashOfAbc, std::time(nullptr) - 3700);
  ASSERT_TRUE(put("abc"));

  blobs_.remove(kHashOfAbc);
  let_it_finish();

  EXPECT_TRUE(blobs_.has(kHashOfAbc));
}

TEST_F(BlobsTest, AreSweptWhereTheyAreOldAndNotNeeded) {
  const auto needed = put("needed").value();
  const auto fresh = put("fresh").value();
  ASSERT_TRUE(put("abc"));
  make_old(needed, 1000);
  make_old(kHashOfAbc, 1000);

  blobs_.sweep(Millis{2'000'000}, [&](const std::string& hash) { return hash == needed; });
  let_it_finish();

  EXPECT_TRUE(blobs_.has(needed));
  EXPECT_TRUE(blobs_.has(fresh));
  EXPECT_FALSE(blobs_.has(kHashOfAbc));
}

TEST(Blobs, SayWhenTheyCannotBeStored) {
  const os::TemporaryDirectory directory;
  os::EventLoop loop;
  std::filesystem::create_symlink("/proc/self/mem", directory / "blobs");
  Blobs blobs(loop, directory / "blobs");
  std::optional<Result<std::string>> stored;

  blobs.put("abc", [&](Result<std::string> result) { stored = std::move(result); });
  ASSERT_TRUE(os::run_until(loop, [&] { return stored.has_value(); }));

  EXPECT_FALSE(*stored);
}

TEST(Blobs, AnswerNobodyOnceTheyAreGone) {
  const os::TemporaryDirectory directory;
  os::EventLoop loop;
  bool answered = false;
  {
    Blobs blobs(loop, directory / "blobs");
    blobs.put("abc", [&](const Result<std::string>&) { answered = true; });
  }
  loop.run_for(std::chrono::milliseconds(20));

  EXPECT_FALSE(answered);
}

}  // namespace
}  // namespace cox::head
