#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "launcher/config/config.hpp"

/// A YAML text as a plain tree with places, so that only one file includes yaml-cpp.
namespace cox::config {

struct Tree {
  enum class Kind { empty, scalar, list, map };
  struct Entry;

  Kind kind = Kind::empty;
  Place place;
  std::string scalar;
  bool quoted = false;         ///< a scalar in quotes (or tagged !!str) is text, whatever it says
  std::vector<Tree> items;     ///< of a list
  std::vector<Entry> entries;  ///< of a map, in the file's order

  [[nodiscard]] const Tree* find(std::string_view key) const;
};

struct Tree::Entry {
  std::string key;
  Place place;  ///< of the key
  Tree value;
};

/// The value at "A.B[0].C"; null when there is none. Pure.
[[nodiscard]] const Tree* find_path(const Tree& tree, std::string_view path);

/// Where `path` stands: its key, or an item of a list; where the file does not have it, the nearest
/// thing above it. Pure.
[[nodiscard]] Place place_of(const Tree& tree, std::string_view path);

/// Where the key itself stands (or the item of a list): what is to be said is about the key. Pure.
[[nodiscard]] Place key_place_of(const Tree& tree, std::string_view path);

inline constexpr std::size_t kTextBytesMax = 1u << 20;
inline constexpr std::size_t kTreeNodesMax = 100'000;
inline constexpr int kTreeDepthMax = 64;

/// Reads a text. What stops it from being one YAML document is a finding of kTextRule, and there is
/// no tree then; keys that stand twice are findings of kSchemaRule and the first one counts.
/// Aliases and merge keys (`<<`) are resolved; a tree that they would make larger than
/// kTreeNodesMax or deeper than kTreeDepthMax is refused. Pure.
[[nodiscard]] std::optional<Tree> parse_yaml(std::string_view text, std::vector<Finding>& findings);

inline constexpr const char* kTextRule = "FileValidator";
inline constexpr const char* kSchemaRule = "ConfigSchemaValidator";

}  // namespace cox::config
