#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "launcher/config/schema.hpp"

/// The pieces that the table of keys is put together from.
namespace cox::config {

using Keys = std::vector<SchemaKey>;

inline constexpr std::string_view kVolumeTypes = "standard|io1|io2|gp2|st1|sc1|gp3";

/// Adds keys whose paths begin below `parent`; an empty one: the top level.
void add_keys(Keys& keys, const std::string& parent, std::initializer_list<SchemaKey> more);

/// Accepted, and only AWS does something with it: `note` says what, as "opens a port".
[[nodiscard]] SchemaKey on_aws(SchemaKey key, std::string_view note);
/// Served; `note` says how, for the table of keys.
[[nodiscard]] SchemaKey served(SchemaKey key, std::string_view note);
/// Accepted with a warning; `note` is the whole sentence.
[[nodiscard]] SchemaKey warned(SchemaKey key, std::string_view note);
/// Refused; `note` is the whole sentence.
[[nodiscard]] SchemaKey refused(SchemaKey key, std::string_view note);
/// With one scheduler alone.
[[nodiscard]] SchemaKey only_with(std::string_view scheduler, SchemaKey key);

// Groups of keys that stand in several places. `parent` is the path of the map that holds them.
void add_tags(Keys& keys, const std::string& path, std::string_view rule = {});
void add_iam(Keys& keys, const std::string& path, bool with_s3);
void add_security_groups(Keys& keys, const std::string& path);
void add_proxy(Keys& keys, const std::string& path);
void add_ssh(Keys& keys, const std::string& path);
void add_dcv(Keys& keys, const std::string& path);
void add_root_volume(Keys& keys, const std::string& path, bool of_head_node);
void add_actions(Keys& keys, const std::string& path, bool of_head_node);
void add_login_actions(Keys& keys, const std::string& path);
void add_custom_ami(Keys& keys, const std::string& path);

// The parts of the table.
void add_cluster_keys(Keys& keys);
void add_head_node_keys(Keys& keys);
void add_login_keys(Keys& keys);
void add_awsbatch_keys(Keys& keys);
void add_slurm_keys(Keys& keys);
void add_storage_keys(Keys& keys);
void add_own_keys(Keys& keys);

}  // namespace cox::config
