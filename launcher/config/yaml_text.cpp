#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "launcher/config/tree.hpp"
#include "runtime/base/text.hpp"

namespace cox::config {

const Tree* Tree::find(std::string_view key) const {
  for (const auto& entry : entries) {
    if (entry.key == key) return &entry.value;
  }
  return nullptr;
}

namespace {

Place to_place(const YAML::Mark& mark) {
  return mark.is_null() ? Place{} : Place{mark.line + 1, mark.column + 1};
}

/// Thrown and caught in this file alone, as yaml-cpp's own errors are.
struct Refused {
  Place place;
  std::string text;
};

class Converter {
 public:
  explicit Converter(std::vector<Finding>& findings) : findings_(findings) {}

  Tree convert(const YAML::Node& node, int depth, const std::string& path) {
    if (++count_ > kTreeNodesMax) {
      throw Refused{to_place(node.Mark()), "the file's aliases make it too large"};
    }
    if (depth > kTreeDepthMax) {
      throw Refused{to_place(node.Mark()), "the file is nested too deeply, or an alias in itself"};
    }
    Tree tree;
    tree.place = to_place(node.Mark());
    if (node.IsScalar()) {
      tree.kind = Tree::Kind::scalar;
      tree.scalar = node.Scalar();
      tree.quoted = node.Tag() == "!" || node.Tag() == "tag:yaml.org,2002:str";
      // `Key:` with nothing behind it, and `~`, are no texts.
      if (!tree.quoted && is_null(tree.scalar)) tree.kind = Tree::Kind::empty;
    } else if (node.IsSequence()) {
      tree.kind = Tree::Kind::list;
      for (const auto& item : node) {
        const auto here = fmt::format("{}[{}]", path, tree.items.size());
        tree.items.push_back(convert(item, depth + 1, here));
      }
    } else if (node.IsMap()) {
      tree.kind = Tree::Kind::map;
      fill_map(node, depth, path, tree);
    }
    return tree;
  }

 private:
  static bool is_null(const std::string& word) {
    return word.empty() || word == "~" || word == "null" || word == "Null" || word == "NULL";
  }

  void fill_map(const YAML::Node& node, int depth, const std::string& path, Tree& tree) {
    std::set<std::string> seen;
    std::vector<Tree> merged;
    for (const auto& pair : node) {
      const auto place = to_place(pair.first.Mark());
      if (!pair.first.IsScalar()) throw Refused{place, "a key must be a word"};
      const auto& key = pair.first.Scalar();
      const auto here = path.empty() ? key : path + "." + key;
      auto value = convert(pair.second, depth + 1, here);
      if (key == "<<" && pair.first.Tag() != "!") {
        if (value.kind == Tree::Kind::list) {
          for (auto& item : value.items) merged.push_back(std::move(item));
        } else {
          merged.push_back(std::move(value));
        }
      } else if (!seen.insert(key).second) {
        findings_.push_back({Level::error, kSchemaRule, here, place,
                             fmt::format("The key {} stands twice in the same map.", key)});
      } else {
        tree.entries.push_back({key, place, std::move(value)});
      }
    }
    // A map's own keys win over merged ones, and earlier maps over later ones.
    for (auto& map : merged) {
      if (map.kind != Tree::Kind::map) throw Refused{map.place, "<< can only merge maps"};
      for (auto& entry : map.entries) {
        if (seen.insert(entry.key).second) tree.entries.push_back(std::move(entry));
      }
    }
  }

