#include "runtime/agent/remote_stream.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <deque>
#include <vector>

namespace cox::agent {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

wire::RemoteRoute route(bool to_target) {
  return {7, {JobId{"j"}, 1, 0}, NodeId{"i-1"}, 1, to_target, 0, 0};
}

wire::RemoteOutput said(std::string bytes) { return {route(false), 0, std::move(bytes)}; }

const wire::RemoteRoute& route_of(const wire::Message& message) {
  if (const auto* have = std::get_if<wire::RemoteHave>(&message)) return have->route;
  return std::get<wire::RemoteOutput>(message).route;
}

/// An agent: one end, and what came of it.
struct End {
  explicit End(bool asks) : stream(route(asks)) {}

  void say(std::string bytes) {
    whole.push_back(bytes);
    on_its_way.push_back(stream.say(said(std::move(bytes))));
  }
  void hear(const wire::Message& message) {
    if (const auto* have = std::get_if<wire::RemoteHave>(&message)) {
      stream.heard(have->route);
      if (have->again) send(stream.kept());
    } else if (stream.take(route_of(message))) {
      heard.push_back(std::get<wire::RemoteOutput>(message).bytes);
    }
    if (stream.owes_much()) on_its_way.push_back(stream.have());
  }
  template <class Messages>
  void send(const Messages& messages) {
    on_its_way.insert(on_its_way.end(), messages.begin(), messages.end());
  }

  RemoteStream stream;
  std::vector<std::string> whole;
  std::vector<std::string> heard;
  std::deque<wire::Message> on_its_way;
};

void deliver(End& from, End& to) {
  if (from.on_its_way.empty()) return;
  const auto message = std::move(from.on_its_way.front());
  from.on_its_way.pop_front();
  to.hear(message);
}

TEST(RemoteStream, CountsWhatItSaysAndSaysWhatItHas) {
  RemoteStream stream(route(true));
  EXPECT_EQ(route_of(stream.say(said("a"))).number, 1u);
  auto theirs = route(false);
  theirs.number = 1;
  EXPECT_TRUE(stream.take(theirs));
  const auto second = route_of(stream.say(said("b")));

  EXPECT_EQ(second.number, 2u);
  EXPECT_EQ(second.got, 1u);
  EXPECT_TRUE(second.to_target);
}

TEST(RemoteStream, TakesEachOnceAndInOrder) {
  RemoteStream stream(route(true));
  auto theirs = route(false);
  const auto take = [&](std::uint64_t number) {
    theirs.number = number;
    return stream.take(theirs);
  };
  EXPECT_FALSE(take(0));
  EXPECT_FALSE(take(2));
  EXPECT_TRUE(take(1));
  EXPECT_FALSE(take(1));
  EXPECT_TRUE(take(2));
  EXPECT_EQ(route_of(stream.have()).got, 2u);
}

TEST(RemoteStream, KeepsWhatTheOtherEndMayNotHave) {
  RemoteStream stream(route(true));
  for (const auto* text : {"a", "b", "c"}) (void)stream.say(said(text));
  auto theirs = route(false);
  theirs.got = 2;
  stream.heard(theirs);
  theirs.got = 1;  // was under way for longer
  stream.heard(theirs);

  ASSERT_EQ(stream.kept().size(), 1u);
  EXPECT_EQ(std::get<wire::RemoteOutput>(stream.kept().front()).bytes, "c");
  theirs.got = 99;
  stream.heard(theirs);
  EXPECT_TRUE(stream.is_told());
}

TEST(RemoteStream, KnowsWhetherTheOtherEndHasHeardOfIt) {
  RemoteStream stream(route(true));
  (void)stream.say(said("start"));
  EXPECT_FALSE(std::get<wire::RemoteHave>(stream.again().back()).begun);
  auto theirs = route(false);
  theirs.got = 1;
  stream.heard(theirs);
  EXPECT_TRUE(std::get<wire::RemoteHave>(stream.again().back()).begun);
}

TEST(RemoteStream, SaysAgainWhatStaysUnansweredLessAndLessOften) {
  RemoteStream stream(route(true));
  (void)stream.say(said("a"));
  std::vector<int> again;
  for (int tick = 1; tick <= 100; ++tick) {
    if (!stream.tick().empty()) again.push_back(tick);
  }
  EXPECT_THAT(again, ElementsAre(5, 15, 35, 60, 85));

  auto theirs = route(false);
  theirs.got = 1;
  stream.heard(theirs);
  for (int tick = 0; tick < 100; ++tick) EXPECT_THAT(stream.tick(), IsEmpty());
}

TEST(RemoteStream, TriesWithOneMessageBeforeItSaysAllAgain) {
  RemoteStream stream(route(true));
  for (const auto* text : {"a", "b", "c"}) (void)stream.say(said(text));
  const auto next = [&] {
    for (int tick = 0; tick < 100; ++tick) {
      const auto messages = stream.tick();
      std::vector<std::string> texts;
      for (const auto& each : messages) {
        if (const auto* output = std::get_if<wire::RemoteOutput>(&each))
          texts.push_back(output->bytes);
      }
      if (!texts.empty()) return texts;
    }
    return std::vector<std::string>();
  };
  EXPECT_THAT(next(), ElementsAre("a"));
  auto theirs = route(false);
  theirs.got = 1;  // that alone had been lacking
  stream.heard(theirs);
  EXPECT_THAT(next(), ElementsAre("b", "c"));
  EXPECT_THAT(next(), ElementsAre("b"));
  theirs.got = 3;  // all came, if late
  stream.heard(theirs);
  EXPECT_THAT(next(), IsEmpty());
}

TEST(RemoteStream, TellsAtATickWhatItTook) {
  RemoteStream stream(route(true));
  auto theirs = route(false);
  theirs.number = 1;
  ASSERT_TRUE(stream.take(theirs));
  EXPECT_EQ(stream.tick().size(), 1u);
  EXPECT_THAT(stream.tick(), IsEmpty());
}

RC_GTEST_PROP(RemoteStream, LosesNothingAndRepeatsNothingHoweverOftenTheWayBreaks,
              (const std::vector<std::uint8_t>& steps)) {
  End one(true);
  End other(false);
  int count = 0;
  const auto cut = [](End& end) { end.on_its_way.clear(); };
  for (const auto step : steps) {
    auto& near = step % 2 == 0 ? one : other;
    auto& far = step % 2 == 0 ? other : one;
    switch (step / 2 % 8) {
      case 0:
        near.send(near.stream.tick());
        break;
      case 1:  // its connection is new: what it and the other had on the way is gone
        cut(one);
        cut(other);
        near.send(near.stream.again());
        break;
      case 2:  // the head is gone
        cut(one);
        cut(other);
        break;
      case 3:
      case 4:
        near.say(std::to_string(++count));
        break;
      default:
        deliver(near, far);
    }
  }
  // The way is whole from here on, and all comes to rest.
  int rounds = 0;
  for (; rounds < 200; ++rounds) {
    while (!one.on_its_way.empty() || !other.on_its_way.empty()) {
      deliver(one, other);
      deliver(other, one);
    }
    one.send(one.stream.tick());
    other.send(other.stream.tick());
    if (one.on_its_way.empty() && other.on_its_way.empty() && one.stream.is_told() &&
        other.stream.is_told()) {
      break;
    }
  }
  RC_ASSERT(rounds < 200);
  RC_ASSERT(one.heard == other.whole);
  RC_ASSERT(other.heard == one.whole);
}

}  // namespace
}  // namespace cox::agent
