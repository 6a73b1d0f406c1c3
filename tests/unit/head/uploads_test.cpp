#include "runtime/head/uploads.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace cox::head {
namespace {

constexpr Millis kThen{1'700'000'000'000};
constexpr std::int64_t kHourMs = 3600 * 1000;
const JobUser kAnn{1000, 1000, "ann"};
const JobUser kBob{1001, 1001, "bob"};

JobFile file(const std::string& name, std::int64_t size = 1) {
  return {name, std::string(64, 'a'), size, 0600};
}

std::vector<std::string> names(const std::vector<JobFile>& files) {
  std::vector<std::string> list;
  for (const auto& each : files) list.push_back(each.name);
  return list;
}

class UploadsTest : public testing::Test {
 protected:
  UploadsTest() {
    std::string pattern = testing::TempDir() + "uploads-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
  }
  ~UploadsTest() override {
    std::error_code error;
    std::filesystem::remove_all(directory_, error);
  }
  std::string records() const { return directory_ + "/uploads"; }

  std::string directory_;
};

TEST_F(UploadsTest, AreTheUsersOwnAndOfOneFolder) {
  Uploads uploads(records());
  ASSERT_TRUE(uploads.load(kThen));
  ASSERT_TRUE(uploads.keep(kAnn, "s3://b/job/", file(""), kThen));
  ASSERT_TRUE(uploads.keep(kAnn, "s3://b/job/run.sh", file("run.sh"), kThen));
  ASSERT_TRUE(uploads.keep(kAnn, "s3://b/job/deep/data", file("data"), kThen));
  ASSERT_TRUE(uploads.keep(kAnn, "s3://b/jobs/other", file("other"), kThen));
  ASSERT_TRUE(uploads.keep(kBob, "s3://b/job/his", file("his"), kThen));

  EXPECT_EQ(names(uploads.in_folder(kAnn, "s3://b/job/")), (std::vector<std::string>{"run.sh"}));
  EXPECT_EQ(names(uploads.in_folder(kBob, "s3://b/job/")), (std::vector<std::string>{"his"}));
  EXPECT_TRUE(uploads.in_folder(kBob, "s3://b/jobs/").empty());
}

TEST_F(UploadsTest, OutliveTheHeadForAnHour) {
  {
    Uploads uploads(records());
    ASSERT_TRUE(uploads.keep(kAnn, "s3://b/job/run.sh", file("run.sh"), kThen));
  }
  std::ofstream(records() + "/broken") << "no record";
  Uploads again(records());
  ASSERT_TRUE(again.load(kThen + (kHourMs - 1)));
  EXPECT_EQ(again.in_folder(kAnn, "s3://b/job/"), (std::vector<JobFile>{file("run.sh")}));

  ASSERT_TRUE(again.keep(kAnn, "s3://b/job/later", file("later"), kThen + kHourMs));
  EXPECT_EQ(names(again.in_folder(kAnn, "s3://b/job/")), (std::vector<std::string>{"later"}));
  Uploads late(records());
  ASSERT_TRUE(late.load(kThen + kHourMs));
  EXPECT_EQ(names(late.in_folder(kAnn, "s3://b/job/")), (std::vector<std::string>{"later"}));
}

TEST_F(UploadsTest, AreLimitedForEachUser) {
  Uploads uploads(records());
  constexpr std::int64_t kHalf = 1LL << 29;
  ASSERT_TRUE(uploads.keep(kAnn, "s3://b/j/1", file("1", kHalf), kThen));
  ASSERT_TRUE(uploads.keep(kAnn, "s3://b/j/2", file("2", kHalf), kThen));

  const auto third = uploads.keep(kAnn, "s3://b/j/3", file("3"), kThen);

  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().code, Errc::conflict);
  EXPECT_TRUE(uploads.keep(kAnn, "s3://b/j/2", file("2", kHalf), kThen));  // in place of itself
  EXPECT_TRUE(uploads.keep(kBob, "s3://b/j/3", file("3"), kThen));
  EXPECT_TRUE(uploads.keep(kAnn, "s3://b/j/3", file("3"), kThen + kHourMs));
}

}  // namespace
}  // namespace cox::head
