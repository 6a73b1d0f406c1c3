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

/// A path as open directory and name, where sun_path's 107 bytes do not hold it.
struct Place {
  Fd directory;
  std::string name;
};

Result<Place> place_of(const std::string& path) {
  const auto slash = path.rfind('/');
  const auto directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  Place place{Fd(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)),
              slash == std::string::npos ? path : path.substr(slash + 1)};
  if (!place.directory) return fail(errno_error(errno, directory));
  return place;
}

bool fits(const std::string& path) { return path.size() < sizeof(sockaddr_un::sun_path); }

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

/// Binds at the path, of any length, and gives the file this mode. Nobody can connect yet.
Result<void> bind_unix(const Fd& socket, const std::string& path, unsigned mode) {
  const auto bind_at = [&](const std::string& shown) {
    const auto address = address_of(shown);
    return ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
           ::chmod(shown.c_str(), mode) == 0;
  };
  if (fits(path)) {
    if (!bind_at(path)) return fail(errno_error(errno, path));
    return {};
  }
  const auto place = place_of(path);
  if (!place) return fail(place.error());
  // Under a short name first, as the name alone may be too long.
  const auto there = fmt::format("/proc/self/fd/{}/", place->directory.get());
  const auto short_name = fmt::format(".{}-{}", ::getpid(), socket.get());
  if (!bind_at(there + short_name) ||
      ::rename((there + short_name).c_str(), (there + place->name).c_str()) != 0) {
    const auto error = errno_error(errno, path);
    ::unlink((there + short_name).c_str());
    return fail(error);
  }
  return {};
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
  Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return fail(errno_error(errno, "socket"));
  struct stat status {};
  if (::lstat(path.c_str(), &status) == 0) {
    if (!S_ISSOCK(status.st_mode)) {
      return fail(Errc::conflict, "{}: exists and is not a socket", path);
    }
    ::unlink(path.c_str());
  }
  if (auto bound = bind_unix(socket, path, mode); !bound) return fail(bound.error());
  if (::listen(socket.get(), kBacklog) != 0) return fail(errno_error(errno, path));
  return socket;
}

Result<Fd> connect_unix(const std::string& path) {
  Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) return fail(errno_error(errno, "socket"));
  Fd file;
  std::string shown = path;
  if (!fits(path)) {
    file.reset(::open(path.c_str(), O_PATH | O_CLOEXEC));
    if (!file) return fail(errno_error(errno, path));
    shown = fmt::format("/proc/self/fd/{}", file.get());
  }
  const auto address = address_of(shown);
  while (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) !=
         0) {
    if (errno != EINTR) return fail(errno_error(errno, path));
  }
  return socket;
}

}  // namespace cox::os
