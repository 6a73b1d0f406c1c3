#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "launcher/config/tree.hpp"

/// The keys of a v3 file: their names, types, ranges, defaults and what becomes of them here, in
/// one table. Checks, the notes on what only AWS has, the Markdown of the keys and the JSON Schema
/// are all made from it.
namespace cox::config {

enum class KeyKind : std::uint8_t {
  map,    ///< of known keys
  list,   ///< of maps of known keys
  hosts,  ///< as list; a word instead of a map is its first required key
  text,
  texts,  ///< list of texts
  integer,
  number,  ///< with a fraction or without
  boolean,
  scalar,         ///< a text or a boolean
  settings,       ///< a map of keys that the table does not know
  settings_list,  ///< a list of such maps
};

/// What becomes of a key.
enum class Fate : std::uint8_t {
  inherited,  ///< as of the nearest key above it that says; served at the top
  served,
  aws_only,  ///< accepted; a line of INFO says what it would do
  warned,    ///< accepted; a WARNING says what to mind
  refused,   ///< an ERROR says why
};

/// One key. The path has "[]" where a list's items are maps: "SharedStorage[]/MountDir".
/// Rules, separated by blanks: see key_rule.hpp.
struct SchemaKey {
  std::string path;
  KeyKind kind = KeyKind::text;
  bool required = false;  ///< where its parent is there
  std::string_view rule{};
  std::string_view absent{};  ///< what holds where the file does not say
  Fate fate = Fate::inherited;
  std::string_view note{};  ///< of aws_only: what it does there; else what it does or why not
  std::string_view only{};  ///< "awsbatch" or "slurm": with that scheduler alone
};

/// Source: the schema of ParallelCluster 3.12, and our own keys below `Coxswain`.
[[nodiscard]] const std::vector<SchemaKey>& schema();

/// A key under its parent.
struct NamedKey {
  std::string name;
  const SchemaKey* key;
};

/// The keys right below a map's path ("" is the top), in the table's order.
[[nodiscard]] const std::vector<NamedKey>& keys_below(const std::string& path);

/// "awsbatch" or "slurm": what the file says, else what its queues are of. Pure.
[[nodiscard]] std::string scheduler_of(const Tree& tree);

/// Holds a tree against the table: unknown keys (with the nearest known one), wrong types, values
/// out of range, missing keys. All faults are reported.
[[nodiscard]] std::vector<Finding> check_schema(const Tree& tree);

/// What the table has to say of the keys that are there and not (wholly) served: one finding a key,
/// where it stands first.
[[nodiscard]] std::vector<Finding> check_fates(const Tree& tree);

/// What a v3 file must keep beyond the table: what excludes what, what a scheduler does not have.
/// Keys of wrong types are passed over.
[[nodiscard]] std::vector<Finding> check_relations(const Tree& tree);

/// The same of shared storages: what belongs to which type, AWS's limits of size and speed.
[[nodiscard]] std::vector<Finding> check_storage_relations(const Tree& tree);

/// The scalar as marshmallow reads booleans, integers and floats; nothing when it is none.
[[nodiscard]] std::optional<bool> to_bool(const Tree& tree);
[[nodiscard]] std::optional<std::int64_t> to_integer(const Tree& tree);
[[nodiscard]] std::optional<double> to_number(const Tree& tree);

}  // namespace cox::config