  std::vector<Finding>& findings_;
  std::size_t count_ = 0;
};

/// One step of a path: a key, or the index of an item.
struct Step {
  std::string key;
  std::size_t index = 0;
  bool is_index = false;
};

std::vector<Step> steps_of(std::string_view path) {
  std::vector<Step> steps;
  if (path.empty()) return steps;
  for (const auto& word : split(path, '.')) {
    const auto open = word.find('[');
    steps.push_back({word.substr(0, open)});
    for (auto at = open; at != std::string::npos; at = word.find('[', at + 1)) {
      const auto close = word.find(']', at);
      const auto index = to_int(word.substr(at + 1, close - at - 1));
      steps.push_back({"", static_cast<std::size_t>(index.value_or(0)), true});
    }
  }
  return steps;
}

/// The places of the last thing met.
struct Places {
  Place value;  ///< of a scalar; else as `key`
  Place key;
};

/// Follows a path as far as it goes.
const Tree* follow(const Tree& tree, std::string_view path, Places& places) {
  const Tree* at = &tree;
  for (const auto& step : steps_of(path)) {
    if (step.is_index) {
      if (step.index >= at->items.size()) return nullptr;
      at = &at->items[step.index];
      places = {at->place, at->place};
      continue;
    }
    const auto entry =
        std::find_if(at->entries.begin(), at->entries.end(),
                     [&](const Tree::Entry& candidate) { return candidate.key == step.key; });
    if (entry == at->entries.end()) return nullptr;
    at = &entry->value;
    places = {at->kind == Tree::Kind::scalar ? at->place : entry->place, entry->place};
  }
  return at;
}

}  // namespace

const Tree* find_path(const Tree& tree, std::string_view path) {
  Places ignored;
  return follow(tree, path, ignored);
}

Place place_of(const Tree& tree, std::string_view path) {
  Places places;
  follow(tree, path, places);
  return places.value;
}

Place key_place_of(const Tree& tree, std::string_view path) {
  Places places;
  follow(tree, path, places);
  return places.key;
}

namespace {

/// yaml-cpp says of a tab only that the map is illegal.
std::string explain(const YAML::Exception& error, std::string_view text) {
  const auto lines = split(text, '\n');
  const auto at = static_cast<std::size_t>(std::max(error.mark.line, 0));
  if (!error.mark.is_null() && at < lines.size()) {
    const auto indent = lines[at].substr(0, lines[at].find_first_not_of(" \t"));
    if (indent.find('\t') != std::string::npos) {
      return "not valid YAML: the line is indented by a tab; use blanks";
    }
  }
  return "not valid YAML: " + error.msg;
}

}  // namespace

namespace {

/// Hears where a document begins, and forgets the rest.
class BeginOfDocument : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark& mark) override { begin = mark; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t,
                const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}

  YAML::Mark begin;
};

/// What stands behind the first document, if anything does. YAML::LoadAll would look for the end in
/// vain where a comma or a closing bracket stands there: the parser never gets past it.
std::optional<Refused> second_document(std::string_view text) {
  std::istringstream stream{std::string(text)};
  YAML::Parser parser(stream);
  BeginOfDocument first;
  BeginOfDocument second;
  if (!parser.HandleNextDocument(first) || !parser.HandleNextDocument(second)) return std::nullopt;
  const auto at = static_cast<std::size_t>(std::max(second.begin.pos, 0));
  const char found = at < text.size() ? text[at] : ' ';
  if (std::string_view(",]}").find(found) != std::string_view::npos) {
    return Refused{to_place(second.begin),
                   fmt::format("not valid YAML: {} is not expected", found)};
  }
  return Refused{to_place(second.begin), "the file holds more than one YAML document"};
}

}  // namespace

std::optional<Tree> parse_yaml(std::string_view text, std::vector<Finding>& findings) {
  const auto refuse = [&](Place place, std::string why) {
    findings.push_back({Level::error, kTextRule, "", place, std::move(why)});
    return std::nullopt;
  };
  if (text.size() > kTextBytesMax) return refuse({}, "the file is larger than 1 MiB");
  if (const auto nul = text.find('\0'); nul != std::string_view::npos) {
    return refuse({}, "the file is no text: it holds a byte of value 0");
  }
  try {
    if (auto more = second_document(text)) throw std::move(*more);
    return Converter(findings).convert(YAML::Load(std::string(text)), 0, "");
  } catch (const Refused& refused) {
    return refuse(refused.place, refused.text);
  } catch (const YAML::Exception& error) {
    return refuse(to_place(error.mark), explain(error, text));
  }
}

}  // namespace cox::config
