#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "tests/unit/os/http_world.hpp"
#include "tests/unit/os/tls_peer.hpp"

namespace cox::os {
namespace {

using namespace std::chrono_literals;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

TEST_F(Http, GivesTheHandlerAllOfTheRequest) {
  HttpRequest seen;
  serve([&](HttpRequest request, const ReplyPtr& reply) {
    seen = std::move(request);
    auto response = text("made", 201);
    response.headers["X-Further"] = "yes";
    reply->send(std::move(response));
  });
  HttpRequest request;
  request.method = "PUT";
  request.target = "/cox/v1/blobs/x?y=%20z";
  request.headers = {{"x-one", "1"}, {"content-type", "text/plain"}};
  request.body = std::string("bytes\0and", 9);

  const auto response = beside([&] { return HttpClient(connect()).call(request); });

  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->status, 201);
  EXPECT_EQ(response->content_type, "text/plain");
  EXPECT_EQ(response->headers.at("x-further"), "yes");
  EXPECT_EQ(response->body, "made");
  EXPECT_EQ(seen.method, "PUT");
  EXPECT_EQ(seen.target, "/cox/v1/blobs/x?y=%20z");
  EXPECT_EQ(seen.headers.at("x-one"), "1");
  EXPECT_EQ(seen.headers.at("content-type"), "text/plain");
  EXPECT_EQ(seen.body, request.body);
  ASSERT_TRUE(seen.peer);
  EXPECT_EQ(seen.peer->uid, ::getuid());
  EXPECT_EQ(seen.peer->gid, ::getgid());
  EXPECT_EQ(seen.peer->pid, ::getpid());
  EXPECT_EQ(seen.remote_address, "");
}

TEST_F(Http, NamesThePeerOfATcpConnectionByItsAddress) {
  auto listener = listen_tcp("127.0.0.1", 0);
  ASSERT_TRUE(listener) << listener.error().message;
  const int port = local_port(*listener);
  auto server = serve_http(loop_, std::move(*listener), [&](HttpRequest request, ReplyPtr reply) {
    requests_.push_back(std::move(request));
    reply->send(text("here"));
  });
  ASSERT_TRUE(server) << server.error().message;

  const auto response = beside([&] { return HttpClient(connect_tcp(port)).call(get("/")); });

  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->body, "here");
  EXPECT_EQ(requests_.front().remote_address, "127.0.0.1");
  EXPECT_FALSE(requests_.front().peer);
}

TEST_F(Http, ServesThroughTls) {
  const auto ca = make_ca("tutorial");
  ASSERT_TRUE(ca) << ca.error().message;
  const auto identity = issue_certificate(*ca, "api", {"localhost"});
  ASSERT_TRUE(identity) << identity.error().message;
  auto listener = listen_tcp("127.0.0.1", 0);
  ASSERT_TRUE(listener) << listener.error().message;
  const int port = local_port(*listener);
  const std::string large(3u << 20, 'x');
  auto server = serve_http(
      loop_, std::move(*listener),
      [&](const HttpRequest& request, const ReplyPtr& reply) {
        reply->send(text(request.remote_address + large));
      },
      {}, TlsCertificate{identity->certificate, identity->private_key});
  ASSERT_TRUE(server) << server.error().message;

  const auto answers = beside([&] {
    TlsPeer peer(port, *identity);
    std::vector<std::string> got;
    for (int i = 0; i < 2 && peer.connected(); ++i) {  // twice: the connection is kept
      peer.write("GET / HTTP/1.1\r\n\r\n");
      std::string answer;
      for (auto byte = peer.read(1); !byte.empty(); byte = peer.read(1)) {
        answer += byte;
        if (answer.ends_with("\r\n\r\n")) break;
      }
      answer += peer.read(std::string("127.0.0.1").size() + large.size());
      got.push_back(std::move(answer));
    }
    return got;
  });

  ASSERT_EQ(answers.size(), 2u);
  for (const auto& answer : answers) {
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_TRUE(answer.ends_with("\r\n\r\n127.0.0.1" + large));
  }
  const auto clear = exchange(connect_tcp(port), "GET / HTTP/1.1\r\n\r\n");
  EXPECT_THAT(clear, Not(HasSubstr("HTTP/1.1 200")));
}

