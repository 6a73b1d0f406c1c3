#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cerrno>
#include <set>
#include <utility>
#include <vector>

#include "runtime/base/text.hpp"
#include "runtime/os/accept_loop_impl.hpp"
#include "runtime/os/event_loop_impl.hpp"
#include "runtime/os/http.hpp"
#include "runtime/os/http_wire_impl.hpp"

namespace cox::os {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;
using Socket = HttpWire::Socket;
using Acceptor = asio::basic_socket_acceptor<asio::generic::stream_protocol>;

namespace {

constexpr std::size_t kHeaderBytesMax = 64u << 10;
constexpr std::size_t kKeptBytes = 256u << 10;
constexpr std::size_t kDiscardBytes = 16u << 10;
constexpr auto kFarewellTime = std::chrono::seconds(5);
constexpr auto kHandshakeSeconds = std::chrono::seconds(10);
constexpr unsigned kHttp11 = 11;

/// What of the request decides how its answer is written.
struct AnswerShape {
  bool keep_alive = false;
  bool chunks = false;  ///< else an answer of unknown length ends with the connection
  bool body = true;     ///< HEAD wants none
};

/// A header's value holds no line ends, whatever a name of others brought into it.
std::string plain(std::string value) {
  std::replace_if(
      value.begin(), value.end(), [](unsigned char c) { return c < 0x20 && c != '\t'; }, ' ');
  return value;
}

std::string head_of(const HttpResponse& response, const AnswerShape& shape,
                    std::optional<std::size_t> length) {
  auto text = fmt::format("HTTP/1.1 {} {}\r\nContent-Type: {}\r\n", response.status,
                          std::string_view(http::obsolete_reason(
                              http::int_to_status(static_cast<unsigned>(response.status)))),
                          plain(response.content_type));
  for (const auto& [name, value] : response.headers) {
    text += fmt::format("{}: {}\r\n", plain(name), plain(value));
  }
  if (length) {
    text += fmt::format("Content-Length: {}\r\n", *length);
  } else if (shape.chunks) {
    text += "Transfer-Encoding: chunked\r\n";
  }
  const bool stays = shape.keep_alive && (length || shape.chunks);
  return text + (stays ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n");
}

class Session;

/// What the sessions share with their server, and what outlives it.
struct Shared {
  HttpHandler handler;
  HttpLimits limits;
  HttpWire::Context tls;
  bool wanted = true;
  std::set<Session*> sessions;
};

/// One request's answer. The session knows it weakly: it lives as long as the handler holds it.
class Reply : public HttpReply, public std::enable_shared_from_this<Reply> {
 public:
  Reply(std::shared_ptr<Session> session, AnswerShape shape)
      : session_(std::move(session)), shape_(shape) {}
  Reply(const Reply&) = delete;
  Reply& operator=(const Reply&) = delete;
  ~Reply() override;

  void send(HttpResponse response) override;
  void begin(HttpResponse head) override;
  void write(std::string bytes) override;
  void finish() override;
  [[nodiscard]] std::size_t queued_bytes() const override;
  void on_drained(std::function<void()> handler) override;
  void on_gone(std::function<void()> handler) override;

  // The session tells.
  void drained();
  void gone();
  /// Lets go of the handlers without calling them; they may hold this answer itself.
  void forget();

 private:
  enum class Stage { waiting, streaming, finished };

  std::shared_ptr<Session> session_;
  AnswerShape shape_;
  Stage stage_ = Stage::waiting;
  std::function<void()> drained_;
  std::function<void()> gone_;
};

/// By their names in lower case; one that came several times has all its values.
std::map<std::string, std::string> headers_of(const http::fields& fields) {
  std::map<std::string, std::string> headers;
  for (const auto& field : fields) {
    auto& value = headers[to_lower(field.name_string())];
    if (!value.empty()) value += ", ";
    value += std::string_view(field.value());
  }
  return headers;
}

/// One client's connection: requests one after the other.
///
///  (handshake, with TLS, before it)
///   reading ──request──▶ answering ──all queued──▶ answered ──all sent──▶ reading
///      └── any of them ──▶ lingering (no more from here) ──▶ ended       or lingering
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(Socket socket, std::shared_ptr<Shared> shared)
      : wire_(std::move(socket), shared->tls),
        shared_(std::move(shared)),
        timer_(wire_.get_executor()),
        peer_(peer_of(wire_.socket().native_handle())) {
    const int on = 1;  // fails on a unix socket, which needs it not
    ::setsockopt(wire_.socket().native_handle(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    shared_->sessions.insert(this);
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session() { shared_->sessions.erase(this); }

  void open() {
    if (!wire_.has_tls()) return read();
    limit_time(kHandshakeSeconds);
    wire_.async_handshake([self = shared_from_this()](error_code error) {
      if (self->phase_ != Phase::reading) return;
      if (error) return self->end();
      self->read();
    });
  }

  void read() {
    phase_ = Phase::reading;
    parser_.emplace();
    parser_->header_limit(kHeaderBytesMax);
    parser_->body_limit(shared_->limits.body_bytes_max);
    limit_time(std::chrono::seconds(shared_->limits.idle_seconds_max));
    http::async_read_header(
        wire_, buffer_, *parser_,
        [self = shared_from_this()](error_code error, std::size_t) { self->got_head(error); });
  }

  /// The server is dropped: no further request is served, and no handler is called any more.
  void stop() {
    if (phase_ == Phase::reading) return end();
    if (const auto reply = current_.lock()) reply->forget();
  }

  // What the answer calls.

  /// Sends the bytes soon; empty ones only bring about what follows when all is sent.
  void queue(std::string_view bytes) {
    if (phase_ == Phase::ended) return;
    queued_ += bytes;
    if (writing_ || flush_posted_) return;
    flush_posted_ = true;
    asio::post(wire_.get_executor(), [self = shared_from_this()] {
      self->flush_posted_ = false;
      if (!self->writing_) self->flush();
    });
  }
  void complete(bool keep_alive) {
    if (phase_ != Phase::answering) return;
    phase_ = Phase::answered;
    keep_alive_ = keep_alive;
    queue({});
  }
  void end();
  [[nodiscard]] bool ended() const { return phase_ == Phase::ended; }
  [[nodiscard]] std::size_t queued_bytes() const {
    return ended() ? 0 : queued_.size() + flying_.size();
  }
  template <class Call>
  void post(Call call) {
    asio::post(wire_.get_executor(), std::move(call));
  }

 private:
  enum class Phase { reading, answering, answered, lingering, ended };

  void limit_time(std::chrono::seconds time) {
    timer_.expires_after(time);
    timer_.async_wait([weak = weak_from_this()](error_code error) {
      const auto self = weak.lock();
      if (!self || error || self->timer_.expiry() > asio::steady_timer::clock_type::now()) return;
      if (self->phase_ == Phase::reading || self->phase_ == Phase::lingering) self->end();
    });
  }

  void got_head(error_code error) {
    if (error) return got(error);
    // Of an empty body too: botocore takes an answer that no 100 came before for the answer to the
    // connection's next such request as well.
    if (beast::iequals(parser_->get()[http::field::expect], "100-continue")) {
      queue("HTTP/1.1 100 Continue\r\n\r\n");
    }
    http::async_read(
        wire_, buffer_, *parser_,
        [self = shared_from_this()](error_code failed, std::size_t) { self->got(failed); });
  }

  void got(error_code error) {
    if (phase_ != Phase::reading) return;
    timer_.cancel();
    const bool spoken = error.category() == make_error_code(http::error::bad_method).category();
    if (!error) {
      serve();
    } else if (error == http::error::body_limit && shared_->limits.too_large) {
      refuse(shared_->limits.too_large(headers_of(parser_->get())));
    } else if (error == http::error::body_limit || error == http::error::header_limit) {
      refuse(413, "the request is too large");
    } else if (spoken && error != http::error::end_of_stream &&
               error != http::error::partial_message) {
      refuse(400, "the request is not valid HTTP");
    } else {
      end();
    }
  }

  void refuse(int status, std::string_view text) {
    HttpResponse response;
    response.status = status;
    response.body = fmt::format("{{\"message\":\"{}\"}}", text);
    refuse(response);
  }

  void refuse(const HttpResponse& response) {
    phase_ = Phase::answering;
    queue(head_of(response, {}, response.body.size()) + response.body);
    complete(false);
  }

  void serve() {
    auto message = parser_->release();
    HttpRequest request;
    request.method = std::string(message.method_string());
    request.target = std::string(message.target());
    request.headers = headers_of(message);
    request.body = std::move(message.body());
    request.peer = peer_.credentials;
    request.remote_address = peer_.address;
    const AnswerShape shape{message.keep_alive(), message.version() >= kHttp11,
                            message.method() != http::verb::head};
    phase_ = Phase::answering;
    ++served_;
    auto reply = std::make_shared<Reply>(shared_from_this(), shape);
    current_ = reply;
    shared_->handler(std::move(request), std::move(reply));
    if (phase_ == Phase::answering) watch_for_goodbye();
  }

  /// Until it is answered the client sends nothing: becoming readable means that it has gone.
  void watch_for_goodbye() {
    wire_.socket().async_wait(
        Socket::wait_read, [self = shared_from_this(), served = served_](error_code error) {
          if (error || self->phase_ != Phase::answering || self->served_ != served) return;
          char byte = 0;
          const auto seen = ::recv(self->wire_.socket().native_handle(), &byte, sizeof byte,
                                   MSG_PEEK | MSG_DONTWAIT);
          // Its next request, too early, or a farewell of TLS: that it goes is seen by writing.
          if (seen > 0) return;
          if (seen < 0 && (errno == EAGAIN || errno == EINTR)) return self->watch_for_goodbye();
          self->end();
        });
  }

  void flush() {
    if (phase_ == Phase::ended) return;
    if (queued_.empty()) return flushed({});
    writing_ = true;
    flying_.swap(queued_);
    asio::async_write(wire_, asio::buffer(flying_),
                      [self = shared_from_this()](error_code error, std::size_t) {
                        self->writing_ = false;
                        self->flying_.clear();
                        if (self->flying_.capacity() > kKeptBytes) self->flying_.shrink_to_fit();
                        self->flushed(error);
                      });
  }

  void flushed(error_code error) {
    if (error) {
      end();
    } else if (!queued_.empty()) {
      flush();
    } else if (phase_ == Phase::answering) {
      if (const auto reply = current_.lock()) reply->drained();
    } else if (phase_ == Phase::answered) {
      if (keep_alive_ && shared_->wanted) {
        read();
      } else {
        linger();
      }
    }
  }

  /// Nothing more from here. Closing at once could take from the client what it has not read yet,
  /// as the kernel answers what it still sends with a reset.
  void linger() {
    phase_ = Phase::lingering;
    error_code ignored;
    wire_.socket().shutdown(Socket::shutdown_send, ignored);
    limit_time(kFarewellTime);
    discard();
  }

  void discard() {
    buffer_.clear();
    wire_.async_read_some(buffer_.prepare(kDiscardBytes),
                          [self = shared_from_this()](error_code error, std::size_t) {
                            if (self->phase_ != Phase::lingering) return;
                            if (error) return self->end();
                            self->discard();
                          });
  }

  HttpWire wire_;
  std::shared_ptr<Shared> shared_;
  asio::steady_timer timer_;
  Peer peer_;
  beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  std::weak_ptr<Reply> current_;
  std::uint64_t served_ = 0;
  std::string queued_;
  std::string flying_;
  Phase phase_ = Phase::reading;
  bool keep_alive_ = true;
  bool writing_ = false;
  bool flush_posted_ = false;
};

void Session::end() {
  const auto before = std::exchange(phase_, Phase::ended);
  if (before == Phase::ended) return;
  timer_.cancel();
  error_code ignored;
  wire_.socket().close(ignored);
  queued_ = {};
  const auto reply = current_.lock();
  if (before == Phase::answering && reply) reply->gone();
}

Reply::~Reply() {
  if (stage_ == Stage::waiting) {
    HttpResponse response;
    response.status = 500;
    response.body = R"({"message":"the request was dropped"})";
    send(std::move(response));
  } else if (stage_ == Stage::streaming) {
    session_->end();  // without the last chunk, so that the client sees that it is not all
  }
}

void Reply::send(HttpResponse response) {
  if (stage_ != Stage::waiting) return;
  stage_ = Stage::finished;
  const auto released = std::exchange(gone_, nullptr);  // may hold this answer: to the end of this
  const bool empty = response.status == 204 || response.status == 304;
  session_->queue(
      head_of(response, shape_, empty ? 0 : std::optional<std::size_t>(response.body.size())));
  if (shape_.body && !empty) session_->queue(response.body);
  session_->complete(shape_.keep_alive);
}

void Reply::begin(HttpResponse head) {
  if (stage_ != Stage::waiting) return;
  stage_ = Stage::streaming;
  session_->queue(head_of(head, shape_, std::nullopt));
}

void Reply::write(std::string bytes) {
  if (stage_ != Stage::streaming || bytes.empty() || !shape_.body) return;
  session_->queue(shape_.chunks ? fmt::format("{:x}\r\n{}\r\n", bytes.size(), bytes) : bytes);
}

void Reply::finish() {
  if (stage_ != Stage::streaming) return;
  stage_ = Stage::finished;
  const auto released = std::exchange(gone_, nullptr);
  const auto released_too = std::exchange(drained_, nullptr);
  if (shape_.chunks && shape_.body) session_->queue("0\r\n\r\n");
  session_->complete(shape_.keep_alive && shape_.chunks);
}

std::size_t Reply::queued_bytes() const { return session_->queued_bytes(); }

void Reply::on_drained(std::function<void()> handler) {
  if (stage_ == Stage::finished || session_->ended()) return;
  drained_ = std::move(handler);
  session_->queue({});
}

void Reply::on_gone(std::function<void()> handler) {
  if (stage_ == Stage::finished) return;
  gone_ = std::move(handler);
  if (!session_->ended()) return;
  session_->post([self = shared_from_this()] { self->gone(); });
}

void Reply::drained() {
  const auto call = std::exchange(drained_, nullptr);
  if (call) call();
}

void Reply::gone() {
  const auto released = std::exchange(drained_, nullptr);
  const auto call = std::exchange(gone_, nullptr);
  if (call) call();
}

void Reply::forget() {
  const auto released = std::exchange(drained_, nullptr);
  const auto released_too = std::exchange(gone_, nullptr);
}

class Server : public HttpServer {
 public:
  Server(Acceptor acceptor, HttpHandler handler, HttpLimits limits, HttpWire::Context tls)
      : shared_(
            std::make_shared<Shared>(Shared{std::move(handler), limits, std::move(tls), true, {}})),
        accepting_(std::make_shared<AcceptLoop<Acceptor>>(
            std::move(acceptor), [shared = shared_](Socket socket) {
              std::make_shared<Session>(std::move(socket), shared)->open();
            })) {
    accepting_->next();
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server() override {
    shared_->wanted = false;
    accepting_->stop();
    std::vector<std::shared_ptr<Session>> sessions;
    for (auto* session : shared_->sessions) sessions.push_back(session->weak_from_this().lock());
    for (const auto& session : sessions) {
      if (session) session->stop();
    }
  }

 private:
  std::shared_ptr<Shared> shared_;
  std::shared_ptr<AcceptLoop<Acceptor>> accepting_;
};

}  // namespace

Result<std::unique_ptr<HttpServer>> serve_http(EventLoop& loop, Fd listener, HttpHandler handler,
                                               HttpLimits limits,
                                               const std::optional<TlsCertificate>& tls) {
  Result<HttpWire::Context> context;
  if (tls) context = make_tls_context(*tls);
  if (!context) return fail(context.error());
  sockaddr_storage where{};
  socklen_t size = sizeof where;
  ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&where), &size);
  Acceptor acceptor(loop.impl().context);
  error_code error;
  acceptor.assign(asio::generic::stream_protocol(where.ss_family, 0), listener.get(), error);
  if (error) return fail(Errc::internal, "listening socket: {}", error.message());
  [[maybe_unused]] const int owned_by_acceptor = listener.release();
  return std::make_unique<Server>(std::move(acceptor), std::move(handler), limits,
                                  std::move(*context));
}

}  // namespace cox::os
