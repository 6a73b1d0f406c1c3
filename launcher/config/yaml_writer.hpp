#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace cox::config {

/// A YAML document to be written: a map, a list or a scalar.
class YamlNode {
 public:
  /// An empty map.
  YamlNode() = default;

  /// A text; in quotes where YAML would read it as something else.
  [[nodiscard]] static YamlNode text(std::string_view word);
  /// A number or a truth value, as it is.
  [[nodiscard]] static YamlNode plain(std::string_view word);
  [[nodiscard]] static YamlNode boolean(bool value) { return plain(value ? "true" : "false"); }
  /// A list of texts.
  [[nodiscard]] static YamlNode texts(const std::vector<std::string>& words);

  /// Adds an entry of a map, at its end; an empty map or list is left out.
  void set(std::string key, YamlNode value);
  /// As set(), in the place of an entry that is there.
  void replace(const std::string& key, YamlNode value);
  /// Adds an item: the node is a list from now on.
  void add(YamlNode item);

  [[nodiscard]] bool is_empty() const { return scalar_.empty() && children_.empty(); }

  /// The document's lines: maps and lists in block style, indented by two. Pure.
  [[nodiscard]] std::string render() const;

 private:
  void write(std::string& out, int indent, bool first_in_line) const;

  bool is_list_ = false;
  std::string scalar_;  ///< as written; empty for maps and lists
  std::vector<std::pair<std::string, YamlNode>> children_;
};

/// True when YAML 1.1 reads the plain word as a number, a truth value or nothing. Pure.
[[nodiscard]] bool is_no_plain_text(std::string_view word);

}  // namespace cox::config
