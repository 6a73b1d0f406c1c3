#include "runtime/agent/host_place.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <climits>

#include "runtime/os/fd.hpp"

namespace cox::agent {
namespace {

std::string text_of(in_addr address) {
  std::array<char, INET_ADDRSTRLEN> text{};
  (void)::inet_ntop(AF_INET, &address, text.data(), text.size());
  return text.data();
}

const sockaddr_in* as_ipv4(const sockaddr* address) {
  if (address == nullptr || address->sa_family != AF_INET) return nullptr;
  return reinterpret_cast<const sockaddr_in*>(address);
}

/// The network of the interface that has this address.
std::string network_of(in_addr address) {
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) != 0) return {};
  std::string found;
  for (const auto* each = all; each != nullptr; each = each->ifa_next) {
    const auto* own = as_ipv4(each->ifa_addr);
    const auto* mask = as_ipv4(each->ifa_netmask);
    if (own == nullptr || mask == nullptr || own->sin_addr.s_addr != address.s_addr) continue;
    const in_addr network{address.s_addr & mask->sin_addr.s_addr};
    found = fmt::format("{}/{}", text_of(network), __builtin_popcount(mask->sin_addr.s_addr));
  }
  ::freeifaddrs(all);
  return found;
}

}  // namespace

HostPlace place_towards(const std::string& address, int port) {
  sockaddr_in there{};
  there.sin_family = AF_INET;
  there.sin_port = htons(static_cast<std::uint16_t>(port));
  if (::inet_pton(AF_INET, address.c_str(), &there.sin_addr) != 1) return {};
  // Connecting a datagram socket only chooses the way.
  const os::Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in here{};
  socklen_t size = sizeof here;
  if (!socket ||
      ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&there), sizeof there) != 0 ||
      ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&here), &size) != 0) {
    return {};
  }
  return {text_of(here.sin_addr), network_of(here.sin_addr)};
}

std::string own_hostname() {
  std::array<char, HOST_NAME_MAX + 1> name{};
  return ::gethostname(name.data(), name.size()) == 0 ? name.data() : "localhost";
}

}  // namespace cox::agent
