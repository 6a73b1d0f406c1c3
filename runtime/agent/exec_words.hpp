#pragma once

#include <string>
#include <vector>

namespace cox::agent {

/// What execve takes of words that outlive the call.
[[nodiscard]] inline std::vector<char*> exec_words(const std::vector<std::string>& words) {
  std::vector<char*> list;
  list.reserve(words.size() + 1);
  for (const auto& word : words) list.push_back(const_cast<char*>(word.c_str()));
  list.push_back(nullptr);
  return list;
}

}  // namespace cox::agent
