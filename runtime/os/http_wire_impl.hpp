#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "runtime/os/http.hpp"

namespace cox::os {

/// A connection's bytes, as they are or through TLS: a stream for Asio and Beast either way.
/// Only files of this room that speak Asio include this.
class HttpWire {
 public:
  using Socket = boost::asio::generic::stream_protocol::socket;
  using executor_type = Socket::executor_type;
  using Context = std::shared_ptr<boost::asio::ssl::context>;  ///< null: without TLS

  HttpWire(Socket socket, Context context)
      : context_(std::move(context)), socket_(std::move(socket)) {
    if (context_) tls_.emplace(socket_, *context_);
  }

  [[nodiscard]] executor_type get_executor() { return socket_.get_executor(); }
  [[nodiscard]] Socket& socket() { return socket_; }
  [[nodiscard]] bool has_tls() const { return tls_.has_value(); }

  template <class Handler>
  void async_handshake(Handler handler) {
    tls_->async_handshake(boost::asio::ssl::stream_base::server, std::move(handler));
  }

  template <class Buffers, class Handler>
  void async_read_some(const Buffers& buffers, Handler&& handler) {
    if (tls_) return tls_->async_read_some(buffers, std::forward<Handler>(handler));
    socket_.async_read_some(buffers, std::forward<Handler>(handler));
  }

  template <class Buffers, class Handler>
  void async_write_some(const Buffers& buffers, Handler&& handler) {
    if (tls_) return tls_->async_write_some(buffers, std::forward<Handler>(handler));
    socket_.async_write_some(buffers, std::forward<Handler>(handler));
  }

 private:
  Context context_;
  Socket socket_;
  std::optional<boost::asio::ssl::stream<Socket&>> tls_;
};

/// Who is at the other end, as far as the kernel knows.
struct Peer {
  std::optional<PeerCredentials> credentials;
  std::string address;
};

inline Peer peer_of(int socket) {
  Peer peer;
  sockaddr_storage where{};
  socklen_t where_size = sizeof where;
  if (::getpeername(socket, reinterpret_cast<sockaddr*>(&where), &where_size) != 0) return peer;
  if (where.ss_family == AF_UNIX) {
    ucred known{};
    socklen_t size = sizeof known;
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &known, &size) == 0) {
      peer.credentials = PeerCredentials{known.uid, known.gid, known.pid};
    }
    return peer;
  }
  std::array<char, INET6_ADDRSTRLEN> text{};
  const void* address =
      where.ss_family == AF_INET
          ? static_cast<const void*>(&reinterpret_cast<const sockaddr_in*>(&where)->sin_addr)
          : static_cast<const void*>(&reinterpret_cast<const sockaddr_in6*>(&where)->sin6_addr);
  if (::inet_ntop(where.ss_family, address, text.data(), text.size()) != nullptr) {
    peer.address = text.data();
  }
  return peer;
}

/// Errors: invalid_argument when certificate and key cannot be used.
inline Result<HttpWire::Context> make_tls_context(const TlsCertificate& own) {
  HttpWire::Context context;
  try {
    context = std::make_shared<boost::asio::ssl::context>(boost::asio::ssl::context::tls_server);
  } catch (const boost::system::system_error& error) {
    return fail(Errc::internal, "TLS: {}", error.what());
  }
  SSL_CTX_set_min_proto_version(context->native_handle(), TLS1_2_VERSION);
  boost::system::error_code error;
  context->use_certificate_chain(boost::asio::buffer(own.certificate), error);
  if (error) return fail(Errc::invalid_argument, "TLS certificate: {}", error.message());
  context->use_private_key(boost::asio::buffer(own.private_key), boost::asio::ssl::context::pem,
                           error);
  if (error) return fail(Errc::invalid_argument, "TLS private key: {}", error.message());
  return context;
}

}  // namespace cox::os