TEST_F(Http, RefusesACertificateThatIsNone) {
  auto listener = listen_tcp("127.0.0.1", 0);
  ASSERT_TRUE(listener) << listener.error().message;
  const auto server = serve_http(
      loop_, std::move(*listener), [](HttpRequest, const ReplyPtr&) {}, {},
      TlsCertificate{"no certificate", "no key"});
  ASSERT_FALSE(server);
  EXPECT_EQ(server.error().code, Errc::invalid_argument);
}

TEST_F(Http, JoinsRepeatedHeadersAndLowersNames) {
  serve([&](HttpRequest request, const ReplyPtr& reply) {
    reply->send(text(request.headers.at("accept") + "|" + request.headers.at("x-mixed")));
  });

  const auto answer = exchange(connect(),
                               "GET / HTTP/1.1\r\nAccept: a\r\nX-MiXeD: M\r\nACCEPT: b\r\n"
                               "Connection: close\r\n\r\n");

  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, EndsWith("\r\n\r\na, b|M"));
}

TEST_F(Http, ServesManyRequestsOfAnyBytesOverOneConnection) {
  serve([](HttpRequest request, const ReplyPtr& reply) {
    reply->send(text(request.target + request.body));
  });

  const bool held = beside([&] {
    HttpClient client(connect());
    int number = 0;
    return rc::check("an answer holds the bytes of its request", [&] {
      HttpRequest request;
      request.method = "POST";
      request.target = "/" + std::to_string(++number);
      request.body = *rc::gen::arbitrary<std::string>();
      const auto response = client.call(request);
      RC_ASSERT(response.has_value());
      RC_ASSERT(response->body == request.target + request.body);
    });
  });

  EXPECT_TRUE(held);
}

TEST_F(Http, AnswersLaterAndInAnyOrder) {
  collect();
  const auto call = [this](const std::string& target) {
    return std::async(std::launch::async,
                      [this, target] { return HttpClient(connect()).call(get(target)); });
  };
  auto first = call("/first");
  ASSERT_TRUE(run_until(loop_, [&] { return replies_.size() == 1; }));
  auto second = call("/second");
  ASSERT_TRUE(run_until(loop_, [&] { return replies_.size() == 2; }));

  replies_[1]->send(text("for the second"));
  const auto second_answer = beside([&] { return second.get(); });
  EXPECT_EQ(first.wait_for(0s), std::future_status::timeout);
  replies_[0]->send(text("for the first"));
  const auto first_answer = beside([&] { return first.get(); });

  EXPECT_EQ(first_answer->body, "for the first");
  EXPECT_EQ(second_answer->body, "for the second");
}

TEST_F(Http, AnswersADroppedRequestWith500) {
  serve([](const HttpRequest&, const ReplyPtr&) {});

  const auto response = beside([&] { return HttpClient(connect()).call(get("/")); });

  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->status, 500);
  EXPECT_EQ(response->body, R"({"message":"the request was dropped"})");
}

TEST_F(Http, IgnoresASecondAnswer) {
  serve([](const HttpRequest&, const ReplyPtr& reply) {
    reply->send(text("one"));
    reply->send(text("two"));
    reply->begin(text(""));
    reply->write("three");
    reply->finish();
  });

  const auto bodies = beside([&] {
    HttpClient client(connect());
    return std::pair(client.call(get("/")), client.call(get("/")));
  });

  EXPECT_EQ(bodies.first->body, "one");
  EXPECT_EQ(bodies.second->body, "one");
}

