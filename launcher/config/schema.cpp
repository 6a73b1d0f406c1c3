#include "launcher/config/schema.hpp"

#include <algorithm>

#include "runtime/base/text.hpp"

namespace cox::config {

namespace {

/// Splits a path into the parent's and the key's own name.
std::pair<std::string, std::string> parts_of(std::string_view path) {
  const auto slash = path.rfind('/');
  if (slash == std::string_view::npos) return {"", std::string(path)};
  return {std::string(path.substr(0, slash)), std::string(path.substr(slash + 1))};
}

bool holds_only(std::string_view text, std::string_view characters) {
  return std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           characters.find(c) != characters.npos;
  });
}

/// "subnet-" and 8 or 17 letters and digits.
bool is_id(std::string_view text, std::string_view prefix) {
  const auto digits = text.size() - std::min(text.size(), prefix.size());
  return text.starts_with(prefix) && (digits == 8 || digits == 17) &&
         holds_only(text.substr(prefix.size()), "");
}

std::string not_one_of(const std::string& word, std::string_view rule) {
  const auto allowed = split(rule, '|');
  const auto near = nearest(word, allowed);
  return fmt::format("Must be one of: {}.{}", join(allowed, ", "),
                     near ? fmt::format(" Did you mean {}?", *near) : "");
}

bool is_one_of(const std::string& word, std::string_view rule) {
  const auto allowed = split(rule, '|');
  return std::find(allowed.begin(), allowed.end(), word) != allowed.end();
}

/// Why a text does not keep one rule; nothing when it does.
std::optional<std::string> text_fault(std::string_view rule, const std::string& word) {
  if (rule.empty() || rule[0] == '#') return std::nullopt;
  if (rule[0] == '~') {
    const auto most = to_int(rule.substr(1)).value_or(0);
    if (static_cast<std::int64_t>(word.size()) <= most) return std::nullopt;
    return fmt::format("Longer than maximum length {}.", most);
  }
  if (rule == "bucket") {
    if (!word.empty() && holds_only(word, "*-.")) return std::nullopt;
    return fmt::format("{} is not the name of a bucket.", word);
  }
  if (rule.starts_with("arn:")) {
    const auto kind = fmt::format(":{}/", rule.substr(4));
    if (word.starts_with("arn:") && word.find(kind) != std::string::npos) return std::nullopt;
    return fmt::format("{} is not an ARN such as arn:aws:iam::123456789012{}NAME.", word, kind);
  }
  if (rule.ends_with("-")) {
    if (is_id(word, rule)) return std::nullopt;
    return fmt::format("{} is not an id such as {}0123456789abcdef0.", word, rule);
  }
  return is_one_of(word, rule) ? std::nullopt : std::optional(not_one_of(word, rule));
}

std::optional<std::string> integer_fault(std::string_view rule, std::int64_t value) {
  if (rule.starts_with(">=")) {
    const auto least = to_int(rule.substr(2)).value_or(0);
    if (value < least) return fmt::format("Must be greater than or equal to {}.", least);
  } else if (const auto dots = rule.find(".."); dots != std::string_view::npos) {
    const auto least = to_int(rule.substr(0, dots)).value_or(0);
    const auto most = to_int(rule.substr(dots + 2)).value_or(0);
    if (value < least || value > most) return fmt::format("Must be from {} to {}.", least, most);
  } else if (!rule.empty() && !is_one_of(std::to_string(value), rule)) {
    return not_one_of(std::to_string(value), rule);
  }
  return std::nullopt;
}

/// How many items a list may have, by "#5" (at most) or "#1!" (exactly).
std::optional<std::string> length_fault(std::string_view rules, std::size_t size) {
  for (const auto& rule : split(rules, ' ')) {
    if (!rule.starts_with("#")) continue;
    const bool exactly = rule.ends_with("!");
    const auto number = rule.substr(1, rule.size() - (exactly ? 2 : 1));
    const auto most = static_cast<std::size_t>(to_int(number).value_or(0));
    if (exactly && size != most) return fmt::format("Length must be {}.", most);
    if (size > most) return fmt::format("Longer than maximum length {}.", most);
  }
  return std::nullopt;
}

