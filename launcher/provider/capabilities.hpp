#pragma once

#include "runtime/base/result.hpp"

namespace cox::provider {

/// Makes every capability of this process ambient, so that programs it runs have them too without
/// being root: the cluster's daemons in their user namespace. One thread only.
[[nodiscard]] Result<void> keep_capabilities_over_exec();

/// As root: keeps what daemons and tools inside a node need and drops what reaches beyond it, for
/// good. As another user: drops all. For what a person runs in a node.
[[nodiscard]] Result<void> drop_capabilities();

}  // namespace cox::provider