TEST_F(Http, AnAnswerHeldAfterItsEndTouchesNoLaterOne) {
  collect();
  HttpClient client(connect());
  auto first = std::async(std::launch::async, [&] { return client.call(get("/first")); });
  ASSERT_TRUE(run_until(loop_, [&] { return replies_.size() == 1; }));
  replies_[0]->send(text("one"));
  EXPECT_EQ(beside([&] { return first.get(); })->body, "one");
  auto second = std::async(std::launch::async, [&] { return client.call(get("/second")); });
  ASSERT_TRUE(run_until(loop_, [&] { return replies_.size() == 2; }));
  bool drained = false;

  replies_[0]->on_drained([&] { drained = true; });
  replies_[0]->finish();
  replies_[0].reset();
  loop_.run_for(5ms);
  replies_[1]->send(text("two"));

  EXPECT_EQ(beside([&] { return second.get(); })->body, "two");
  EXPECT_FALSE(drained);
}

TEST_F(Http, RefusesABodyThatIsTooLargeAndIsUnderstood) {
  HttpLimits limits;
  limits.body_bytes_max = 1000;
  serve([](const HttpRequest& request,
           const ReplyPtr& reply) { reply->send(text(std::to_string(request.body.size()))); },
        limits);
  HttpRequest request;
  request.method = "POST";
  request.target = "/";
  request.body = std::string(1000, 'x');
  EXPECT_EQ(beside([&] { return HttpClient(connect()).call(request); })->body, "1000");

  request.body = std::string(10'000'000, 'x');
  const auto response = beside([&] { return HttpClient(connect()).call(request); });

  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->status, 413);
  EXPECT_EQ(response->body, R"({"message":"the request is too large"})");
}

TEST_F(Http, SaysInItsOwnWordsThatABodyIsTooLarge) {
  HttpLimits limits;
  limits.body_bytes_max = 1000;
  limits.too_large = [](const std::map<std::string, std::string>& headers) {
    return HttpResponse{400, "text/xml", {}, "<" + headers.at("x-service") + "/>"};
  };
  serve([](const HttpRequest&, const ReplyPtr& reply) { reply->send(text("served")); }, limits);
  HttpRequest request{"PUT", "/", {{"x-service", "s3"}}, std::string(10'000'000, 'x'), {}, {}};

  const auto response = beside([&] { return HttpClient(connect()).call(request); });

  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->status, 400);
  EXPECT_EQ(response->body, "<s3/>");
}

struct BadCase {
  const char* name;
  std::string bytes;
  const char* want;

  friend void PrintTo(const BadCase& c, std::ostream* out) { *out << c.name; }
};

class Bad : public Http, public testing::WithParamInterface<BadCase> {};

TEST_P(Bad, IsRefusedAndTheConnectionEnds) {
  const auto& c = GetParam();
  serve([](const HttpRequest&, const ReplyPtr& reply) { reply->send(text("served")); });

  const auto answer = exchange(connect(), c.bytes);

  EXPECT_THAT(answer, StartsWith(c.want));
  EXPECT_THAT(answer, Not(HasSubstr("served")));
}

