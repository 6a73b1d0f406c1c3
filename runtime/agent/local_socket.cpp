#include "runtime/agent/local_socket.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "runtime/base/text.hpp"

namespace cox::agent {

namespace {
constexpr std::size_t kLengthBytes = 4;
}

std::string part_text(const wire::PartKey& part) {
  return fmt::format("{}/{}/{}", part.job, part.attempt, part.node_index);
}

std::optional<wire::PartKey> parse_part(std::string_view text) {
  const auto pieces = split(text, '/');
  if (pieces.size() != 3 || pieces[0].empty()) return std::nullopt;
  const auto attempt = to_int(pieces[1]);
  const auto index = to_int(pieces[2]);
  if (!attempt || !index || *attempt < 1 || *index < 0 || *attempt > 1000 || *index > 1'000'000) {
    return std::nullopt;
  }
  return wire::PartKey{JobId{pieces[0]}, static_cast<int>(*attempt), static_cast<int>(*index)};
}

std::string framed(const wire::Message& message) {
  const auto body = wire::encode(message);
  std::string frame;
  for (unsigned shift = 0; shift < 32; shift += 8) {
    frame += static_cast<char>((body.size() >> shift) & 0xff);
  }
  return frame + body;
}

Result<std::optional<wire::Message>> take_frame(std::string& buffer) {
  if (buffer.size() < kLengthBytes) return std::nullopt;
  std::size_t size = 0;
  for (std::size_t i = 0; i < kLengthBytes; ++i) {
    size |= static_cast<std::size_t>(static_cast<unsigned char>(buffer[i])) << (8 * i);
  }
  if (size > wire::kFrameBytesMax) {
    return fail(Errc::invalid_argument, "a frame of {} bytes", size);
  }
  if (buffer.size() < kLengthBytes + size) return std::nullopt;
  auto message = wire::decode(std::string_view(buffer).substr(kLengthBytes, size));
  if (!message) return fail(message.error());
  buffer.erase(0, kLengthBytes + size);
  return std::optional<wire::Message>(std::move(*message));
}

int connect_to_agent() {
  const char* path = std::getenv(kSocketVariable);
  sockaddr_un address{};
  if (path == nullptr || std::strlen(path) >= sizeof address.sun_path) return -1;
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path, std::strlen(path));
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd >= 0 && ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    ::close(fd);
    return -1;
  }
  return fd;
}

}  // namespace cox::agent
