#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "runtime/os/fd.hpp"
#include "runtime/os/frame_link.hpp"

namespace cox::os {

/// A blocking TCP connection to a port of this machine. Calls give up after 20 s.
inline Fd connect_tcp(int port) {
  Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_port = htons(static_cast<std::uint16_t>(port));
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const timeval limit{20, 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&where), sizeof where) != 0) {
    socket.reset();
  }
  return socket;
}

inline std::string frame_bytes(std::string_view text) {
  std::string bytes;
  for (unsigned shift = 0; shift < 32; shift += 8) {
    bytes += static_cast<char>((text.size() >> shift) & 0xff);
  }
  return bytes.append(text);
}

/// The client's side of a TLS connection by OpenSSL alone, so that a test decides over each byte.
/// Blocks: for a thread beside the loop.
class TlsPeer {
 public:
  struct Options {
    int version_max = TLS1_3_VERSION;
    bool with_certificate = true;
  };

  TlsPeer(int port, const TlsIdentity& identity, Options options)
      : socket_(connect_tcp(port)), context_(SSL_CTX_new(TLS_client_method())) {
    SSL_CTX_set_max_proto_version(context_.get(), options.version_max);
    if (options.with_certificate) {
      BIO* const certificate = BIO_new_mem_buf(identity.certificate.data(), -1);
      BIO* const key = BIO_new_mem_buf(identity.private_key.data(), -1);
      X509* const x509 = PEM_read_bio_X509(certificate, nullptr, nullptr, nullptr);
      EVP_PKEY* const pkey = PEM_read_bio_PrivateKey(key, nullptr, nullptr, nullptr);
      SSL_CTX_use_certificate(context_.get(), x509);
      SSL_CTX_use_PrivateKey(context_.get(), pkey);
      X509_free(x509);
      EVP_PKEY_free(pkey);
      BIO_free(certificate);
      BIO_free(key);
    }
    ssl_.reset(SSL_new(context_.get()));
    SSL_set_fd(ssl_.get(), socket_.get());
    connected_ = SSL_connect(ssl_.get()) == 1;
  }
  TlsPeer(int port, const TlsIdentity& identity) : TlsPeer(port, identity, Options()) {}
  ~TlsPeer() { ERR_clear_error(); }
  TlsPeer(const TlsPeer&) = delete;
  TlsPeer& operator=(const TlsPeer&) = delete;

  [[nodiscard]] bool connected() const { return connected_; }

  /// As one record.
  bool write(std::string_view bytes) {
    return bytes.empty() || SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size())) > 0;
  }
  /// What comes next, of one record; empty at the end of the connection.
  std::string read_some() {
    std::string bytes(16384, '\0');
    const int got = SSL_read(ssl_.get(), bytes.data(), static_cast<int>(bytes.size()));
    bytes.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return bytes;
  }
  /// Exactly so many bytes; fewer at the end of the connection.
  std::string read(std::size_t size) {
    std::string bytes(size, '\0');
    std::size_t have = 0;
    while (have < size) {
      const auto chunk = std::min<std::size_t>(size - have, 1u << 20);
      const int got = SSL_read(ssl_.get(), bytes.data() + have, static_cast<int>(chunk));
      if (got <= 0) break;
      have += static_cast<std::size_t>(got);
    }
    bytes.resize(have);
    return bytes;
  }

 private:
  template <auto Free>
  struct Freed {
    template <class T>
    void operator()(T* object) const {
      Free(object);
    }
  };
  Fd socket_;
  std::unique_ptr<SSL_CTX, Freed<SSL_CTX_free>> context_;
  std::unique_ptr<SSL, Freed<SSL_free>> ssl_;
  bool connected_ = false;
};

}  // namespace cox::os
