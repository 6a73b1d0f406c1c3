#include "runtime/os/frame_link.hpp"

#include <openssl/x509.h>

#include <array>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <cstring>

#include "runtime/os/event_loop_impl.hpp"
#include "runtime/os/log.hpp"

namespace cox::os {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using Stream = asio::ssl::stream<tcp::socket>;

namespace {

constexpr std::size_t kFrameBytesMax = 4u << 20;
constexpr std::size_t kReadBytes = 64u << 10;
constexpr auto kHandshakeTime = std::chrono::seconds(10);

Result<std::shared_ptr<asio::ssl::context>> make_context(const TlsIdentity& identity) {
  auto context = std::make_shared<asio::ssl::context>(asio::ssl::context::tls);
  error_code error;
  SSL_CTX_set_min_proto_version(context->native_handle(), TLS1_3_VERSION);
  // Peers reconnect seldom and are few: no tickets to make and to send at each handshake.
  SSL_CTX_set_num_tickets(context->native_handle(), 0);
  SSL_CTX_set_mode(context->native_handle(), SSL_MODE_RELEASE_BUFFERS);
  context->use_certificate_chain(asio::buffer(identity.certificate), error);
  if (!error)
    context->use_private_key(asio::buffer(identity.private_key), asio::ssl::context::pem, error);
  if (!error) context->add_certificate_authority(asio::buffer(identity.ca_certificate), error);
  if (!error) {
    context->set_verify_mode(asio::ssl::verify_peer | asio::ssl::verify_fail_if_no_peer_cert,
                             error);
  }
  if (error) return fail(Errc::invalid_argument, "TLS identity: {}", error.message());
  return context;
}

std::string common_name(Stream& stream) {
  X509* const certificate = SSL_get1_peer_certificate(stream.native_handle());
  if (certificate == nullptr) return {};
  std::array<char, 256> name{};
  X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name.data(),
                            static_cast<int>(name.size()));
  X509_free(certificate);
  return name.data();
}

std::uint32_t length_of(const char* bytes) {
  std::array<unsigned char, 4> b{};
  std::memcpy(b.data(), bytes, b.size());
  return static_cast<std::uint32_t>(b[0]) | static_cast<std::uint32_t>(b[1]) << 8 |
         static_cast<std::uint32_t>(b[2]) << 16 | static_cast<std::uint32_t>(b[3]) << 24;
}

/// The connection itself. It lives as long as an operation is pending; the FrameLink that users
/// hold only points to it.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(std::shared_ptr<asio::ssl::context> context, tcp::socket socket)
      : context_(std::move(context)),
        stream_(std::move(socket), *context_),
        timer_(stream_.get_executor()) {}

  void handshake(asio::ssl::stream_base::handshake_type side,
                 std::function<void(Result<void>)> done) {
    error_code ignored;
    stream_.lowest_layer().set_option(tcp::no_delay(true), ignored);
    stream_.lowest_layer().set_option(asio::socket_base::keep_alive(true), ignored);
    timer_.expires_after(kHandshakeTime);
    timer_.async_wait([self = weak_from_this()](error_code error) {
      if (auto connection = self.lock(); connection && !error) connection->shut();
    });
    stream_.async_handshake(side,
                            [self = shared_from_this(), done = std::move(done)](error_code error) {
                              self->timer_.cancel();
                              if (error) {
                                done(fail(Errc::unavailable, "TLS handshake: {}", error.message()));
                                return;
                              }
                              self->peer_ = common_name(self->stream_);
                              done({});
                            });
  }

  void start() {
    if (!reading_) read();
  }

  void send(const std::string& frame) {
    if (closed_) return;
    const auto size = static_cast<std::uint32_t>(frame.size());
    for (int shift = 0; shift < 32; shift += 8) {
      queued_ += static_cast<char>((size >> shift) & 0xff);
    }
    queued_ += frame;
    if (writing_ || flush_posted_) return;
    // Frames of one turn of the loop go out together.
    flush_posted_ = true;
    asio::post(stream_.get_executor(), [self = shared_from_this()] {
      self->flush_posted_ = false;
      if (!self->writing_) self->write();
    });
  }

  [[nodiscard]] std::size_t queued_bytes() const { return queued_.size() + flying_.size(); }
  [[nodiscard]] const std::string& peer() const { return peer_; }

  /// The user let go: nothing is told any more. What was queued is still written.
  void abandon() {
    on_frame = nullptr;
    on_closed = nullptr;
    dropped_ = true;
    if (!writing_ && !flush_posted_) shut();
  }

  std::function<void(std::string)> on_frame;
  std::function<void(std::string)> on_closed;

 private:
  void shut() {
    error_code ignored;
    stream_.lowest_layer().close(ignored);
  }

  void close(const std::string& why) {
    if (closed_) return;
    closed_ = true;
    shut();
    if (on_closed) {
      const auto told = std::move(on_closed);
      told(why);
    }
  }

  void read() {
    reading_ = true;
    stream_.async_read_some(
        asio::buffer(piece_), [self = shared_from_this()](error_code error, std::size_t got) {
          if (error) {
            self->close(error == asio::error::eof || error == asio::ssl::error::stream_truncated
                            ? "the peer closed the connection"
                            : error.message());
            return;
          }
          self->pending_.append(self->piece_.data(), got);
          if (self->deliver()) self->read();
        });
  }

