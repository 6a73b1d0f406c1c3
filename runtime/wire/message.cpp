#include "runtime/wire/message.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <tuple>
#include <type_traits>
#include <utility>

#include "runtime/wire/members.hpp"

// The bytes: a tag (the message's place in the variant, from 1) and its members in order.
// Integers are base-128 varints of at most ten bytes, signed ones zigzagged; truth values are one
// byte; texts and lists are a length and their content. No types, no names: both sides speak the
// same version or say so in Hello, whose first member is the version.

namespace cox::wire {
namespace {

template <class T>
inline constexpr bool kIsId = false;
template <class Tag>
inline constexpr bool kIsId<Id<Tag>> = true;

template <class T>
inline constexpr bool kIsVector = false;
template <class T>
inline constexpr bool kIsVector<std::vector<T>> = true;

/// The fewest bytes that a value of the type takes: what bounds a claimed length.
template <class T>
constexpr std::size_t least_bytes() {
  if constexpr (HasMembers<T>) {
    return std::apply(
        [](auto... member) {
          return (std::size_t{0} + ... + least_bytes<typename MemberOf<decltype(member)>::type>());
        },
        members(std::type_identity<T>{}));
  } else {
    return 1;
  }
}

class Writer {
 public:
  template <class T>
  void write(const T& value) {
    if constexpr (HasMembers<T>) {
      std::apply([&](auto... member) { (write(value.*member), ...); },
                 members(std::type_identity<T>{}));
    } else if constexpr (kIsVector<T>) {
      put(value.size());
      for (const auto& item : value) write(item);
    } else if constexpr (kIsId<T>) {
      write(value.value);
    } else if constexpr (std::is_same_v<T, std::string>) {
      put(value.size());
      bytes_.append(value);
    } else if constexpr (std::is_same_v<T, bool>) {
      bytes_.push_back(value ? '\1' : '\0');
    } else if constexpr (std::is_signed_v<T>) {
      const auto wide = static_cast<std::int64_t>(value);
      put((static_cast<std::uint64_t>(wide) << 1) ^ static_cast<std::uint64_t>(wide >> 63));
    } else {
      static_assert(std::is_unsigned_v<T>);
      put(value);
    }
  }

  [[nodiscard]] std::string take() { return std::move(bytes_); }

 private:
  void put(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_.push_back(static_cast<char>(value | 0x80));
    bytes_.push_back(static_cast<char>(value));
  }

  std::string bytes_;
};

/// Reads from a text it does not own. Every read says whether it was well-formed; after a refusal
/// the values read are not to be used.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  [[nodiscard]] bool at_end() const { return rest_.empty(); }

  template <class T>
  [[nodiscard]] bool read(T& value) {
    if constexpr (HasMembers<T>) {
      return std::apply([&](auto... member) { return (read(value.*member) && ...); },
                        members(std::type_identity<T>{}));
    } else if constexpr (kIsVector<T>) {
      return read_list(value);
    } else if constexpr (kIsId<T>) {
      return read(value.value);
    } else if constexpr (std::is_same_v<T, std::string>) {
      return read_text(value);
    } else if constexpr (std::is_same_v<T, bool>) {
      return read_bool(value);
    } else {
      return read_integer(value);
    }
  }

 private:
  [[nodiscard]] bool get(std::uint64_t& value) {
    value = 0;
    for (std::size_t i = 0; i < rest_.size() && i < 10; ++i) {
      const auto byte = static_cast<std::uint8_t>(rest_[i]);
      if (i == 9 && byte > 1) return false;             // more than 64 bits
      if (i > 0 && byte == 0) return false;             // a longer way to write a shorter number
      value |= std::uint64_t{byte & 0x7fu} << (7 * i);  // i <= 9, so the shift is below 64
      if (byte < 0x80) {
        rest_.remove_prefix(i + 1);
        return true;
      }
    }
    return false;
  }

  template <class T>
  [[nodiscard]] bool read_integer(T& value) {
    std::uint64_t raw = 0;
    if (!get(raw)) return false;
    if constexpr (std::is_signed_v<T>) {
      const auto wide = static_cast<std::int64_t>((raw >> 1) ^ (~(raw & 1) + 1));
      value = static_cast<T>(wide);
      return std::in_range<T>(wide);
    } else {
      value = static_cast<T>(raw);
      return std::in_range<T>(raw);
    }
  }

  [[nodiscard]] bool read_bool(bool& value) {
    if (rest_.empty() || static_cast<std::uint8_t>(rest_.front()) > 1) return false;
    value = rest_.front() != 0;
    rest_.remove_prefix(1);
    return true;
  }

  [[nodiscard]] bool read_text(std::string& text) {
    std::uint64_t size = 0;
    if (!get(size) || size > rest_.size()) return false;
    text.assign(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return true;
  }

  template <class T>
  [[nodiscard]] bool read_list(std::vector<T>& list) {
    constexpr std::size_t kReservedMax = 256;  // a liar gets no more memory than this in advance
    std::uint64_t size = 0;
    if (!get(size) || size > rest_.size() / least_bytes<T>()) return false;
    list.clear();
    list.reserve(std::min<std::size_t>(size, kReservedMax));
    for (std::uint64_t i = 0; i < size; ++i) {
      if (!read(list.emplace_back())) return false;
    }
    return true;
  }

  std::string_view rest_;
};

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
