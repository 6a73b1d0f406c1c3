#include "runtime/agent/topology_probe.hpp"

#include <hwloc.h>

#include <cstdlib>

namespace cox::agent {

namespace {

/// A loaded topology, or null.
hwloc_topology_t load() {
  // Plugins look for graphics cards and displays: slow, and of no use for placing ranks.
  ::setenv("HWLOC_PLUGINS_PATH", "/nonexistent", 0);
  hwloc_topology_t topology = nullptr;
  if (hwloc_topology_init(&topology) != 0) return nullptr;
  if (hwloc_topology_load(topology) == 0) return topology;
  hwloc_topology_destroy(topology);
  return nullptr;
}

}  // namespace

std::string export_topology() {
  const auto topology = load();
  if (topology == nullptr) return {};
  std::string xml;
  char* text = nullptr;
  int size = 0;
  if (hwloc_topology_export_xmlbuffer(topology, &text, &size, 0) == 0) {
    xml.assign(text);
    hwloc_free_xmlbuffer(topology, text);
  }
  hwloc_topology_destroy(topology);
  return xml;
}

int hardware_threads() {
  const auto topology = load();
  if (topology == nullptr) return 1;
  const int count = hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_PU);
  hwloc_topology_destroy(topology);
  return count > 0 ? count : 1;
}

struct CpuNumbers::Topology {
  hwloc_topology_t loaded = load();
};

CpuNumbers::CpuNumbers() = default;
CpuNumbers::~CpuNumbers() {
  if (topology_ && topology_->loaded != nullptr) hwloc_topology_destroy(topology_->loaded);
}

std::vector<int> CpuNumbers::of_cores(const std::vector<int>& cores) {
  if (!topology_) topology_ = std::make_unique<Topology>();
  std::vector<int> numbers;
  if (topology_->loaded == nullptr) return numbers;
  hwloc_bitmap_t all = hwloc_bitmap_alloc();
  for (const int core : cores) {
    const auto* object = core < 0 ? nullptr
                                  : hwloc_get_obj_by_type(topology_->loaded, HWLOC_OBJ_CORE,
                                                          static_cast<unsigned>(core));
    if (object != nullptr) hwloc_bitmap_or(all, all, object->cpuset);
  }
  for (int number = hwloc_bitmap_first(all); number >= 0; number = hwloc_bitmap_next(all, number)) {
    numbers.push_back(number);
  }
  hwloc_bitmap_free(all);
  return numbers;
}

}  // namespace cox::agent
