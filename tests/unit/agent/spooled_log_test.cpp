#include "runtime/agent/spooled_log.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <sys/stat.h>

#include "tests/unit/os/temporary_directory.hpp"

namespace cox::agent {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

const wire::PartKey kPart{JobId{"j"}, 1, 0};

/// A log with its spool, and a head that takes what is sent.
struct Spooled {
  Spooled() : log(*spool, "j/1/0/main", kPart, -1) {}

  void write(int lines, std::size_t bytes = 1) {
    for (int i = 0; i < lines; ++i) log.add(5, 0, std::string(bytes, 'x'));
    const auto stored = log.store();
    EXPECT_TRUE(stored) << stored.error().message;
  }
  /// Sends what may be sent and returns its numbers.
  std::vector<std::uint64_t> pump() {
    std::vector<std::uint64_t> numbers;
    log.pump([&](const wire::Message& message) {
      const auto& output = std::get<wire::Output>(message);
      EXPECT_EQ(output.part, kPart);
      EXPECT_EQ(output.rank, -1);
      for (const auto& record : output.records) numbers.push_back(record.sequence);
      batches.push_back(output);
    });
    return numbers;
  }

  os::TemporaryDirectory directory;
  std::unique_ptr<logs::LogStore> spool = logs::open_log_store(directory / "spool").value();
  SpooledLog log;
  std::vector<wire::Output> batches;
};

TEST(SpooledLog, SendsLinesAsTheyWereRead) {
  Spooled spooled;
  spooled.log.add(5, 0, "out");
  spooled.log.add(6, 1, "err");
  ASSERT_TRUE(spooled.log.store());

  EXPECT_THAT(spooled.pump(), ElementsAre(1, 2));
  EXPECT_EQ(spooled.batches.at(0).records,
            (std::vector<wire::OutputRecord>{{1, 5, 0, "out"}, {2, 6, 1, "err"}}));
  EXPECT_TRUE(spooled.log.all_sent());
}

TEST(SpooledLog, NumbersTheLinesOfARun) {
  Spooled spooled;
  spooled.log.add(5, 0, "a\nb\nc", 3);
  spooled.log.add(6, 0, "d");
  ASSERT_TRUE(spooled.log.store());

  EXPECT_THAT(spooled.pump(), ElementsAre(1, 4));
  EXPECT_EQ(spooled.batches.at(0).records.at(0).text, "a\nb\nc");
  EXPECT_TRUE(spooled.log.all_sent());

  // A head that has a part of the run gets the rest of it.
  spooled.log.acknowledged(2);
  spooled.log.rewind();
  EXPECT_THAT(spooled.pump(), ElementsAre(3, 4));
}

TEST(SpooledLog, SendsRunsAgainAsTheyWereRead) {
  Spooled spooled;
  spooled.log.add(5, 0, "a\nb\nc", 3);
  spooled.log.add(6, 1, "d\ne", 2);
  ASSERT_TRUE(spooled.log.store());
  spooled.pump();
  spooled.log.acknowledged(1);

  spooled.log.rewind();

  EXPECT_THAT(spooled.pump(), ElementsAre(2, 4));
  EXPECT_EQ(spooled.batches.back().records,
            (std::vector<wire::OutputRecord>{{2, 5, 0, "b\nc"}, {4, 6, 1, "d\ne"}}));
  EXPECT_TRUE(spooled.log.all_sent());
}

TEST(SpooledLog, SendsNothingThatIsNotOnDisk) {
  Spooled spooled;
  spooled.log.add(5, 0, "a");

  EXPECT_THAT(spooled.pump(), IsEmpty());
  EXPECT_FALSE(spooled.log.all_sent());
}

TEST(SpooledLog, SendsEachLineOnceOnAConnection) {
  Spooled spooled;
  spooled.write(2);
  EXPECT_THAT(spooled.pump(), ElementsAre(1, 2));
  spooled.write(1);

  EXPECT_THAT(spooled.pump(), ElementsAre(3));
  EXPECT_THAT(spooled.pump(), IsEmpty());
}

TEST(SpooledLog, SendsAgainWhatWasNotAcknowledgedAfterAReconnect) {
  Spooled spooled;
  spooled.write(4);
  spooled.pump();
  spooled.log.acknowledged(2);

  spooled.log.rewind();

  EXPECT_FALSE(spooled.log.all_sent());
  EXPECT_THAT(spooled.pump(), ElementsAre(3, 4));
  EXPECT_EQ(spooled.batches.back().records.back(), (wire::OutputRecord{4, 5, 0, "x"}));
}

TEST(SpooledLog, HoldsBackWhatTheWindowDoesNotLetThrough) {
  Spooled spooled;
  spooled.write(10, 1u << 20);

  const auto first = spooled.pump();
  EXPECT_GE(first.size(), 4u);
  EXPECT_LT(first.size(), 10u);
  EXPECT_THAT(spooled.pump(), IsEmpty());

  spooled.log.acknowledged(first.back());
  EXPECT_EQ(spooled.pump().front(), first.back() + 1);
}

TEST(SpooledLog, IsBehindWhileMuchWaitsToBeSent) {
  Spooled spooled;
  spooled.write(3, 1u << 20);
  EXPECT_FALSE(spooled.log.behind());
  spooled.write(3, 1u << 20);
  EXPECT_TRUE(spooled.log.behind());

  for (auto sent = spooled.pump(); !sent.empty(); sent = spooled.pump()) {
    spooled.log.acknowledged(sent.back());
  }

  EXPECT_FALSE(spooled.log.behind());
  EXPECT_TRUE(spooled.log.all_sent());
}

/// The same where the head takes logs from the agent's disk.
struct Kept : Spooled {
  Kept() { log.keep(true); }

