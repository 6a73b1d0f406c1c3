#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "runtime/os/files.hpp"
#include "runtime/os/frame_link.hpp"

namespace cox::os {

namespace {

constexpr int kBacklog = 4096;

/// A unix socket's address of any length: through the open directory, as sun_path holds only 107
/// bytes. The directory must stay open while the address is used.
struct UnixAddress {
  Fd directory;
  sockaddr_un address{};
};

Result<UnixAddress> unix_address(const std::string& path) {
  UnixAddress made;
  made.address.sun_family = AF_UNIX;
  std::string shown = path;
  if (path.size() >= sizeof made.address.sun_path) {
    const auto slash = path.rfind('/');
    const auto directory = path.substr(0, slash);
    made.directory.reset(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!made.directory) return fail(errno_error(errno, directory));
    shown = fmt::format("/proc/self/fd/{}/{}", made.directory.get(), path.substr(slash + 1));
  }
  if (shown.size() >= sizeof made.address.sun_path) {
    return fail(Errc::invalid_argument, "{}: the socket's name is too long", path);
  }
  std::memcpy(made.address.sun_path, shown.c_str(), shown.size() + 1);
  return made;
}

}  // namespace

Result<Fd> listen_tcp(const std::string& address, int port) {
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_port = htons(static_cast<std::uint16_t>(port));
  if (::inet_pton(AF_INET, address.c_str(), &where.sin_addr) != 1) {
    return fail(Errc::invalid_argument, "{}: not an IPv4 address", address);
  }
  Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int on = 1;
  const auto what = fmt::format("{}:{}", address, port);
  if (!socket || ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&where), sizeof where) != 0 ||
      ::listen(socket.get(), kBacklog) != 0) {
    return fail(errno_error(errno, what));
  }
  return socket;
}

int local_port(const Fd& socket) {
  sockaddr_in where{};
  socklen_t size = sizeof where;
  if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&where), &size) != 0) return 0;
  return ntohs(where.sin_port);
}

Result<Fd> listen_unix(const std::string& path, unsigned mode) {
  auto where = unix_address(path);
  if (!where) return fail(where.error());
  Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return fail(errno_error(errno, "socket"));
  ::unlink(path.c_str());
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&where->address),
             sizeof where->address) != 0 ||
      ::chmod(path.c_str(), mode) != 0 || ::listen(socket.get(), kBacklog) != 0) {
    return fail(errno_error(errno, path));
  }
  return socket;
}

Result<Fd> connect_unix(const std::string& path) {
  auto where = unix_address(path);
  if (!where) return fail(where.error());
  Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) return fail(errno_error(errno, "socket"));
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&where->address),
                sizeof where->address) != 0) {
    return fail(errno_error(errno, path));
  }
  return socket;
}

}  // namespace cox::os
