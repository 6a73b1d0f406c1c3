#include "launcher/config/schema.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <set>

#include "launcher/config/key_rule.hpp"
#include "launcher/config/yaml_writer.hpp"
#include "runtime/base/text.hpp"

namespace cox::config {

namespace {

std::string parent_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

std::string name_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }

/// The table by parents, in its order.
const std::map<std::string, std::vector<NamedKey>>& keys_by_parent() {
  static const auto index = [] {
    std::map<std::string, std::vector<NamedKey>> made;
    for (const auto& key : schema()) {
      made[parent_of(key.path)].push_back({name_of(key.path), &key});
    }
    return made;
  }();
  return index;
}

/// True for a scalar that YAML does not read as a text.
bool is_no_text(const Tree& value) { return !value.quoted && is_no_plain_text(value.scalar); }

class Checker {
 public:
  explicit Checker(std::string scheduler) : scheduler_(std::move(scheduler)) {}

  std::vector<Finding> run(const Tree& tree) {
    check_map(tree, "", "", {});
    return std::move(findings_);
  }

 private:
  void complain(const std::string& shown, const Place& place, std::string text) {
    findings_.push_back({Level::error, kSchemaRule, shown, place, std::move(text)});
  }

  static std::string below(const std::string& parent, const std::string& key) {
    return parent.empty() ? key : parent + "." + key;
  }

  [[nodiscard]] bool is_of_another_scheduler(const SchemaKey& key) const {
    return !key.only.empty() && key.only != scheduler_;
  }

  /// `where`: of the map's key, for what is missing in it.
  void check_map(const Tree& tree, const std::string& path, const std::string& shown,
                 const Place& where) {
    std::map<std::string_view, const Tree::Entry*> given;
    for (const auto& entry : tree.entries) given.emplace(entry.key, &entry);
    for (const auto& [name, key] : keys_below(path)) {
      const auto found = given.find(name);
      const auto* entry = found == given.end() ? nullptr : found->second;
      if (found != given.end()) given.erase(found);
      if (is_of_another_scheduler(*key)) {
        if (entry != nullptr) refuse_scheduler(*key, below(shown, name), entry->place);
      } else if (entry != nullptr && entry->value.kind != Tree::Kind::empty) {
        check_value(entry->value, *key, below(shown, name), entry->place);
      } else if (key->required) {
        complain(below(shown, name), entry != nullptr ? entry->place : where,
                 "Missing data for required field.");
      } else if (entry != nullptr) {
        complain(below(shown, name), entry->place, "Field may not be null.");
      }
    }
    for (const auto& [name, entry] : given) {
      complain(below(shown, entry->key), entry->place, unknown(entry->key, path));
    }
  }

  void refuse_scheduler(const SchemaKey& key, const std::string& shown, const Place& place) {
    if (key.path == "LoginNodes") {
      findings_.push_back({Level::error, "LoginNodesSchedulerValidator", shown, place,
                           "Login nodes are not supported with Scheduler: awsbatch."});
    } else if (key.path.starts_with("Scheduling/")) {
      complain(shown, place, fmt::format("Unknown field. It is for Scheduler: {} only.", key.only));
    } else {
      complain(shown, place, fmt::format("Not supported with Scheduler: {}.", scheduler_));
    }
  }

  /// A misspelt key of this map, or one that stands in the wrong place.
  [[nodiscard]] std::string unknown(const std::string& key, const std::string& path) const {
    std::vector<std::string> known;
    for (const auto& child : keys_below(path)) {
      if (!is_of_another_scheduler(*child.key)) known.push_back(child.name);
    }
    if (const auto near = nearest(key, known)) {
      return fmt::format("Unknown field. Did you mean {}?", *near);
    }
    std::set<std::string> homes;
    for (const auto& other : schema()) {
      if (name_of(other.path) == key && !lies_in_another_scheduler(other.path)) {
        homes.insert(parent_of(other.path));
      }
    }
    if (homes.size() != 1) return "Unknown field.";
    auto home = *homes.begin();
    std::replace(home.begin(), home.end(), '/', '.');
    return fmt::format("Unknown field. {} belongs {}.", key,
                       home.empty() ? "at the top level" : "below " + home);
  }

