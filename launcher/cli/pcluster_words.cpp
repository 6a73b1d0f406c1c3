#include "launcher/cli/pcluster_words.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <deque>
#include <ostream>

#include "launcher/cli/exit_codes.hpp"
#include "runtime/base/text.hpp"

namespace cox::cli {

namespace {

using Takes = VerbOption::Takes;

std::vector<OptionNames> names_of(const Verb& verb) {
  std::vector<OptionNames> names;
  for (const auto& option : verb.options) {
    names.push_back({option.name, option.shorts, option.takes != Takes::nothing});
  }
  return names;
}

/// "--cluster-status A B" → "--cluster-status=A --cluster-status=B".
std::vector<std::string> spread_lists(const Verb& verb, const std::vector<std::string>& args) {
  std::vector<std::string> spread;
  for (std::size_t i = 0; i < args.size(); ++i) {
    const auto option =
        std::find_if(verb.options.begin(), verb.options.end(), [&](const VerbOption& candidate) {
          return candidate.takes == Takes::many && candidate.name == args[i];
        });
    const bool has_value = i + 1 < args.size() && !args[i + 1].starts_with("-");
    if (option == verb.options.end() || !has_value) {
      spread.push_back(args[i]);
      continue;
    }
    while (i + 1 < args.size() && !args[i + 1].starts_with("-")) {
      spread.push_back(option->name + "=" + args[++i]);
    }
  }
  return spread;
}

/// "--cluster-name" → "CLUSTER_NAME", as argparse shows what an option takes.
std::string value_name(const std::string& option) {
  auto name = to_upper(option.substr(2));
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

std::string usage_line(const Verb& verb) {
  std::string line = "usage: pcluster " + verb.name + " [-h]";
  for (const auto& option : verb.options) {
    if (option.help.empty()) continue;
    auto shown = option.name;
    if (option.takes != Takes::nothing) shown += " " + value_name(option.name);
    line += option.required ? " " + shown : " [" + shown + "]";
  }
  if (!verb.positional.empty()) line += " " + verb.positional;
  return line + "\n";
}

int misused(const Verb& verb, const std::string& text, Streams streams) {
  streams.err << usage_line(verb) << "pcluster " << verb.name << ": error: " << text << '\n';
  return kMisused;
}

CLI::Option* add(CLI::App& app, const VerbOption& option, std::vector<std::string>& values) {
  auto* const added = option.takes == Takes::nothing ? app.add_flag(option.name)
                                                     : app.add_option(option.name, values);
  if (option.takes != Takes::nothing) {
    added->type_name(value_name(option.name))->expected(1)->allow_extra_args(false);
    added->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  }
  // CLI11 knows no short names of two letters: plain_words() has turned them into long ones.
  const auto shorts = join(option.shorts, ", ");
  added->description(shorts.empty() ? option.help : shorts + ": " + option.help);
  if (option.help.empty()) added->group("");
  return added;
}

/// What the original's parser leaves over.
struct LeftOver {
  std::vector<std::string> args;   ///< without the unknown options
  std::vector<std::string> words;  ///< the unknown options, as typed
};

constexpr std::string_view kUnknown = "unrecognized arguments: ";

/// Takes options that are not known out of the words, one after the other. Errors: as
/// read_arguments(), for what is wrong with those that are known.
Result<Arguments> read_known(LeftOver& over, const std::vector<OptionNames>& names) {
  while (true) {
    auto read = read_arguments(over.args, names, false);
    if (read || !read.error().message.starts_with(kUnknown)) return read;
    const auto word = read.error().message.substr(kUnknown.size());
    const auto at = std::find(over.args.begin(), over.args.end(), word);
    if (at == over.args.end()) return read;  // a letter among joined flags
    over.words.push_back(word);
    over.args.erase(at);
  }
}

/// In the order typed, as Python shows a list.
std::string python_list(const std::vector<std::string>& args, std::vector<std::string> words) {
  std::string list;
  for (const auto& arg : args) {
    const auto at = std::find(words.begin(), words.end(), arg);
    if (at == words.end()) continue;
    words.erase(at);
    list += (list.empty() ? "'" : ", '") + arg + "'";
  }
  return "[" + list + "]";
}

int unknown_words(const Verb& verb, const std::vector<std::string>& args,
                  const std::vector<std::string>& unknown, Streams streams) {
  streams.out << usage_line(verb) << "Invalid arguments " << python_list(args, unknown)
              << (verb.version2 ? "..." : "") << '\n';
  std::vector<std::string> names;
  for (const auto& option : verb.options) names.push_back(option.name);
  for (const auto& word : unknown) {
    if (!word.starts_with("--")) continue;
    if (const auto near = nearest(word.substr(0, word.find('=')), names)) {
      streams.err << "pcluster " << verb.name << ": there is no option " << word
                  << "; did you mean " << *near << "?\n";
    }
  }
  return kFailed;
}

/// What argparse says of values that may not be, and of what is missing.
Result<void> check_given(const Verb& verb, const Arguments& read,
                         const std::vector<OptionNames>& names) {
  std::vector<bool> is_given(verb.options.size());
  for (const auto& [at, value] : read.given) {
    is_given[at] = true;
    const auto& choices = verb.options[at].choices;
    if (choices.empty() || !value) continue;
    if (std::find(choices.begin(), choices.end(), *value) != choices.end()) continue;
    return fail(Errc::invalid_argument, "argument {}: invalid choice: '{}' (choose from '{}')",
                shown_name(names[at]), *value, join(choices, "', '"));
  }
  std::vector<std::string> missing;
  for (std::size_t i = 0; i < verb.options.size(); ++i) {
    if (verb.options[i].required && !is_given[i]) missing.push_back(shown_name(names[i]));
  }
  if (!verb.positional.empty() && read.words.empty()) missing.push_back(verb.positional);
  if (missing.empty()) return {};
  return fail(Errc::invalid_argument, "the following arguments are required: {}",
              join(missing, ", "));
}

}  // namespace

std::string Words::get(const std::string& option, const std::string& absent) const {
  const auto found = values_.find(option);
  return found == values_.end() || found->second.empty() ? absent : found->second.back();
}

std::vector<std::string> Words::all(const std::string& option) const {
  const auto found = values_.find(option);
  return found == values_.end() ? std::vector<std::string>{} : found->second;
}

int read_words(const Verb& verb, const std::vector<std::string>& args, Words& words,
               Streams streams) {
  CLI::App app(verb.summary, "pcluster " + verb.name);
  if (!verb.examples.empty()) app.footer("Examples:\n" + verb.examples);
  // A deque keeps its elements where they are while it grows: CLI11 holds references to them.
  std::deque<std::vector<std::string>> values;
  std::vector<CLI::Option*> made;
  for (const auto& option : verb.options) made.push_back(add(app, option, values.emplace_back()));
  std::string positional;
  if (!verb.positional.empty()) {
    app.add_option(verb.positional, positional, "Name of the cluster");
  }
  const auto names = names_of(verb);
  LeftOver over{spread_lists(verb, args), {}};
  auto read = read_known(over, names);
  if (!read && read.error().message.starts_with(kUnknown)) {
    return unknown_words(verb, over.args, {read.error().message.substr(kUnknown.size())}, streams);
  }
  if (!read) return misused(verb, read.error().message, streams);
  if (!read->help) {
    if (const auto good = check_given(verb, *read, names); !good) {
      return misused(verb, good.error().message, streams);
    }
    const std::size_t most = verb.positional.empty() ? 0 : 1;
    for (std::size_t i = most; i < read->words.size(); ++i) over.words.push_back(read->words[i]);
    if (!over.words.empty()) return unknown_words(verb, args, over.words, streams);
  }
  auto plain = plain_words(*read, names);
  std::reverse(plain.begin(), plain.end());  // CLI11 takes them from the back
  try {
    app.parse(plain);
  } catch (const CLI::CallForHelp&) {
    streams.out << app.help();
    return kDone;
  } catch (const CLI::ParseError& error) {
    return misused(verb, error.what(), streams);
  }
  for (std::size_t i = 0; i < made.size(); ++i) {
    if (made[i]->count() > 0) words.add(verb.options[i].name, values[i]);
  }
  if (!positional.empty()) words.add(verb.positional, {positional});
  return -1;
}

}  // namespace cox::cli