INSTANTIATE_TEST_SUITE_P(
    , Bad,
    testing::Values(
        BadCase{"garbage", "\x16\x03\x01\x02 hello\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n"},
        BadCase{"bad_version", "GET / HTTP/9.9\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n"},
        BadCase{"bad_length", "GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
                "HTTP/1.1 400 Bad Request\r\n"},
        BadCase{"two_lengths",
                "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
                "HTTP/1.1 400 Bad Request\r\n"},
        BadCase{"bad_chunk", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                "HTTP/1.1 400 Bad Request\r\n"},
        BadCase{"endless_header", "GET / HTTP/1.1\r\nX: " + std::string(200'000, 'x') + "\r\n\r\n",
                "HTTP/1.1 413 Payload Too Large\r\n"}),
    [](const auto& test) { return test.param.name; });

TEST_F(Http, TakesARequestByteByByteAndAChunkedBody) {
  serve([](const HttpRequest& request, const ReplyPtr& reply) { reply->send(text(request.body)); });
  const auto socket = connect();
  const std::string bytes =
      "POST / HTTP/1.1\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n";
  for (const char byte : bytes) {
    ASSERT_TRUE(write_all(socket.get(), std::string_view(&byte, 1)));
    loop_.run_for(0ms);
  }

  EXPECT_THAT(exchange(socket, ""), EndsWith("\r\n\r\nabcdefg"));
}

TEST_F(Http, AnswersRequestsSentAheadInTheirOrder) {
  collect();
  const auto socket = connect();
  ASSERT_TRUE(write_all(socket.get(),
                        "GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\nConnection: close\r\n\r\n"));
  ASSERT_TRUE(run_until(loop_, [&] { return replies_.size() == 1; }));
  loop_.run_for(5ms);
  ASSERT_EQ(replies_.size(), 1u) << "the second was begun before the first was answered";
  replies_[0]->send(text("first;"));
  ASSERT_TRUE(run_until(loop_, [&] { return replies_.size() == 2; }));
  replies_[1]->send(text("second"));

  const auto answer = exchange(socket, "");

  EXPECT_LT(answer.find("first;"), answer.find("second"));
  EXPECT_EQ(requests_[1].target, "/2");
}

TEST_F(Http, TellsAClientThatAsksToGoOn) {
  serve([](const HttpRequest& request, const ReplyPtr& reply) { reply->send(text(request.body)); });
  const auto socket = connect();

  const auto word = exchange(socket,
                             "POST / HTTP/1.1\r\nConnection: close\r\nContent-Length: 4\r\n"
                             "Expect: 100-continue\r\n\r\n",
                             "\r\n\r\n");
  EXPECT_EQ(word, "HTTP/1.1 100 Continue\r\n\r\n");

  EXPECT_THAT(exchange(socket, "body"), EndsWith("\r\n\r\nbody"));
}

TEST_F(Http, TellsAClientThatAsksToGoOnWithNothing) {
  serve([](const HttpRequest&, const ReplyPtr& reply) { reply->send(text("done")); });

  const auto answer = exchange(connect(),
                               "PUT / HTTP/1.1\r\nConnection: close\r\nContent-Length: 0\r\n"
                               "Expect: 100-continue\r\n\r\n");

  EXPECT_THAT(answer, StartsWith("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 "));
  EXPECT_THAT(answer, EndsWith("\r\n\r\ndone"));
}

TEST_F(Http, EndsAStreamForAnOldClientWithTheConnection) {
  serve([](const HttpRequest&, const ReplyPtr& reply) {
    reply->begin(text(""));
    reply->write("one ");
    reply->write("two");
    reply->finish();
  });

  const auto answer = exchange(connect(), "GET / HTTP/1.0\r\n\r\n");

  EXPECT_THAT(answer, Not(HasSubstr("chunked")));
  EXPECT_THAT(answer, EndsWith("\r\n\r\none two"));
}

TEST_F(Http, SendsNoBodyToHead) {
  serve([](const HttpRequest& request, const ReplyPtr& reply) {
    if (request.target == "/stream") {
      reply->begin(text(""));
      reply->write("never shown");
      reply->finish();
    } else {
      reply->send(text("eleven bytes"));
    }
  });

  const auto answers = beside([&] {
    HttpClient client(connect());
    auto head = get("/");
    head.method = "HEAD";
    const auto whole = client.call(head);
    head.target = "/stream";
    const auto stream = client.call(head);
    return std::tuple(whole, stream, client.call(get("/")));
  });

  const auto& [whole, stream, after] = answers;
  ASSERT_TRUE(whole && stream && after);
  EXPECT_EQ(whole->body, "");
  EXPECT_EQ(whole->headers.at("content-length"), "12");
  EXPECT_EQ(stream->body, "");
  EXPECT_EQ(after->body, "eleven bytes");
}

TEST_F(Http, KeepsLineEndsOutOfHeaders) {
  serve([](const HttpRequest&, const ReplyPtr& reply) {
    auto response = text("body");
    response.headers["X-Name"] = "a\r\nX-Forged: b";
    reply->send(std::move(response));
  });

  const auto response = beside([&] { return HttpClient(connect()).call(get("/")); });

  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->headers.count("x-forged"), 0u);
  EXPECT_EQ(response->headers.at("x-name"), "a  X-Forged: b");
}

