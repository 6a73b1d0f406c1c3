#include "runtime/api/shape_rules.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <utility>

#include "runtime/base/text.hpp"

namespace cox::api {

namespace json = boost::json;

std::int64_t length_of(std::string_view text) {
  return std::count_if(text.begin(), text.end(),
                       [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
}

namespace {

constexpr double kNumberScale = 10'000;
constexpr std::size_t kTagsMax = 50;
constexpr std::size_t kTagNameMax = 128;
constexpr std::size_t kTagTextMax = 256;

std::string list_of(const std::vector<std::string_view>& words) {
  std::vector<std::string> list(words.begin(), words.end());
  return join(list, ", ");
}

/// Checks members of one object. What is wrong is told with the member's place.
class Check {
 public:
  Check(std::string place, std::optional<Error>& complaint)
      : place_(std::move(place)), complaint_(complaint) {}

  void member(const Rule& rule, const json::value& value, json::object& out) {
    rule_ = &rule;
    switch (rule.type) {
      case RuleType::text:
        return one_text(value, out);
      case RuleType::integer:
      case RuleType::number:
        return one_number(value, out);
      case RuleType::boolean:
        if (!value.is_bool()) return wrong("must be a boolean");
        break;
      case RuleType::texts:
        return list_of_texts(value, out);
      case RuleType::objects:
        return list_of_objects(value, out);
      case RuleType::object:
        if (!value.is_object()) return wrong("must be an object");
        out[rule.name] = checked(value.get_object(), *rule.shape, shown() + ".", complaint_);
        return;
      case RuleType::text_map:
        return map_of_texts(value, out);
    }
    out[rule.name] = value;
  }

  void missing(const Rule& rule) {
    rule_ = &rule;
    wrong("must not be empty");
  }

 private:
  [[nodiscard]] std::string shown() const { return place_ + rule_->name; }
  void wrong(std::string_view what) const {
    complain(complaint_, fmt::format("{} {}", shown(), what));
  }

  void one_text(const json::value& value, json::object& out) {
    if (!value.is_string()) return wrong("must be a string");
    const std::string_view text = value.get_string();
    if (rule_->required && text.empty()) return wrong("must not be empty");
    if (!is_allowed(text)) return;
    const auto length = length_of(text);
    if (length < rule_->least || length > rule_->most) {
      return wrong(fmt::format("must have from {} to {} characters, not {}", rule_->least,
                               rule_->most, length));
    }
    out[rule_->name] = value;
  }

  bool is_allowed(std::string_view text) {
    const auto& known = rule_->words;
    if (known.empty() || std::find(known.begin(), known.end(), text) != known.end()) return true;
    wrong(fmt::format("must be one of {}, not {}", list_of(known), text));
    return false;
  }

  void one_number(const json::value& value, json::object& out) {
    if (rule_->type == RuleType::number) {
      boost::system::error_code error;
      const auto given = value.to_number<double>(error);
      const auto least = static_cast<double>(rule_->least) / kNumberScale;
      const auto most = static_cast<double>(rule_->most) / kNumberScale;
      if (error) return wrong("must be a number");
      if (!(given >= least && given <= most)) {
        return wrong(fmt::format("must be from {} to {}, not {}", least, most, given));
      }
      out[rule_->name] = given;
      return;
    }
    boost::system::error_code error;
    const auto given = value.to_number<std::int64_t>(error);
    if (error) return wrong("must be an integer");
    if (given < rule_->least || given > rule_->most) {
      return wrong(fmt::format("must be from {} to {}, not {}", rule_->least, rule_->most, given));
    }
    out[rule_->name] = given;
  }

  bool is_list(const json::value& value) {
    if (!value.is_array()) {
      wrong("must be a list");
      return false;
    }
    const auto size = static_cast<std::int64_t>(value.get_array().size());
    if (size >= rule_->least && size <= rule_->most) return true;
    wrong(size < rule_->least ? "must not be empty"
                              : fmt::format("can't have more than {} members", rule_->most));
    return false;
  }

  void list_of_texts(const json::value& value, json::object& out) {
    if (!is_list(value)) return;
    for (const auto& item : value.get_array()) {
      if (!item.is_string()) return wrong("must be a list of strings");
      if (!is_allowed(item.get_string())) return;
    }
    out[rule_->name] = value;
  }

  void list_of_objects(const json::value& value, json::object& out) {
    if (!is_list(value)) return;
    json::array list;
    for (const auto& item : value.get_array()) {
      if (!item.is_object()) return wrong("must be a list of objects");
      list.push_back(checked(item.get_object(), *rule_->shape, shown() + ".", complaint_));
    }
    out[rule_->name] = std::move(list);
  }

  void map_of_texts(const json::value& value, json::object& out) {
    if (!value.is_object()) return wrong("must be an object");
    for (const auto& [name, text] : value.get_object()) {
      if (!text.is_string()) return wrong(fmt::format("must have strings only, see {}", name));
    }
    out[rule_->name] = value;
  }

  std::string place_;
  std::optional<Error>& complaint_;
  const Rule* rule_ = nullptr;
};

}  // namespace

Rule text(const char* name, std::int64_t least, std::int64_t most) {
  return {.name = name, .least = least, .most = most};
}
Rule word(const char* name, std::vector<std::string_view> known) {
  return {.name = name, .words = std::move(known)};
}
Rule integer(const char* name, std::int64_t least, std::int64_t most) {
  return {.name = name, .type = RuleType::integer, .least = least, .most = most};
}
Rule number(const char* name, double least, double most) {
  return {.name = name,
          .type = RuleType::number,
          .least = static_cast<std::int64_t>(least * kNumberScale + 0.5),
          .most = static_cast<std::int64_t>(most * kNumberScale + 0.5)};
}
Rule boolean(const char* name) { return {.name = name, .type = RuleType::boolean}; }
Rule texts(const char* name, std::int64_t least, std::int64_t most) {
  return {.name = name, .type = RuleType::texts, .least = least, .most = most};
}
Rule words(const char* name, std::vector<std::string_view> known) {
  return {.name = name, .type = RuleType::texts, .words = std::move(known)};
}
Rule objects(const char* name, const Shape& shape, std::int64_t least, std::int64_t most) {
  return {.name = name, .type = RuleType::objects, .least = least, .most = most, .shape = &shape};
}
Rule object(const char* name, const Shape& shape) {
  return {.name = name, .type = RuleType::object, .shape = &shape};
}
Rule text_map(const char* name) { return {.name = name, .type = RuleType::text_map}; }
Rule required(Rule rule) {
  rule.required = true;
  return rule;
}

json::object checked(const json::object& object, const Shape& shape, const std::string& place,
                     std::optional<Error>& complaint) {
  json::object out;
  Check check(place, complaint);
  for (const auto& rule : shape) {
    const auto* value = object.if_contains(rule.name);
    if (value != nullptr && !value->is_null()) {
      check.member(rule, *value, out);
    } else if (rule.required) {
      check.missing(rule);
    }
  }
  return out;
}

std::string text_in(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
}

std::int64_t integer_in(const json::object& object, std::string_view name, std::int64_t absent) {
  const auto* value = object.if_contains(name);
  return value != nullptr && value->is_int64() ? value->get_int64() : absent;
}

std::optional<std::int64_t> time_in(const json::object& object, std::string_view name) {
  if (!object.contains(name)) return std::nullopt;
  return integer_in(object, name, 0);
}

std::vector<std::string> texts_in(const json::object& object, std::string_view name) {
  std::vector<std::string> list;
  const auto* value = object.if_contains(name);
  if (value == nullptr || !value->is_array()) return list;
  for (const auto& item : value->get_array()) list.emplace_back(item.get_string());
  return list;
}

std::map<std::string, std::string> map_in(const json::object& object, std::string_view name) {
  std::map<std::string, std::string> map;
  const auto* value = object.if_contains(name);
  if (value == nullptr || !value->is_object()) return map;
  for (const auto& [key, text] : value->get_object()) {
    map.emplace(std::string(key), std::string(text.get_string()));
  }
  return map;
}

bool is_name(std::string_view name) {
  const auto is_plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  return !name.empty() && name.size() <= 128 && is_plain(name.front()) &&
         std::all_of(name.begin(), name.end(),
                     [&](char c) { return is_plain(c) || c == '-' || c == '_'; });
}

void refuse_members(const json::object& object, std::initializer_list<const char*> names,
                    std::optional<Error>& complaint) {
  for (const char* name : names) {
    const auto* value = object.if_contains(name);
    if (value == nullptr || value->is_null()) continue;
    complain(complaint, fmt::format("{}: this cluster has none of that", name));
  }
}

void check_tags(const std::map<std::string, std::string>& tags, std::optional<Error>& complaint) {
  if (tags.size() > kTagsMax) {
    complain(complaint, fmt::format("tags can't have more than {} members", kTagsMax));
  }
  for (const auto& [name, text] : tags) {
    const auto length = static_cast<std::size_t>(length_of(name));
    if (length < 1 || length > kTagNameMax) {
      complain(complaint, fmt::format("Tag keys must have from 1 to {} characters", kTagNameMax));
    }
    if (static_cast<std::size_t>(length_of(text)) > kTagTextMax) {
      complain(complaint,
               fmt::format("The value of tag {} is longer than {} characters", name, kTagTextMax));
    }
    if (to_lower(name).starts_with("aws:")) {
      complain(complaint, fmt::format("Tag key {} begins with the reserved aws:", name));
    }
  }
}

void complain(std::optional<Error>& complaint, std::string text) {
  if (!complaint) complaint = Error{Errc::invalid_argument, std::move(text)};
}

}  // namespace cox::api
