#include "runtime/logs/crc32c.hpp"

#include <array>
#include <bit>
#include <cstddef>
#include <cstring>

namespace cox::logs {
namespace {

using Tables = std::array<std::array<std::uint32_t, 256>, 8>;

/// Table k holds the effect of a byte that k further bytes follow.
constexpr Tables make_tables() {
  constexpr std::uint32_t kPolynomial = 0x82f63b78;
  Tables tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
    tables[0][byte] = crc;
  }
  for (std::size_t k = 1; k < tables.size(); ++k) {
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const auto before = tables[k - 1][byte];
      tables[k][byte] = (before >> 8) ^ tables[0][before & 0xff];
    }
  }
  return tables;
}

constexpr Tables kTables = make_tables();

std::uint32_t by_tables(std::string_view bytes, std::uint32_t crc) {
  for (; bytes.size() >= 8; bytes.remove_prefix(8)) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), 8);
    word ^= crc;
    crc = 0;
    for (std::size_t i = 0; i < 8; ++i) crc ^= kTables[7 - i][(word >> (8 * i)) & 0xff];
  }
  for (const char c : bytes) {
    crc = (crc >> 8) ^ kTables[0][(crc ^ static_cast<std::uint8_t>(c)) & 0xff];
  }
  return crc;
}

#if defined(__x86_64__)
constexpr std::size_t kLaneBytes = 1024;

/// What kLaneBytes of zeros behind a byte of a checksum make of it, by the byte's place.
constexpr auto make_lane_tables() {
  std::array<std::array<std::uint32_t, 256>, 4> tables{};
  for (std::size_t bit = 0; bit < 32; ++bit) {
    std::uint32_t crc = 1u << bit;
    for (std::size_t i = 0; i < kLaneBytes; ++i) crc = (crc >> 8) ^ kTables[0][crc & 0xff];
    tables[bit / 8][std::size_t{1} << (bit % 8)] = crc;
  }
  for (auto& table : tables) {  // the rest are sums of these
    for (std::size_t byte = 1; byte < 256; ++byte) {
      const auto lowest = byte & (~byte + 1);
      table[byte] = table[lowest] ^ table[byte ^ lowest];
    }
  }
  return tables;
}

constexpr auto kLaneTables = make_lane_tables();

std::uint32_t behind_a_lane(std::uint32_t crc) {
  return kLaneTables[0][crc & 0xff] ^ kLaneTables[1][(crc >> 8) & 0xff] ^
         kLaneTables[2][(crc >> 16) & 0xff] ^ kLaneTables[3][crc >> 24];
}

/// By the processor's own instruction, which is of just this polynomial. It gives its result after
/// three cycles but can begin one each cycle, so three lanes beside each other take the time of
/// one.
[[gnu::target("sse4.2")]] std::uint32_t by_processor(std::string_view bytes, std::uint32_t crc) {
  for (; bytes.size() >= 3 * kLaneBytes; bytes.remove_prefix(3 * kLaneBytes)) {
    std::uint64_t first = crc;
    std::uint64_t second = 0;
    std::uint64_t third = 0;
    for (std::size_t at = 0; at < kLaneBytes; at += 8) {
      std::array<std::uint64_t, 3> words{};
      for (std::size_t lane = 0; lane < words.size(); ++lane) {
        std::memcpy(&words[lane], bytes.data() + lane * kLaneBytes + at, 8);
      }
      first = __builtin_ia32_crc32di(first, words[0]);
      second = __builtin_ia32_crc32di(second, words[1]);
      third = __builtin_ia32_crc32di(third, words[2]);
    }
    crc = behind_a_lane(static_cast<std::uint32_t>(first)) ^ static_cast<std::uint32_t>(second);
    crc = behind_a_lane(crc) ^ static_cast<std::uint32_t>(third);
  }
  std::uint64_t wide = crc;
  for (; bytes.size() >= 8; bytes.remove_prefix(8)) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), 8);
    wide = __builtin_ia32_crc32di(wide, word);
  }
  crc = static_cast<std::uint32_t>(wide);
  for (const char c : bytes) crc = __builtin_ia32_crc32qi(crc, static_cast<std::uint8_t>(c));
  return crc;
}

const bool kProcessorCan = __builtin_cpu_supports("sse4.2") != 0;
#endif

}  // namespace

std::uint32_t crc32c(std::string_view bytes, std::uint32_t before) {
  static_assert(std::endian::native == std::endian::little);
#if defined(__x86_64__)
  if (kProcessorCan) return ~by_processor(bytes, ~before);
#endif
  return ~by_tables(bytes, ~before);
}

std::uint32_t crc32c_by_tables(std::string_view bytes, std::uint32_t before) {
  return ~by_tables(bytes, ~before);
}

}  // namespace cox::logs
