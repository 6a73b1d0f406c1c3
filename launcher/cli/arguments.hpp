#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runtime/base/result.hpp"

/// Words of a command line, read as Python's argparse does: that is what the originals' users type.
namespace cox::cli {

/// An option as argparse's users type it.
struct OptionNames {
  std::string name;                 ///< "--job-name"
  std::vector<std::string> shorts;  ///< "-jn"
  bool takes_value = true;
  /// The original does not have it: an abbreviation that was unique there stays so.
  bool added = false;
};

/// "-jn/--job-name", as argparse names an option in its messages. Pure.
[[nodiscard]] std::string shown_name(const OptionNames& option);

/// A command line taken apart.
struct Arguments {
  struct Given {
    std::size_t option = 0;            ///< index into the options
    std::optional<std::string> value;  ///< where the option takes one
  };
  std::vector<Given> given;  ///< in the order typed
  std::vector<std::string> words;
  bool help = false;
};

/// Reads "-jn X", "-jn=X", "-n3", "--job X", "--job-name=X", and flags of one letter joined
/// ("-ed"). A short name of two letters may have its value attached ("-hd3"), which argparse
/// refuses. After "--" all is words. -h and --help end the reading.
///
/// With `has_command` the words are one command, its words together: options may stand before and
/// behind it, and what looks like one is none of the command's but behind a "--" ("ls -- -l").
///
/// Errors: invalid_argument for an unknown or ambiguous option ("unrecognized arguments: …"), one
///         whose value is missing, a flag with a value, or words behind a command that has ended.
///         Pure.
[[nodiscard]] Result<Arguments> read_arguments(const std::vector<std::string>& args,
                                               const std::vector<OptionNames>& options,
                                               bool has_command);

/// What was given as words for a parser that knows plain long options only: "--job-name=X",
/// "--help", and the words behind "--". Pure.
[[nodiscard]] std::vector<std::string> plain_words(const Arguments& read,
                                                   const std::vector<OptionNames>& options);

}  // namespace cox::cli
