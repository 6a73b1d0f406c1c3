#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>
#include <sys/stat.h>

#include <random>

#include "runtime/logs/file.hpp"
#include "tests/unit/logs/log_samples.hpp"

/// Logs whose first lines nobody will ask for again.
namespace cox::logs {
namespace {

using testing::SizeIs;

constexpr std::size_t kLine = 100'000;

std::size_t bytes_on_disk(const std::string& path) {
  struct stat status {};
  EXPECT_EQ(::stat(path.c_str(), &status), 0);
  return static_cast<std::size_t>(status.st_blocks) * 512;
}

/// What no file system makes smaller.
const std::string& noise() {
  static const auto text = [] {
    std::mt19937 random(7);
    std::string made;
    while (made.size() < kLine) made += static_cast<char>(0x80U | (random() & 0x7fU));
    return made;
  }();
  return text;
}

void fill(LogStore& store, std::uint64_t from, std::uint64_t to) {
  for (auto n = from; n <= to; ++n) {
    ASSERT_TRUE(store.append(kLog, std::vector{line(n, noise())}));
  }
}

TEST(ForgottenLines, GiveTheirRoomBackAndLeaveTheOthers) {
  const TemporaryDirectory directory("/var/tmp");
  auto store = open_store(directory);
  fill(*store, 1, 300);
  ASSERT_TRUE(store->sync());
  const auto before = bytes_on_disk(file_of(directory));
  ASSERT_GE(before, 300 * kLine);

  store->forget(kLog, 200);

  EXPECT_LE(bytes_on_disk(file_of(directory)) + 180 * kLine, before);
  for (int times = 0; times < 2; ++times, store = open_store(directory)) {
    EXPECT_THAT(store->read(kLog, {.after_sequence = 200}).value(), SizeIs(100));
    EXPECT_EQ(store->read(kLog, {.after_sequence = 200, .first = 1})->front(), line(201, noise()));
    EXPECT_THAT(store->runs(kLog, 200, 1000).value(), SizeIs(100));
    EXPECT_EQ(store->info(kLog)->last_sequence, 300u);
  }
  fill(*store, 301, 301);
  EXPECT_THAT(store->read(kLog, {.after_sequence = 299}).value(), SizeIs(2));
}

TEST(ForgottenLines, StayWhereTheyAreAlsoAnothersLog) {
  const TemporaryDirectory spool("/var/tmp");
  const TemporaryDirectory directory("/var/tmp");
  const auto store = open_store(spool);
  fill(*store, 1, 300);
  {
    const File file(::open(file_of(spool).c_str(), O_RDONLY | O_CLOEXEC));
    const auto head = open_log_store(directory.path(), Linked::adopted).value();
    ASSERT_TRUE(head->adopt("j/1/0/main", file.fd()));
  }

  store->forget(kLog, 300);

  EXPECT_THAT(store->read(kLog, {}).value(), SizeIs(300));
}

RC_GTEST_PROP(ForgottenLines, AreTheOnlyOnesThatMayBeMissing, ()) {
  const TemporaryDirectory directory;
  auto store = open_store(directory);
  std::uint64_t last = 0;
  std::uint64_t forgotten = 0;
  const int steps = *rc::gen::inRange(1, 12);
  for (int i = 0; i < steps; ++i) {
    const auto count = *rc::gen::inRange<std::uint64_t>(1, 25);
    const auto size = *rc::gen::element<std::size_t>(10, 60'000, 150'000);
    const bool in_runs = *rc::gen::arbitrary<bool>();
    for (std::uint64_t n = 0; n < count; ++n) {
      auto more = line(last + 1, std::string(size, 'x'));
      if (in_runs) more.text += "\n" + more.text;
      more.lines = in_runs ? 2 : 1;
      last += more.lines;
      RC_ASSERT(store->append(kLog, std::vector{more}).has_value());
    }
    if (*rc::gen::arbitrary<bool>()) {
      forgotten = *rc::gen::inRange<std::uint64_t>(forgotten, last + 1);
      store->forget(kLog, forgotten);
    }
    if (*rc::gen::inRange(0, 4) == 0) store = open_store(directory);
    const auto after = *rc::gen::inRange<std::uint64_t>(forgotten, last + 1);
    const auto found = numbers(store->read(kLog, {.after_sequence = after, .first = 5}));
    RC_ASSERT(found.size() == std::min<std::uint64_t>(5, last - after));
    for (std::size_t k = 0; k < found.size(); ++k) RC_ASSERT(found[k] == after + 1 + k);
    const auto runs = store->runs(kLog, after, 5);
    RC_ASSERT(runs.has_value());
    RC_ASSERT(runs->empty() == (after == last));
    if (!runs->empty()) RC_ASSERT(runs->front().sequence == after + 1);
  }
  RC_ASSERT(store->info(kLog)->last_sequence == last);
}

}  // namespace
}  // namespace cox::logs
