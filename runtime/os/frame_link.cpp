#include "runtime/os/frame_link.hpp"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/x509.h>
#include <sys/socket.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <cstring>
#include <utility>

#include "runtime/os/accept_loop_impl.hpp"
#include "runtime/os/event_loop_impl.hpp"
#include "runtime/os/log.hpp"

namespace cox::os {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using Stream = asio::ssl::stream<tcp::socket>;

namespace {

constexpr int kAskAfterSeconds = 5;
constexpr int kGoneAfterMs = 20'000;

constexpr std::size_t kFrameBytesMax = 4u << 20;
constexpr std::size_t kLengthBytes = 4;
constexpr std::size_t kReadBytes = 16u << 10;  // a record of TLS: no read gives more
constexpr std::size_t kKeptBytes = 256u << 10;
constexpr std::chrono::milliseconds kFarewellTime{10'000};

Result<std::shared_ptr<asio::ssl::context>> make_context(const TlsIdentity& identity) {
  std::shared_ptr<asio::ssl::context> context;
  try {
    context = std::make_shared<asio::ssl::context>(asio::ssl::context::tls);
  } catch (const boost::system::system_error& error) {
    return fail(Errc::internal, "TLS: {}", error.what());
  }
  error_code error;
  SSL_CTX_set_min_proto_version(context->native_handle(), TLS1_3_VERSION);
  // Peers reconnect seldom and are few: no tickets to make and to send at each handshake.
  SSL_CTX_set_num_tickets(context->native_handle(), 0);
  SSL_CTX_set_mode(context->native_handle(), SSL_MODE_RELEASE_BUFFERS);
  context->use_certificate_chain(asio::buffer(identity.certificate), error);
  if (!error) {
    context->use_private_key(asio::buffer(identity.private_key), asio::ssl::context::pem, error);
  }
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

void release_if_large(std::string& buffer) {
  buffer.clear();
  if (buffer.capacity() > kKeptBytes) buffer.shrink_to_fit();
}

/// The connection itself. It lives as long as an operation is pending; the FrameLink that users
/// hold only points to it.
///
///   opening ──handshake──▶ open ──end of the connection──▶ closed
///      │                    └──dropped──▶ leaving ──all is sent, or time is up──▶ closed
///      └──failed──▶ closed
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(std::shared_ptr<asio::ssl::context> context, tcp::socket socket)
      : context_(std::move(context)),
        stream_(std::move(socket), *context_),
        timer_(stream_.get_executor()) {}

  using Opened = std::function<void(Result<void>)>;

  /// The server's side. Its first frame, which is empty, tells the client that it is welcome:
  /// in TLS 1.3 a client's handshake ends before the server has looked at its certificate.
  void welcome(std::chrono::milliseconds time, Opened done) {
    limit_time(time);
    set_options();
    stream_.async_handshake(asio::ssl::stream_base::server,
                            [self = shared_from_this(), done = std::move(done)](error_code error) {
                              if (error) return self->refuse(error, done);
                              self->open();
                              self->send({});
                              done({});
                            });
  }

  /// The client's side, from the connection on.
  void dial(const tcp::endpoint& where, std::chrono::milliseconds time, Opened done) {
    limit_time(time);
    stream_.lowest_layer().async_connect(
        where, [self = shared_from_this(), where, done = std::move(done)](error_code error) {
          if (error) {
            const auto at = fmt::format("{}:{}", where.address().to_string(), where.port());
            self->phase_ = Phase::closed;
            done(fail(Errc::unavailable, "{}: {}", at, self->text_of(error)));
            return;
          }
          self->set_options();
          self->shake_hands(done);
        });
  }

  void on_frame(std::function<void(std::string)> handler) {
    on_frame_ = std::make_shared<std::function<void(std::string)>>(std::move(handler));
    if (phase_ == Phase::open && !reading_) read_or_deliver();
  }

  void on_closed(std::function<void(std::string)> handler) {
    on_closed_ = std::move(handler);
    if (phase_ == Phase::closed) {
      post([](Connection& self) { self.tell_end(); });
    } else if (!reading_) {
      read_or_deliver();
    }
  }

  void send(const std::string& frame) {
    if (phase_ != Phase::open || !broken_.empty()) return;
    if (frame.size() > kFrameBytesMax) {
      broken_ = fmt::format("a frame of {} bytes was to be sent", frame.size());
      post([](Connection& self) { self.close(self.broken_); });
      return;
    }
    const auto size = static_cast<std::uint32_t>(frame.size());
    for (unsigned shift = 0; shift < 32; shift += 8) {
      queued_ += static_cast<char>((size >> shift) & 0xff);
    }
    queued_ += frame;
    if (writing_ || flush_posted_) return;
    // Frames of one turn of the loop go out together.
    flush_posted_ = true;
    post([](Connection& self) {
      self.flush_posted_ = false;
      if (!self.writing_) self.write();
    });
  }

  [[nodiscard]] std::size_t queued_bytes() const { return queued_.size() + flying_.size(); }
  [[nodiscard]] const std::string& peer() const { return peer_; }

  /// The user let go: nothing is told any more. What was queued is still sent, within a time.
  void leave() {
    on_frame_.reset();
    on_closed_ = nullptr;
    if (phase_ != Phase::open) return;
    phase_ = Phase::leaving;
    limit_time(kFarewellTime);
    if (!writing_ && !flush_posted_) say_goodbye();
    if (!reading_) read();
  }

 private:
  enum class Phase { opening, open, leaving, closed };

  void post(void (*call)(Connection&)) {
    asio::post(stream_.get_executor(), [self = shared_from_this(), call] { call(*self); });
  }

  void limit_time(std::chrono::milliseconds time) {
    timer_.expires_after(time);
    timer_.async_wait([weak = weak_from_this()](error_code error) {
      const auto self = weak.lock();
      if (!self || error || self->phase_ == Phase::open) return;
      self->timed_out_ = true;
      self->shut();
    });
  }

  void set_options() {
    auto& socket = stream_.lowest_layer();
    error_code ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    socket.set_option(asio::socket_base::keep_alive(true), ignored);
    // A peer that went without a word (a wire that was cut, a host without power) is gone after a
    // while, whether something is on its way to it or not. The kernel asks, nobody polls.
    const auto set = [&](int option, int value) {
      ::setsockopt(socket.native_handle(), IPPROTO_TCP, option, &value, sizeof value);
    };
    set(TCP_KEEPIDLE, kAskAfterSeconds);
    set(TCP_KEEPINTVL, kAskAfterSeconds);
    set(TCP_USER_TIMEOUT, kGoneAfterMs);
    ::fcntl(socket.native_handle(), F_SETFD, FD_CLOEXEC);
  }

  void shake_hands(const Opened& done) {
    stream_.async_handshake(asio::ssl::stream_base::client,
                            [self = shared_from_this(), done](error_code error) {
                              if (error) return self->refuse(error, done);
                              self->await_welcome(done);
                            });
  }

  void await_welcome(const Opened& done) {
    asio::async_read(stream_, asio::buffer(piece_, kLengthBytes),
                     [self = shared_from_this(), done](error_code error, std::size_t) {
                       if (error) return self->refuse(error, done);
                       if (length_of(self->piece_.data()) != 0) {
                         self->shut();
                         done(fail(Errc::unavailable, "the peer is no server of frames"));
                         return;
                       }
                       self->open();
                       done({});
                     });
  }

  void open() {
    phase_ = Phase::open;
    timer_.cancel();
    peer_ = common_name(stream_);
  }

  void refuse(error_code error, const Opened& done) {
    phase_ = Phase::closed;
    timer_.cancel();
    done(fail(Errc::unavailable, "TLS handshake: {}", text_of(error)));
  }

  [[nodiscard]] std::string text_of(error_code error) const {
    if (timed_out_) return "no answer in time";
    if (error == asio::error::eof || error == asio::ssl::error::stream_truncated) {
      return "the peer closed the connection";
    }
    return error.message();
  }

  void shut() {
    error_code ignored;
    stream_.lowest_layer().close(ignored);
  }

  void close(const std::string& why) {
    if (phase_ == Phase::closed) return;
    phase_ = Phase::closed;
    timer_.cancel();
    shut();
    release_if_large(queued_);
    why_closed_ = why;
    on_frame_.reset();
    tell_end();
  }

  void tell_end() {
    if (!on_closed_) return;
    const auto told = std::exchange(on_closed_, nullptr);
    told(why_closed_);
  }

  void read_or_deliver() {
    if (pending_.empty()) return read();
    reading_ = true;
    post([](Connection& self) { self.deliver(); });
  }

  void read() {
    reading_ = true;
    stream_.async_read_some(
        asio::buffer(piece_), [self = shared_from_this()](error_code error, std::size_t got) {
          if (error) {
            self->close(self->broken_.empty() ? self->text_of(error) : self->broken_);
            return;
          }
          self->pending_.append(self->piece_.data(), got);
          self->deliver();
        });
  }

  /// Hands out whole frames and reads on. Without a handler it rests, and no frame is lost.
  void deliver() {
    std::size_t at = 0;
    while (phase_ == Phase::open && pending_.size() - at >= kLengthBytes) {
      const std::size_t size = length_of(pending_.data() + at);
      if (size > kFrameBytesMax) {
        return close(fmt::format("the peer sent a frame of {} bytes", size));
      }
      const auto handler = on_frame_;  // it may replace itself
      if (pending_.size() - at - kLengthBytes < size || !handler) break;
      auto frame = pending_.substr(at + kLengthBytes, size);
      at += kLengthBytes + size;
      (*handler)(std::move(frame));
    }
    pending_.erase(0, at);
    if (phase_ == Phase::closed) return;
    if (phase_ == Phase::leaving) pending_.clear();
    if (pending_.empty()) release_if_large(pending_);
    const bool rests = phase_ == Phase::open && !on_frame_ && pending_.size() >= kReadBytes;
    if (rests) {
      reading_ = false;
    } else {
      read();
    }
  }

  void write() {
    if (queued_.empty() || phase_ == Phase::closed) return;
    writing_ = true;
    flying_.swap(queued_);
    asio::async_write(stream_, asio::buffer(flying_),
                      [self = shared_from_this()](error_code error, std::size_t) {
                        self->writing_ = false;
                        release_if_large(self->flying_);
                        self->written(error);
                      });
  }

  void written(error_code error) {
    if (error) {
      broken_ = text_of(error);
      release_if_large(queued_);
      if (!reading_) return close(broken_);
      // What the peer sent before is still read; then comes the end.
      error_code ignored;
      stream_.lowest_layer().shutdown(tcp::socket::shutdown_both, ignored);
    } else if (!queued_.empty()) {
      write();
    } else if (phase_ == Phase::leaving) {
      say_goodbye();
    }
  }

  /// No more from here; the socket is closed when the peer has taken it all and ends as well.
  void say_goodbye() {
    error_code ignored;
    stream_.lowest_layer().shutdown(tcp::socket::shutdown_send, ignored);
  }

  std::shared_ptr<asio::ssl::context> context_;
  Stream stream_;
  asio::steady_timer timer_;
  std::array<char, kReadBytes> piece_{};
  std::string pending_;  ///< received, not yet handed out
  std::string queued_;
  std::string flying_;
  std::string peer_;
  std::string broken_;  ///< why nothing can be sent any more
  std::string why_closed_;
  std::shared_ptr<std::function<void(std::string)>> on_frame_;
  std::function<void(std::string)> on_closed_;
  Phase phase_ = Phase::opening;
  bool reading_ = false;
  bool writing_ = false;
  bool flush_posted_ = false;
  bool timed_out_ = false;
};

class Link : public FrameLink {
 public:
  explicit Link(std::shared_ptr<Connection> connection) : connection_(std::move(connection)) {}
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;
  ~Link() override { connection_->leave(); }

  void on_frame(std::function<void(std::string)> handler) override {
    connection_->on_frame(std::move(handler));
  }
  void on_closed(std::function<void(std::string)> handler) override {
    connection_->on_closed(std::move(handler));
  }
  void send(std::string frame) override { connection_->send(frame); }
  [[nodiscard]] std::size_t queued_bytes() const override { return connection_->queued_bytes(); }
  [[nodiscard]] const std::string& peer_name() const override { return connection_->peer(); }

 private:
  std::shared_ptr<Connection> connection_;
};

class Server : public FrameServer {
 public:
  Server(tcp::acceptor acceptor, std::shared_ptr<asio::ssl::context> context,
         std::function<void(std::unique_ptr<FrameLink>)> on_connected,
         std::chrono::milliseconds handshake_time)
      : shared_(std::make_shared<Shared>(
            Shared{std::move(context), std::move(on_connected), handshake_time})),
        accepting_(std::make_shared<AcceptLoop<tcp::acceptor>>(
            std::move(acceptor),
            [shared = shared_](tcp::socket socket) { greet(shared, std::move(socket)); })) {
    accepting_->next();
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server() override {
    shared_->wanted = false;
    accepting_->stop();
  }

 private:
  /// What outlives the server while a handshake is under way.
  struct Shared {
    std::shared_ptr<asio::ssl::context> context;
    std::function<void(std::unique_ptr<FrameLink>)> on_connected;
    std::chrono::milliseconds handshake_time;
    bool wanted = true;
  };

  static void greet(const std::shared_ptr<Shared>& shared, tcp::socket socket) {
    error_code ignored;
    const auto from = socket.remote_endpoint(ignored).address().to_string();
    auto connection = std::make_shared<Connection>(shared->context, std::move(socket));
    connection->welcome(shared->handshake_time, [shared, from, connection](Result<void> done) {
      if (!shared->wanted) return;
      if (done) {
        shared->on_connected(std::make_unique<Link>(connection));
      } else {
        log_warn("a connection from {} was refused: {}", from, done.error().message);
      }
    });
  }

  std::shared_ptr<Shared> shared_;
  std::shared_ptr<AcceptLoop<tcp::acceptor>> accepting_;
};

}  // namespace

Result<std::unique_ptr<FrameServer>> serve_frames(
    EventLoop& loop, Fd listener, const TlsIdentity& identity,
    std::function<void(std::unique_ptr<FrameLink>)> on_connected,
    std::chrono::milliseconds handshake_time) {
  auto context = make_context(identity);
  if (!context) return fail(context.error());
  tcp::acceptor acceptor(loop.impl().context);
  error_code error;
  acceptor.assign(tcp::v4(), listener.get(), error);
  if (error) return fail(Errc::internal, "listening socket: {}", error.message());
  [[maybe_unused]] const int owned_by_acceptor = listener.release();
  return std::make_unique<Server>(std::move(acceptor), *context, std::move(on_connected),
                                  handshake_time);
}

void connect_frames(EventLoop& loop, const std::string& address, int port,
                    const TlsIdentity& identity,
                    std::function<void(Result<std::unique_ptr<FrameLink>>)> done,
                    std::chrono::milliseconds handshake_time) {
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
  auto connection = std::make_shared<Connection>(*context, tcp::socket(loop.impl().context));
  connection->dial({where, static_cast<std::uint16_t>(port)}, handshake_time,
                   [connection, done = std::move(done)](Result<void> opened) {
                     if (!opened) return done(fail(opened.error()));
                     done(std::unique_ptr<FrameLink>(std::make_unique<Link>(connection)));
                   });
}

}  // namespace cox::os
