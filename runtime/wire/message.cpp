#include "runtime/wire/message.hpp"

#include <array>
#include <utility>

#include "runtime/wire/codec.hpp"

// The bytes: a tag (the message's place in the variant, from 1) and its members in order. No types,
// no names: both sides speak the same version or say so in Hello, whose first member is the
// version.

namespace cox::wire {
namespace {

/// Reads the members of one kind of message. Nothing unless they are exactly the rest.
template <std::size_t kIndex>
bool read_message(Reader& reader, Message& message) {
  auto& value = message.emplace<kIndex>();
  return reader.read(value) && reader.at_end();
}

using ReadFunction = bool (*)(Reader&, Message&);

template <std::size_t... kIndexes>
constexpr std::array<ReadFunction, sizeof...(kIndexes)> read_functions(
    std::index_sequence<kIndexes...> /*indexes*/) {
  return {&read_message<kIndexes>...};
}

constexpr auto kReadFunctions =
    read_functions(std::make_index_sequence<std::variant_size_v<Message>>{});

/// The version that a Hello of another format names; its place never changes.
std::optional<std::uint32_t> foreign_version(std::string_view bytes) {
  constexpr std::uint8_t kHelloTag = 1;
  if (bytes.empty() || static_cast<std::uint8_t>(bytes.front()) != kHelloTag) return std::nullopt;
  Reader reader(bytes.substr(1));
  std::uint32_t version = 0;
  if (!reader.read(version) || version == kVersion) return std::nullopt;
  return version;
}

}  // namespace

RemoteRoute way_back(RemoteRoute route) {
  route.to_target = !route.to_target;
  route.number = route.got = 0;
  return route;
}

std::string encode(const Message& message) {
  static_assert(std::variant_size_v<Message> < 0x80);
  Writer writer;
  writer.write(static_cast<std::uint8_t>(message.index() + 1));
  std::visit([&writer](const auto& value) { writer.write(value); }, message);
  return writer.take();
}

Result<Message> decode(std::string_view bytes) {
  if (bytes.empty()) return fail(Errc::invalid_argument, "a message without bytes");
  if (bytes.size() > kFrameBytesMax) {
    return fail(Errc::invalid_argument, "a message of {} bytes, more than {}", bytes.size(),
                kFrameBytesMax);
  }
  const auto tag = static_cast<std::uint8_t>(bytes.front());
  if (tag < 1 || tag > kReadFunctions.size()) {
    return fail(Errc::invalid_argument, "a message of the unknown kind {}", tag);
  }
  Reader reader(bytes.substr(1));
  Message message;
  if (kReadFunctions[tag - 1u](reader, message)) return message;
  if (const auto version = foreign_version(bytes)) {
    return fail(Errc::invalid_argument, "the other side speaks version {} of the protocol, not {}",
                *version, kVersion);
  }
  return fail(Errc::invalid_argument, "a malformed message of kind {} and {} bytes", tag,
              bytes.size());
}

}  // namespace cox::wire
