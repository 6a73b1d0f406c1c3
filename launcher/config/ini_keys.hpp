#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// The keys of a v2 file.
namespace cox::config {

enum class IniKind : std::uint8_t { text, integer, number, boolean, choice, json };

struct IniKey {
  const char* name;
  IniKind kind = IniKind::text;
  std::string_view rule{};  ///< as key_rule.hpp has them
  bool required = false;
  std::string_view note{};  ///< where only AWS does something with it: what
};

struct IniSectionKeys {
  const char* type;
  std::vector<IniKey> keys;
  std::size_t most_labels = 1;  ///< sections that a `<type>_settings` may name
};

/// Source: ParallelCluster 2.11's mappings.
[[nodiscard]] const std::vector<IniSectionKeys>& ini_schema();

/// The keys of a type of section; null when there is no such type. Pure.
[[nodiscard]] const IniSectionKeys* find_ini_keys(std::string_view type);

/// Why a value is not what its key takes; nothing when it is. Pure.
[[nodiscard]] std::optional<std::string> ini_fault(const IniKey& key, const std::string& value);

/// true, yes, on, 1 and their opposites in any case. Pure.
[[nodiscard]] std::optional<bool> ini_boolean(std::string_view value);

}  // namespace cox::config
