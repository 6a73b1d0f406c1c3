#pragma once

#include <functional>
#include <string>

#include "runtime/base/result.hpp"

namespace cox::cluster {

/// Takes the shared directories that the cluster's file wants kept (DeletionPolicy Retain or
/// Snapshot), and that hold something, out of the cluster's: to
/// <state root>/kept_storage/<cluster>-<storage>-<time>. `progress` hears of each. Nothing of the
/// cluster may run any more. What is taken out already is not looked for: safe to do again.
/// Errors: a directory could not be moved; it is where it was.
[[nodiscard]] Result<void> keep_storage(const std::string& directory, const std::string& name,
                                        const std::function<void(const std::string&)>& progress);

}  // namespace cox::cluster
