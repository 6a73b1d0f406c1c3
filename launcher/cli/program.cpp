#include "launcher/cli/program.hpp"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <optional>
#include <ostream>

#include "launcher/cli/exit_codes.hpp"

namespace cox::cli {

namespace {

/// A word that names an option, with its value where that is attached.
struct Named {
  const OptionNames* option = nullptr;
  std::optional<std::string> value;
};

Result<Named> by_long_name(const std::string& word, const std::vector<OptionNames>& options) {
  const auto equals = word.find('=');
  const auto name = word.substr(0, equals);
  Named named;
  if (equals != std::string::npos) named.value = word.substr(equals + 1);
  std::vector<std::string> matching;
  for (const auto& option : options) {
    if (option.name == name) {
      named.option = &option;
      return named;
    }
    if (option.name.starts_with(name)) {
      named.option = &option;
      matching.push_back(option.name);
    }
  }
  if (matching.size() == 1) return named;
  if (matching.empty()) return fail(Errc::invalid_argument, "unrecognized arguments: {}", word);
  std::string list;
  for (const auto& each : matching) list += (list.empty() ? "" : ", ") + each;
  return fail(Errc::invalid_argument, "ambiguous option: {} could match {}", name, list);
}

/// "-n 3", "-n3", "-jnNAME": the longest short name that the word begins with.
Result<Named> by_short_name(const std::string& word, const std::vector<OptionNames>& options) {
  Named named;
  std::size_t length = 0;
  for (const auto& option : options) {
    for (const auto& name : option.shorts) {
      const bool whole = word == name;
      const bool attached = option.takes_value && word.starts_with(name);
      if ((!whole && !attached) || name.size() <= length) continue;
      named.option = &option;
      named.value.reset();
      if (!whole) {
        const auto value = word.substr(name.size());
        named.value = value.starts_with("=") ? value.substr(1) : value;
      }
      length = name.size();
    }
  }
  if (named.option == nullptr)
    return fail(Errc::invalid_argument, "unrecognized arguments: {}", word);
  return named;
}

bool is_number(const std::string& word) {
  return word.size() > 1 && word[0] == '-' &&
         word.find_first_not_of("0123456789.", 1) == std::string::npos;
}

extern "C" void leave_quietly(int) {
  constexpr char kText[] = "Exiting...\n";
  [[maybe_unused]] const auto ignored = ::write(STDOUT_FILENO, kText, sizeof kText - 1);
  ::_exit(kDone);
}

}  // namespace

Result<std::vector<std::string>> normalise(const std::vector<std::string>& args,
                                           const std::vector<OptionNames>& options,
                                           bool has_command) {
  std::vector<std::string> plain;
  std::vector<std::string> words;
  for (std::size_t i = 0; i < args.size(); ++i) {
    const auto& word = args[i];
    const bool is_option = word.size() > 1 && word[0] == '-' && !is_number(word);
    if (word == "--") {
      words.insert(words.end(), args.begin() + static_cast<std::ptrdiff_t>(i) + 1, args.end());
      break;
    }
    if (!is_option) {
      words.push_back(word);
      continue;
    }
    if (word == "-h" || word == "--help") {
      plain.emplace_back("--help");
      continue;
    }
    auto named =
        word.starts_with("--") ? by_long_name(word, options) : by_short_name(word, options);
    if (!named) {
      // As argparse: an option may stand behind the command too, so this one is not the command's.
      if (!has_command || words.empty()) return fail(named.error());
      return fail(Errc::invalid_argument, "{} (options of the command itself go behind \"--\")",
                  named.error().message);
    }
    const auto& option = *named->option;
    if (!option.takes_value) {
      if (named->value)
        return fail(Errc::invalid_argument, "argument {}: takes no value", option.name);
      plain.push_back(option.name);
      continue;
    }
    if (!named->value) {
      if (i + 1 == args.size()) {
        return fail(Errc::invalid_argument, "argument {}: expected one argument", option.name);
      }
      named->value = args[++i];
    }
    plain.push_back(option.name + "=" + *named->value);
  }
  if (!words.empty()) plain.emplace_back("--");
  plain.insert(plain.end(), words.begin(), words.end());
  return plain;
}

int parse(CLI::App& app, const std::vector<std::string>& args,
          const std::vector<OptionNames>& options, bool has_command, Streams streams) {
  const auto usage = [&](const std::string& text) {
    streams.err << "usage: " << app.get_name() << " [options]"
                << (has_command ? " [command] [arguments ...]" : "") << "   (" << app.get_name()
                << " --help shows all)\n"
                << app.get_name() << ": error: " << text << '\n';
    return kMisused;
  };
  auto plain = normalise(args, options, has_command);
  if (!plain) return usage(plain.error().message);
  std::reverse(plain->begin(), plain->end());  // CLI11 takes them from the back
  try {
    app.parse(*plain);
  } catch (const CLI::CallForHelp&) {
    streams.out << app.help();
    return kDone;
  } catch (const CLI::ParseError& error) {
    return usage(error.what());
  }
  return -1;
}

std::vector<OptionNames> common_options() {
  return {{"--cluster", {"-c"}, true}, {"--log-level", {"-ll"}, true}};
}

void exit_quietly_on_interrupt() { std::signal(SIGINT, leave_quietly); }

}  // namespace cox::cli
