#pragma once

#include <optional>
#include <string>

#include "runtime/base/result.hpp"
#include "runtime/base/units.hpp"

namespace cox::provider {

/// Where memory is accounted for on this machine.
struct MemoryHierarchy {
  std::string mount_point;
  bool unified = false;  ///< version 2

  friend bool operator==(const MemoryHierarchy&, const MemoryHierarchy&) = default;
};

/// Finds it in the text of /proc/self/mountinfo: version 1's memory controller first, because where
/// that is mounted version 2 has no memory. Pure.
[[nodiscard]] std::optional<MemoryHierarchy> find_memory_hierarchy(const std::string& mountinfo);

/// Makes a cgroup with a memory limit for a node and returns its directory; empty where the machine
/// has none that this process may use (any but root; a container without its own).
[[nodiscard]] std::string make_memory_cgroup(const std::string& cluster, const std::string& node,
                                             MiB limit);

/// Removes it with all below it, and what stands empty above it. One that does not exist is fine.
/// Errors: unavailable while a process is in it.
[[nodiscard]] Result<void> remove_memory_cgroup(const std::string& cluster,
                                                const std::string& node);

}  // namespace cox::provider
