#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/result.hpp"
#include "runtime/os/event_loop.hpp"
#include "runtime/os/fd.hpp"

namespace cox::os {

/// PEM texts of one side of a TLS connection. Both sides are verified against `ca_certificate`.
struct TlsIdentity {
  std::string certificate;
  std::string private_key;
  std::string ca_certificate;
};

/// A TLS 1.3 connection that carries frames: a 32-bit little-endian length and that many bytes.
/// Dropping it closes it, after what was queued is sent (for at most 10 s), and no handler is
/// called any more; that may be done inside a handler. Handlers are called on the loop, never from
/// inside send().
class FrameLink {
 public:
  virtual ~FrameLink() = default;

  /// Called for each whole frame, in order. Frames wait until there is a handler.
  virtual void on_frame(std::function<void(std::string)> handler) = 0;
  /// Called once, when the connection ended for whatever reason but dropping; says why.
  virtual void on_closed(std::function<void(std::string)> handler) = 0;
  /// Queues a frame of at most 4 MiB; a larger one ends the connection, here as at the peer. Many
  /// frames queued in one turn go out as one write.
  virtual void send(std::string frame) = 0;
  /// Bytes that were queued and are not yet handed to the kernel: for backpressure.
  [[nodiscard]] virtual std::size_t queued_bytes() const = 0;
  /// Common name of the peer's certificate: the node's id, or "head".
  [[nodiscard]] virtual const std::string& peer_name() const = 0;
};

/// How long a peer may take until it has shown its certificate.
constexpr std::chrono::milliseconds kHandshakeTime{10'000};

/// Accepts connections on a listening socket (taken over). Connections whose handshake fails are
/// dropped after `handshake_time` at most and reported to the log only.
class FrameServer {
 public:
  virtual ~FrameServer() = default;
};
[[nodiscard]] Result<std::unique_ptr<FrameServer>> serve_frames(
    EventLoop& loop, Fd listener, const TlsIdentity& identity,
    std::function<void(std::unique_ptr<FrameLink>)> on_connected,
    std::chrono::milliseconds handshake_time = kHandshakeTime);

/// Connects (`address` "10.0.0.1", port) and shakes hands, within `handshake_time`. The answer
/// comes on the loop, when both sides have accepted each other's certificate. Any certificate of
/// the cluster is accepted: who has to be sure to have reached the head looks at peer_name().
/// Errors: unavailable; invalid_argument when the address or the identity cannot be read.
void connect_frames(EventLoop& loop, const std::string& address, int port,
                    const TlsIdentity& identity,
                    std::function<void(Result<std::unique_ptr<FrameLink>>)> done,
                    std::chrono::milliseconds handshake_time = kHandshakeTime);

/// A listening TCP socket on this address of the current network namespace. Port 0: any free one.
[[nodiscard]] Result<Fd> listen_tcp(const std::string& address, int port);
/// The port that a listening socket got.
[[nodiscard]] int local_port(const Fd& socket);
/// A listening unix socket at this path, of any length. An old socket file there is replaced.
[[nodiscard]] Result<Fd> listen_unix(const std::string& path, unsigned mode);
/// A connected unix stream socket; paths of any length.
/// Errors: not_found when there is no such file; unavailable when nobody listens.
[[nodiscard]] Result<Fd> connect_unix(const std::string& path);

/// A certificate authority and certificates under it (ECDSA P-256, 10 years).
struct CaKeys {
  std::string certificate;
  std::string private_key;
};
[[nodiscard]] Result<CaKeys> make_ca(const std::string& cluster_name);
/// `hosts`: names and addresses that clients may know its bearer by ("api.example", "10.0.0.1").
/// Errors: invalid_argument.
[[nodiscard]] Result<TlsIdentity> issue_certificate(const CaKeys& ca,
                                                    const std::string& common_name,
                                                    const std::vector<std::string>& hosts = {});

/// Lower-case hex SHA-256.
[[nodiscard]] std::string sha256_hex(std::string_view bytes);

}  // namespace cox::os
