#include "runtime/os/frame_link.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <future>
#include <optional>
#include <set>

#include "runtime/os/files.hpp"
#include "tests/unit/os/run_until.hpp"
#include "tests/unit/os/tls_peer.hpp"

namespace cox::os {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::size_t kFrameMax = 4u << 20;
const std::string kWelcome(4, '\0');

struct Cluster {
  CaKeys ca = make_ca("tutorial").value();
  TlsIdentity head = issue_certificate(ca, "head").value();
  TlsIdentity node = issue_certificate(ca, "i-0123456789abcdef0").value();
};

/// Made once: what a test needs of keys is that they are good.
const Cluster& cluster() {
  static const Cluster made;
  return made;
}
const Cluster& other_cluster() {
  static const Cluster made;
  return made;
}

/// A link and what it told.
struct Told {
  std::unique_ptr<FrameLink> link;
  std::vector<std::string> frames;
  std::vector<std::string> ends;

  void listen() {
    link->on_frame([this](std::string frame) { frames.push_back(std::move(frame)); });
    link->on_closed([this](std::string why) { ends.push_back(std::move(why)); });
  }
};

class FrameLinks : public testing::Test {
 protected:
  void serve(const TlsIdentity& identity, std::chrono::milliseconds handshake = kHandshakeTime) {
    auto listener = listen_tcp("127.0.0.1", 0);
    ASSERT_TRUE(listener) << listener.error().message;
    port_ = local_port(*listener);
    auto server = serve_frames(
        loop_, std::move(*listener), identity,
        [this](std::unique_ptr<FrameLink> link) { accepted_.push_back(std::move(link)); },
        handshake);
    ASSERT_TRUE(server) << server.error().message;
    server_ = std::move(*server);
  }

  /// The answer of connect_frames.
  Result<std::unique_ptr<FrameLink>> connect(const TlsIdentity& identity,
                                             std::chrono::milliseconds time = kHandshakeTime) {
    std::optional<Result<std::unique_ptr<FrameLink>>> answer;
    connect_frames(
        loop_, "127.0.0.1", port_, identity,
        [&](Result<std::unique_ptr<FrameLink>> got) { answer = std::move(got); }, time);
    if (!run_until(loop_, [&] { return answer.has_value(); })) {
      return fail(Errc::internal, "no answer at all");
    }
    return std::move(*answer);
  }

  /// Both ends of one connection.
  void connect_both() {
    serve(cluster().head);
    auto link = connect(cluster().node);
    ASSERT_TRUE(link) << link.error().message;
    ASSERT_EQ(accepted_.size(), 1u);
    node_.link = std::move(*link);
    head_.link = std::move(accepted_.front());
    accepted_.clear();
    node_.listen();
    head_.listen();
  }

  /// Runs the loop until the thread beside it is done.
  template <class T>
  T await(std::future<T> result) {
    EXPECT_TRUE(run_until(loop_, [&] { return result.wait_for(0s) == std::future_status::ready; }));
    return result.get();
  }

  /// A TLS connection whose other end the test holds itself; head_ is this end.
  std::unique_ptr<TlsPeer> connect_raw() {
    serve(cluster().head);
    auto peer = await(std::async(std::launch::async, [this] {
      auto made = std::make_unique<TlsPeer>(port_, cluster().node);
      EXPECT_EQ(made->read(4), kWelcome);
      return made;
    }));
    EXPECT_TRUE(run_until(loop_, [&] { return accepted_.size() == 1; }));
    head_.link = std::move(accepted_.front());
    accepted_.clear();
    return peer;
  }

