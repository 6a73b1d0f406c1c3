#include "runtime/logs/log_store.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/magic.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "runtime/logs/crc32c.hpp"
#include "runtime/logs/record.hpp"
#include "tests/unit/logs/log_samples.hpp"

namespace cox::logs {

namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

TEST(Crc32c, GivesTheValuesOfTheStandard) {
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62a8ab43u);
  EXPECT_EQ(crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(crc32c("56789", crc32c("1234")), 0xe3069283u);
  for (const std::size_t size : {0u, 1u, 7u, 8u, 9u, 1000u, 3071u, 3072u, 10'000u}) {
    std::string bytes(size, 'c');
    for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * i % 251);
    EXPECT_EQ(crc32c_by_tables(bytes, 7), crc32c(bytes, 7)) << size;
  }
}

TEST(LogStore, BringsBackLinesOfAnyBytes) {
  const TemporaryDirectory directory;
  const auto store = open_store(directory);
  const std::vector<OutputLine> written{line(1, ""),
                                        line(2, std::string("a\0b\r\xff", 5)),
                                        line(3, std::string(300'000, '\r')),
                                        {4, Millis{-7}, StreamKind::err, "before 1970"}};

  ASSERT_TRUE(store->append(kLog, written));

  EXPECT_EQ(store->read(kLog, {}).value(), written);
  EXPECT_EQ(open_store(directory)->read(kLog, {}).value(), written);
}

TEST(LogStore, PassesOverWhatIsThereAndRefusesGaps) {
  const TemporaryDirectory directory;
  const auto store = open_store(directory);
  ASSERT_TRUE(store->append(kLog, lines(1, 3)));

  EXPECT_TRUE(store->append(kLog, lines(1, 3)));
  EXPECT_TRUE(store->append(kLog, lines(2, 5)));
  EXPECT_THAT(numbers(store->read(kLog, {})), ElementsAre(1, 2, 3, 4, 5));

  const auto gap = store->append(kLog, std::vector{line(6), line(8)});
  ASSERT_FALSE(gap);
  EXPECT_EQ(gap.error(), (Error{Errc::conflict, kLog + ": line 8 cannot follow line 6"}));
  EXPECT_EQ(store->info(kLog)->last_sequence, 5u) << "nothing of a refused call is kept";
}

TEST(LogStore, BeginsALogWithItsFirstLineOnly) {
  const TemporaryDirectory directory;
  const auto store = open_store(directory);

  const auto late = store->append(kLog, lines(2, 3));

  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Errc::conflict);
  EXPECT_TRUE(store->append(kLog, {}));
  EXPECT_THAT(store->list(""), IsEmpty());
  EXPECT_EQ(store->read(kLog, {}).error().code, Errc::not_found);
  EXPECT_EQ(store->info(kLog).error().code, Errc::not_found);
}

struct ReadCase {
  const char* name;
  ReadSpec what;
  std::vector<std::uint64_t> want;
  friend void PrintTo(const ReadCase& c, std::ostream* out) { *out << c.name; }
};

// Twelve lines; line n at 1000 + 10 n; every third on stderr.
const ReadCase kReads[] = {
    {"everything", {}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}},
    {"after_a_number", {.after_sequence = 9}, {10, 11, 12}},
    {"after_the_last", {.after_sequence = 12}, {}},
    {"after_any_number", {.after_sequence = ~std::uint64_t{0}}, {}},
    {"from_a_time", {.from = Millis{1100}}, {10, 11, 12}},
    {"before_a_time", {.before = Millis{1030}}, {1, 2}},
    {"between_times", {.from = Millis{1035}, .before = Millis{1060}}, {4, 5}},
    {"times_of_nothing", {.from = Millis{1061}, .before = Millis{1070}}, {}},
    {"first", {.first = 2}, {1, 2}},
    {"first_none", {.first = 0}, {}},
    {"first_more_than_there_are", {.first = 99, .stream = StreamKind::err}, {3, 6, 9, 12}},
    {"last", {.last = 2}, {11, 12}},
    {"last_none", {.last = 0}, {}},
    {"last_more_than_there_are", {.last = 99}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}},
    {"last_of_a_stream", {.last = 3, .stream = StreamKind::err}, {6, 9, 12}},
    {"last_after_a_number", {.after_sequence = 10, .last = 5}, {11, 12}},
    {"last_before_a_time", {.before = Millis{1050}, .last = 2}, {3, 4}},
    {"page_by_number", {.after_sequence = 4, .first = 3}, {5, 6, 7}},
    {"newest_of_the_oldest", {.first = 5, .last = 2}, {4, 5}},
    {"all_at_once",
     {.after_sequence = 2,
      .from = Millis{1040},
      .before = Millis{1100},
      .first = 3,
      .stream = StreamKind::out},
     {4, 5, 7}},
};

