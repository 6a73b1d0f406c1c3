#pragma once

#include <string>
#include <vector>

#include "launcher/provider/mount_plan.hpp"
#include "runtime/base/result.hpp"

namespace cox::provider {

/// Gives the calling process a root made by the plan, and lets go of the old one for good. Must run
/// in a mount namespace of its own, as the first process of its process namespace (for /proc).
/// `mount_point` is an existing empty directory; it is used in this mount namespace only.
/// Errors: the step that failed, with its target. The process is of no use then.
[[nodiscard]] Result<void> enter_root(const std::vector<MountStep>& steps,
                                      const std::string& mount_point);

}  // namespace cox::provider
