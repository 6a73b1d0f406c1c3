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
  added->required(option.required);
  if (option.help.empty()) added->group("");
  if (!option.choices.empty()) added->check(CLI::IsMember(option.choices));
  return added;
}

int unknown_words(const Verb& verb, const std::string& words, Streams streams) {
  streams.out << usage_line(verb) << "Invalid arguments [" << words << "]\n";
  return kFailed;
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
    app.add_option(verb.positional, positional, "Name of the cluster")->required();
  }
  const auto names = names_of(verb);
  const auto read = read_arguments(spread_lists(verb, args), names, false);
  constexpr std::string_view kUnknown = "unrecognized arguments: ";
  if (!read) {
    const auto& text = read.error().message;
    if (!text.starts_with(kUnknown)) return misused(verb, text, streams);
    return unknown_words(verb, "'" + text.substr(kUnknown.size()) + "'", streams);
  }
  auto plain = plain_words(*read, names);
  std::reverse(plain.begin(), plain.end());  // CLI11 takes them from the back
  try {
    app.parse(plain);
  } catch (const CLI::CallForHelp&) {
    streams.out << app.help();
    return kDone;
  } catch (const CLI::ExtrasError&) {
    std::string extra;
    for (const auto& word : app.remaining()) {
      if (word != "--") extra += (extra.empty() ? "'" : ", '") + word + "'";
    }
    return unknown_words(verb, extra, streams);
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
