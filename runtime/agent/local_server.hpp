#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "runtime/base/result.hpp"
#include "runtime/os/event_loop.hpp"
#include "runtime/os/fd.hpp"
#include "runtime/wire/message.hpp"

namespace cox::agent {

/// The agent's unix socket: cox-rank and cox-rsh of this node's jobs talk here.
class LocalServer {
 public:
  using ConnectionId = std::uint64_t;
  struct Handlers {
    /// A message, and the user at the other end by the kernel's word. False: the connection is
    /// dropped.
    std::function<bool(ConnectionId, std::uint32_t uid, wire::Message)> message;
    std::function<void(ConnectionId)> closed;
  };

  LocalServer(os::EventLoop& loop, Handlers handlers);
  ~LocalServer();
  LocalServer(const LocalServer&) = delete;
  LocalServer& operator=(const LocalServer&) = delete;

  [[nodiscard]] Result<void> listen(const std::string& path);
  void send(ConnectionId id, const wire::Message& message);

 private:
  struct Connection;

  void accept();
  void read(ConnectionId id);
  void write(ConnectionId id);
  void close(ConnectionId id);

  os::EventLoop& loop_;
  Handlers handlers_;
  os::Fd listener_;
  os::SubscriptionPtr watch_;
  std::map<ConnectionId, std::unique_ptr<Connection>> connections_;
  ConnectionId next_ = 1;
};

}  // namespace cox::agent
