#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "runtime/mpi/topology.hpp"

/// Any text is refused, or gives a shape whose numbers are in order.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto topology =
      cox::mpi::parse_topology(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!topology) return 0;
  if (topology->cores.empty()) std::abort();
  for (std::size_t i = 0; i < topology->cores.size(); ++i) {
    const auto& core = topology->cores[i];
    if (core.index != static_cast<int>(i) || core.hardware_threads.empty()) std::abort();
  }
  return 0;
}
