#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "runtime/logs/record.hpp"
#include "tests/unit/logs/log_samples.hpp"

namespace cox::logs {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

TEST(LogStore, DropsALastRecordThatWasCutAnywhere) {
  const TemporaryDirectory source;
  // The last line ends a block, so that cuts fall into the checkpoint behind it too.
  auto written = lines(1, 3);
  written.push_back(line(4, std::string(kBlockBytes - 200, 'y')));
  written.push_back(line(5, std::string(100, 'z')));
  std::vector<std::size_t> sizes;  // of the file after each line
  {
    const auto store = open_store(source);
    for (const auto& l : written) {
      ASSERT_TRUE(store->append(kLog, std::vector{l}));
      sizes.push_back(content(file_of(source)).size());
    }
  }
  const auto whole = content(file_of(source));
  ASSERT_EQ(sizes.back() - sizes[3], kFrameBytes + 100 + kCheckpointBytes);

  for (std::size_t size = 0; size < whole.size();) {
    const TemporaryDirectory directory;
    std::filesystem::create_directories(directory / "0a1b/1/0");
    write_content(file_of(directory), std::string_view(whole).substr(0, size));
    auto kept = static_cast<std::size_t>(std::upper_bound(sizes.begin(), sizes.end(), size) -
                                         sizes.begin());
    // A line whose checkpoint alone is missing is whole.
    if (size >= whole.size() - kCheckpointBytes) kept = written.size();

    const auto store = open_store(directory);

    ASSERT_THAT(store->read(kLog, {}).value(), SizeIs(kept)) << "cut to " << size;
    ASSERT_THAT(numbers(store->read(kLog, {.last = 9})), SizeIs(kept)) << "cut to " << size;
    ASSERT_EQ(store->info(kLog)->last_sequence, kept) << "cut to " << size;
    ASSERT_TRUE(store->append(kLog, written)) << "cut to " << size;
    ASSERT_EQ(open_store(directory)->read(kLog, {}).value(), written) << "cut to " << size;
    // Inside the long text all places are alike.
    size += size > sizes[2] + 64 && size + 128 < sizes[3] ? 50'000 : 1;
    if (size > sizes[2] + 64 && size < sizes[3] - 64 && size + 50'000 >= sizes[3]) {
      size = sizes[3] - 64;
    }
  }
}

TEST(LogStore, DropsARecordThatACrashLeftAsZeroBytesOrNoise) {
  for (const auto& noise : {std::string(4096, '\0'), std::string(29, '\0'),
                            std::string(500, '\xff'), std::string("\x05\0\0\0 noise", 10)}) {
    const TemporaryDirectory directory;
    ASSERT_TRUE(open_store(directory)->append(kLog, lines(1, 3)));
    std::ofstream(file_of(directory), std::ios::binary | std::ios::app) << noise;

    const auto store = open_store(directory);

    EXPECT_THAT(numbers(store->read(kLog, {})), ElementsAre(1, 2, 3));
    EXPECT_TRUE(store->append(kLog, lines(4, 4)));
    EXPECT_THAT(numbers(open_store(directory)->read(kLog, {.last = 2})), ElementsAre(3, 4));
  }
}

TEST(LogStore, TreatsAFileOfZeroBytesAsEmpty) {
  const TemporaryDirectory directory;
  ASSERT_TRUE(open_store(directory)->append(kLog, lines(1, 3)));
  write_content(file_of(directory), std::string(content(file_of(directory)).size(), '\0'));

  const auto store = open_store(directory);

  EXPECT_THAT(numbers(store->read(kLog, {})), IsEmpty());
  EXPECT_TRUE(store->append(kLog, lines(1, 2)));
  EXPECT_THAT(numbers(store->read(kLog, {})), ElementsAre(1, 2));
}

TEST(LogStore, TellsOfDamageInsteadOfShowingIt) {
  const TemporaryDirectory directory;
  {
    const auto store = open_store(directory);
    // More than is verified when a log is opened.
    for (std::uint64_t n = 1; n <= 60; ++n) {
      ASSERT_TRUE(store->append(kLog, std::vector{line(n, std::string(100'000, 'x'))}));
    }
  }
  auto bytes = content(file_of(directory));
  bytes[100'100] = 'y';
  write_content(file_of(directory), bytes);

  const auto store = open_store(directory);

  const auto damaged = store->read(kLog, {});
  ASSERT_FALSE(damaged);
  EXPECT_EQ(damaged.error().code, Errc::internal);
  EXPECT_THAT(damaged.error().message, HasSubstr("damaged at byte 100037"));
  EXPECT_THAT(numbers(store->read(kLog, {.last = 1})), ElementsAre(60)) << "the rest is fine";
}

TEST(LogStore, RefusesAFileThatIsNoLog) {
  const TemporaryDirectory directory;
  std::filesystem::create_directories(directory / "0a1b/1/0");
  write_content(file_of(directory), "something else altogether");

  const auto read = open_store(directory)->read(kLog, {});

  ASSERT_FALSE(read);
  EXPECT_THAT(read.error().message, HasSubstr("not a log of this version"));
  EXPECT_EQ(content(file_of(directory)), "something else altogether") << "and leaves it alone";
}

TEST(LogStore, ReadsASliceOfALargeLogWithoutReadingAll) {
  const TemporaryDirectory directory;
  constexpr std::uint64_t kLines = 100'000;
  {
    const auto store = open_store(directory);
    std::vector<OutputLine> batch;
    for (std::uint64_t n = 1; n <= kLines; ++n) {
      batch.push_back(line(n, std::string(180, static_cast<char>('a' + n % 26))));
      if (batch.size() < 1000) continue;
      ASSERT_TRUE(store->append(kLog, batch));
      batch.clear();
    }
  }
  // Damage in the middle: a reader that passes there would stumble over it.
  auto bytes = content(file_of(directory));
  ASSERT_GT(bytes.size(), 20'000'000u);
  bytes[bytes.size() / 2] ^= 1;
  write_content(file_of(directory), bytes);

  const auto store = open_store(directory);

  EXPECT_THAT(numbers(store->read(kLog, {.last = 2})), ElementsAre(kLines - 1, kLines));
  EXPECT_THAT(numbers(store->read(kLog, {.after_sequence = 20'000, .first = 2})),
              ElementsAre(20'001, 20'002));
  EXPECT_THAT(numbers(store->read(kLog, {.from = line(90'000).at, .before = line(90'002).at})),
              ElementsAre(90'000, 90'001));
  EXPECT_THAT(numbers(store->read(kLog, {.before = line(30'001).at, .last = 1})),
              ElementsAre(30'000));
  EXPECT_FALSE(store->read(kLog, {.after_sequence = 40'000, .first = 20'000}))
      << "the damage is where it was meant to be";
}

}  // namespace
}  // namespace cox::logs
