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
/// By the processor's own instruction, which is of just this polynomial.
[[gnu::target("sse4.2")]] std::uint32_t by_processor(std::string_view bytes, std::uint32_t crc) {
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
