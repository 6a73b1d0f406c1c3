#include "runtime/agent/local_server.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "runtime/agent/local_socket.hpp"
#include "runtime/os/frame_link.hpp"
#include "runtime/os/log.hpp"

namespace cox::agent {

struct LocalServer::Connection {
  os::Fd socket;
  std::uint32_t uid = 0;
  std::string incoming;
  std::string outgoing;
  os::SubscriptionPtr readable;
  os::SubscriptionPtr writable;
};

LocalServer::LocalServer(os::EventLoop& loop, Handlers handlers)
    : loop_(loop), handlers_(std::move(handlers)) {}
LocalServer::~LocalServer() = default;

Result<void> LocalServer::listen(const std::string& path) {
  // Every user of the node may connect: who it is, the kernel says.
  auto listener = os::listen_unix(path, 0666);
  if (!listener) return fail(listener.error());
  listener_ = std::move(*listener);
  watch_ = loop_.when_readable(listener_.get(), [this] { accept(); });
  return {};
}

void LocalServer::accept() {
  os::Fd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  ucred peer{};
  socklen_t size = sizeof peer;
  if (!socket || ::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return;
  const auto id = next_++;
  auto connection = std::make_unique<Connection>();
  connection->socket = std::move(socket);
  connection->uid = peer.uid;
  connection->readable = loop_.when_readable(connection->socket.get(), [this, id] { read(id); });
  connections_[id] = std::move(connection);
}

void LocalServer::read(ConnectionId id) {
  static std::array<char, 128 * 1024> piece;
  auto& connection = *connections_.at(id);
  const auto got = ::read(connection.socket.get(), piece.data(), piece.size());
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) return close(id);
  connection.incoming.append(piece.data(), static_cast<std::size_t>(got));
  for (;;) {
    auto message = take_frame(connection.incoming);
    if (!message) {
      os::log_warn("a local program sent what is no message: {}", message.error().message);
      return close(id);
    }
    if (!*message) return;
    if (!handlers_.message(id, connection.uid, std::move(**message))) return close(id);
    if (!connections_.contains(id)) return;
  }
}

void LocalServer::send(ConnectionId id, const wire::Message& message) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  found->second->outgoing += framed(message);
  write(id);
}

void LocalServer::write(ConnectionId id) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  auto& connection = *found->second;
  while (!connection.outgoing.empty()) {
    const auto sent = ::send(connection.socket.get(), connection.outgoing.data(),
                             connection.outgoing.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) {
      if (!connection.writable) {
        connection.writable =
            loop_.when_writable(connection.socket.get(), [this, id] { write(id); });
      }
      return;
    }
    if (sent < 0) return close(id);
    connection.outgoing.erase(0, static_cast<std::size_t>(sent));
  }
  connection.writable.reset();
}

void LocalServer::close(ConnectionId id) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  const auto keep = std::move(found->second);  // its own handler may be the caller
  connections_.erase(found);
  handlers_.closed(id);
}

}  // namespace cox::agent
