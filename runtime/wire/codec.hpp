#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "runtime/base/kinds.hpp"
#include "runtime/wire/members.hpp"

/// Values as bytes, by their members(). Integers are base-128 varints of at most ten bytes, signed
/// ones zigzagged; truth values are one byte; texts and lists are a length and their content.
namespace cox::wire {

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

}  // namespace cox::wire