  /// Hands out whole frames. False when the connection is at its end.
  bool deliver() {
    std::size_t at = 0;
    while (pending_.size() - at >= 4) {
      const std::size_t size = length_of(pending_.data() + at);
      if (size > kFrameBytesMax) {
        close(fmt::format("the peer sent a frame of {} bytes", size));
        return false;
      }
      if (pending_.size() - at - 4 < size) break;
      if (on_frame) {
        // A copy: the handler may replace or drop itself.
        const auto handler = on_frame;
        handler(pending_.substr(at + 4, size));
      }
      if (closed_ || dropped_) return false;
      at += 4 + size;
    }
    pending_.erase(0, at);
    return true;
  }

  void write() {
    if (queued_.empty() || closed_) return;
    writing_ = true;
    flying_.swap(queued_);
    asio::async_write(stream_, asio::buffer(flying_),
                      [self = shared_from_this()](error_code error, std::size_t) {
                        self->writing_ = false;
                        self->flying_.clear();
                        if (error) {
                          self->close(error.message());
                        } else if (!self->queued_.empty()) {
                          self->write();
                        } else if (self->dropped_) {
                          self->shut();
                        }
                      });
  }

  std::shared_ptr<asio::ssl::context> context_;
  Stream stream_;
  asio::steady_timer timer_;
  std::array<char, kReadBytes> piece_{};
  std::string pending_;
  std::string queued_;
  std::string flying_;
  std::string peer_;
  bool reading_ = false;
  bool writing_ = false;
  bool flush_posted_ = false;
  bool closed_ = false;
  bool dropped_ = false;
};

class Link : public FrameLink {
 public:
  explicit Link(std::shared_ptr<Connection> connection) : connection_(std::move(connection)) {}
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;
  ~Link() override { connection_->abandon(); }

  void on_frame(std::function<void(std::string)> handler) override {
    connection_->on_frame = std::move(handler);
    connection_->start();
  }
  void on_closed(std::function<void(std::string)> handler) override {
    connection_->on_closed = std::move(handler);
    connection_->start();
  }
  void send(std::string frame) override { connection_->send(frame); }
  [[nodiscard]] std::size_t queued_bytes() const override { return connection_->queued_bytes(); }
  [[nodiscard]] const std::string& peer_name() const override { return connection_->peer(); }

 private:
  std::shared_ptr<Connection> connection_;
};

class Server : public FrameServer {
 public:
  /// What outlives the server object while an accept is pending.
  struct Shared : std::enable_shared_from_this<Shared> {
    Shared(tcp::acceptor listener, std::shared_ptr<asio::ssl::context> tls,
           std::function<void(std::unique_ptr<FrameLink>)> handler)
        : acceptor(std::move(listener)),
          context(std::move(tls)),
          on_connected(std::move(handler)) {}

    void accept() {
      acceptor.async_accept([self = shared_from_this()](error_code error, tcp::socket socket) {
        if (!self->wanted) return;
        if (!error) self->greet(std::move(socket));
        if (error != asio::error::operation_aborted) self->accept();
      });
    }

    void greet(tcp::socket socket) {
      auto connection = std::make_shared<Connection>(context, std::move(socket));
      connection->handshake(asio::ssl::stream_base::server,
                            [self = shared_from_this(), connection](Result<void> done) {
                              if (!done) {
                                log_warn("a connection was refused: {}", done.error().message);
                              } else if (self->wanted) {
                                self->on_connected(std::make_unique<Link>(connection));
                              }
                            });
    }

    tcp::acceptor acceptor;
    std::shared_ptr<asio::ssl::context> context;
    std::function<void(std::unique_ptr<FrameLink>)> on_connected;
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

Result<std::unique_ptr<FrameServer>> serve_frames(
    EventLoop& loop, Fd listener, const TlsIdentity& identity,
    std::function<void(std::unique_ptr<FrameLink>)> on_connected) {
  auto context = make_context(identity);
  if (!context) return fail(context.error());
  tcp::acceptor acceptor(loop.impl().context);
  error_code error;
  acceptor.assign(tcp::v4(), listener.release(), error);
  if (error) return fail(Errc::internal, "listening socket: {}", error.message());
  auto shared =
      std::make_shared<Server::Shared>(std::move(acceptor), *context, std::move(on_connected));
  shared->accept();
  return std::make_unique<Server>(std::move(shared));
}

void connect_frames(EventLoop& loop, const std::string& address, int port,
                    const TlsIdentity& identity,
                    std::function<void(Result<std::unique_ptr<FrameLink>>)> done) {
  auto context = make_context(identity);
  error_code error;
  const auto where = asio::ip::make_address(address, error);
  if (!context || error) {
    auto why = context
                   ? Error{Errc::invalid_argument, fmt::format("{}: {}", address, error.message())}
                   : context.error();
    loop.post([done = std::move(done), why = std::move(why)] { done(fail(why)); });
    return;
  }
  const tcp::endpoint endpoint(where, static_cast<std::uint16_t>(port));
  auto socket = std::make_shared<tcp::socket>(loop.impl().context);
  socket->async_connect(endpoint, [=, context = *context](error_code failed) mutable {
    if (failed) {
      done(fail(Errc::unavailable, "{}:{}: {}", address, port, failed.message()));
      return;
    }
    auto connection = std::make_shared<Connection>(context, std::move(*socket));
    connection->handshake(asio::ssl::stream_base::client, [connection, done](Result<void> shaken) {
      if (!shaken) {
        done(fail(shaken.error()));
      } else {
        done(std::unique_ptr<FrameLink>(std::make_unique<Link>(connection)));
      }
    });
  });
}

}  // namespace cox::os
