#pragma once

#include <string>

namespace cox::agent {

/// This machine's shape as hwloc's XML; empty when hwloc cannot tell.
[[nodiscard]] std::string export_topology();

}  // namespace cox::agent
