#include <algorithm>

#include "launcher/config/key_rule.hpp"
#include "launcher/config/schema.hpp"
#include "runtime/base/text.hpp"

/// The table of keys as a JSON Schema (draft 7, which editors know best).
namespace cox::config {

namespace {

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

/// A JSON object under construction.
class Object {
 public:
  void add(std::string_view name, std::string value) {
    members_.push_back(quoted(name) + ": " + std::move(value));
  }
  [[nodiscard]] std::string render(int indent) const {
    if (members_.empty()) return "{}";
    const std::string inner(static_cast<std::size_t>(indent) + 2, ' ');
    return fmt::format("{{\n{}{}\n{}}}", inner, join(members_, ",\n" + inner),
                       std::string(static_cast<std::size_t>(indent), ' '));
  }

 private:
  std::vector<std::string> members_;
};

std::string list_of(const std::vector<std::string>& words, bool in_quotes) {
  std::vector<std::string> shown;
  for (const auto& word : words) shown.push_back(in_quotes ? quoted(word) : word);
  return fmt::format("[{}]", join(shown, ", "));
}

std::string describe(const SchemaKey& key) {
  std::vector<std::string> said;
  if (key.fate == Fate::aws_only) {
    said.push_back(fmt::format("Only on AWS: {}.", key.note));
  } else if (!key.note.empty()) {
    said.emplace_back(key.note);
  }
  if (!key.absent.empty()) said.push_back(fmt::format("Default: {}.", key.absent));
  return join(said, " ");
}

void add_text_rules(Object& object, const SchemaKey& key) {
  object.add("type", "\"string\"");
  if (const auto allowed = choices_of(key.rule); !allowed.empty()) {
    object.add("enum", list_of(allowed, true));
  }
  if (const auto pattern = pattern_of(key.rule); !pattern.empty()) {
    object.add("pattern", quoted(pattern));
  }
  if (const auto most = most_characters_of(key.rule)) {
    object.add("maxLength", std::to_string(*most));
  }
}

void add_number_rules(Object& object, const SchemaKey& key) {
  object.add("type", key.kind == KeyKind::integer ? "\"integer\"" : "\"number\"");
  if (const auto allowed = choices_of(key.rule); !allowed.empty()) {
    object.add("enum", list_of(allowed, false));
  }
  if (const auto range = range_of(key.rule)) {
    object.add("minimum", std::to_string(range->least));
    if (range->most) object.add("maximum", std::to_string(*range->most));
  }
}

std::string value_schema(const SchemaKey& key, int indent);

/// What a map of known keys may hold.
void add_map_rules(Object& object, const std::string& path, int indent) {
  Object properties;
  std::vector<std::string> required;
  std::vector<std::string> by_scheduler;
  for (const auto& [name, key] : keys_below(path)) {
    properties.add(name, value_schema(*key, indent + 4));
    if (!key->required) continue;
    if (key->only.empty()) {
      required.push_back(name);
    } else {
      by_scheduler.push_back(
          fmt::format(R"({{"if": {{"properties": {{"Scheduler": {{"const": {}}}}}}}, )"
                      R"("then": {{"required": [{}]}}}})",
                      quoted(key->only), quoted(name)));
    }
  }
  object.add("type", "\"object\"");
  object.add("additionalProperties", "false");
  if (!required.empty()) object.add("required", list_of(required, true));
  if (!by_scheduler.empty()) object.add("allOf", list_of(by_scheduler, false));
  object.add("properties", properties.render(indent + 2));
}

void add_list_rules(Object& object, const SchemaKey& key, int indent) {
  object.add("type", "\"array\"");
  if (const auto lengths = lengths_of(key.rule)) {
    if (lengths->least > 0) object.add("minItems", std::to_string(lengths->least));
    object.add("maxItems", std::to_string(lengths->most));
  }
  Object item;
  if (key.kind == KeyKind::texts) {
    add_text_rules(item, key);
    return object.add("items", item.render(indent + 2));
  }
  const bool words_too = key.kind == KeyKind::hosts;
  const int inner = words_too ? indent + 4 : indent + 2;
  add_map_rules(item, key.path + "[]", inner);
  if (!words_too) return object.add("items", item.render(inner));
  Object either;
  either.add("anyOf", fmt::format(R"([{{"type": "string"}}, {}])", item.render(inner)));
  object.add("items", either.render(indent + 2));
}

std::string value_schema(const SchemaKey& key, int indent) {
  Object object;
  if (const auto text = describe(key); !text.empty()) object.add("description", quoted(text));
  switch (key.kind) {
    case KeyKind::map:
      add_map_rules(object, key.path, indent);
      break;
    case KeyKind::list:
    case KeyKind::hosts:
    case KeyKind::texts:
      add_list_rules(object, key, indent);
      break;
    case KeyKind::text:
      add_text_rules(object, key);
      break;
    case KeyKind::integer:
    case KeyKind::number:
      add_number_rules(object, key);
      break;
    case KeyKind::boolean:
      object.add("type", "\"boolean\"");
      break;
    case KeyKind::scalar:
      object.add("type", R"(["string", "boolean"])");
      break;
    case KeyKind::settings:
      object.add("type", "\"object\"");
      break;
    case KeyKind::settings_list:
      object.add("type", "\"array\"");
      object.add("items", R"({"type": "object"})");
      break;
  }
  return object.render(indent);
}

}  // namespace

std::string render_json_schema() {
  Object file;
  file.add("$schema", "\"http://json-schema.org/draft-07/schema#\"");
  file.add("title", "\"A cluster's file for Coxswain, or for ParallelCluster 3\"");
  add_map_rules(file, "", 0);
  return file.render(0) + "\n";
}

}  // namespace cox::config
