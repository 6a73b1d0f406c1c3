#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "launcher/config/tree.hpp"

/// The keys of a v3 file for awsbatch: their names, types and ranges, in one table.
namespace cox::config {

enum class KeyKind : std::uint8_t { map, list, text, texts, integer, boolean, any };

/// One key. The path has "[]" where a list's items are maps: "SharedStorage[]/MountDir".
struct SchemaKey {
  const char* path;
  KeyKind kind;
  bool required = false;    ///< where its parent is there
  std::string_view rule{};  ///< "a|b|c" one of; ">=0"; "1..100"; "subnet", "sg": ids; empty: none
};

[[nodiscard]] const std::vector<SchemaKey>& schema();

/// Holds a tree against the table: unknown keys (with the nearest known one), wrong types, values
/// out of range, missing keys. All faults are reported.
[[nodiscard]] std::vector<Finding> check_schema(const Tree& tree);

/// The scalar as a boolean or an integer, as YAML 1.1 reads them; nothing when it is none.
[[nodiscard]] std::optional<bool> to_bool(const Tree& tree);
[[nodiscard]] std::optional<std::int64_t> to_integer(const Tree& tree);

/// True for MountDir's pattern and for what may be mounted: not a system directory.
[[nodiscard]] std::optional<std::string> mount_dir_fault(const std::string& mount_dir);

}  // namespace cox::config
