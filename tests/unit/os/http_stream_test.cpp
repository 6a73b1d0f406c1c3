#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/os/http_world.hpp"

namespace cox::os {
namespace {

using namespace std::chrono_literals;

TEST_F(Http, StreamsAnAnswerOfUnknownLength) {
  collect();
  std::vector<std::string> pieces;
  HttpClient client(connect());
  auto streamed = std::async(std::launch::async, [&] {
    return client.stream(get("/"), [&](std::string_view bytes) {
      pieces.emplace_back(bytes);
      return true;
    });
  });
  ASSERT_TRUE(run_until(loop_, [&] { return replies_.size() == 1; }));
  auto& reply = *replies_[0];
  reply.begin(text(""));
  for (const char* piece : {"one\n", "", "two\n"}) {
    bool drained = false;
    reply.write(piece);
    reply.on_drained([&] { drained = true; });
    EXPECT_FALSE(drained) << "called from inside on_drained()";
    ASSERT_TRUE(run_until(loop_, [&] { return drained; }));
    EXPECT_EQ(reply.queued_bytes(), 0u);
  }
  reply.finish();
  const auto response = beside([&] { return streamed.get(); });

  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->status, 200);
  EXPECT_EQ(response->body, "");
  std::string all;
  for (const auto& piece : pieces) all += piece;
  EXPECT_EQ(all, "one\ntwo\n");
}

TEST_F(Http, ServesFurtherRequestsAfterAStream) {
  serve([&](const HttpRequest&, ReplyPtr reply) {
    reply->on_gone([] { ADD_FAILURE() << "nobody went"; });
    reply->begin(text(""));
    reply->write("streamed");
    // In a later turn, when the end of the connection is being watched for.
    loop_.post([reply = std::move(reply)] { reply->finish(); });
  });

  const auto all = beside([&] {
    HttpClient client(connect());
    std::string bodies;
    for (int i = 0; i < 50; ++i) {
      const auto response = client.call(get("/"));
      bodies += response ? response->body : response.error().message;
    }
    return bodies;
  });

  std::string want;
  for (int i = 0; i < 50; ++i) want += "streamed";
  EXPECT_EQ(all, want);
}

/// Writes until so many bytes are sent, never more at a time than a queue may hold.
class Producer : public std::enable_shared_from_this<Producer> {
 public:
  static constexpr std::size_t kPiece = 64u << 10;

  Producer(ReplyPtr reply, std::size_t size) : reply_(std::move(reply)), left_(size) {}

  void go_on() {
    if (left_ == 0) return reply_->finish();
    const auto size = std::min(kPiece, left_);
    left_ -= size;
    made += size;
    reply_->write(std::string(size, '#'));
    queued_max = std::max(queued_max, reply_->queued_bytes());
    reply_->on_drained([self = shared_from_this()] { self->go_on(); });
  }

  std::size_t made = 0;
  std::size_t queued_max = 0;

