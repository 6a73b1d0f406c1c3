#pragma once

#include <cstdint>
#include <string_view>

namespace cox::logs {

/// CRC-32C (Castagnoli, reflected polynomial 0x82f63b78) of the bytes that gave `before` (0 for
/// none) followed by `bytes`. Pure. Source: RFC 3720, appendix B.4.
[[nodiscard]] std::uint32_t crc32c(std::string_view bytes, std::uint32_t before = 0);

/// The same without the processor's instruction: what machines that have none compute by.
[[nodiscard]] std::uint32_t crc32c_by_tables(std::string_view bytes, std::uint32_t before = 0);

}  // namespace cox::logs
