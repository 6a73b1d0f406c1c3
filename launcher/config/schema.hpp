#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "launcher/config/tree.hpp"

/// The keys of a v3 file for awsbatch: their names, types and ranges, in one table.
namespace cox::config {

enum class KeyKind : std::uint8_t { map, list, text, texts, integer, boolean, scalar, any };

/// One key. The path has "[]" where a list's items are maps: "SharedStorage[]/MountDir".
/// Rules: "a|b|c" one of; ">=0", "1..100" a range; "#5" at most 5 items, "#1!" exactly 1; "~128" at
/// most 128 characters; "subnet-", "sg-": an id of that kind; "arn:role": an ARN of that kind;
/// "bucket"; several are separated by blanks.
struct SchemaKey {
  const char* path;
  KeyKind kind;
  bool required = false;  ///< where its parent is there
  std::string_view rule{};
};

/// Source: the schema of ParallelCluster 3.12, as far as it holds for awsbatch.
[[nodiscard]] const std::vector<SchemaKey>& schema();

/// Holds a tree against the table: unknown keys (with the nearest known one), wrong types, values
/// out of range, missing keys. All faults are reported.
[[nodiscard]] std::vector<Finding> check_schema(const Tree& tree);

/// What a v3 file for awsbatch must keep beyond the table: what excludes what, what awsbatch does
/// not have. Keys of wrong types are passed over.
[[nodiscard]] std::vector<Finding> check_relations(const Tree& tree);

/// The scalar as marshmallow reads booleans and integers; nothing when it is none.
[[nodiscard]] std::optional<bool> to_bool(const Tree& tree);
[[nodiscard]] std::optional<std::int64_t> to_integer(const Tree& tree);

}  // namespace cox::config
