#include "runtime/agent/hub_link.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "runtime/agent/step_messages.hpp"

namespace cox::agent {
namespace {

using testing::ElementsAre;
using Frame = HubLink::Frame;

constexpr std::size_t kMax = 1u << 20;

struct Ends {
  HubLink near;
  os::Fd far;
};

Ends connected(bool held = false) {
  std::array<int, 2> ends{};
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
  return {HubLink(os::Fd(ends[0]), held), os::Fd(ends[1])};
}

/// Reads until so many frames are there.
std::vector<Frame> read(HubLink& link, std::size_t count) {
  std::vector<Frame> frames;
  while (frames.size() < count && link.receive()) {
    while (auto frame = link.next(kMax)) frames.push_back(std::move(*frame));
  }
  return frames;
}

TEST(HubLink, BringsFramesAcrossInOrder) {
  auto [near, far] = connected();
  HubLink other(std::move(far));
  const std::string keys(50'000, 'k');

  near.send('K', keys);
  near.send('D', "");

  EXPECT_THAT(read(other, 2), ElementsAre(Frame{'K', keys}, Frame{'D', ""}));
}

TEST(HubLink, SendsTheGreetingBeforeWhatWasHeldBack) {
  auto [near, far] = connected(true);
  HubLink other(std::move(far));

  near.send('K', "early");
  EXPECT_FALSE(near.wants_to_write());
  EXPECT_TRUE(other.receive());
  EXPECT_EQ(other.next(kMax), std::nullopt);
  near.greet('H', "me");

  EXPECT_THAT(read(other, 2), ElementsAre(Frame{'H', "me"}, Frame{'K', "early"}));
}

TEST(HubLink, PutsPiecesOfAFrameTogether) {
  auto [near, far] = connected();
  const std::string bytes("\x03\0\0\0Kabc", 8);
  for (const char byte : bytes) {
    EXPECT_EQ(near.next(kMax), std::nullopt);
    ASSERT_EQ(::write(far.get(), &byte, 1), 1);
    ASSERT_TRUE(near.receive());
  }
  EXPECT_EQ(near.next(kMax), (Frame{'K', "abc"}));
}

TEST(HubLink, LimitsEachFrameByItself) {
  auto [near, far] = connected();
  HubLink other(std::move(far));
  near.send('H', "me");
  near.send('K', std::string(1000, 'k'));
  ASSERT_TRUE(other.receive());

  EXPECT_EQ(other.next(16), (Frame{'H', "me"})) << "what follows may be larger";
  EXPECT_FALSE(other.is_broken());
  EXPECT_EQ(other.next(16), std::nullopt);
  EXPECT_TRUE(other.is_broken());
  EXPECT_EQ(other.next(kMax), std::nullopt) << "a peer that broke the limit is heard no more";
}

TEST(HubLink, EndsWithThePeer) {
  auto [near, far] = connected();
  far.reset();
  EXPECT_FALSE(near.receive());
}

TEST(ProofOf, DependsOnAllThatItIsMadeOf) {
  const auto proof = proof_of("secret", "node", 1, "h", "n");
  EXPECT_EQ(proof, proof_of("secret", "node", 1, "h", "n"));
  EXPECT_EQ(proof.size(), 64U);
  EXPECT_NE(proof, proof_of("other", "node", 1, "h", "n"));
  EXPECT_NE(proof, proof_of("secret", "hub", 1, "h", "n"));
  EXPECT_NE(proof, proof_of("secret", "node", 2, "h", "n"));
  EXPECT_NE(proof, proof_of("secret", "node", 1, "g", "n"));
  EXPECT_NE(proof, proof_of("secret", "node", 1, "h", "m"));
}

TEST(RandomWord, IsNeverTheSame) {
  const auto one = random_word();
  const auto other = random_word();
  ASSERT_TRUE(one && other);
  EXPECT_EQ(one->size(), 32U);
  EXPECT_NE(*one, *other);
}

TEST(RankEndMessage, BringsBackEveryMember) {
  const RankEnd end{7, 139, 1'700'000'000'123, 65'536, 1'234'567, "called MPI_Abort with code 11"};

  const auto back = rank_end_of(message_of(end));

  EXPECT_EQ(back.rank, end.rank);
  EXPECT_EQ(back.exit_code, end.exit_code);
  EXPECT_EQ(back.at_ms, end.at_ms);
  EXPECT_EQ(back.max_rss_kib, end.max_rss_kib);
  EXPECT_EQ(back.cpu_us, end.cpu_us);
  EXPECT_EQ(back.how, end.how);
}

}  // namespace
}  // namespace cox::agent
