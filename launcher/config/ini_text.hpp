#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "launcher/config/config.hpp"

/// An INI text as sections with places.
namespace cox::config {

struct IniValue {
  std::string key;
  std::string text;
  Place place;  ///< of the key
};

struct IniSection {
  std::string type;   ///< "cluster"
  std::string label;  ///< "awsbatch"; empty for aws, global, aliases
  Place place;
  std::vector<IniValue> values;  ///< in the file's order

  [[nodiscard]] std::string title() const { return label.empty() ? type : type + " " + label; }
  [[nodiscard]] const IniValue* find(std::string_view key) const;
  [[nodiscard]] bool has(std::string_view key) const { return find(key) != nullptr; }
  [[nodiscard]] std::string get(std::string_view key, std::string absent = "") const;
  /// Where the key stands, or the section.
  [[nodiscard]] Place place_of(std::string_view key) const;
};

/// Reads INI as Python's configparser does: `key = value` or `key: value`, keys in any case,
/// comments from `#` or `;` at a line's begin or behind a blank, values that go on in deeper
/// indented lines. What cannot be read, sections and keys that stand twice are findings. Pure.
[[nodiscard]] std::vector<IniSection> parse_ini(std::string_view text,
                                                std::vector<Finding>& findings);

/// The words of pre_install_args and post_install_args, as the original's converter cuts them:
/// quotes go, blanks part. Pure.
[[nodiscard]] std::vector<std::string> words_of_arguments(std::string text);

inline constexpr const char* kIniRule = "ConfigFileValidator";

}  // namespace cox::config
