#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "launcher/cli/program.hpp"

namespace CLI {
class App;
}

/// Command lines that are ours alone, so that none of the originals' manners are to be kept.
namespace cox::cli {

/// A command as its messages name it.
struct Usage {
  std::string_view name;   ///< "cox validate"
  std::string_view words;  ///< "[options] FILE"
};

/// Says what is wrong with the command line; returns the exit status for it.
int misused(const Usage& usage, std::string_view text, Streams streams);

/// Reads the words. Returns an exit status when the program is over: help was asked for (0), or
/// they are wrong (2); -1 to go on.
[[nodiscard]] int read_plain(CLI::App& app, std::vector<std::string> words, const Usage& usage,
                             Streams streams);

}  // namespace cox::cli
