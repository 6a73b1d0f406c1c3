#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "runtime/os/files.hpp"
#include "runtime/os/frame_link.hpp"
#include "runtime/os/http.hpp"
#include "tests/unit/os/run_until.hpp"
#include "tests/unit/os/temporary_directory.hpp"

namespace cox::os {

using ReplyPtr = std::shared_ptr<HttpReply>;

inline HttpResponse text(std::string body, int status = 200) {
  HttpResponse response;
  response.status = status;
  response.content_type = "text/plain";
  response.body = std::move(body);
  return response;
}

inline HttpRequest get(const std::string& target) {
  HttpRequest request;
  request.method = "GET";
  request.target = target;
  return request;
}

/// A server on a unix socket of its own, and clients beside its loop.
class Http : public testing::Test {
 protected:
  void serve(HttpHandler handler, HttpLimits limits = {}) {
    auto listener = listen_unix(path(), 0600);
    ASSERT_TRUE(listener) << listener.error().message;
    auto server = serve_http(loop_, std::move(*listener), std::move(handler), limits);
    ASSERT_TRUE(server) << server.error().message;
    server_ = std::move(*server);
  }

  /// Keeps each request and its answer for the test to deal with.
  void collect() {
    serve([this](HttpRequest request, ReplyPtr reply) {
      requests_.push_back(std::move(request));
      replies_.push_back(std::move(reply));
    });
  }

  [[nodiscard]] std::string path() const { return directory_ / "api.sock"; }

  /// A connected socket whose calls give up after 20 s.
  [[nodiscard]] Fd connect() const {
    auto socket = connect_unix(path());
    EXPECT_TRUE(socket) << socket.error().message;
    if (!socket) return Fd();
    const timeval limit{20, 0};
    ::setsockopt(socket->get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(socket->get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    return std::move(*socket);
  }

  /// Runs the loop until the call on another thread is done.
  template <class Call>
  auto beside(Call call) {
    auto result = std::async(std::launch::async, std::move(call));
    EXPECT_TRUE(run_until(loop_, [&] {
      return result.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
    }));
    return result.get();
  }

  /// What comes back for these bytes, up to the end of the connection or `wanted` in it.
  std::string exchange(const Fd& socket, const std::string& bytes, const std::string& wanted = {}) {
    return beside([&socket, bytes, wanted] {
      std::string got;
      if (!write_all(socket.get(), bytes)) return std::string("not written");
      std::array<char, 65536> piece{};
      while (wanted.empty() || got.find(wanted) == std::string::npos) {
        const auto count = ::read(socket.get(), piece.data(), piece.size());
        if (count <= 0) break;
        got.append(piece.data(), static_cast<std::size_t>(count));
      }
      return got;
    });
  }

  TemporaryDirectory directory_;
  EventLoop loop_;
  std::unique_ptr<HttpServer> server_;
  std::vector<HttpRequest> requests_;
  std::vector<ReplyPtr> replies_;
};

}  // namespace cox::os
