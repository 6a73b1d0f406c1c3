#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "runtime/base/result.hpp"

namespace CLI {
class App;
}

namespace cox::cli {

/// Where a program writes: results to `out`, so that they can be piped; all else to `err`.
struct Streams {
  std::ostream& out;
  std::ostream& err;
};

/// An option as argparse's users type it.
struct OptionNames {
  std::string name;                 ///< "--job-name"
  std::vector<std::string> shorts;  ///< "-jn"
  bool takes_value = true;
};

/// argv with argparse's manners put into plain long options: "-jn X", "-jnX", "--job X",
/// "--job-name=X" →
/// "--job-name=X". The first word that is neither an option nor an option's value begins the
/// command, when `has_command`: it and all behind it come after "--", untouched. Errors:
/// invalid_argument for an unknown or ambiguous option, or one whose value is missing. Pure.
[[nodiscard]] Result<std::vector<std::string>> normalise(const std::vector<std::string>& args,
                                                         const std::vector<OptionNames>& options,
                                                         bool has_command);

/// Parses normalised words. Returns an exit status when the program is over: help was asked for
/// (0), or the words are wrong (2, with usage on err); -1 to go on.
int parse(CLI::App& app, const std::vector<std::string>& args,
          const std::vector<OptionNames>& options, bool has_command, Streams streams);

/// Options that all awsb* commands have.
[[nodiscard]] std::vector<OptionNames> common_options();

/// Ctrl-C ends an awsb* command with "Exiting..." and status 0, as the original does.
void exit_quietly_on_interrupt();

}  // namespace cox::cli
