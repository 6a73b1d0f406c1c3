#pragma once

#include "launcher/config/tree.hpp"

namespace cox::config {

/// What a v3 tree says, as the typed configuration. What is missing or of a wrong type has its
/// fault already and is read as if it were not there. Pure.
[[nodiscard]] ClusterConfig read_config(const Tree& tree, const LoadOptions& options);

}  // namespace cox::config