class Read : public testing::TestWithParam<ReadCase> {};

TEST_P(Read, FindsTheLines) {
  const TemporaryDirectory directory;
  const auto store = open_store(directory);
  ASSERT_TRUE(store->append(kLog, lines(1, 12)));

  EXPECT_EQ(numbers(store->read(kLog, GetParam().what)), GetParam().want);
  EXPECT_EQ(numbers(open_store(directory)->read(kLog, GetParam().what)), GetParam().want);
}

INSTANTIATE_TEST_SUITE_P(, Read, testing::ValuesIn(kReads),
                         [](const auto& test) { return test.param.name; });

/// The lines a reader must find, by the plainest way.
std::vector<OutputLine> expected(const std::vector<OutputLine>& all, const ReadSpec& what) {
  std::vector<OutputLine> found;
  for (const auto& l : all) {
    if (what.after_sequence && l.sequence <= *what.after_sequence) continue;
    if (what.from && l.at < *what.from) continue;
    if (what.before && l.at >= *what.before) continue;
    if (what.stream && l.stream != *what.stream) continue;
    if (what.first && found.size() >= *what.first) break;
    found.push_back(l);
  }
  if (what.last && found.size() > *what.last) {
    found.erase(found.begin(), found.end() - static_cast<std::ptrdiff_t>(*what.last));
  }
  return found;
}

template <class T>
std::optional<T> maybe(const rc::Gen<T>& generator) {
  if (*rc::gen::arbitrary<bool>()) return std::nullopt;
  return *generator;
}

/// The lines as they may come: those of one time and stream now and then in one run.
std::vector<OutputLine> in_runs(std::span<const OutputLine> lines) {
  std::vector<OutputLine> runs;
  for (const auto& line : lines) {
    const bool joins = !runs.empty() && runs.back().at == line.at &&
                       runs.back().stream == line.stream && *rc::gen::inRange(0, 4) > 0;
    if (!joins) {
      runs.push_back(line);
      continue;
    }
    runs.back().text += "\n" + line.text;
    ++runs.back().lines;
  }
  return runs;
}

