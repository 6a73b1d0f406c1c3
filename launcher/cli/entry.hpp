#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "launcher/cli/commands.hpp"

namespace cox::cli {

using CommandList =
    std::map<std::string, std::function<int(const std::vector<std::string>&, Streams)>>;

/// What main() returns: runs the command that the program was called by the name of, or else that
/// its first word names. `help`: of the program.
[[nodiscard]] int run_by_name(int argc, char** argv, const CommandList& commands, const char* help);

}  // namespace cox::cli
