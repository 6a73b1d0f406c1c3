#pragma once

#include <string_view>
#include <vector>

#include "runtime/base/result.hpp"

namespace cox::mpi {

/// A core and where it sits. Numbers are hwloc's logical indexes within the node.
struct Core {
  int index = 0;
  int package = 0;
  int numa = 0;
  std::vector<int> hardware_threads;  ///< logical PU indexes

  friend bool operator==(const Core&, const Core&) = default;
};

/// The shape of a node, as far as placing ranks needs it.
struct Topology {
  std::vector<Core> cores;  ///< in logical order

  friend bool operator==(const Topology&, const Topology&) = default;
};

/// Reads the XML that hwloc 2 exports (lstopo --of xml, hwloc_topology_export_xmlbuffer).
/// Errors: invalid_argument when the text is no such XML or has no core.
/// Pure: parses a text; does not look at the machine.
[[nodiscard]] Result<Topology> parse_topology(std::string_view hwloc_xml);

/// A plain machine: one package, `cores` cores with `threads_per_core` hardware threads each. Pure.
[[nodiscard]] Topology flat_topology(int cores, int threads_per_core);

}  // namespace cox::mpi
