#include "launcher/config/ini_checker.hpp"

#include <algorithm>

#include "runtime/base/text.hpp"

namespace cox::config {

namespace {

// The original's longest label.
constexpr std::size_t kLabelCharactersMax = 30;

}  // namespace

const IniSection* IniChecker::find(std::string_view type, std::string_view label) const {
  for (const auto& section : sections_) {
    if (section.type == type && section.label == label) return &section;
  }
  return nullptr;
}

std::vector<std::string> IniChecker::labels_of(std::string_view type) const {
  std::vector<std::string> labels;
  for (const auto& section : sections_) {
    if (section.type == type) labels.push_back(section.label);
  }
  return labels;
}

const IniSection* IniChecker::find_cluster(const std::string& wanted) {
  const auto* global = find("global", "");
  auto label = wanted;
  Place place;
  if (label.empty() && global != nullptr && global->has("cluster_template")) {
    label = global->get("cluster_template");
    place = global->place_of("cluster_template");
  }
  if (label.empty()) label = "default";
  if (const auto* cluster = find("cluster", label)) return cluster;
  const auto labels = labels_of("cluster");
  const auto near = nearest(label, labels);
  complain(place,
           fmt::format("The section [cluster {}] is not in the file{}", label,
                       near             ? fmt::format("; did you mean [cluster {}]?", *near)
                       : labels.empty() ? ""
                                        : fmt::format(": it has [cluster {}]; name one with -t",
                                                      join(labels, "], [cluster "))));
  return nullptr;
}

void IniChecker::check_section(const IniSection& section) {
  const auto* known = find_ini_keys(section.type);
  if (known == nullptr || !checked_.insert(section.title()).second) return;
  for (const auto& value : section.values) check_value(section, *known, value);
  for (const auto& key : known->keys) {
    if (!key.required || !section.get(key.name).empty()) continue;
    complain(section.place_of(key.name),
             fmt::format("The configuration parameter '{}' is required in the [{}] section",
                         key.name, section.title()));
  }
}

void IniChecker::check_value(const IniSection& section, const IniSectionKeys& known,
                             const IniValue& value) {
  const auto key = std::find_if(known.keys.begin(), known.keys.end(),
                                [&](const IniKey& each) { return value.key == each.name; });
  if (key == known.keys.end()) {
    std::vector<std::string> names;
    for (const auto& each : known.keys) names.emplace_back(each.name);
    const auto near = nearest(value.key, names);
    complain(value.place,
             fmt::format("The configuration parameter '{}' is not allowed in the [{}] section{}",
                         value.key, section.title(),
                         near ? fmt::format("; did you mean '{}'?", *near) : ""));
    return;
  }
  if (const auto fault = ini_fault(*key, value.text)) {
    complain(value.place, fmt::format("The configuration parameter '{}' {}", key->name, *fault));
  } else if (!key->note.empty()) {
    complain(value.place, fmt::format("{} works on AWS only: it {}.", key->name, key->note),
             "AwsOnlyValidator", Level::info);
  }
}

std::vector<const IniSection*> IniChecker::follow(const IniSection& from, const std::string& type) {
  std::vector<const IniSection*> found;
  const auto* value = from.find(type + "_settings");
  if (value == nullptr || value->text.empty()) return found;
  const auto words = split(value->text, ',');
  const auto* known = find_ini_keys(type);
  if (known != nullptr && words.size() > known->most_labels) {
    complain(value->place,
             fmt::format("{} may name {} section{} at most, not {}", value->key, known->most_labels,
                         known->most_labels == 1 ? "" : "s", words.size()));
  }
  for (const auto& word : words) {
    const std::string label(trim(word));
    const auto* section = find(type, label);
    if (section != nullptr) {
      check_section(*section);
      found.push_back(section);
      continue;
    }
    const auto near = nearest(label, labels_of(type));
    complain(value->place,
             fmt::format("{} names the section [{} {}], which is not in the file{}", value->key,
                         type, label, near ? fmt::format("; did you mean {}?", *near) : ""));
  }
  return found;
}

void IniChecker::check_titles() {
  std::vector<std::string> types;
  for (const auto& known : ini_schema()) types.emplace_back(known.type);
  for (const auto& section : sections_) {
    if (section.label.size() > kLabelCharactersMax) {
      complain(section.place, fmt::format("The label '{}' is longer than {} characters",
                                          section.label, kLabelCharactersMax));
    }
    if (find_ini_keys(section.type) != nullptr) continue;
    const auto near = nearest(section.type, types);
    complain(section.place, fmt::format("The section [{}] is not known{}", section.title(),
                                        near ? fmt::format("; did you mean [{}]?", *near) : ""));
  }
}

}  // namespace cox::config
