#pragma once

#include <vector>

#include "launcher/config/config.hpp"

namespace cox::config {

/// What must hold of a configuration beyond its keys' types, whichever format it had: sizes,
/// instance types, names, mount directories. All findings are returned. Pure.
[[nodiscard]] std::vector<Finding> check_rules(const ClusterConfig& config);

}  // namespace cox::config
