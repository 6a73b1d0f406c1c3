#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "runtime/wire/message.hpp"

/// Any bytes are refused, or are the only bytes of the message that they are read as.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (const auto message = cox::wire::decode(bytes)) {
    if (cox::wire::encode(*message) != bytes) std::abort();
  }
  return 0;
}
