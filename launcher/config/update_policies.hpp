#pragma once

#include <string>
#include <string_view>

#include "launcher/config/compare.hpp"
#include "launcher/config/tree.hpp"

namespace cox::config {

/// The policy of a v3 key by its path in the table ("Scheduling/AwsBatchQueues[]/Name"): of the
/// nearest key above it that says; unsupported at the top. Pure.
[[nodiscard]] UpdatePolicy policy_of_key(const std::string& path);

/// The same of a v2 key, "cluster/min_vcpus" or "vpc public/ssh_from". Pure.
[[nodiscard]] UpdatePolicy policy_of_ini_key(const std::string& path);

/// The sections of an INI file that a cluster's template uses, as a map of maps: the template as
/// "cluster", all others by their titles. Pure.
[[nodiscard]] Tree used_sections(std::string_view text, const std::string& cluster_template);

}  // namespace cox::config
