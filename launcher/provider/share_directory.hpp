#pragma once

#include <string>

#include "runtime/base/result.hpp"

namespace cox::provider {

/// Binds a directory of this machine at a path of the node whose first process this is, by a
/// program of its own, because entering a node's mounts wants a process with one thread. A node
/// that has it already keeps it. Errors: unavailable when the node has no place for it.
[[nodiscard]] Result<void> show_directory(int pid, const std::string& source,
                                          const std::string& target);

/// Takes it away again, as far as that goes.
void hide_directory(int pid, const std::string& target);

}  // namespace cox::provider
