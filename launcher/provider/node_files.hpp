#pragma once

#include <string>
#include <vector>

#include "runtime/base/ids.hpp"
#include "runtime/base/result.hpp"

namespace cox::provider {

/// <cluster directory>/nodes/<id>
[[nodiscard]] std::string node_directory(const std::string& cluster_directory, const NodeId& id);

/// A process, told apart from a later one with the same number.
struct ProcessMark {
  int pid = 0;
  unsigned long long start_time = 0;  ///< field 22 of /proc/<pid>/stat

  friend bool operator==(const ProcessMark&, const ProcessMark&) = default;
};

/// The mark of a process as it is now. Errors: not_found.
[[nodiscard]] Result<ProcessMark> mark_of(int pid);

/// "<pid> <start time>\n" and back. Pure.
[[nodiscard]] std::string render_mark(const ProcessMark& mark);
[[nodiscard]] Result<ProcessMark> parse_mark(const std::string& text);

/// The first process of a node, from nodes/<id>/pid. Errors: not_found when there is none, or it is
/// not alive any more.
[[nodiscard]] Result<ProcessMark> living_first_process(const std::string& cluster_directory,
                                                       const NodeId& id);

/// Writes a small file in place, without waiting for the disk: what it says is of no use after a
/// restart of the machine.
[[nodiscard]] Result<void> write_note(const std::string& path, const std::string& text);

/// The nodes that have a directory, whether alive or not; sorted.
[[nodiscard]] std::vector<NodeId> nodes_on_disk(const std::string& cluster_directory);

}  // namespace cox::provider
