#include <sys/socket.h>

#include <array>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <deque>

#include "runtime/base/text.hpp"
#include "runtime/os/event_loop_impl.hpp"
#include "runtime/os/http.hpp"

namespace cox::os {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;
using Socket = asio::generic::stream_protocol::socket;
using Acceptor = asio::basic_socket_acceptor<asio::generic::stream_protocol>;

namespace {

constexpr std::size_t kHeaderBytesMax = 64u << 10;

std::optional<PeerCredentials> credentials_of(Socket& socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  sockaddr_storage where{};
  socklen_t where_size = sizeof where;
  if (::getsockname(socket.native_handle(), reinterpret_cast<sockaddr*>(&where), &where_size) !=
          0 ||
      where.ss_family != AF_UNIX ||
      ::getsockopt(socket.native_handle(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    return std::nullopt;
  }
  return PeerCredentials{peer.uid, peer.gid, peer.pid};
}

std::string status_line_and_headers(const HttpResponse& response, bool keep_alive,
                                    std::optional<std::size_t> length) {
  auto text = fmt::format("HTTP/1.1 {} {}\r\nContent-Type: {}\r\n", response.status,
                          std::string_view(http::obsolete_reason(
                              http::int_to_status(static_cast<unsigned>(response.status)))),
                          response.content_type);
  for (const auto& [name, value] : response.headers) text += fmt::format("{}: {}\r\n", name, value);
  text +=
      length ? fmt::format("Content-Length: {}\r\n", *length) : "Transfer-Encoding: chunked\r\n";
  text += keep_alive ? "\r\n" : "Connection: close\r\n\r\n";
  return text;
}

/// One client's connection: requests one after the other.
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(Socket socket, std::shared_ptr<const HttpHandler> handler, HttpLimits limits)
      : socket_(std::move(socket)),
        handler_(std::move(handler)),
        limits_(limits),
        timer_(socket_.get_executor()),
        peer_(credentials_of(socket_)) {}

  void read() {
    parser_.emplace();
    parser_->header_limit(kHeaderBytesMax);
    parser_->body_limit(limits_.body_bytes_max);
    timer_.expires_after(std::chrono::seconds(limits_.idle_seconds_max));
    timer_.async_wait([self = weak_from_this()](error_code error) {
      if (auto session = self.lock(); session && !error) session->end();
    });
    http::async_read(
        socket_, buffer_, *parser_,
        [self = shared_from_this()](error_code error, std::size_t) { self->got(error); });
  }

  // What the reply of the current request calls.

  void send(HttpResponse response) {
    if (answered_) return;
    answered_ = true;
    auto text = status_line_and_headers(response, keep_alive_, response.body.size());
    if (!head_request_) text += response.body;
    queue(std::move(text));
    complete_ = true;
  }
  void begin(const HttpResponse& head) {
    if (answered_) return;
    answered_ = true;
    queue(status_line_and_headers(head, keep_alive_, std::nullopt));
    watch_for_goodbye();
  }
  void write(const std::string& bytes) {
    if (bytes.empty() || complete_) return;
    queue(fmt::format("{:x}\r\n{}\r\n", bytes.size(), bytes));
  }
  void finish() {
    if (complete_) return;
    queue("0\r\n\r\n");
    complete_ = true;
  }
  [[nodiscard]] std::size_t queued_bytes() const { return queued_.size() + flying_.size(); }
  [[nodiscard]] bool answered() const { return answered_; }

  std::function<void()> drained;
  std::function<void()> gone;

 private:
  void end() {
    if (ended_) return;
    ended_ = true;
    error_code ignored;
    timer_.cancel();
    socket_.close(ignored);
    const auto tell = std::move(gone);
    gone = nullptr;
    drained = nullptr;
    if (tell && in_request_ && !complete_) tell();
  }

  void got(error_code error) {
    timer_.cancel();
    if (error == http::error::body_limit || error == http::error::header_limit) {
      refuse(413, "the request is too large");
    } else if (error &&
               error.category() == http::make_error_code(http::error::bad_method).category() &&
               error != http::error::end_of_stream && error != http::error::partial_message) {
      refuse(400, "the request is not valid HTTP");
    } else if (error) {
      end();
    } else {
      serve();
    }
  }

  void refuse(int status, std::string_view text) {
    in_request_ = true;
    answered_ = complete_ = keep_alive_ = head_request_ = false;
    HttpResponse response;
    response.status = status;
    response.body = fmt::format("{{\"message\":\"{}\"}}", text);
    send(std::move(response));
  }

  void serve();

  void queue(std::string bytes) {
    if (ended_) return;
    queued_ += bytes;
    if (writing_ || flush_posted_) return;
    flush_posted_ = true;
    asio::post(socket_.get_executor(), [self = shared_from_this()] {
      self->flush_posted_ = false;
      if (!self->writing_) self->flush();
    });
  }

  void flush() {
    if (ended_ || queued_.empty()) return;
    writing_ = true;
    flying_.swap(queued_);
    asio::async_write(socket_, asio::buffer(flying_),
                      [self = shared_from_this()](error_code error, std::size_t) {
                        self->writing_ = false;
                        self->flying_.clear();
                        self->flushed(error);
                      });
  }

  void flushed(error_code error) {
    if (error) {
      end();
    } else if (!queued_.empty()) {
      flush();
    } else if (complete_) {
      next();
    } else if (drained) {
      const auto tell = std::move(drained);
      drained = nullptr;
      tell();
    }
  }

  void next() {
    in_request_ = false;
    gone = nullptr;
    drained = nullptr;
    if (keep_alive_ && !ended_) {
      read();
    } else {
      complete_ = true;
      end();
    }
  }

  /// While an answer streams the client sends nothing: becoming readable means that it has gone.
  void watch_for_goodbye() {
    socket_.async_wait(Socket::wait_read, [self = shared_from_this()](error_code error) {
      if (error || self->complete_ || self->ended_) return;
      std::array<char, 1> byte{};
      const auto seen =
          ::recv(self->socket_.native_handle(), byte.data(), 1, MSG_PEEK | MSG_DONTWAIT);
      if (seen <= 0) self->end();
    });
  }

  Socket socket_;
  std::shared_ptr<const HttpHandler> handler_;
  HttpLimits limits_;
  asio::steady_timer timer_;
  std::optional<PeerCredentials> peer_;
  beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  std::string queued_;
  std::string flying_;
  bool keep_alive_ = true;
  bool head_request_ = false;
  bool in_request_ = false;
  bool answered_ = false;
  bool complete_ = false;
  bool writing_ = false;
  bool flush_posted_ = false;
  bool ended_ = false;
};

class Reply : public HttpReply {
 public:
  explicit Reply(std::shared_ptr<Session> session) : session_(std::move(session)) {}
  Reply(const Reply&) = delete;
  Reply& operator=(const Reply&) = delete;
  ~Reply() override {
    session_->drained = nullptr;
    session_->gone = nullptr;
    if (!session_->answered()) {
      HttpResponse response;
      response.status = 500;
      response.body = R"({"message":"the request was dropped"})";
      session_->send(std::move(response));
    }
    session_->finish();
  }

  void send(HttpResponse response) override { session_->send(std::move(response)); }
  void begin(HttpResponse head) override { session_->begin(head); }
  void write(std::string bytes) override { session_->write(bytes); }
  void finish() override { session_->finish(); }
  [[nodiscard]] std::size_t queued_bytes() const override { return session_->queued_bytes(); }
  void on_drained(std::function<void()> handler) override {
    session_->drained = std::move(handler);
  }
  void on_gone(std::function<void()> handler) override { session_->gone = std::move(handler); }

 private:
  std::shared_ptr<Session> session_;
};

void Session::serve() {
  auto message = parser_->release();
  HttpRequest request;
  request.method = std::string(message.method_string());
  request.target = std::string(message.target());
  for (const auto& field : message) {
    auto& value = request.headers[to_lower(field.name_string())];
    if (!value.empty()) value += ", ";
    value += std::string(field.value());
  }
  request.body = std::move(message.body());
  request.peer = peer_;
  keep_alive_ = message.keep_alive();
  head_request_ = message.method() == http::verb::head;
  in_request_ = true;
  answered_ = complete_ = false;
  const auto handler = handler_;
  (*handler)(std::move(request), std::make_shared<Reply>(shared_from_this()));
}

class Server : public HttpServer {
 public:
  struct Shared : std::enable_shared_from_this<Shared> {
    Shared(Acceptor listener, HttpHandler call, HttpLimits bounds)
        : acceptor(std::move(listener)),
          handler(std::make_shared<const HttpHandler>(std::move(call))),
          limits(bounds) {}

    void accept() {
      acceptor.async_accept([self = shared_from_this()](error_code error, Socket socket) {
        if (!self->wanted || error == asio::error::operation_aborted) return;
        if (!error) {
          std::make_shared<Session>(std::move(socket), self->handler, self->limits)->read();
        }
        self->accept();
      });
    }

    Acceptor acceptor;
    std::shared_ptr<const HttpHandler> handler;
    HttpLimits limits;
    bool wanted = true;
  };

  explicit Server(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server() override {
    shared_->wanted = false;
    error_code ignored;
    shared_->acceptor.close(ignored);
  }

 private:
  std::shared_ptr<Shared> shared_;
};

}  // namespace

Result<std::unique_ptr<HttpServer>> serve_http(EventLoop& loop, Fd listener, HttpHandler handler,
                                               HttpLimits limits) {
  sockaddr_storage where{};
  socklen_t size = sizeof where;
  ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&where), &size);
  Acceptor acceptor(loop.impl().context);
  error_code error;
  acceptor.assign(asio::generic::stream_protocol(where.ss_family, 0), listener.release(), error);
  if (error) return fail(Errc::internal, "listening socket: {}", error.message());
  auto shared = std::make_shared<Server::Shared>(std::move(acceptor), std::move(handler), limits);
  shared->accept();
  return std::make_unique<Server>(std::move(shared));
}

}  // namespace cox::os
