#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "runtime/logs/file.hpp"
#include "runtime/logs/record.hpp"
#include "tests/unit/logs/log_samples.hpp"

/// Logs whose lines stand in others, and logs that another process writes.
namespace cox::logs {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const LogName kFirst = "j/1/0/rank-0";
const LogName kSecond = "j/1/1/rank-1";
const LogName kMerged = "j/1/0/main";

std::vector<std::string> texts(const Result<std::vector<OutputLine>>& read) {
  EXPECT_TRUE(read) << read.error().message;
  std::vector<std::string> found;
  if (read) {
    for (const auto& l : *read) found.push_back(l.text);
  }
  return found;
}

void add(LogStore& store, const LogName& log, const std::vector<OutputLine>& lines) {
  std::vector<Run> runs;
  ASSERT_TRUE(store.append(log, lines, &runs));
  const auto merged = store.merge(kMerged, log, runs);
  ASSERT_TRUE(merged) << merged.error().message;
}

TEST(MergedLog, HasTheLinesOfOthersInTheOrderTheyCame) {
  const TemporaryDirectory directory;
  auto store = open_store(directory);
  add(*store, kFirst, {{1, Millis{5}, StreamKind::out, "a\nb", 2}});
  add(*store, kSecond, {{1, Millis{6}, StreamKind::err, "c", 1}});
  add(*store, kFirst, {{3, Millis{7}, StreamKind::out, "d", 1}});

  const std::vector<OutputLine> all{{1, Millis{5}, StreamKind::out, "a"},
                                    {2, Millis{5}, StreamKind::out, "b"},
                                    {3, Millis{6}, StreamKind::err, "c"},
                                    {4, Millis{7}, StreamKind::out, "d"}};
  for (int times = 0; times < 2; ++times, store = open_store(directory)) {
    EXPECT_EQ(store->read(kMerged, {}).value(), all);
    EXPECT_EQ(texts(store->read(kMerged, {.last = 2})), (std::vector<std::string>{"c", "d"}));
    EXPECT_EQ(texts(store->read(kMerged, {.after_sequence = 1, .first = 2})),
              (std::vector<std::string>{"b", "c"}));
    EXPECT_EQ(texts(store->read(kMerged, {.stream = StreamKind::err})),
              (std::vector<std::string>{"c"}));
    EXPECT_EQ(store->info(kMerged)->last_sequence, 4u);
    EXPECT_EQ(store->info(kMerged)->first_at, Millis{5});
  }
}

TEST(MergedLog, HasNoByteTwice) {
  const TemporaryDirectory directory;
  const auto store = open_store(directory);
  add(*store, kFirst, {{1, Millis{5}, StreamKind::out, std::string(200'000, 'x'), 1}});

  EXPECT_LT(store->info(kMerged)->bytes, 200u);
  EXPECT_EQ(store->read(kMerged, {}).value().at(0).text.size(), 200'000u);
}

TEST(MergedLog, FindsWhatItLacksAfterACrash) {
  const TemporaryDirectory directory;
  auto store = open_store(directory);
  add(*store, kFirst, {{1, Millis{5}, StreamKind::out, "a\nb", 2}});
  // The head dies between the two.
  ASSERT_TRUE(store->append(
      kFirst, std::vector<OutputLine>{{3, Millis{6}, StreamKind::out, "c\nd\ne", 3}}));
  store = open_store(directory);

  // The agent sends again, from the middle, and then more.
  add(*store, kFirst, {{4, Millis{6}, StreamKind::out, "d\ne", 2}});
  add(*store, kFirst, {{5, Millis{7}, StreamKind::out, "e\nf", 2}});

  EXPECT_EQ(texts(store->read(kMerged, {})),
            (std::vector<std::string>{"a", "b", "c", "d", "e", "f"}));
}

TEST(MergedLog, PassesOverWhatACrashOfTheMachineTook) {
  const TemporaryDirectory directory;
  auto store = open_store(directory);
  add(*store, kFirst, {{1, Millis{5}, StreamKind::out, "a", 1}});
  add(*store, kSecond, {{1, Millis{6}, StreamKind::out, "b\nc", 2}});
  store.reset();
  ASSERT_EQ(::truncate(file_of(directory, kSecond).c_str(), 8), 0);
  store = open_store(directory);

  EXPECT_EQ(texts(store->read(kMerged, {})), (std::vector<std::string>{"a"}));

  // What was never acknowledged comes again, and cut otherwise.
  add(*store, kSecond, {{1, Millis{6}, StreamKind::out, "b", 1}});
  add(*store, kSecond, {{2, Millis{6}, StreamKind::out, "c", 1}});
  EXPECT_EQ(texts(store->read(kMerged, {})), (std::vector<std::string>{"a", "b", "c"}));
}

TEST(MergedLog, GoesOnWhereOneOfTheVersionBeforeEnds) {
  const TemporaryDirectory directory;
  auto store = open_store(directory);
  ASSERT_TRUE(store->append(kMerged, lines(1, 2)));
  store.reset();
  auto bytes = content(file_of(directory, kMerged));
  bytes.replace(0, kFileMagicBefore.size(), kFileMagicBefore);
  write_content(file_of(directory, kMerged), bytes);
  store = open_store(directory);

  EXPECT_THAT(numbers(store->read(kMerged, {})), ElementsAre(1, 2));
  ASSERT_TRUE(store->append(kMerged, lines(3, 3)));
  EXPECT_TRUE(content(file_of(directory, kMerged)).starts_with(kFileMagicBefore));

  add(*store, kFirst, {{1, Millis{5}, StreamKind::out, "a", 1}});
  EXPECT_EQ(texts(store->read(kMerged, {})),
            (std::vector<std::string>{"line 1", "line 2", "line 3", "a"}));
  EXPECT_TRUE(content(file_of(directory, kMerged)).starts_with(kFileMagic));
}

RC_GTEST_PROP(MergedLog, IsWhatCameWhateverHappens, ()) {
  const TemporaryDirectory directory;
  auto store = open_store(directory);
  std::map<LogName, std::uint64_t> last;
  std::vector<std::string> all;
  const int steps = *rc::gen::inRange(1, 40);
  for (int i = 0; i < steps; ++i) {
    const auto log = *rc::gen::element(kFirst, kSecond);
    const auto count = *rc::gen::inRange<std::uint32_t>(1, 4);
    const auto size = *rc::gen::element<std::size_t>(1, 5'000, 100'000);
    std::string text;
    for (std::uint32_t n = 0; n < count; ++n) {
      all.push_back(fmt::format("{} {} {}", log, last[log] + n + 1, std::string(size, 'x')));
      text += (n > 0 ? "\n" : "") + all.back();
    }
    const std::vector<OutputLine> sent{{last[log] + 1, Millis{i}, StreamKind::out, text, count}};
    last[log] += count;
    std::vector<Run> runs;
    RC_ASSERT(store->append(log, sent, &runs).has_value());
    RC_ASSERT(store->merge(kMerged, log, runs).has_value());
    if (*rc::gen::arbitrary<bool>()) store = open_store(directory);
  }
  RC_ASSERT(texts(store->read(kMerged, {})) == all);
  const auto after = *rc::gen::inRange<std::size_t>(0, all.size() + 1);
  const auto rest = texts(store->read(kMerged, {.after_sequence = after}));
  RC_ASSERT(rest == std::vector<std::string>(all.begin() + static_cast<long>(after), all.end()));
  const auto newest = texts(store->read(kMerged, {.last = all.size() - after}));
  RC_ASSERT(newest == rest);
}

/// An agent's spool and a head's store that takes logs from it.
struct Adopting {
  Adopting() : agent(open_log_store(spool.path()).value()) { restart(); }

  void restart() { head = open_log_store(directory.path(), Linked::adopted).value(); }
  std::vector<Run> write(const std::vector<OutputLine>& lines) {
    std::vector<Run> runs;
    EXPECT_TRUE(agent->append("p/rank-0", lines, &runs));
    return runs;
  }
  Result<void> adopt() {
    const File file(::open(file_of(spool, "p/rank-0").c_str(), O_RDONLY | O_CLOEXEC));
    return head->adopt(kFirst, file.fd());
  }

  TemporaryDirectory spool;
  TemporaryDirectory directory;
  std::unique_ptr<LogStore> agent;
  std::unique_ptr<LogStore> head;
};

TEST(AdoptedLog, ShowsWhatWasToldAndNoMore) {
  Adopting both;
  const auto first = both.write({line(1, "a"), line(2, "b")});
  ASSERT_TRUE(both.adopt());
  EXPECT_THAT(numbers(both.head->read(kFirst, {})), IsEmpty());

  ASSERT_TRUE(both.head->extend(kFirst, first));
  const auto second = both.write({line(3, "c")});
  EXPECT_THAT(numbers(both.head->read(kFirst, {})), ElementsAre(1, 2));

  ASSERT_TRUE(both.head->extend(kFirst, second));
  EXPECT_EQ(both.head->read(kFirst, {}).value(),
            (std::vector<OutputLine>{line(1, "a"), line(2, "b"), line(3, "c")}));
  EXPECT_EQ(both.head->info(kFirst)->last_sequence, 3u);
  EXPECT_TRUE(both.head->sync());
}

TEST(AdoptedLog, OutlivesTheOneWhoWroteIt) {
  Adopting both;
  const auto runs = both.write({line(1, "a")});
  ASSERT_TRUE(both.adopt());
  ASSERT_TRUE(both.head->extend(kFirst, runs));
  ASSERT_TRUE(both.head->merge(kMerged, kFirst, runs));

  ASSERT_TRUE(both.agent->remove("p/"));
  both.restart();

  EXPECT_EQ(texts(both.head->read(kFirst, {})), (std::vector<std::string>{"a"}));
  EXPECT_EQ(texts(both.head->read(kMerged, {})), (std::vector<std::string>{"a"}));
}

TEST(AdoptedLog, IsLeftAsItIsWhileAnotherWritesIt) {
  Adopting both;
  const auto runs = both.write({line(1, "a")});
  ASSERT_TRUE(both.adopt());
  ASSERT_TRUE(both.head->extend(kFirst, runs));
  // What the other has begun to write.
  const auto path = file_of(both.spool, "p/rank-0");
  const auto whole = content(path);
  {
    const File file(::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
    ASSERT_EQ(::write(file.fd(), whole.data() + 8, 20), 20);
  }
  both.restart();

  EXPECT_THAT(numbers(both.head->read(kFirst, {})), ElementsAre(1));
  EXPECT_EQ(content(path).size(), whole.size() + 20);
  EXPECT_FALSE(both.head->append(kFirst, std::vector<OutputLine>{line(2, "b")}));
}

TEST(AdoptedLog, IsRefusedWhereThereIsAnother) {
  Adopting both;
  ASSERT_TRUE(both.head->append(kFirst, std::vector<OutputLine>{line(1, "mine")}));
  const auto runs = both.write({line(1, "a")});

  EXPECT_EQ(both.adopt().error().code, Errc::conflict);
  EXPECT_EQ(both.head->extend(kFirst, runs).error().code, Errc::conflict);
  EXPECT_EQ(both.head->extend("j/1/0/rank-9", runs).error().code, Errc::not_found);
  EXPECT_EQ(texts(both.head->read(kFirst, {})), (std::vector<std::string>{"mine"}));
}

TEST(AdoptedLog, IsNoLongerThanItIs) {
  Adopting both;
  auto runs = both.write({line(1, "a")});
  ASSERT_TRUE(both.adopt());
  runs.back().bytes += 1;

  EXPECT_EQ(both.head->extend(kFirst, runs).error().code, Errc::conflict);
  EXPECT_THAT(numbers(both.head->read(kFirst, {})), IsEmpty());
}

RC_GTEST_PROP(AdoptedLog, IsReadLikeAnyOtherWhileItGrows, ()) {
  Adopting both;
  std::vector<std::string> all;
  const int steps = *rc::gen::inRange(1, 30);
  for (int i = 0; i < steps; ++i) {
    all.push_back(fmt::format(
        "{} {}", i, std::string(*rc::gen::element<std::size_t>(1, 90'000, 300'000), 'x')));
    const auto n = static_cast<std::uint64_t>(i) + 1;
    const auto runs = both.write({{n, Millis{i}, StreamKind::out, all.back()}});
    if (i == 0) RC_ASSERT(both.adopt().has_value());
    RC_ASSERT(both.head->extend(kFirst, runs).has_value());
    if (*rc::gen::arbitrary<bool>()) {
      RC_ASSERT(both.head->merge(kMerged, kFirst, runs).has_value());
    }
    if (*rc::gen::arbitrary<bool>()) both.restart();
    if (*rc::gen::arbitrary<bool>()) {
      const auto after = *rc::gen::inRange<std::size_t>(0, all.size() + 1);
      RC_ASSERT(texts(both.head->read(kFirst, {.after_sequence = after})) ==
                std::vector<std::string>(all.begin() + static_cast<long>(after), all.end()));
    }
  }
  RC_ASSERT(both.head->merge(kMerged, kFirst, {}).has_value());
  RC_ASSERT(texts(both.head->read(kMerged, {})) == all);
}

}  // namespace
}  // namespace cox::logs
