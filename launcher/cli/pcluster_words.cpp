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

std::string usage_line(const Verb& verb) {
  std::string line = "usage: pcluster " + verb.name + " [-h]";
  for (const auto& option : verb.options) {
    if (option.help.empty()) continue;
    auto shown = option.name;
    if (option.takes != Takes::nothing) shown += " " + to_upper(option.name.substr(2));
    std::replace(shown.begin() + static_cast<std::ptrdiff_t>(option.name.size()), shown.end(), '-',
                 '_');
    line += option.required ? " " + shown : " [" + shown + "]";
  }
  if (!verb.positional.empty()) line += " " + verb.positional;
  return line + "\n";
}

int misused(const Verb& verb, const std::string& text, Streams streams) {
  streams.err << usage_line(verb) << "pcluster " << verb.name << ": error: " << text << '\n';
  return kMisused;
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
  // A deque keeps its elements where they are while it grows: CLI11 holds references to them.
  std::deque<std::vector<std::string>> values;
  std::vector<CLI::Option*> made;
  for (const auto& option : verb.options) {
    auto& value = values.emplace_back();
    auto* const added = option.takes == Takes::nothing
                            ? app.add_flag(option.name)
                            : app.add_option(option.name, value)->allow_extra_args(false);
    added->description(option.help)->required(option.required);
    if (option.help.empty()) added->group("");
    if (!option.choices.empty()) added->check(CLI::IsMember(option.choices));
    made.push_back(added);
  }
  std::string positional;
  if (!verb.positional.empty()) {
    app.add_option(verb.positional, positional, "Name of the cluster")->required();
  }
  auto plain = normalise(spread_lists(verb, args), names_of(verb), false);
  constexpr std::string_view kUnknown = "unrecognized arguments: ";
  if (!plain) {
    const auto& text = plain.error().message;
    if (!text.starts_with(kUnknown)) return misused(verb, text, streams);
    return unknown_words(verb, "'" + text.substr(kUnknown.size()) + "'", streams);
  }
  std::reverse(plain->begin(), plain->end());  // CLI11 takes them from the back
  try {
    app.parse(*plain);
  } catch (const CLI::CallForHelp&) {
    streams.out << app.help();
    return kDone;
  } catch (const CLI::ExtrasError&) {
    std::string extra;
    for (const auto& word : app.remaining()) extra += (extra.empty() ? "'" : ", '") + word + "'";
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
