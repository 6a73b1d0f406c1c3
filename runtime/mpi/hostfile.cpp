#include "runtime/mpi/hostfile.hpp"

#include <cstddef>
#include <string_view>

namespace cox::mpi {
namespace {

/// Characters that end or change the meaning of a name in a hostfile, or cannot be in one.
bool is_host_name(std::string_view text) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= ' ' || byte == 0x7f || std::string_view("#=,\"'+^").find(c) != text.npos) {
      return false;
    }
  }
  return !text.empty();
}

}  // namespace

Result<std::string> render_hostfile(std::span<const NodeSlots> nodes) {
  if (nodes.empty()) return fail(Errc::invalid_argument, "a hostfile needs at least one node");
  std::string text;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const auto& node = nodes[i];
    if (!is_host_name(node.address)) {
      return fail(Errc::invalid_argument, "node {}: '{}' is no address", i, node.address);
    }
    if (node.slots < 1) {
      return fail(Errc::invalid_argument, "node {} ({}): slots must be at least 1, not {}", i,
                  node.address, node.slots);
    }
    text += fmt::format("{} slots={}\n", node.address, node.slots);
  }
  return text;
}

}  // namespace cox::mpi