 private:
  ReplyPtr reply_;
  std::size_t left_;
};

TEST_F(Http, HoldsLittleOfALongStreamForASlowClient) {
  constexpr std::size_t kSize = 10'000'000;
  std::shared_ptr<Producer> producer;
  serve([&](const HttpRequest&, ReplyPtr reply) {
    reply->begin(text(""));
    producer = std::make_shared<Producer>(std::move(reply), kSize);
    producer->go_on();
  });
  const auto socket = connect();
  ASSERT_TRUE(write_all(socket.get(), "GET / HTTP/1.1\r\nConnection: close\r\n\r\n"));
  ASSERT_TRUE(run_until(loop_, [&] { return producer && producer->made > Producer::kPiece; }));
  loop_.run_for(50ms);  // the client reads nothing
  EXPECT_LT(producer->made, kSize / 4);

  const auto answer = exchange(socket, "");

  EXPECT_EQ(producer->made, kSize);
  EXPECT_LT(producer->queued_max, 2 * Producer::kPiece);
  EXPECT_EQ(std::count(answer.begin(), answer.end(), '#'), static_cast<long>(kSize));
  EXPECT_THAT(answer.substr(answer.size() - 5), "0\r\n\r\n");
}

TEST_F(Http, TellsOnceThatAClientIsGoneWhileItsAnswerStreams) {
  collect();
  HttpClient client(connect());
  auto streamed = std::async(std::launch::async, [&] {
    return client.stream(get("/"), [](std::string_view) { return false; });
  });
  ASSERT_TRUE(run_until(loop_, [&] { return replies_.size() == 1; }));
  int gone = 0;
  replies_[0]->on_gone([&] { ++gone; });
  replies_[0]->begin(text(""));
  replies_[0]->write("enough");

  ASSERT_TRUE(run_until(loop_, [&] { return gone > 0; }));
  EXPECT_TRUE(streamed.get());
  replies_[0]->write("to nobody");
  EXPECT_EQ(replies_[0]->queued_bytes(), 0u);
  replies_[0]->finish();
  replies_.clear();
  loop_.run_for(5ms);

  EXPECT_EQ(gone, 1);
  const auto again = client.call(get("/"));
  ASSERT_FALSE(again) << "a connection with half an answer in it was used";
  EXPECT_EQ(again.error().code, Errc::unavailable);
}

TEST_F(Http, TellsThatAClientIsGoneBeforeItsAnswerBegan) {
  collect();
  auto socket = connect();
  ASSERT_TRUE(write_all(socket.get(), "GET /wait HTTP/1.1\r\n\r\n"));
  ASSERT_TRUE(run_until(loop_, [&] { return replies_.size() == 1; }));
  int gone = 0;
  replies_[0]->on_gone([&] { ++gone; });
  loop_.run_for(5ms);
  EXPECT_EQ(gone, 0);

  socket.reset();

  ASSERT_TRUE(run_until(loop_, [&] { return gone > 0; }));
  replies_[0]->send(text("to nobody"));
  int late = 0;
  replies_[0]->on_gone([&] { ++late; });  // answered: nothing to tell
  loop_.run_for(5ms);
  EXPECT_EQ(gone, 1);
  EXPECT_EQ(late, 0);
}

TEST_F(Http, TellsAHandlerThatComesAfterTheClientWent) {
  collect();
  auto socket = connect();
  ASSERT_TRUE(write_all(socket.get(), "GET /wait HTTP/1.1\r\n\r\n"));
  ASSERT_TRUE(run_until(loop_, [&] { return replies_.size() == 1; }));
  int first = 0;
  replies_[0]->on_gone([&] { ++first; });
  socket.reset();
  ASSERT_TRUE(run_until(loop_, [&] { return first == 1; }));

  int second = 0;
  replies_[0]->on_gone([&] { ++second; });

  EXPECT_EQ(second, 0) << "called from inside on_gone()";
  EXPECT_TRUE(run_until(loop_, [&] { return second == 1; }));
}

TEST_F(Http, LetsGoOfAnAnswerThatOnlyItsOwnHandlersHold) {
  std::weak_ptr<HttpReply> watched;
  serve([&](const HttpRequest&, const ReplyPtr& reply) {
    watched = reply;
    reply->begin(text(""));
    reply->on_gone([keep = reply]() mutable { keep.reset(); });
  });
  for (const bool server_first : {false, true}) {
    auto socket = connect();
    ASSERT_TRUE(write_all(socket.get(), "GET / HTTP/1.1\r\n\r\n"));
    ASSERT_TRUE(run_until(loop_, [&] { return !watched.expired(); }));
    if (server_first) {
      server_.reset();
    } else {
      socket.reset();
    }
    EXPECT_TRUE(run_until(loop_, [&] { return watched.expired(); })) << server_first;
  }
}

TEST_F(Http, AStreamDroppedUnfinishedIsNotTakenForWhole) {
  serve([&](const HttpRequest&, ReplyPtr reply) {
    reply->begin(text(""));
    reply->write("half");
    reply->on_drained([reply]() mutable { reply.reset(); });
  });

  const auto response = beside([&] { return HttpClient(connect()).call(get("/")); });

  ASSERT_FALSE(response);
  EXPECT_EQ(response.error(), (Error{Errc::unavailable,
                                     "the connection to the cluster broke: it "
                                     "was closed by the other side"}));
}

}  // namespace
}  // namespace cox::os
