#include "launcher/cli/entry.hpp"

#include <csignal>
#include <cstdio>
#include <exception>
#include <iostream>

#include "launcher/cli/exit_codes.hpp"
#include "launcher/cluster/lifecycle.hpp"

namespace cox::cli {

int run_by_name(int argc, char** argv, const CommandList& commands, const char* help) {
  std::signal(SIGPIPE, SIG_DFL);  // `awsbout ID | head` ends quietly
  std::vector<std::string> args(argv, argv + argc);
  auto name = args.empty() ? std::string("cox") : args[0].substr(args[0].rfind('/') + 1);
  args.erase(args.begin(), args.begin() + (args.empty() ? 0 : 1));
  if (!commands.contains(name)) {
    if (args.empty()) {
      std::fputs(help, stderr);
      return kMisused;
    }
    name = args.front();
    args.erase(args.begin());
  }
  if (name == "--help" || name == "-h" || name == "help") {
    std::fputs(help, stdout);
    return kDone;
  }
  if (name == "--version" || name == "version") {
    std::printf("cox %s\n", cluster::kVersion);
    return kDone;
  }
  const auto command = commands.find(name);
  if (command == commands.end()) {
    std::fprintf(stderr, "cox: error: there is no command %s (see cox --help)\n", name.c_str());
    return kMisused;
  }
  try {
    const int status = command->second(args, {std::cout, std::cerr});
    std::cout.flush();
    return status;
  } catch (const std::exception& error) {
    // Out of memory, or a fault of ours in a library that throws.
    std::cout.flush();
    std::fprintf(stderr, "Unexpected error. Command failed with exception: %s\n", error.what());
    return kFailed;
  }
}

}  // namespace cox::cli
