#pragma once

#include <string>
#include <vector>

#include "runtime/base/result.hpp"

namespace cox::agent {

/// A command line of ssh, as far as a launcher within a job needs it.
struct RshCommand {
  std::string host;  ///< without "user@"
  std::string
      command;  ///< the words after the host joined by blanks; empty: a login shell asked for
  bool no_input = false;  ///< -n

  friend bool operator==(const RshCommand&, const RshCommand&) = default;
};

/// Reads ssh's options, those with values and those without, and passes over them. Pure.
/// Errors: invalid_argument when there is no host.
[[nodiscard]] Result<RshCommand> parse_rsh(const std::vector<std::string>& words);

/// The body of cox-rsh: runs the command on the node HOST of this job. Returns its exit status;
/// 255 where that cannot be, with a line on stderr.
int run_rsh(const std::vector<std::string>& words);

}  // namespace cox::agent
