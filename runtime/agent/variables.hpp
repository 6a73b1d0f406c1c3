#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace cox::agent {

/// A program's environment as it grows: each name once. There are some dozens at most, so they are
/// looked for one by one, which costs less than an index of them.
class Variables {
 public:
  /// Replaces what it was.
  void set(std::string_view name, std::string_view value);
  /// Leaves what it was.
  void add(std::string_view name, std::string_view value);
  /// "NAME=value"
  [[nodiscard]] std::vector<std::string> list() && { return std::move(list_); }

 private:
  [[nodiscard]] std::string* find(std::string_view name);

  std::vector<std::string> list_;
};

}  // namespace cox::agent
