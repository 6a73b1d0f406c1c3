#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/base/result.hpp"
#include "runtime/os/event_loop.hpp"
#include "runtime/os/fd.hpp"

namespace cox::os {

/// Who is at the other end of a unix socket, by the kernel's word.
struct PeerCredentials {
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  int pid = 0;
};

struct HttpRequest {
  std::string method;                          ///< "POST"
  std::string target;                          ///< path and query, as sent
  std::map<std::string, std::string> headers;  ///< names lower-case; repeated ones joined by ", "
  std::string body;
  std::optional<PeerCredentials> peer;  ///< of a unix socket
  std::string remote_address;           ///< of a TCP socket
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json";
  std::map<std::string, std::string> headers;  ///< further ones
  std::string body;
};

/// One request's answer. Exactly one of send() or begin() is called, now or later, on the loop.
/// Dropping it unanswered sends 500; dropping it begun but not finished ends the connection, so
/// that the client does not take what it got for all. Handlers that it holds may hold it: they
/// are let go when the answer is finished, the client has gone or the server is dropped.
class HttpReply {
 public:
  virtual ~HttpReply() = default;
  virtual void send(HttpResponse response) = 0;
  /// Starts an answer of unknown length (chunked); write() adds to it and finish() ends it.
  virtual void begin(HttpResponse head) = 0;
  virtual void write(std::string bytes) = 0;
  virtual void finish() = 0;
  /// Bytes written but not yet taken by the client.
  [[nodiscard]] virtual std::size_t queued_bytes() const = 0;
  /// Called once when queued_bytes() has fallen to zero; never from inside this call.
  virtual void on_drained(std::function<void()> handler) = 0;
  /// Called once when the client has gone away before the answer was finished; never from inside
  /// this call. What is sent afterwards goes nowhere.
  virtual void on_gone(std::function<void()> handler) = 0;
};
using HttpHandler = std::function<void(HttpRequest, std::shared_ptr<HttpReply>)>;

struct HttpLimits {
  std::size_t body_bytes_max = 64u << 20;
  int idle_seconds_max = 120;  ///< from the end of one answer to the end of the next request
  /// What one with a larger body is told, by its headers; not set: 413 and a text as JSON.
  std::function<HttpResponse(const std::map<std::string, std::string>& headers)> too_large = {};
};

/// What a server shows its clients, as PEM texts; the certificate with those that lead to its CA's.
struct TlsCertificate {
  std::string certificate;
  std::string private_key;
};

/// HTTP/1.1 with keep-alive on a listening socket (unix or TCP; taken over), through TLS 1.2 or
/// later when there is a certificate. Dropping it closes what waits for a request; answers under
/// way may still be sent. Errors: invalid_argument when certificate and key cannot be used.
class HttpServer {
 public:
  virtual ~HttpServer() = default;
};
[[nodiscard]] Result<std::unique_ptr<HttpServer>> serve_http(
    EventLoop& loop, Fd listener, HttpHandler handler, HttpLimits limits = {},
    const std::optional<TlsCertificate>& tls = {});

/// A blocking client on a connected socket, for command-line programs.
class HttpClient {
 public:
  explicit HttpClient(Fd socket);
  ~HttpClient();
  HttpClient(HttpClient&&) noexcept;
  HttpClient& operator=(HttpClient&&) noexcept;

  /// One request and its whole answer; the connection is kept. Errors: unavailable when the
  /// connection broke.
  [[nodiscard]] Result<HttpResponse> call(const HttpRequest& request);
  /// One request; `on_bytes` gets the body as it arrives and may return false to end early, which
  /// ends the connection.
  /// The returned response has an empty body (unless the status is not 200: then the body).
  [[nodiscard]] Result<HttpResponse> stream(const HttpRequest& request,
                                            const std::function<bool(std::string_view)>& on_bytes);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace cox::os
