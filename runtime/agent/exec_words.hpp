#pragma once

#include <cerrno>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/text.hpp"

namespace cox::agent {

/// What execve takes of words that outlive the call.
[[nodiscard]] inline std::vector<char*> exec_words(const std::vector<std::string>& words) {
  std::vector<char*> list;
  list.reserve(words.size() + 1);
  for (const auto& word : words) list.push_back(const_cast<char*>(word.c_str()));
  list.push_back(nullptr);
  return list;
}

/// Where the job's PATH may have the program.
[[nodiscard]] inline std::vector<std::string> candidates_of(
    const std::vector<std::string>& argv, const std::vector<std::string>& environment) {
  std::vector<std::string> candidates;
  if (argv[0].find('/') != std::string::npos) {
    candidates.push_back(argv[0]);
  } else {
    for (const auto& variable : environment) {
      if (!variable.starts_with("PATH=")) continue;
      for (const auto& directory : split(std::string_view(variable).substr(5), ':')) {
        candidates.push_back((directory.empty() ? "." : directory) + "/" + argv[0]);
      }
    }
  }
  return candidates;
}

/// The program by the first of its names that `start` can: it takes a path and words, and returns 0
/// or errno. A script without an interpreter line is bash's. Returns what the last failure was.
template <class Start>
int try_names(const std::vector<std::string>& argv, const std::vector<std::string>& environment,
              const Start& start) {
  const auto words = exec_words(argv);
  int why = ENOENT;
  for (const auto& candidate : candidates_of(argv, environment)) {
    int failed = start(candidate.c_str(), words);
    if (failed == ENOEXEC) {
      std::vector<std::string> by_bash{"/bin/bash", candidate};
      by_bash.insert(by_bash.end(), argv.begin() + 1, argv.end());
      failed = start("/bin/bash", exec_words(by_bash));
    }
    if (failed == 0) return 0;
    if (failed != ENOENT && failed != ENOTDIR) why = failed;
  }
  return why;
}

}  // namespace cox::agent