/// True when YAML 1.1 reads the plain word as a number or a truth value.
bool is_no_text(const Tree& value) {
  if (value.quoted) return false;
  const auto& word = value.scalar;
  const bool number = word.find_first_not_of("0123456789.+-_eExX") == std::string::npos &&
                      word.find_first_of("0123456789") != std::string::npos &&
                      std::count(word.begin(), word.end(), '.') <= 1 &&
                      word.find('-', 1) == std::string::npos;
  const auto low = to_lower(word);
  return number || low == "true" || low == "false" || low == "yes" || low == "no" || low == "on" ||
         low == "off";
}

class Checker {
 public:
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

  /// `where`: of the map's key, for what is missing in it.
  void check_map(const Tree& tree, const std::string& path, const std::string& shown,
                 const Place& where) {
    std::vector<std::string> known;
    for (const auto& key : schema()) {
      const auto [parent, name] = parts_of(key.path);
      if (parent != path) continue;
      known.push_back(name);
      const auto entry =
          std::find_if(tree.entries.begin(), tree.entries.end(),
                       [&, wanted = name](const Tree::Entry& each) { return each.key == wanted; });
      if (entry != tree.entries.end() && entry->value.kind != Tree::Kind::empty) {
        check_value(entry->value, key, below(shown, name), entry->place);
      } else if (key.required) {
        complain(below(shown, name), entry != tree.entries.end() ? entry->place : where,
                 "Missing data for required field.");
      } else if (entry != tree.entries.end()) {
        complain(below(shown, name), entry->place, "Field may not be null.");
      }
    }
    for (const auto& entry : tree.entries) {
      if (std::find(known.begin(), known.end(), entry.key) != known.end()) continue;
      complain(below(shown, entry.key), entry.place, unknown(entry.key, known));
    }
  }

  /// A misspelt key of this map, or one that stands in the wrong place.
  static std::string unknown(const std::string& key, const std::vector<std::string>& known) {
    if (const auto near = nearest(key, known)) {
      return fmt::format("Unknown field. Did you mean {}?", *near);
    }
    for (const auto& word : known) {
      if (to_lower(word) == to_lower(key)) {
        return fmt::format("Unknown field. Did you mean {}?", word);
      }
    }
    std::vector<std::string> homes;
    for (const auto& other : schema()) {
      const auto [parent, name] = parts_of(other.path);
      if (name == key) homes.push_back(parent.empty() ? "the top level" : parent);
    }
    if (homes.size() != 1) return "Unknown field.";
    std::replace(homes[0].begin(), homes[0].end(), '/', '.');
    return fmt::format("Unknown field. {} belongs below {}.", key, homes[0]);
  }

  void check_value(const Tree& value, const SchemaKey& key, const std::string& shown,
                   const Place& where) {
    switch (key.kind) {
      case KeyKind::any:
        return;
      case KeyKind::map:
        if (value.kind != Tree::Kind::map)
          return complain(shown, value.place, "Invalid input type.");
        return check_map(value, key.path, shown, where);
      case KeyKind::list:
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
      case KeyKind::boolean:
        if (!to_bool(value)) complain(shown, value.place, "Not a valid boolean.");
        return;
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
    for (const auto& rule : split(key.rule, ' ')) {
      if (const auto fault = text_fault(rule, value.scalar)) complain(shown, value.place, *fault);
    }
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
      if (item.kind != Tree::Kind::map) {
        complain(here, item.place.line > 0 ? item.place : where, "Invalid input type.");
      } else {
        check_map(item, std::string(key.path) + "[]", here, item.place);
      }
    }
  }

  std::vector<Finding> findings_;
};

}  // namespace

std::vector<Finding> check_schema(const Tree& tree) { return Checker().run(tree); }

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
  return to_int(tree.scalar);
}

}  // namespace cox::config
