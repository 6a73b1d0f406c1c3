#include "runtime/agent/hub_link.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/random.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <utility>

#include "runtime/os/files.hpp"
#include "runtime/os/frame_link.hpp"

namespace cox::agent {

namespace {

constexpr std::size_t kHeadBytes = 5;  // length, kind

std::string framed(char kind, std::string_view text) {
  std::string frame;
  for (unsigned shift = 0; shift < 32; shift += 8) {
    frame += static_cast<char>((text.size() >> shift) & 0xff);
  }
  frame += kind;
  frame += text;
  return frame;
}

std::size_t length_of(std::string_view head) {
  std::size_t size = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    size |= static_cast<std::size_t>(static_cast<unsigned char>(head[i])) << (8 * i);
  }
  return size;
}

}  // namespace

HubLink::HubLink(os::Fd socket, bool held) : socket_(std::move(socket)), held_(held) {
  const int on = 1;
  const int idle = 5;  // seconds: a node that lost its power says nothing
  ::setsockopt(fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::setsockopt(fd(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  ::setsockopt(fd(), IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
  ::setsockopt(fd(), IPPROTO_TCP, TCP_KEEPINTVL, &on, sizeof on);
}

void HubLink::send(char kind, std::string_view text) {
  outgoing_ += framed(kind, text);
  write();
}

void HubLink::greet(char kind, std::string_view text) {
  outgoing_.insert(0, framed(kind, text));
  held_ = false;
  write();
}

void HubLink::write() {
  while (wants_to_write() && !broken_) {
    const auto sent = ::send(fd(), outgoing_.data(), outgoing_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && (errno == EAGAIN || errno == EINPROGRESS || errno == ENOTCONN)) return;
    if (sent < 0) broken_ = true;  // reading tells of it
    if (sent > 0) outgoing_.erase(0, static_cast<std::size_t>(sent));
  }
  if (broken_) outgoing_.clear();
}

bool HubLink::receive() {
  std::array<char, 64 * 1024> piece;
  const auto got = ::recv(fd(), piece.data(), piece.size(), MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return true;
  if (got <= 0) return false;
  incoming_.erase(0, std::exchange(taken_, 0));
  incoming_.append(piece.data(), static_cast<std::size_t>(got));
  return true;
}

std::optional<HubLink::Frame> HubLink::next(std::size_t bytes_max) {
  const auto rest = std::string_view(incoming_).substr(taken_);
  if (rest.size() < kHeadBytes || broken_) return std::nullopt;
  const auto size = length_of(rest);
  if (size > bytes_max) {
    broken_ = true;
    return std::nullopt;
  }
  if (rest.size() - kHeadBytes < size) return std::nullopt;
  taken_ += kHeadBytes + size;
  return Frame{rest[kHeadBytes - 1], std::string(rest.substr(kHeadBytes, size))};
}

Result<std::string> random_word() {
  std::array<unsigned char, 16> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    return fail(os::errno_error(errno, "getrandom"));
  }
  std::string word;
  for (const auto byte : bytes) word += fmt::format("{:02x}", byte);
  return word;
}

std::string proof_of(const std::string& secret, std::string_view role, int node_index,
                     std::string_view hub_nonce, std::string_view node_nonce) {
  const auto inner = os::sha256_hex(
      fmt::format("{}:{}:{}:{}:{}", secret, role, node_index, hub_nonce, node_nonce));
  return os::sha256_hex(fmt::format("{}:{}", secret, inner));
}

Result<os::Fd> begin_connect(const std::string& address, int port) {
  sockaddr_in there{};
  there.sin_family = AF_INET;
  there.sin_port = htons(static_cast<std::uint16_t>(port));
  if (::inet_pton(AF_INET, address.c_str(), &there.sin_addr) != 1) {
    return fail(Errc::invalid_argument, "{} is no IPv4 address", address);
  }
  os::Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return fail(os::errno_error(errno, "socket"));
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&there), sizeof there) != 0 &&
      errno != EINPROGRESS) {
    return fail(os::errno_error(errno, fmt::format("{}:{}", address, port)));
  }
  return socket;
}

}  // namespace cox::agent
