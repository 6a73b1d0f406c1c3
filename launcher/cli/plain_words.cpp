#include "launcher/cli/plain_words.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <ostream>

#include "launcher/cli/exit_codes.hpp"

namespace cox::cli {

int misused(const Usage& usage, std::string_view text, Streams streams) {
  streams.err << fmt::format("usage: {0} {1}   ({0} --help shows all)\n{0}: error: {2}\n",
                             usage.name, usage.words, text);
  return kMisused;
}

int read_plain(CLI::App& app, std::vector<std::string> words, const Usage& usage, Streams streams) {
  std::reverse(words.begin(), words.end());  // CLI11 takes them from the back
  try {
    app.parse(words);
  } catch (const CLI::CallForHelp&) {
    streams.out << app.help();
    return kDone;
  } catch (const CLI::ParseError& error) {
    return misused(usage, error.what(), streams);
  }
  return -1;
}

}  // namespace cox::cli
