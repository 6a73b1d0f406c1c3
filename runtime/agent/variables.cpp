#include "runtime/agent/variables.hpp"

#include <algorithm>
#include <utility>

namespace cox::agent {

namespace {

std::string joined(std::string_view name, std::string_view value) {
  std::string text;
  text.reserve(name.size() + 1 + value.size());
  text.append(name).append(1, '=').append(value);
  return text;
}

}  // namespace

std::string* Variables::find(std::string_view name) {
  const auto found = std::find_if(list_.begin(), list_.end(), [&](const std::string& each) {
    return each.size() > name.size() && each[name.size()] == '=' && each.starts_with(name);
  });
  return found == list_.end() ? nullptr : &*found;
}

void Variables::set(std::string_view name, std::string_view value) {
  if (auto* const known = find(name)) {
    *known = joined(name, value);
  } else {
    list_.push_back(joined(name, value));
  }
}

void Variables::add(std::string_view name, std::string_view value) {
  if (find(name) == nullptr) list_.push_back(joined(name, value));
}

}  // namespace cox::agent
