#pragma once

#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "launcher/config/schema.hpp"
#include "runtime/base/text.hpp"

namespace cox::config {

/// What checks of a tree beyond its table share: short words for looking and for complaining.
/// A finding's place is that of its path.
class TreeChecker {
 protected:
  explicit TreeChecker(const Tree& tree) : tree_(tree) {}

  void add(std::string path, const char* rule, std::string text, Level level = Level::error) {
    const auto place = place_of(tree_, path);
    findings_.push_back({level, rule, std::move(path), place, std::move(text)});
  }

  [[nodiscard]] const Tree* at(const std::string& path) const { return find_path(tree_, path); }
  [[nodiscard]] bool has(const std::string& path) const { return at(path) != nullptr; }

  [[nodiscard]] std::string text(const std::string& path) const {
    const auto* found = at(path);
    return found != nullptr && found->kind == Tree::Kind::scalar ? found->scalar : std::string();
  }
  [[nodiscard]] bool is_true(const std::string& path) const {
    const auto* found = at(path);
    return found != nullptr && to_bool(*found).value_or(false);
  }
  [[nodiscard]] std::optional<std::int64_t> integer(const std::string& path) const {
    const auto* found = at(path);
    return found != nullptr ? to_integer(*found) : std::nullopt;
  }
  /// The paths of a list's items.
  [[nodiscard]] std::vector<std::string> items(const std::string& path) const {
    std::vector<std::string> paths;
    const auto* found = at(path);
    const auto count = found != nullptr ? found->items.size() : 0;
    for (std::size_t i = 0; i < count && i < kItemsMax; ++i) {
      paths.push_back(fmt::format("{}[{}]", path, i));
    }
    return paths;
  }

  /// At most one of some keys may be there.
  void exclude(const std::string& parent, std::initializer_list<const char*> keys) {
    std::vector<std::string> given;
    for (const auto* key : keys) {
      if (has(parent + "." + key)) given.emplace_back(key);
    }
    if (given.size() < 2) return;
    add(parent + "." + given[1], kSchemaRule,
        fmt::format("Only one of {} may be given.", join(given, ", ")));
  }

  const Tree& tree_;
  std::vector<Finding> findings_;

 private:
  // More than any list may have; what lies behind is a fault already.
  static constexpr std::size_t kItemsMax = 200;
};

}  // namespace cox::config
