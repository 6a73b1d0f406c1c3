#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "launcher/config/config.hpp"

/// What must hold of a configuration beyond its keys' types. Pure.
namespace cox::config {

/// Rules of a configuration, whichever format it had: sizes, instance types, names, mount
/// directories, providers (of which `providers` are there). Paths are those of version 3; places
/// are for the caller to add.
[[nodiscard]] std::vector<Finding> check_rules(const ClusterConfig& config,
                                               const std::vector<std::string>& providers);

/// vCPUs of a Slurm compute resource from its numbers of nodes and its first type.
void count_vcpus(ComputeResource& resource);

/// Why MountDir's value may not be used as a mount directory; empty when it may.
[[nodiscard]] std::string mount_dir_fault(const std::string& mount_dir);

/// Why a custom action's Script can be none: a sentence; empty when it can.
[[nodiscard]] std::string script_fault(std::string_view script);

/// "x86_64" or "arm64", by the family's letters.
[[nodiscard]] std::string architecture_of(std::string_view type);

/// Hardware threads of each core, by the family.
[[nodiscard]] int threads_per_core(std::string_view type);

/// True for a region that AWS has.
[[nodiscard]] bool is_region(std::string_view name);
/// True for what may be one's name: "us-west-2", "us-gov-east-1".
[[nodiscard]] bool has_form_of_region(std::string_view name);
[[nodiscard]] std::optional<std::string> nearest_region(const std::string& name);

/// The login name of an operating system.
[[nodiscard]] std::string user_of_os(std::string_view os);

/// Adds what is not said of something that has a fault already: a finding is left out when an error
/// stands at its path or below it.
void add_consequences(std::vector<Finding>& findings, std::vector<Finding> more);

/// By line, then column; findings about the file as a whole come first.
void sort_by_place(std::vector<Finding>& findings);

/// Sorts, and leaves out those behind the five hundredth, saying so.
void keep_readable(std::vector<Finding>& findings);

/// True when a finding stands in the way of a configuration.
[[nodiscard]] bool stands_in_the_way(const std::vector<Finding>& findings);

}  // namespace cox::config
