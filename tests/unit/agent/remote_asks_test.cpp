#include "runtime/agent/remote_asks.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace cox::agent {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

/// The asking side, with all that it says kept.
struct Asking {
  RemoteAsks asks{{[this](auto, const wire::Message& m) { program.push_back(m); },
                   [this](const wire::Message& m) { here.push_back(m); },
                   [this](const wire::Message& m) { head.push_back(m); }, [] {}}};
  std::vector<wire::Message> program;
  std::vector<wire::Message> here;
  std::vector<wire::Message> head;

  [[nodiscard]] bool start(std::uint64_t id, bool on_this_node = false) {
    wire::RemoteRoute route;
    route.from = {JobId{"j"}, 1, 0};
    route.from_node = NodeId{"i-1"};
    route.target_index = 1;
    const wire::RemoteStart start{route, "i-2", "hostname"};
    if (!asks.may_start(id, start)) return false;
    asks.start(id, start, on_this_node);
    return true;
  }
};

wire::RemoteRoute answer(std::uint64_t id, std::uint64_t number, std::uint64_t got) {
  return {id, {JobId{"j"}, 1, 0}, NodeId{"i-1"}, 1, false, number, got};
}

TEST(RemoteAsks, GivesTheProgramItsCommandsAnswersOnce) {
  Asking asking;
  ASSERT_TRUE(asking.start(3));
  ASSERT_THAT(asking.head, SizeIs(1));
  EXPECT_EQ(std::get<wire::RemoteStart>(asking.head[0]).route.number, 1u);
  for (int i = 0; i < 2; ++i) {
    asking.asks.on(wire::RemoteOutput{answer(3, 1, 1), 0, "i-2\n"});
    asking.asks.on(wire::RemoteExited{answer(3, 2, 1), 4, ""});
  }

  ASSERT_THAT(asking.program, SizeIs(2));
  EXPECT_EQ(std::get<wire::RemoteOutput>(asking.program[0]).bytes, "i-2\n");
  EXPECT_EQ(std::get<wire::RemoteExited>(asking.program[1]).exit_code, 4);
  EXPECT_FALSE(asking.asks.tick());
}

TEST(RemoteAsks, TellsATargetThatItsEndIsKnown) {
  Asking asking;
  ASSERT_TRUE(asking.start(3));
  asking.head.clear();
  asking.asks.on(wire::RemoteExited{answer(3, 1, 1), 0, ""});
  ASSERT_THAT(asking.head, SizeIs(1));
  EXPECT_EQ(std::get<wire::RemoteHave>(asking.head[0]).route.got, 1u);

  // That was lost: the end is told again, and the target may forget the command.
  asking.asks.on(wire::RemoteExited{answer(3, 1, 1), 0, ""});
  ASSERT_THAT(asking.head, SizeIs(2));
  const auto& taken = std::get<wire::RemoteTaken>(asking.head[1]);
  EXPECT_EQ(taken.bytes, wire::kNobodyReads);
  EXPECT_TRUE(taken.route.to_target);
  EXPECT_EQ(taken.route.number, 0u);
}

TEST(RemoteAsks, SaysAllAgainOverANewConnection) {
  Asking asking;
  ASSERT_TRUE(asking.start(3));
  ASSERT_TRUE(asking.asks.input(3, {{}, "text", false}));
  asking.head.clear();
  asking.asks.tell_again();

  ASSERT_THAT(asking.head, SizeIs(3));
  EXPECT_EQ(std::get<wire::RemoteStart>(asking.head[0]).command, "hostname");
  EXPECT_EQ(std::get<wire::RemoteInput>(asking.head[1]).bytes, "text");
  EXPECT_TRUE(std::get<wire::RemoteHave>(asking.head[2]).again);
  EXPECT_TRUE(asking.asks.tick());
}

TEST(RemoteAsks, GoesOnForACommandWhoseProgramIsGone) {
  Asking asking;
  ASSERT_TRUE(asking.start(3));
  asking.asks.closed(3);
  asking.asks.on(wire::RemoteOutput{answer(3, 1, 1), 0, "for nobody"});
  asking.head.clear();
  asking.asks.tell_again();

  EXPECT_THAT(asking.program, IsEmpty());
  ASSERT_THAT(asking.head, SizeIs(3));
  EXPECT_TRUE(std::get<wire::RemoteInput>(asking.head[0]).end);
  EXPECT_EQ(std::get<wire::RemoteTaken>(asking.head[1]).bytes, wire::kNobodyReads);
  asking.asks.on(wire::RemoteExited{answer(3, 2, 3), 141, ""});
  EXPECT_THAT(asking.program, IsEmpty());
  EXPECT_FALSE(asking.asks.tick());
}

TEST(RemoteAsks, TakesARefusalFromANodeThatKeepsNoCount) {
  Asking asking;
  ASSERT_TRUE(asking.start(3));
  asking.asks.on(wire::RemoteOutput{answer(3, 0, 0), 0, "of no count"});
  asking.asks.on(wire::RemoteExited{answer(3, 0, 0), 255, "the job has ended on that node"});
  ASSERT_THAT(asking.program, SizeIs(1));
  EXPECT_EQ(std::get<wire::RemoteExited>(asking.program[0]).exit_code, 255);
}