/// The lines of runs, one by one.
std::vector<OutputLine> in_lines(const std::vector<OutputLine>& runs) {
  std::vector<OutputLine> lines;
  for (const auto& run : runs) {
    std::string_view rest = run.text;
    for (std::uint32_t i = 0; i < run.lines; ++i) {
      const auto end = i + 1 < run.lines ? rest.find('\n') : rest.size();
      lines.push_back({run.sequence + i, run.at, run.stream, std::string(rest.substr(0, end))});
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }
  return lines;
}

TEST(LogStore, GivesRunsAsTheyCame) {
  const TemporaryDirectory directory;
  const auto store = open_store(directory);
  const std::vector<OutputLine> runs{{1, Millis{5}, StreamKind::out, "a\n\nc", 3},
                                     {4, Millis{6}, StreamKind::err, "d", 1}};
  ASSERT_TRUE(store->append(kLog, runs));

  EXPECT_EQ(store->read(kLog, {.in_runs = true}).value(), runs);
  EXPECT_EQ(store->read(kLog, {.after_sequence = 1, .first = 1, .in_runs = true}).value(),
            (std::vector<OutputLine>{{2, Millis{5}, StreamKind::out, "", 1}}));
  EXPECT_EQ(store->read(kLog, {.after_sequence = 1, .in_runs = true})->front(),
            (OutputLine{2, Millis{5}, StreamKind::out, "\nc", 2}));
}

TEST(LogStore, TakesRunsOfLinesAndGivesLines) {
  const TemporaryDirectory directory;
  const auto store = open_store(directory);
  const std::vector<OutputLine> runs{{1, Millis{5}, StreamKind::out, "a\n\nc", 3},
                                     {4, Millis{6}, StreamKind::err, "d", 1}};
  ASSERT_TRUE(store->append(kLog, runs));
  // Sent again, and cut elsewhere.
  const std::vector<OutputLine> again{{2, Millis{5}, StreamKind::out, "\nc", 2},
                                      {4, Millis{6}, StreamKind::err, "d\ne", 2}};
  ASSERT_TRUE(store->append(kLog, again));
  EXPECT_FALSE(store->append(kLog, std::vector<OutputLine>{{7, Millis{7}, StreamKind::out, "g"}}));

  const std::vector<OutputLine> all{{1, Millis{5}, StreamKind::out, "a"},
                                    {2, Millis{5}, StreamKind::out, ""},
                                    {3, Millis{5}, StreamKind::out, "c"},
                                    {4, Millis{6}, StreamKind::err, "d"},
                                    {5, Millis{6}, StreamKind::err, "e"}};
  EXPECT_EQ(store->read(kLog, {}).value(), all);
  EXPECT_EQ(store->info(kLog)->last_sequence, 5u);
  EXPECT_EQ(open_store(directory)->info(kLog)->last_sequence, 5u);
  EXPECT_THAT(numbers(store->read(kLog, {.last = 4})), ElementsAre(2, 3, 4, 5));
}

RC_GTEST_PROP(LogStore, FindsLikeAPlainSearchAcrossBlocksAndRestarts, ()) {
  const TemporaryDirectory directory;
  auto store = open_store(directory);
  std::vector<OutputLine> all;
  const auto count = *rc::gen::inRange<std::uint64_t>(1, 40);
  for (std::uint64_t n = 1; n <= count; ++n) {
    // Long lines make many blocks; clocks may jump back.
    const auto size = *rc::gen::element<std::size_t>(0, 5, 30'000, 130'000, 300'000);
    all.push_back({n, Millis{*rc::gen::inRange(0, 50)},
                   *rc::gen::element(StreamKind::out, StreamKind::err), std::string(size, 'x')});
    if (n > 1 && *rc::gen::arbitrary<bool>()) {  // read together with the one before
      all.back().at = all[all.size() - 2].at;
      all.back().stream = all[all.size() - 2].stream;
    }
  }
  for (std::size_t done = 0; done < all.size();) {
    const auto now = *rc::gen::inRange<std::size_t>(1, all.size() - done + 1);
    const auto again = *rc::gen::inRange<std::size_t>(
        0, std::min<std::size_t>(done, 3) + 1);  // of what is there already
    const auto sent = in_runs(std::span(all).subspan(done - again, now + again));
    RC_ASSERT(store->append(kLog, sent).has_value());
    done += now;
    if (*rc::gen::arbitrary<bool>()) store = open_store(directory);
  }
  for (int reads = 0; reads < 10; ++reads) {
    const ReadSpec what{
        maybe(rc::gen::inRange<std::uint64_t>(0, count + 2)),
        maybe(rc::gen::map(rc::gen::inRange(0, 51), [](int t) { return Millis{t}; })),
        maybe(rc::gen::map(rc::gen::inRange(0, 51), [](int t) { return Millis{t}; })),
        maybe(rc::gen::inRange<std::size_t>(0, count + 2)),
        maybe(rc::gen::inRange<std::size_t>(0, count + 2)),
        maybe(rc::gen::element(StreamKind::out, StreamKind::err))};
    const auto found = store->read(kLog, what);
    RC_ASSERT(found.has_value());
    RC_ASSERT(*found == expected(all, what));
    if (what.last) continue;
    auto joined = what;
    joined.in_runs = true;
    const auto runs = store->read(kLog, joined);
    RC_ASSERT(runs.has_value());
    RC_ASSERT(runs->size() <= found->size());
    RC_ASSERT(in_lines(*runs) == *found);
  }
}

TEST(LogStore, TellsWhatALogHolds) {
  const TemporaryDirectory directory;
  const auto store = open_store(directory);
  ASSERT_TRUE(store->append(kLog, lines(1, 12)));

  const auto info = store->info(kLog);

  ASSERT_TRUE(info);
  EXPECT_EQ(info->last_sequence, 12u);
  EXPECT_EQ(info->first_at, Millis{1010});
  EXPECT_EQ(info->last_at, Millis{1120});
  EXPECT_EQ(info->bytes, content(file_of(directory)).size());
}

TEST(LogStore, TellsFollowersOfNewLinesUntilTheyLetGo) {
  const TemporaryDirectory directory;
  const auto store = open_store(directory);
  int told = 0;
  std::vector<std::uint64_t> seen;
  auto token = store->follow(kLog, [&] { ++told; });
  auto reader = store->follow(kLog, [&] { seen = numbers(store->read(kLog, {.last = 1})); });
  const auto other = store->follow("other", [] { FAIL() << "another log has not changed"; });

  ASSERT_TRUE(store->append(kLog, lines(1, 2)));
  ASSERT_TRUE(store->append(kLog, lines(1, 2)));  // nothing new
  EXPECT_EQ(told, 1);
  EXPECT_THAT(seen, ElementsAre(2));

  token.reset();
  ASSERT_TRUE(store->append(kLog, lines(3, 3)));
  EXPECT_EQ(told, 1);
  EXPECT_THAT(seen, ElementsAre(3));
}

TEST(LogStore, LetsAHandlerEndItsOwnAndOthersWaits) {
  const TemporaryDirectory directory;
  auto store = open_store(directory);
  int told = 0;
  std::shared_ptr<void> first;
  std::shared_ptr<void> second;
  first = store->follow(kLog, [&] {
    ++told;
    first.reset();
    second.reset();
  });
  second = store->follow(kLog, [&] { told += 100; });

  ASSERT_TRUE(store->append(kLog, lines(1, 1)));
  ASSERT_TRUE(store->append(kLog, lines(2, 2)));
  EXPECT_EQ(told, 1);

  first = store->follow(kLog, [] {});
  store.reset();
  first.reset();  // after the store: harmless
}

TEST(LogStore, ListsByPrefixInOrder) {
  const TemporaryDirectory directory;
  const auto store = open_store(directory);
  for (const auto* log : {"b:1/1/0/main", "b/1/0/main", "b/1/rank-0", "b/1/rank-10", "b/2", "a"}) {
    ASSERT_TRUE(store->append(log, lines(1, 1)));
  }
  std::ofstream(directory / "b/stray") << "not a log";

  EXPECT_THAT(store->list(""),
              ElementsAre("a", "b/1/0/main", "b/1/rank-0", "b/1/rank-10", "b/2", "b:1/1/0/main"));
  EXPECT_THAT(store->list("b/1/"), ElementsAre("b/1/0/main", "b/1/rank-0", "b/1/rank-10"));
  EXPECT_THAT(store->list("b/1/rank-1"), ElementsAre("b/1/rank-10"));
  EXPECT_THAT(store->list("b"), SizeIs(5));
  EXPECT_THAT(store->list("c/"), IsEmpty());
  EXPECT_THAT(store->list("../"), IsEmpty());
  EXPECT_THAT(store->list("/"), IsEmpty());
  EXPECT_THAT(open_store(directory)->list("b/2"), ElementsAre("b/2"));
}

TEST(LogStore, RemovesByPrefixAndLeavesNoEmptyDirectories) {
  const TemporaryDirectory directory;
  const auto store = open_store(directory);
  for (const auto* log : {"b/1/0/main", "b/1/rank-0", "b/2/0/main", "bc/1/0/main"}) {
    ASSERT_TRUE(store->append(log, lines(1, 1)));
  }

  ASSERT_TRUE(store->remove("b/1/"));
  EXPECT_THAT(store->list(""), ElementsAre("b/2/0/main", "bc/1/0/main"));
  EXPECT_FALSE(std::filesystem::exists(directory / "b/1"));
  ASSERT_TRUE(store->remove("b/"));
  EXPECT_FALSE(std::filesystem::exists(directory / "b"));
  EXPECT_TRUE(std::filesystem::exists(directory.path()));
  EXPECT_TRUE(store->sync()) << "what is removed needs no sync";

  EXPECT_FALSE(store->read("b/1/0/main", {}));
  ASSERT_TRUE(store->append("b/1/0/main", lines(1, 1))) << "a removed log can begin anew";
  EXPECT_TRUE(store->remove("no such job/"));
  ASSERT_TRUE(store->remove(""));
  EXPECT_TRUE(std::filesystem::is_empty(directory.path()));
}

TEST(LogStore, RefusesNamesThatLeadElsewhere) {
  const TemporaryDirectory directory;
  const auto store = open_store(directory);
  for (const auto& name :
       {std::string(""), std::string("/etc/x"), std::string("a/../b"), std::string(".."),
        std::string("a//b"), std::string("a/"), std::string("./a"), std::string("a.log/b"),
        std::string("a\0b", 3), std::string(201, 'x')}) {
    const auto appended = store->append(name, lines(1, 1));
    ASSERT_FALSE(appended) << name;
    EXPECT_EQ(appended.error().code, Errc::invalid_argument);
    EXPECT_EQ(store->read(name, {}).error().code, Errc::invalid_argument);
  }
  EXPECT_TRUE(std::filesystem::is_empty(directory.path()));
}

TEST(LogStore, FollowsNoLinks) {
  const TemporaryDirectory directory;
  const auto store = open_store(directory);
  std::ofstream(directory / "target") << "";
  std::filesystem::create_symlink(directory / "target", directory / "a.log");

  EXPECT_FALSE(store->append("a", lines(1, 1)));
  EXPECT_EQ(content(directory / "target"), "");
}

std::size_t open_descriptors() {
  std::size_t count = 0;
  DIR* const self = ::opendir("/proc/self/fd");
  while (::readdir(self) != nullptr) ++count;
  ::closedir(self);
  return count;
}

TEST(LogStore, KeepsFewFilesOpen) {
  const TemporaryDirectory directory;
  const auto store = open_store(directory);
  const auto before = open_descriptors();

  for (int round = 0; round < 2; ++round) {
    for (int log = 0; log < 1000; ++log) {
      const auto n = static_cast<std::uint64_t>(round) + 1;
      ASSERT_TRUE(store->append(fmt::format("job-{}/main", log), lines(n, n)));
    }
  }

  EXPECT_LE(open_descriptors(), before + 140);
  EXPECT_TRUE(store->sync());
  EXPECT_THAT(numbers(store->read("job-3/main", {})), ElementsAre(1, 2));
}

TEST(LogStore, SyncsOnAnotherThreadWhileLinesCome) {
  const TemporaryDirectory directory;
  const auto store = open_store(directory);
  std::atomic<bool> done = false;
  std::atomic<int> syncs = 0;
  std::thread syncer([&] {
    while (!done) {
      const auto synced = store->sync();
      EXPECT_TRUE(synced) << synced.error().message;
      ++syncs;
    }
  });

  for (std::uint64_t n = 1; n <= 20 || syncs < 3; ++n) {
    for (int log = 0; log < 150; ++log) {
      ASSERT_TRUE(store->append(fmt::format("job-{}/main", log), lines(n, n)));
    }
    ASSERT_TRUE(store->remove("job-7/"));
    ASSERT_TRUE(store->append("job-7/main", lines(1, n)));
  }

  done = true;
  syncer.join();
  EXPECT_TRUE(store->sync());
}

/// Bytes of a file that are in memory.
std::size_t bytes_in_memory(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const auto size = std::filesystem::file_size(path);
  void* place = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);
  ::close(fd);
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  std::vector<unsigned char> pages((size + page - 1) / page);
  EXPECT_EQ(::mincore(place, size, pages.data()), 0);
  ::munmap(place, size);
  return page *
         static_cast<std::size_t>(std::count_if(
             pages.begin(), pages.end(), [](unsigned char each) { return (each & 1) != 0; }));
}

TEST(LogStore, KeepsOfWhatIsOnTheDiskOnlyTheEndInMemory) {
  const TemporaryDirectory directory("/var/tmp");  // a disk, which /tmp need not be
  struct statfs disk {};
  ASSERT_EQ(::statfs(directory.path().c_str(), &disk), 0);
  ASSERT_NE(disk.f_type, TMPFS_MAGIC) << "/var/tmp is memory here, which keeps its files";
  const auto store = open_store(directory);
  constexpr std::size_t kLine = 1u << 20;
  constexpr std::uint64_t kLines = 32;
  for (std::uint64_t n = 1; n <= kLines; ++n) {
    ASSERT_TRUE(store->append(kLog, std::vector{line(n, std::string(kLine, 'x'))}));
  }
  ASSERT_GE(bytes_in_memory(file_of(directory)), kLines * kLine / 2);

  ASSERT_TRUE(store->sync());

  EXPECT_LE(bytes_in_memory(file_of(directory)), kLines * kLine / 4);
  EXPECT_GE(bytes_in_memory(file_of(directory)), kLine / 2);
  EXPECT_THAT(store->read(kLog, {}).value(), SizeIs(kLines));
}

TEST(LogStore, RefusesADirectoryThatCannotBe) {
  const TemporaryDirectory directory;
  std::ofstream(directory / "file") << "";

  const auto store = open_log_store(directory / "file/logs");

  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, Errc::internal);
}

}  // namespace
}  // namespace cox::logs
