#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "launcher/config/ini_keys.hpp"
#include "launcher/config/ini_text.hpp"

namespace cox::config {

/// The sections of a v2 file, each checked against its table when something leads to it.
class IniChecker {
 public:
  explicit IniChecker(std::string_view text) { sections_ = parse_ini(text, findings_); }

 protected:
  void complain(Place place, std::string text, const char* rule = kIniRule,
                Level level = Level::error) {
    findings_.push_back({level, rule, "", place, std::move(text)});
  }

  [[nodiscard]] const IniSection* find(std::string_view type, std::string_view label) const;

  /// The cluster's section by the label; else [global] cluster_template's; else "default"'s. What
  /// is not there is a finding.
  [[nodiscard]] const IniSection* find_cluster(const std::string& wanted);

  /// Unknown keys, values of wrong types, missing keys, too many labels; once a section. What only
  /// AWS does something with is told.
  void check_section(const IniSection& section);

  /// The sections that the labels of `<type>_settings` name; each is checked.
  [[nodiscard]] std::vector<const IniSection*> follow(const IniSection& from,
                                                      const std::string& type);

  /// Sections of no known type, and labels that are too long.
  void check_titles();

  std::vector<IniSection> sections_;
  std::vector<Finding> findings_;

 private:
  [[nodiscard]] std::vector<std::string> labels_of(std::string_view type) const;
  void check_value(const IniSection& section, const IniSectionKeys& known, const IniValue& value);

  std::set<std::string> checked_;
};

}  // namespace cox::config
