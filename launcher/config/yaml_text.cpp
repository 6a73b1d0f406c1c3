#include <yaml-cpp/yaml.h>

#include "launcher/config/tree.hpp"

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

class Converter {
 public:
  tl::expected<Tree, Finding> convert(const YAML::Node& node) {
    Tree tree;
    if (++count_ > kTreeNodesMax)
      return refuse(node.Mark(), "the file's aliases make it too large");
    tree.place = to_place(node.Mark());
    switch (node.Type()) {
      case YAML::NodeType::Undefined:
      case YAML::NodeType::Null:
        return tree;
      case YAML::NodeType::Scalar:
        tree.kind = Tree::Kind::scalar;
        tree.scalar = node.Scalar();
        tree.quoted = node.Tag() == "!";
        return tree;
      case YAML::NodeType::Sequence:
        return convert_list(node, std::move(tree));
      case YAML::NodeType::Map:
        return convert_map(node, std::move(tree));
    }
    return tree;
  }

 private:
  static tl::unexpected<Finding> refuse(const YAML::Mark& mark, std::string text) {
    return tl::make_unexpected(
        Finding{Level::error, "ConfigSchemaValidator", "", to_place(mark), std::move(text)});
  }

  tl::expected<Tree, Finding> convert_list(const YAML::Node& node, Tree tree) {
    tree.kind = Tree::Kind::list;
    for (const auto& item : node) {
      auto converted = convert(item);
      if (!converted) return converted;
      tree.items.push_back(std::move(*converted));
    }
    return tree;
  }

  tl::expected<Tree, Finding> convert_map(const YAML::Node& node, Tree tree) {
    tree.kind = Tree::Kind::map;
    for (const auto& pair : node) {
      if (!pair.first.IsScalar()) return refuse(pair.first.Mark(), "a key must be a word");
      const auto& key = pair.first.Scalar();
      if (tree.find(key) != nullptr) {
        return refuse(pair.first.Mark(), fmt::format("key {} stands twice in the same map", key));
      }
      auto converted = convert(pair.second);
      if (!converted) return converted;
      tree.entries.push_back({key, to_place(pair.first.Mark()), std::move(*converted)});
    }
    return tree;
  }

  std::size_t count_ = 0;
};

}  // namespace

tl::expected<Tree, Finding> parse_yaml(std::string_view text) {
  try {
    const auto documents = YAML::LoadAll(std::string(text));
    if (documents.size() > 1) {
      return tl::make_unexpected(Finding{Level::error, "ConfigSchemaValidator", "",
                                         to_place(documents[1].Mark()),
                                         "the file holds more than one YAML document"});
    }
    return Converter().convert(documents.empty() ? YAML::Node() : documents.front());
  } catch (const YAML::Exception& error) {
    return tl::make_unexpected(Finding{Level::error, "ConfigSchemaValidator", "",
                                       to_place(error.mark), "not valid YAML: " + error.msg});
  }
}

}  // namespace cox::config