TEST(RemoteAsks, KeepsNothingOfACommandOnItsOwnNode) {
  Asking asking;
  ASSERT_TRUE(asking.start(3, true));
  asking.asks.tell_again();
  EXPECT_THAT(asking.head, IsEmpty());
  EXPECT_THAT(asking.here, SizeIs(1));
  EXPECT_FALSE(asking.asks.tick());
  asking.asks.on(wire::RemoteOutput{answer(3, 0, 0), 0, "i-1\n"});
  asking.asks.on(wire::RemoteExited{answer(3, 0, 0), 0, ""});
  EXPECT_THAT(asking.program, SizeIs(2));
}

TEST(RemoteAsks, EndsWhatItAskedOfANodeThatIsLost) {
  Asking asking;
  ASSERT_TRUE(asking.start(3));
  asking.asks.target_is_lost({{JobId{"j"}, 1, 2}, "another"});
  asking.asks.target_is_lost({{JobId{"j"}, 2, 1}, "of another attempt"});
  EXPECT_THAT(asking.program, IsEmpty());
  asking.asks.target_is_lost({{JobId{"j"}, 1, 1}, "the node cannot be reached"});

  ASSERT_THAT(asking.program, SizeIs(1));
  const auto& end = std::get<wire::RemoteExited>(asking.program[0]);
  EXPECT_EQ(end.exit_code, 255);
  EXPECT_EQ(end.reason, "the node cannot be reached");
  EXPECT_FALSE(asking.asks.tick());
}

TEST(RemoteAsks, ForgetsWhatAPartAskedForThatIsOver) {
  Asking asking;
  ASSERT_TRUE(asking.start(3));
  asking.asks.closed(3);
  ASSERT_TRUE(asking.start(4));
  EXPECT_TRUE(asking.asks.tick());
  asking.asks.part_is_over({JobId{"j"}, 1, 1});
  EXPECT_TRUE(asking.asks.tick());
  asking.asks.part_is_over({JobId{"j"}, 1, 0});
  EXPECT_FALSE(asking.asks.tick());
  ASSERT_THAT(asking.program, SizeIs(1));
  EXPECT_EQ(std::get<wire::RemoteExited>(asking.program[0]).route.id, 4u);
}

TEST(RemoteAsks, TakesNoAnswerOfAnotherJob) {
  Asking asking;
  ASSERT_TRUE(asking.start(3));
  auto foreign = answer(3, 1, 1);
  foreign.from.job = JobId{"other"};
  asking.asks.on(wire::RemoteExited{foreign, 0, ""});
  EXPECT_THAT(asking.program, IsEmpty());
}

TEST(RemoteAsks, LetsAConnectionAskOnce) {
  Asking asking;
  ASSERT_TRUE(asking.start(3));
  EXPECT_FALSE(asking.start(3));
  asking.asks.on(wire::RemoteExited{answer(3, 1, 1), 0, ""});
  EXPECT_FALSE(asking.start(3));
}

TEST(RemoteAsks, KeepsNoMoreCommandsThatNobodyWaitsForThanItsLimit) {
  Asking asking;
  for (std::uint64_t id = 1; id <= 256; ++id) {
    ASSERT_TRUE(asking.start(id));
    asking.asks.closed(id);
  }
  EXPECT_THAT(asking.program, IsEmpty());
  ASSERT_TRUE(asking.start(257));
  ASSERT_THAT(asking.program, SizeIs(1));
  EXPECT_EQ(std::get<wire::RemoteExited>(asking.program[0]).exit_code, 255);
}

TEST(RemoteAsks, TurnsAwayWhoDoesNotKeepToTheWindow) {
  Asking asking;
  ASSERT_TRUE(asking.start(3));
  int pieces = 0;
  while (asking.asks.input(3, {{}, std::string(1 << 20, 'x'), false})) ++pieces;
  EXPECT_EQ(pieces, 31);  // and what each counts besides

  ASSERT_TRUE(asking.start(4));
  int empty = 0;
  while (asking.asks.input(4, {{}, "", false})) ++empty;
  EXPECT_EQ(empty, 4 * 4096 - 1);
  ASSERT_TRUE(asking.start(5));
  EXPECT_FALSE(asking.asks.output_taken(5, {{}, -5}));
}

TEST(RemoteAsks, TakesNoWordForMoreOutputThanItGave) {
  Asking asking;
  ASSERT_TRUE(asking.start(3));
  asking.asks.on(wire::RemoteOutput{answer(3, 1, 1), 0, "1234"});
  EXPECT_TRUE(asking.asks.output_taken(3, {{}, 4}));
  EXPECT_TRUE(asking.asks.output_taken(3, {{}, wire::kRemoteOverhead}));
  EXPECT_FALSE(asking.asks.output_taken(3, {{}, 1}));
}

}  // namespace
}  // namespace cox::agent