TEST_F(Http, ClosesAConnectionThatIsIdleTooLong) {
  HttpLimits limits;
  limits.idle_seconds_max = 1;
  serve([](const HttpRequest&, const ReplyPtr& reply) { reply->send(text("served")); }, limits);

  const auto answer = exchange(connect(), "GET / HTTP/1.1\r\n\r\nGET / HT");

  EXPECT_THAT(answer, EndsWith("served"));  // and the connection's end, or this would wait 20 s
}

TEST_F(Http, LeavesAnAnswerItsTimeHoweverLongItTakes) {
  HttpLimits limits;
  limits.idle_seconds_max = 1;
  ReplyPtr kept;
  serve([&](const HttpRequest&, ReplyPtr reply) { kept = std::move(reply); }, limits);
  const auto timer = loop_.after(1300ms, [&] { kept->send(text("late")); });

  const auto response = beside([&] { return HttpClient(connect()).call(get("/")); });

  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->body, "late");
}

TEST_F(Http, DroppedServesNobodyAnyMoreButSendsWhatIsUnderWay) {
  collect();
  const auto idle = connect();
  const auto waiting = connect();
  ASSERT_TRUE(write_all(waiting.get(), "GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n"));
  ASSERT_TRUE(run_until(loop_, [&] { return replies_.size() == 1; }));

  server_.reset();
  replies_[0]->send(text("the last"));

  EXPECT_EQ(exchange(idle, ""), "");
  EXPECT_THAT(exchange(waiting, ""), EndsWith("the last"));
  EXPECT_EQ(requests_.size(), 1u);
  EXPECT_EQ(connect_unix(path()).error().code, Errc::unavailable);
}

TEST_F(Http, LeavesNothingBehindWhenTheLoopEndsFirst) {
  // Watched by the address sanitizer: connections wait for requests and for answers.
  collect();
  const auto idle = connect();
  const auto waiting = connect();
  ASSERT_TRUE(write_all(waiting.get(), "GET / HTTP/1.1\r\n\r\n"));
  ASSERT_TRUE(run_until(loop_, [&] { return replies_.size() == 1; }));
  replies_.clear();
  EXPECT_NE(server_, nullptr);
}

TEST(HttpClients, TellWhenTheConnectionIsNone) {
  HttpClient client{Fd()};

  const auto response = client.call(get("/"));

  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, Errc::unavailable);
}

TEST_F(Http, ManyClientsAtOnceAreServed) {
  serve(
      [](const HttpRequest& request, const ReplyPtr& reply) { reply->send(text(request.target)); });
  constexpr int kClients = 8;
  constexpr int kCalls = 200;

  const int good = beside([&] {
    std::vector<std::future<int>> clients;
    for (int client = 0; client < kClients; ++client) {
      clients.push_back(std::async(std::launch::async, [this, client] {
        HttpClient connection(connect());
        int answered = 0;
        for (int i = 0; i < kCalls; ++i) {
          const auto target = "/" + std::to_string(client) + "/" + std::to_string(i);
          const auto response = connection.call(get(target));
          if (response && response->body == target) ++answered;
        }
        return answered;
      }));
    }
    int sum = 0;
    for (auto& client : clients) sum += client.get();
    return sum;
  });

  EXPECT_EQ(good, kClients * kCalls);
}

}  // namespace
}  // namespace cox::os