  EventLoop loop_;
  int port_ = 0;
  std::unique_ptr<FrameServer> server_;
  std::vector<std::unique_ptr<FrameLink>> accepted_;
  Told head_;
  Told node_;
};

std::string many_bytes(std::size_t size) {
  std::string bytes(size, '\0');
  std::uint32_t state = 1;
  for (char& c : bytes) {
    state = state * 1664525u + 1013904223u;
    c = static_cast<char>(state >> 24);
  }
  return bytes;
}

TEST_F(FrameLinks, CarryFramesBothWaysAndNameThePeer) {
  connect_both();
  EXPECT_EQ(head_.link->peer_name(), "i-0123456789abcdef0");
  EXPECT_EQ(node_.link->peer_name(), "head");

  const std::vector<std::string> frames = {"one", "", std::string("\0\xff\n", 3),
                                           many_bytes(kFrameMax), "last"};
  for (const auto& frame : frames) {
    head_.link->send(frame);
    node_.link->send(frame);
  }

  ASSERT_TRUE(run_until(loop_, [&] { return node_.frames.size() + head_.frames.size() >= 10; }));
  EXPECT_TRUE(node_.frames == frames);
  EXPECT_TRUE(head_.frames == frames);
  EXPECT_THAT(head_.ends, ElementsAre());
}

TEST_F(FrameLinks, KeepFramesUntilThereIsAHandler) {
  serve(cluster().head);
  auto link = connect(cluster().node);
  ASSERT_TRUE(link) << link.error().message;
  head_.link = std::move(accepted_.front());
  node_.link = std::move(*link);
  node_.link->on_closed([this](std::string why) { node_.ends.push_back(std::move(why)); });
  const auto large = many_bytes(300'000);
  head_.link->send("early");
  head_.link->send(large);
  head_.link->send("late");
  ASSERT_TRUE(run_until(loop_, [&] { return head_.link->queued_bytes() == 0; }));
  loop_.run_for(5ms);

  node_.link->on_frame([this](std::string frame) { node_.frames.push_back(std::move(frame)); });

  ASSERT_TRUE(run_until(loop_, [&] { return node_.frames.size() == 3; })) << node_.frames.size();
  EXPECT_TRUE(node_.frames == (std::vector<std::string>{"early", large, "late"}));
}

TEST_F(FrameLinks, TellOnceThatThePeerIsGoneAfterItsLastFrame) {
  connect_both();
  node_.link->send("farewell");
  node_.link.reset();

  ASSERT_TRUE(run_until(loop_, [&] { return !head_.ends.empty(); }));
  loop_.run_for(5ms);

  EXPECT_THAT(head_.frames, ElementsAre("farewell"));
  EXPECT_THAT(head_.ends, ElementsAre("the peer closed the connection"));
  EXPECT_THAT(node_.ends, ElementsAre());
}

TEST_F(FrameLinks, SendAllThatWasQueuedWhenDropped) {
  connect_both();
  const auto large = many_bytes(kFrameMax);
  for (int i = 0; i < 8; ++i) node_.link->send(large);
  node_.link.reset();

  ASSERT_TRUE(run_until(loop_, [&] { return !head_.ends.empty(); })) << head_.frames.size();

  EXPECT_EQ(head_.frames.size(), 8u);
  EXPECT_TRUE(head_.frames.back() == large);
}

TEST_F(FrameLinks, TellTheEndToAHandlerThatCameLater) {
  connect_both();
  node_.link.reset();
  ASSERT_TRUE(run_until(loop_, [&] { return !head_.ends.empty(); }));

  std::string later;
  head_.link->on_closed([&](std::string why) { later = std::move(why); });
  head_.link->send("to nobody");

  EXPECT_EQ(later, "") << "called from inside the call that sets it";
  EXPECT_TRUE(run_until(loop_, [&] { return later == "the peer closed the connection"; }));
}

TEST_F(FrameLinks, MayBeDroppedInTheirHandlers) {
  connect_both();
  for (const char* text : {"one", "two", "three"}) node_.link->send(text);
  std::vector<std::string> frames;
  head_.link->on_frame([&](std::string frame) {
    frames.push_back(std::move(frame));
    head_.link.reset();
  });
  node_.link->on_closed([&](std::string why) {
    node_.ends.push_back(std::move(why));
    node_.link.reset();
  });

  ASSERT_TRUE(run_until(loop_, [&] { return !node_.ends.empty(); }));
  loop_.run_for(5ms);

  EXPECT_THAT(frames, ElementsAre("one"));
  EXPECT_THAT(node_.ends, ElementsAre("the peer closed the connection"));
  EXPECT_THAT(head_.ends, ElementsAre());
}

TEST_F(FrameLinks, AnswerFromInsideAHandler) {
  connect_both();
  head_.link->on_frame([&](const std::string& frame) { head_.link->send("re: " + frame); });

  for (int i = 0; i < 500; ++i) node_.link->send(std::to_string(i));

  ASSERT_TRUE(run_until(loop_, [&] { return node_.frames.size() == 500; }));
  EXPECT_EQ(node_.frames.back(), "re: 499");
}

TEST_F(FrameLinks, JoinWhatWasSplitAnywhere) {
  const auto peer = connect_raw();
  head_.listen();

  EXPECT_TRUE(rc::check("frames cut into records at random places arrive whole", [&] {
    const auto frames = *rc::gen::container<std::vector<std::string>>(
        rc::gen::scale(3.0, rc::gen::arbitrary<std::string>()));
    std::string stream;
    for (const auto& frame : frames) stream += frame_bytes(frame);
    const auto cuts = *rc::gen::container<std::vector<std::size_t>>(
        rc::gen::inRange<std::size_t>(0, stream.size() + 1));
    head_.frames.clear();

    std::set<std::size_t> places(cuts.begin(), cuts.end());
    places.insert(stream.size());
    std::size_t from = 0;
    for (const auto to : places) {
      RC_ASSERT(peer->write(std::string_view(stream).substr(from, to - from)));
      from = to;
      if (to % 3 == 0) loop_.run_for(1ms);
    }

    RC_ASSERT(run_until(loop_, [&] { return head_.frames.size() >= frames.size(); }));
    RC_ASSERT(head_.frames == frames);
  }));
}

TEST_F(FrameLinks, JoinWhatCameByteByByte) {
  const auto peer = connect_raw();
  head_.listen();

  for (const char byte : frame_bytes("slow") + frame_bytes("") + frame_bytes("er")) {
    ASSERT_TRUE(peer->write(std::string_view(&byte, 1)));
    loop_.run_for(1ms);
  }

  ASSERT_TRUE(run_until(loop_, [&] { return head_.frames.size() == 3; }));
  EXPECT_THAT(head_.frames, ElementsAre("slow", "", "er"));
}

TEST_F(FrameLinks, SendManyFramesOfOneTurnAsOneRecord) {
  const auto peer = connect_raw();
  std::string want;
  for (int i = 0; i < 500; ++i) {
    head_.link->send("frame " + std::to_string(i));
    want += frame_bytes("frame " + std::to_string(i));
  }
  EXPECT_EQ(head_.link->queued_bytes(), want.size());

  ASSERT_TRUE(run_until(loop_, [&] { return head_.link->queued_bytes() == 0; }));

  EXPECT_EQ(peer->read_some(), want);
}

TEST_F(FrameLinks, HoldALargeQueueForASlowPeer) {
  const auto peer = connect_raw();
  head_.listen();
  const auto large = many_bytes(kFrameMax);
  constexpr std::size_t kFrames = 12;
  for (std::size_t i = 0; i < kFrames; ++i) head_.link->send(large);
  loop_.run_for(50ms);
  EXPECT_GT(head_.link->queued_bytes(), (kFrames / 2) * kFrameMax);

  const auto all =
      await(std::async(std::launch::async, [&] { return peer->read(kFrames * (kFrameMax + 4)); }));

  ASSERT_EQ(all.size(), kFrames * (kFrameMax + 4));
  for (std::size_t i = 0; i < kFrames; ++i) {
    EXPECT_TRUE(std::string_view(all).substr(i * (kFrameMax + 4) + 4, kFrameMax) == large) << i;
  }
  EXPECT_TRUE(run_until(loop_, [&] { return head_.link->queued_bytes() == 0; }));
  EXPECT_THAT(head_.ends, ElementsAre());
}

TEST_F(FrameLinks, EndWhenThePeerSendsAFrameThatIsTooLarge) {
  const auto peer = connect_raw();
  head_.listen();

  ASSERT_TRUE(peer->write(frame_bytes("good") + std::string("\x01\x00\x40\x00 and more", 13)));

  ASSERT_TRUE(run_until(loop_, [&] { return !head_.ends.empty(); }));
  EXPECT_THAT(head_.frames, ElementsAre("good"));
  EXPECT_THAT(head_.ends, ElementsAre("the peer sent a frame of 4194305 bytes"));
  EXPECT_EQ(peer->read_some(), "");
}

TEST_F(FrameLinks, EndWhenAFrameThatIsTooLargeIsToBeSent) {
  connect_both();

  head_.link->send(std::string(kFrameMax + 1, 'x'));
  EXPECT_THAT(head_.ends, ElementsAre()) << "told from inside send()";

  ASSERT_TRUE(run_until(loop_, [&] { return !head_.ends.empty() && !node_.ends.empty(); }));
  EXPECT_THAT(head_.ends, ElementsAre("a frame of 4194305 bytes was to be sent"));
  EXPECT_THAT(node_.ends, ElementsAre("the peer closed the connection"));
}

TEST_F(FrameLinks, MayOutliveTheServer) {
  connect_both();
  server_.reset();

  node_.link->send("still");

  ASSERT_TRUE(run_until(loop_, [&] { return !head_.frames.empty(); }));
  EXPECT_THAT(head_.frames, ElementsAre("still"));
}

TEST_F(FrameLinks, LeaveNothingBehindWhenTheLoopEndsFirst) {
  // Watched by the address sanitizer: links, a handshake and an accept are under way.
  connect_both();
  head_.link->send(many_bytes(kFrameMax));
  connect_frames(loop_, "127.0.0.1", port_, cluster().node,
                 [](const Result<std::unique_ptr<FrameLink>>&) {});
  head_.link.reset();
  loop_.run_for(1ms);
  EXPECT_NE(server_, nullptr);
}

struct StrangerCase {
  const char* name;
  TlsIdentity server;
  TlsIdentity client;
  const char* want;  // part of what the client is told

  friend void PrintTo(const StrangerCase& c, std::ostream* out) { *out << c.name; }
};

/// The certificate of one cluster with the trust of another.
TlsIdentity mixed(const TlsIdentity& own, const TlsIdentity& trust) {
  return {own.certificate, own.private_key, trust.ca_certificate};
}

class Strangers : public FrameLinks, public testing::WithParamInterface<StrangerCase> {};

TEST_P(Strangers, AreRefused) {
  const auto& c = GetParam();
  serve(c.server);

  const auto link = connect(c.client);
  loop_.run_for(20ms);

  ASSERT_FALSE(link);
  EXPECT_EQ(link.error().code, Errc::unavailable);
  EXPECT_THAT(link.error().message, HasSubstr("TLS handshake: "));
  EXPECT_THAT(link.error().message, HasSubstr(c.want));
  EXPECT_EQ(accepted_.size(), 0u);
}

INSTANTIATE_TEST_SUITE_P(
    , Strangers,
    testing::Values(StrangerCase{"client_of_another_cluster", cluster().head,
                                 mixed(other_cluster().node, cluster().node), "unknown ca"},
                    StrangerCase{"server_of_another_cluster",
                                 mixed(other_cluster().head, cluster().head), cluster().node,
                                 "certificate verify failed"},
                    StrangerCase{"both_of_another_cluster", other_cluster().head, cluster().node,
                                 "certificate verify failed"},
                    StrangerCase{"client_shows_the_authority_of_another",
                                 cluster().head,
                                 {other_cluster().ca.certificate, other_cluster().ca.private_key,
                                  cluster().ca.certificate},
                                 "alert"}),
    [](const auto& test) { return test.param.name; });

TEST_F(FrameLinks, RefuseAClientWithoutCertificateAndOneOfOldTls) {
  serve(cluster().head);
  for (const auto& options :
       {TlsPeer::Options{TLS1_3_VERSION, false}, TlsPeer::Options{TLS1_2_VERSION, true}}) {
    const auto got = await(std::async(std::launch::async, [&] {
      TlsPeer peer(port_, cluster().node, options);
      return peer.connected() ? peer.read(4) : std::string();
    }));
    EXPECT_EQ(got, "") << "welcomed";
  }
  EXPECT_EQ(accepted_.size(), 0u);
}

TEST_F(FrameLinks, RefuseWhatIsNotTls) {
  serve(cluster().head);
  const auto peer = connect_tcp(port_);
  ASSERT_TRUE(write_all(peer.get(), "GET / HTTP/1.1\r\n\r\n"));

  const auto last = await(std::async(std::launch::async, [&] {
    std::array<char, 256> piece{};
    ssize_t got = 0;
    while ((got = ::read(peer.get(), piece.data(), piece.size())) > 0) continue;
    return got < 0 ? errno : 0;
  }));

  EXPECT_THAT(last, testing::AnyOf(0, ECONNRESET)) << "not closed";
  EXPECT_EQ(accepted_.size(), 0u);
}

TEST_F(FrameLinks, DropAPeerThatSaysNothing) {
  serve(cluster().head, 30ms);
  const auto peer = connect_tcp(port_);

  const auto got = await(std::async(std::launch::async, [&] {
    char byte = 0;
    return ::read(peer.get(), &byte, 1);
  }));

  EXPECT_EQ(got, 0) << "not closed";
  EXPECT_EQ(accepted_.size(), 0u);
}

TEST_F(FrameLinks, GiveUpOnAServerThatSaysNothing) {
  const auto listener = listen_tcp("127.0.0.1", 0);
  ASSERT_TRUE(listener) << listener.error().message;
  port_ = local_port(*listener);

  const auto link = connect(cluster().node, 30ms);

  ASSERT_FALSE(link);
  EXPECT_EQ(link.error(), (Error{Errc::unavailable, "TLS handshake: no answer in time"}));
}

TEST_F(FrameLinks, TellWhenNobodyListensOrAnIdentityIsUnreadable) {
  {
    const auto listener = listen_tcp("127.0.0.1", 0);
    ASSERT_TRUE(listener) << listener.error().message;
    port_ = local_port(*listener);
  }
  const auto refused = connect(cluster().node);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(), (Error{Errc::unavailable, "127.0.0.1:" + std::to_string(port_) +
                                                           ": Connection refused"}));

  const auto unreadable = connect(TlsIdentity{"no", "certificate", "at all"});
  ASSERT_FALSE(unreadable);
  EXPECT_EQ(unreadable.error().code, Errc::invalid_argument);
}

}  // namespace
}  // namespace cox::os