  [[nodiscard]] bool lies_in_another_scheduler(const std::string& path) const {
    return std::any_of(schema().begin(), schema().end(), [&](const SchemaKey& key) {
      return is_of_another_scheduler(key) && path.starts_with(key.path);
    });
  }

  void check_value(const Tree& value, const SchemaKey& key, const std::string& shown,
                   const Place& where) {
    switch (key.kind) {
      case KeyKind::settings:
        if (value.kind != Tree::Kind::map) complain(shown, value.place, "Invalid input type.");
        return;
      case KeyKind::settings_list:
        return check_settings_list(value, shown);
      case KeyKind::map:
        if (value.kind != Tree::Kind::map)
          return complain(shown, value.place, "Invalid input type.");
        return check_map(value, key.path, shown, where);
      case KeyKind::list:
      case KeyKind::hosts:
        return check_list(value, key, shown, where);
      case KeyKind::texts:
        return check_texts(value, key, shown, where);
      case KeyKind::text:
        return check_text(value, key, shown);
      case KeyKind::scalar:
        if (value.kind != Tree::Kind::scalar) complain(shown, value.place, "Invalid input type.");
        return;
      case KeyKind::integer:
        if (const auto number = to_integer(value); !number) {
          complain(shown, value.place, "Not a valid integer.");
        } else if (const auto fault = integer_fault(key.rule, *number)) {
          complain(shown, value.place, *fault);
        }
        return;
      case KeyKind::number:
        if (const auto number = to_number(value); !number) {
          complain(shown, value.place, "Not a valid number.");
        } else if (const auto fault = number_fault(key.rule, *number)) {
          complain(shown, value.place, *fault);
        }
        return;
      case KeyKind::boolean:
        if (!to_bool(value)) complain(shown, value.place, "Not a valid boolean.");
        return;
    }
  }

  void check_settings_list(const Tree& value, const std::string& shown) {
    if (value.kind != Tree::Kind::list) return complain(shown, value.place, "Not a valid list.");
    for (std::size_t i = 0; i < value.items.size(); ++i) {
      if (value.items[i].kind == Tree::Kind::map) continue;
      complain(fmt::format("{}[{}]", shown, i), value.items[i].place, "Invalid input type.");
    }
  }

  void check_text(const Tree& value, const SchemaKey& key, const std::string& shown) {
    if (value.kind != Tree::Kind::scalar) {
      return complain(shown, value.place, "Not a valid string.");
    }
    if (is_no_text(value)) {
      return complain(shown, value.place,
                      fmt::format("Not a valid string. To mean the text, write \"{}\" in quotes.",
                                  value.scalar));
    }
    if (const auto fault = text_fault(key.rule, value.scalar)) complain(shown, value.place, *fault);
  }

  void check_texts(const Tree& value, const SchemaKey& key, const std::string& shown,
                   const Place& where) {
    if (value.kind != Tree::Kind::list) {
      return complain(shown, value.place, "Not a valid list.");
    }
    if (value.items.empty() && key.required) {
      return complain(shown, where, "Missing data for required field.");
    }
    if (const auto fault = length_fault(key.rule, value.items.size())) {
      complain(shown, where, *fault);
    }
    for (std::size_t i = 0; i < value.items.size(); ++i) {
      check_text(value.items[i], key, fmt::format("{}[{}]", shown, i));
    }
  }

  void check_list(const Tree& value, const SchemaKey& key, const std::string& shown,
                  const Place& where) {
    if (value.kind != Tree::Kind::list) return complain(shown, value.place, "Not a valid list.");
    if (const auto fault = length_fault(key.rule, value.items.size())) {
      complain(shown, where, *fault);
    }
    for (std::size_t i = 0; i < value.items.size(); ++i) {
      const auto& item = value.items[i];
      const auto here = fmt::format("{}[{}]", shown, i);
      if (key.kind == KeyKind::hosts && item.kind == Tree::Kind::scalar) continue;
      if (item.kind != Tree::Kind::map) {
        complain(here, item.place.line > 0 ? item.place : where, "Invalid input type.");
      } else {
        check_map(item, key.path + "[]", here, item.place);
      }
    }
  }

