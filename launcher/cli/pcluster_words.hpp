#pragma once

#include <map>
#include <string>
#include <vector>

#include "launcher/cli/program.hpp"

namespace cox::cli {

/// An option of a pcluster verb.
struct VerbOption {
  std::string name;                 ///< "--cluster-name"
  std::vector<std::string> shorts;  ///< "-n"
  enum class Takes { nothing, one, many } takes = Takes::one;
  bool required = false;
  std::string help{};                  ///< empty: not shown
  std::vector<std::string> choices{};  ///< empty: any
};

/// What a verb may be given.
struct Verb {
  std::string name;
  std::string summary;
  std::vector<VerbOption> options;
  std::string positional{};  ///< its only word's name; empty: takes none
  std::string examples{};    ///< one a line; shown at the end of its help
  bool version2 = false;
};

/// What a verb was given.
class Words {
 public:
  [[nodiscard]] bool has(const std::string& option) const { return values_.contains(option); }
  /// The option's last value, or `absent`.
  [[nodiscard]] std::string get(const std::string& option, const std::string& absent = "") const;
  [[nodiscard]] std::vector<std::string> all(const std::string& option) const;

  void add(const std::string& option, std::vector<std::string> values) {
    values_[option] = std::move(values);
  }

 private:
  std::map<std::string, std::vector<std::string>> values_;
};

/// Reads a verb's words. Returns an exit status when the program is over: help was asked for (0),
/// an option is wrong or missing (2, with usage on err), or words are unknown (1, with usage on
/// out, as the original); -1 to go on.
int read_words(const Verb& verb, const std::vector<std::string>& args, Words& words,
               Streams streams);

}  // namespace cox::cli
