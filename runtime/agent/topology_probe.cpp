#include "runtime/agent/topology_probe.hpp"

#include <hwloc.h>

#include <cstdlib>

namespace cox::agent {

std::string export_topology() {
  // Plugins look for graphics cards and displays: slow, and of no use for placing ranks.
  ::setenv("HWLOC_PLUGINS_PATH", "/nonexistent", 0);
  hwloc_topology_t topology = nullptr;
  if (hwloc_topology_init(&topology) != 0) return {};
  std::string xml;
  char* text = nullptr;
  int size = 0;
  if (hwloc_topology_load(topology) == 0 &&
      hwloc_topology_export_xmlbuffer(topology, &text, &size, 0) == 0) {
    xml.assign(text);
    hwloc_free_xmlbuffer(topology, text);
  }
  hwloc_topology_destroy(topology);
  return xml;
}

}  // namespace cox::agent
