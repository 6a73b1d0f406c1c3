#pragma once

#include <memory>
#include <string>
#include <vector>

namespace cox::agent {

/// This machine's shape as hwloc's XML; empty when hwloc cannot tell.
[[nodiscard]] std::string export_topology();

/// Hardware threads that this process may use, by hwloc; at least 1.
[[nodiscard]] int hardware_threads();

/// The operating system's numbers of hardware threads. Looks at the machine when first asked.
class CpuNumbers {
 public:
  CpuNumbers();
  ~CpuNumbers();
  CpuNumbers(const CpuNumbers&) = delete;
  CpuNumbers& operator=(const CpuNumbers&) = delete;

  /// Those of cores that are given by hwloc's logical numbers, ascending; a core that is not there
  /// has none.
  [[nodiscard]] std::vector<int> of_cores(const std::vector<int>& cores);

 private:
  struct Topology;
  std::unique_ptr<Topology> topology_;
};

}  // namespace cox::agent
