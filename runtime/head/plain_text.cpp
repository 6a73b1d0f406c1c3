#include "runtime/head/plain_text.hpp"

#include <fmt/format.h>

#include <cstdint>
#include <cstdlib>

namespace cox::head {

namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";
constexpr std::string_view kCut = "…";

/// Bytes of the character that the text begins with; 0 when it begins with none (Unicode 15, table
/// 3-7: no overlong forms, surrogates or numbers above U+10FFFF).
std::size_t character_size(std::string_view text) {
  const auto at = [&](std::size_t i) {
    return i < text.size() ? static_cast<std::uint8_t>(text[i]) : std::uint8_t{0};
  };
  const auto tail = [&](std::size_t i) { return (at(i) & 0xc0) == 0x80; };
  const auto lead = at(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) return tail(1) ? 2 : 0;
  const auto second = at(1);
  if (lead >= 0xe0 && lead <= 0xef) {
    const bool good =
        tail(1) && (lead != 0xe0 || second >= 0xa0) && (lead != 0xed || second < 0xa0);
    return good && tail(2) ? 3 : 0;
  }
  if (lead >= 0xf0 && lead <= 0xf4) {
    const bool good =
        tail(1) && (lead != 0xf0 || second >= 0x90) && (lead != 0xf4 || second < 0x90);
    return good && tail(2) && tail(3) ? 4 : 0;
  }
  return 0;
}

bool is_control(std::string_view character) {
  const auto first = static_cast<std::uint8_t>(character[0]);
  if (character.size() == 1) return first < 0x20 || first == 0x7f;
  return character.size() == 2 && first == 0xc2 && static_cast<std::uint8_t>(character[1]) < 0xa0;
}

}  // namespace

std::string as_utf8(std::string_view text) {
  std::string clean;
  clean.reserve(text.size());
  while (!text.empty()) {
    const auto size = character_size(text);
    clean += size > 0 ? text.substr(0, size) : kReplacement;
    text.remove_prefix(size > 0 ? size : 1);
  }
  return clean;
}

std::string on_one_line(std::string_view text, std::size_t bytes_max) {
  const auto whole = as_utf8(text);
  std::string line;
  line.reserve(whole.size());
  for (std::string_view rest = whole; !rest.empty();) {
    const auto character = rest.substr(0, character_size(rest));
    line += is_control(character) ? " " : character;
    rest.remove_prefix(character.size());
  }
  if (line.size() <= bytes_max) return line;
  auto begin = line.size() - (bytes_max > kCut.size() ? bytes_max - kCut.size() : 0);
  while (begin < line.size() && (static_cast<std::uint8_t>(line[begin]) & 0xc0) == 0x80) ++begin;
  return std::string(kCut) + line.substr(begin);
}

std::string clock_problem(Millis theirs, Millis now) {
  constexpr std::int64_t kOffSeconds = 60;
  const auto off = (theirs.value - now.value) / 1000;
  if (std::abs(off) <= kOffSeconds) return {};
  return fmt::format("its clock is {} s {}", std::abs(off), off < 0 ? "behind" : "ahead");
}

std::string launch_trouble(std::string_view type, std::string_view why, int failures,
                           std::int64_t next_try_ms) {
  const auto seconds = (next_try_ms + 999) / 1000;
  if (failures == 1) {
    return fmt::format("a {} could not be started: {} (the next try is in {} s)", type, why,
                       seconds);
  }
  return fmt::format(
      "a {} could not be started: {} (failed {} times in a row; the next try is in {} s)", type,
      why, failures, seconds);
}

}  // namespace cox::head
