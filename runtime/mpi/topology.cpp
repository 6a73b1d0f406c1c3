#include "runtime/mpi/topology.hpp"

#include <hwloc.h>

#include <memory>
#include <string>
#include <type_traits>

namespace cox::mpi {
namespace {

struct DestroyTopology {
  void operator()(hwloc_topology_t topology) const { hwloc_topology_destroy(topology); }
};
using Loaded = std::unique_ptr<std::remove_pointer_t<hwloc_topology_t>, DestroyTopology>;

/// The tree of the XML, with packages, NUMA nodes, cores and hardware threads alone.
Loaded load(const std::string& xml) {
  hwloc_topology_t raw = nullptr;
  if (hwloc_topology_init(&raw) != 0) return nullptr;
  Loaded topology(raw);
  hwloc_topology_set_all_types_filter(raw, HWLOC_TYPE_FILTER_KEEP_NONE);
  hwloc_topology_set_type_filter(raw, HWLOC_OBJ_PACKAGE, HWLOC_TYPE_FILTER_KEEP_ALL);
  // NUMA nodes hang on groups where no package is as large as they are.
  hwloc_topology_set_type_filter(raw, HWLOC_OBJ_GROUP, HWLOC_TYPE_FILTER_KEEP_STRUCTURE);
  hwloc_topology_set_type_filter(raw, HWLOC_OBJ_CORE, HWLOC_TYPE_FILTER_KEEP_ALL);
  const auto size = static_cast<int>(xml.size() + 1);  // hwloc counts the final zero byte
  if (hwloc_topology_set_xmlbuffer(raw, xml.c_str(), size) != 0) return nullptr;
  if (hwloc_topology_load(raw) != 0) return nullptr;
  return topology;
}

int package_of(hwloc_topology_t topology, hwloc_obj_t object) {
  const auto* package = hwloc_get_ancestor_obj_by_type(topology, HWLOC_OBJ_PACKAGE, object);
  return package == nullptr ? 0 : static_cast<int>(package->logical_index);
}

/// The first NUMA node that is local to the object. Others may be: memory of another kind.
int numa_of(hwloc_topology_t topology, hwloc_obj_t object) {
  for (hwloc_obj_t node = nullptr;
       (node = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_NUMANODE, node)) != nullptr;) {
    if (hwloc_bitmap_intersects(object->cpuset, node->cpuset) != 0) {
      return static_cast<int>(node->logical_index);
    }
  }
  return 0;
}

Core to_core(hwloc_topology_t topology, hwloc_obj_t object) {
  Core core{static_cast<int>(object->logical_index),
            package_of(topology, object),
            numa_of(topology, object),
            {}};
  for (hwloc_obj_t thread = nullptr;
       (thread = hwloc_get_next_obj_inside_cpuset_by_type(topology, object->cpuset, HWLOC_OBJ_PU,
                                                          thread)) != nullptr;) {
    core.hardware_threads.push_back(static_cast<int>(thread->logical_index));
  }
  return core;
}

}  // namespace

Result<Topology> parse_topology(std::string_view hwloc_xml) {
  constexpr std::size_t kBytesMax = 64u << 20;
  if (hwloc_xml.size() > kBytesMax || hwloc_xml.find('\0') != std::string_view::npos) {
    return fail(Errc::invalid_argument, "not a topology as hwloc exports it");
  }
  const auto loaded = load(std::string(hwloc_xml));
  if (!loaded) return fail(Errc::invalid_argument, "not a topology as hwloc exports it");
  auto* const topology = loaded.get();
  // Some virtual machines tell of hardware threads alone; each then counts as a core.
  const bool has_cores = hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_CORE) > 0;
  const auto kind = has_cores ? HWLOC_OBJ_CORE : HWLOC_OBJ_PU;
  Topology shape;
  for (hwloc_obj_t object = nullptr;
       (object = hwloc_get_next_obj_by_type(topology, kind, object)) != nullptr;) {
    shape.cores.push_back(to_core(topology, object));
  }
  if (shape.cores.empty()) return fail(Errc::invalid_argument, "a topology without any core");
  return shape;
}

Topology flat_topology(int cores, int threads_per_core) {
  Topology shape;
  for (int core = 0; core < cores; ++core) {
    shape.cores.push_back({core, 0, 0, {}});
    for (int thread = 0; thread < threads_per_core; ++thread) {
      shape.cores.back().hardware_threads.push_back(core * threads_per_core + thread);
    }
  }
  return shape;
}

}  // namespace cox::mpi