  std::string scheduler_;
  std::vector<Finding> findings_;
};

/// Says what becomes of keys that are not wholly served, each once.
class FateTeller {
 public:
  std::vector<Finding> run(const Tree& tree) {
    tell_map(tree, "", "");
    return std::move(findings_);
  }

 private:
  void tell_map(const Tree& tree, const std::string& path, const std::string& shown) {
    for (const auto& [name, key] : keys_below(path)) {
      const auto* value = tree.find(name);
      if (value == nullptr || value->kind == Tree::Kind::empty) continue;
      const auto here = shown.empty() ? name : shown + "." + name;
      tell(*key, here);
      if (value->kind == Tree::Kind::map) tell_map(*value, key->path, here);
      for (std::size_t i = 0; i < value->items.size(); ++i) {
        tell_map(value->items[i], key->path + "[]", fmt::format("{}[{}]", here, i));
      }
    }
  }

  void tell(const SchemaKey& key, const std::string& shown) {
    if (key.fate == Fate::inherited || key.fate == Fate::served || !told_.insert(&key).second) {
      return;
    }
    if (key.fate == Fate::aws_only) {
      findings_.push_back(
          {Level::info,
           "AwsOnlyValidator",
           shown,
           {},
           fmt::format("{} works on AWS only: it {}.", name_of(key.path), key.note)});
    } else {
      findings_.push_back({key.fate == Fate::warned ? Level::warning : Level::error,
                           "NotServedValidator",
                           shown,
                           {},
                           std::string(key.note)});
    }
  }

  std::set<const SchemaKey*> told_;
  std::vector<Finding> findings_;
};

}  // namespace

const std::vector<NamedKey>& keys_below(const std::string& path) {
  static const std::vector<NamedKey> none;
  const auto found = keys_by_parent().find(path);
  return found == keys_by_parent().end() ? none : found->second;
}

std::string scheduler_of(const Tree& tree) {
  const auto* scheduler = find_path(tree, "Scheduling.Scheduler");
  if (scheduler != nullptr && scheduler->scalar == "slurm") return "slurm";
  if (scheduler != nullptr && scheduler->scalar == "awsbatch") return "awsbatch";
  const bool slurm = find_path(tree, "Scheduling.SlurmQueues") != nullptr &&
                     find_path(tree, "Scheduling.AwsBatchQueues") == nullptr;
  return slurm ? "slurm" : "awsbatch";
}

std::vector<Finding> check_schema(const Tree& tree) {
  return Checker(scheduler_of(tree)).run(tree);
}

std::vector<Finding> check_fates(const Tree& tree) {
  auto findings = FateTeller().run(tree);
  for (auto& finding : findings) finding.place = key_place_of(tree, finding.path);
  return findings;
}

std::optional<bool> to_bool(const Tree& tree) {
  if (tree.kind != Tree::Kind::scalar) return std::nullopt;
  const auto word = to_lower(tree.scalar);
  if (word == "true" || word == "yes" || word == "on" || word == "1" || word == "y" || word == "t")
    return true;
  if (word == "false" || word == "no" || word == "off" || word == "0" || word == "n" || word == "f")
    return false;
  return std::nullopt;
}

std::optional<std::int64_t> to_integer(const Tree& tree) {
  if (tree.kind != Tree::Kind::scalar) return std::nullopt;
  // 85.0 is a whole number, as in the original.
  const auto& word = tree.scalar;
  const auto point = word.find('.');
  const bool whole = point != std::string::npos && point > 0 &&
                     word.find_first_not_of('0', point + 1) == std::string::npos;
  return to_int(std::string_view(word).substr(0, whole ? point : std::string::npos));
}

std::optional<double> to_number(const Tree& tree) {
  if (tree.kind != Tree::Kind::scalar) return std::nullopt;
  double value = 0;
  const auto* end = tree.scalar.data() + tree.scalar.size();
  const auto [stop, error] = std::from_chars(tree.scalar.data(), end, value);
  const bool good = error == std::errc{} && stop == end && std::isfinite(value);
  return good ? std::optional(value) : std::nullopt;
}

}  // namespace cox::config
