#pragma once

#include <map>
#include <string>
#include <vector>

#include "runtime/base/result.hpp"

namespace cox::cli {

/// The command line of `pcluster ssh`, taken apart as ssh(1) would.
struct SshWords {
  std::string cluster;
  bool version2 = true;  ///< the name stood alone, without -n
  bool help = false;
  bool dry_run = false;
  bool names_key = false;            ///< -i was given
  std::vector<std::string> options;  ///< ssh's, with their values
  std::vector<std::string> command;  ///< empty: a login shell

  friend bool operator==(const SshWords&, const SshWords&) = default;
};

/// Errors: invalid_argument for a missing name or value, or an option that ssh does not have. Pure.
[[nodiscard]] Result<SshWords> parse_ssh_words(const std::vector<std::string>& args);

/// A template with each `{NAME}` replaced by its value. Errors: invalid_argument, naming the place
/// that has no value. Pure.
[[nodiscard]] Result<std::string> fill_template(const std::string& text,
                                                const std::map<std::string, std::string>& values);

}  // namespace cox::cli
