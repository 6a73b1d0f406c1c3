#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "launcher/config/config.hpp"
#include "runtime/base/result.hpp"

/// A YAML text as a plain tree with places, so that only one file includes yaml-cpp.
namespace cox::config {

struct Tree {
  enum class Kind { empty, scalar, list, map };
  struct Entry;

  Kind kind = Kind::empty;
  Place place;
  std::string scalar;
  bool quoted = false;         ///< a scalar in quotes is never a number or a boolean
  std::vector<Tree> items;     ///< of a list
  std::vector<Entry> entries;  ///< of a map, in the file's order

  [[nodiscard]] const Tree* find(std::string_view key) const;
};

struct Tree::Entry {
  std::string key;
  Place place;  ///< of the key
  Tree value;
};

/// Errors: a finding with the place where the text stops being YAML. Aliases are refused when they
/// would make the tree larger than kTreeNodesMax.
inline constexpr std::size_t kTreeNodesMax = 100'000;
[[nodiscard]] tl::expected<Tree, Finding> parse_yaml(std::string_view text);

}  // namespace cox::config