  std::vector<std::uint64_t> pump_runs() {
    std::vector<std::uint64_t> numbers;
    log.pump([&](const wire::Message& message) {
      const auto& kept = std::get<wire::OutputKept>(message);
      EXPECT_EQ(kept.part, kPart);
      EXPECT_EQ(kept.log, "j/1/0/main");
      for (const auto& run : kept.runs) {
        for (std::uint32_t i = 0; i < run.lines; ++i) numbers.push_back(run.sequence + i);
        last_run = run;
      }
    });
    return numbers;
  }

  wire::OutputRun last_run;
};

TEST(SpooledLog, TellsWhereLinesStandThatTheHeadTakesItself) {
  Kept spooled;
  spooled.log.add(5, 1, "a\nb", 2);
  ASSERT_TRUE(spooled.log.store());

  EXPECT_THAT(spooled.pump_runs(), ElementsAre(1, 2));
  EXPECT_EQ(spooled.last_run, (wire::OutputRun{1, 5, 1, 2, 8, 32}));
  EXPECT_TRUE(spooled.log.all_sent());

  spooled.log.rewind();
  EXPECT_THAT(spooled.pump_runs(), ElementsAre(1, 2));
  EXPECT_EQ(spooled.last_run, (wire::OutputRun{1, 5, 1, 2, 8, 32}));
}

TEST(SpooledLog, WritesALargeRunThatIsKeptAtOnce) {
  Kept spooled;
  std::string run(100'000, 'x');
  spooled.log.add_run(5, 0, run, 1);
  EXPECT_GE(run.capacity(), 100'000u);  // to be used again

  EXPECT_THAT(spooled.pump_runs(), ElementsAre(1));
  std::string small = "a";
  spooled.log.add_run(5, 0, small, 1);
  EXPECT_THAT(spooled.pump_runs(), IsEmpty());
  ASSERT_TRUE(spooled.log.store());
  EXPECT_THAT(spooled.pump_runs(), ElementsAre(2));
}

TEST(SpooledLog, SendsLinesThatTheHeadCannotTake) {
  Kept spooled;
  spooled.write(2);
  spooled.pump_runs();
  spooled.log.acknowledged(1);

  spooled.log.send_instead();
  EXPECT_THAT(spooled.pump(), ElementsAre(2));

  spooled.log.keep(true);  // another connection: the log stays what it is
  spooled.log.rewind();
  EXPECT_THAT(spooled.pump(), ElementsAre(2));
}

TEST(SpooledLog, HoldsBackKeptLinesThatAreNotDurable) {
  Kept spooled;
  std::vector<std::uint64_t> sent;
  while (!spooled.log.behind()) {
    spooled.write(1, 1u << 20);
    for (const auto number : spooled.pump_runs()) sent.push_back(number);
    ASSERT_LT(sent.size(), 1000u);
  }
  spooled.log.acknowledged(sent.back());

  const auto more = spooled.pump_runs();
  ASSERT_FALSE(more.empty());
  EXPECT_EQ(more.front(), sent.back() + 1);
  EXPECT_FALSE(spooled.log.behind());
}

TEST(SpooledLog, GivesBackTheRoomOfLinesThatTheHeadHas) {
  Spooled spooled;
  constexpr int kLines = 40;
  for (int i = 0; i < kLines; ++i) {
    spooled.write(1, 1u << 20);
    const auto sent = spooled.pump();
    if (i + 1 < kLines) spooled.log.acknowledged(sent.back());
  }

  struct stat status {};
  ASSERT_EQ(::stat((spooled.directory / "spool/j/1/0/main.log").c_str(), &status), 0);
  EXPECT_GE(status.st_size, kLines << 20);
  EXPECT_LE(status.st_blocks * 512, (kLines / 2) << 20);
  spooled.log.rewind();
  EXPECT_THAT(spooled.pump(), ElementsAre(kLines));
  EXPECT_EQ(spooled.batches.back().records.at(0).text, std::string(1u << 20, 'x'));
}

/// The head had taken them by the connection before, and its disk was slow.
TEST(SpooledLog, GoesOnBehindALateAcknowledgement) {
  Spooled spooled;
  std::uint64_t taken = 0;
  for (int i = 0; i < 30; ++i) {
    spooled.write(1, 1u << 20);
    for (const auto number : spooled.pump()) taken = number;
    spooled.log.acknowledged(static_cast<std::uint64_t>(i) > 4 ? taken - 4 : 0);
  }
  spooled.write(10, 1u << 20);
  spooled.log.rewind();
  ASSERT_LT(spooled.pump().back(), 38u);

  spooled.log.acknowledged(38);

  EXPECT_THAT(spooled.pump(), ElementsAre(39, 40));
  EXPECT_TRUE(spooled.log.all_sent());
}

TEST(SpooledLog, LeavesAFileWholeThatTheHeadMayHave) {
  Kept spooled;
  constexpr std::size_t kLines = 40;
  for (std::size_t i = 0; i < kLines; ++i) {
    spooled.write(1, 1u << 20);
    spooled.log.acknowledged(spooled.pump_runs().back());
  }
  spooled.log.keep(false);  // another head, which does not see the file
  spooled.log.acknowledged(kLines);

  EXPECT_THAT(spooled.spool->read("j/1/0/main", {}).value(), SizeIs(kLines));
}

TEST(SpooledLog, LooksUpKeptLinesThatAreTooManyToRemember) {
  Kept spooled;
  for (int i = 0; i < 10; ++i) spooled.write(1000);

  EXPECT_EQ(spooled.pump_runs().size(), 10'000u);
  EXPECT_TRUE(spooled.log.all_sent());
}

RC_GTEST_PROP(SpooledLog, LosesNoLineWhateverHappens, ()) {
  Spooled spooled;
  std::uint64_t written = 0;
  std::uint64_t has = 0;  // what the head has, without gaps
  const auto take = [&] {
    for (const auto number : spooled.pump()) {
      RC_ASSERT(number <= has + 1);  // never a gap
      has = std::max(has, number);
    }
  };
  const int steps = *rc::gen::inRange(1, 20);
  for (int i = 0; i < steps; ++i) {
    const int what = *rc::gen::inRange(0, 4);
    if (what == 0) {
      const int lines = *rc::gen::inRange(1, 30);
      spooled.write(lines, 100'000);
      written += static_cast<std::uint64_t>(lines);
    } else if (what == 1) {
      take();
    } else if (what == 2) {
      spooled.log.acknowledged(has);
    } else {
      spooled.log.rewind();
    }
  }
  for (int i = 0; i < 2000 && !spooled.log.all_sent(); ++i) {
    take();
    spooled.log.acknowledged(has);
  }
  RC_ASSERT(spooled.log.all_sent());
  RC_ASSERT(has == written);
}

}  // namespace
}  // namespace cox::agent
