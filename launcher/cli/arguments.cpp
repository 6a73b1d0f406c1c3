#include "launcher/cli/arguments.hpp"

#include <algorithm>
#include <span>

namespace cox::cli {

namespace {

/// A word that names an option, with its value where that is attached.
struct Named {
  std::size_t option = 0;
  std::optional<std::string> value;
};

tl::unexpected<Error> unrecognized(const std::string& word) {
  return fail(Errc::invalid_argument, "unrecognized arguments: {}", word);
}

/// Of the options that match an abbreviation the original's own, if there are any.
std::vector<std::size_t> preferred(const std::vector<std::size_t>& matching,
                                   const std::vector<OptionNames>& options) {
  std::vector<std::size_t> old;
  std::copy_if(matching.begin(), matching.end(), std::back_inserter(old),
               [&](std::size_t i) { return !options[i].added; });
  return old.empty() ? matching : old;
}

Result<Named> only_one(const std::vector<std::size_t>& matching, const std::string& typed,
                       const std::vector<OptionNames>& options) {
  const auto best = preferred(matching, options);
  if (best.size() == 1) return Named{best.front(), std::nullopt};
  std::string list;
  for (const auto i : best) list += (list.empty() ? "" : ", ") + options[i].name;
  return fail(Errc::invalid_argument, "ambiguous option: {} could match {}", typed, list);
}

Result<Named> by_long_name(const std::string& word, const std::vector<OptionNames>& options) {
  const auto equals = word.find('=');
  const auto name = word.substr(0, equals);
  std::vector<std::size_t> matching;
  for (std::size_t i = 0; i < options.size(); ++i) {
    if (options[i].name == name) {
      matching = {i};
      break;
    }
    if (options[i].name.starts_with(name)) matching.push_back(i);
  }
  if (matching.empty()) return unrecognized(word);
  auto named = only_one(matching, name, options);
  if (named && equals != std::string::npos) named->value = word.substr(equals + 1);
  return named;
}

/// "-n", "-n3", "-jn=NAME", "-hd3": the longest short name that the word begins with, a longer one
/// before a shorter; else the only one that begins with the word.
Result<Named> by_short_name(const std::string& word, const std::vector<OptionNames>& options) {
  Named named;
  std::size_t length = 0;
  std::vector<std::size_t> longer;
  for (std::size_t i = 0; i < options.size(); ++i) {
    for (const auto& name : options[i].shorts) {
      if (name.starts_with(word) && name != word) longer.push_back(i);
      // A flag of one letter may have other flags behind it.
      const bool may_go_on = options[i].takes_value || name.size() == 2;
      const bool fits = word == name || (may_go_on && word.starts_with(name));
      if (!fits || name.size() <= length) continue;
      named.option = i;
      named.value.reset();
      if (word != name) named.value = word.substr(name.size());
      length = name.size();
    }
  }
  if (length > 0) {
    const bool joined = named.value && !named.value->starts_with("=");
    if (named.value && !joined) named.value->erase(0, 1);
    return named;
  }
  if (longer.empty()) return unrecognized(word);
  return only_one(longer, word, options);
}

Result<Named> by_name(const std::string& word, const std::vector<OptionNames>& options) {
  return word.starts_with("--") ? by_long_name(word, options) : by_short_name(word, options);
}

bool is_number(const std::string& word) {
  return word.size() > 1 && word[0] == '-' &&
         word.find_first_not_of("0123456789.", 1) == std::string::npos;
}

/// Whether a word stands where an option may: one with a blank in it is none, unless it names one.
bool is_option(const std::string& word, const std::vector<OptionNames>& options) {
  if (word.size() < 2 || word[0] != '-' || is_number(word)) return false;
  return word.find(' ') == std::string::npos || by_name(word, options).has_value();
}

/// Every program has it: -h and its abbreviations name it as they name any other.
std::vector<OptionNames> with_help(std::vector<OptionNames> options) {
  options.push_back({"--help", {"-h"}, false});
  return options;
}

class Reader {
 public:
  Reader(std::span<const std::string> args, const std::vector<OptionNames>& options)
      : args_(args), options_(options) {}

  Result<Arguments> read(bool has_command) {
    for (; at_ < args_.size() && !read_.help; ++at_) {
      const auto& word = args_[at_];
      if (word == "--") {
        add_rest(at_ + 1);
        break;
      }
      if (is_option(word, options_)) {
        ended_ = !read_.words.empty();
        if (auto good = take(word); !good)
          return has_command ? of_command(good.error()) : fail(good.error());
      } else if (has_command && ended_) {
        return of_command(unrecognized(word).value());
      } else {
        read_.words.push_back(word);
      }
    }
    return std::move(read_);
  }

 private:
  void add_rest(std::size_t begin) {
    const auto rest = args_.subspan(begin);
    read_.words.insert(read_.words.end(), rest.begin(), rest.end());
  }

  /// The error, with what helps where the word was meant for the command.
  [[nodiscard]] tl::unexpected<Error> of_command(Error error) const {
    if (!read_.words.empty()) {
      error.message += " (options of the command itself go behind \"--\")";
    }
    return tl::make_unexpected(std::move(error));
  }

  /// Takes an option, or flags joined to it, with the next word where that is its value.
  Result<void> take(const std::string& word) {
    auto named = by_name(word, options_);
    if (!named) return fail(named.error());
    const auto& option = options_[named->option];
    if (option.name == "--help") {
      read_.help = true;
      return {};
    }
    if (!option.takes_value) {
      read_.given.push_back({named->option, std::nullopt});
      if (!named->value) return {};
      const bool joined = !word.starts_with("--") && word.find('=') == std::string::npos;
      if (joined && !named->value->empty()) return take("-" + *named->value);
      return fail(Errc::invalid_argument, "argument {}: ignored explicit argument '{}'",
                  shown_name(option), *named->value);
    }
    if (!named->value) {
      const bool there =
          at_ + 1 < args_.size() && args_[at_ + 1] != "--" && !is_option(args_[at_ + 1], options_);
      if (!there) {
        return fail(Errc::invalid_argument, "argument {}: expected one argument",
                    shown_name(option));
      }
      named->value = args_[++at_];
    }
    read_.given.push_back({named->option, std::move(named->value)});
    return {};
  }

  std::span<const std::string> args_;
  const std::vector<OptionNames>& options_;
  std::size_t at_ = 0;
  bool ended_ = false;  ///< the command: an option stood behind it
  Arguments read_;
};

}  // namespace

std::string shown_name(const OptionNames& option) {
  std::string shown;
  for (const auto& name : option.shorts) shown += name + "/";
  return shown + option.name;
}

Result<Arguments> read_arguments(const std::vector<std::string>& args,
                                 const std::vector<OptionNames>& options, bool has_command) {
  const auto all = with_help(options);
  return Reader(args, all).read(has_command);
}

std::vector<std::string> plain_words(const Arguments& read,
                                     const std::vector<OptionNames>& options) {
  std::vector<std::string> plain;
  for (const auto& [option, value] : read.given) {
    // "--name=" alone would take the next word for its value.
    plain.push_back(options[option].name + (value && !value->empty() ? "=" + *value : ""));
    if (value && value->empty()) plain.emplace_back();
  }
  if (read.help) plain.emplace_back("--help");
  if (!read.words.empty()) plain.emplace_back("--");
  plain.insert(plain.end(), read.words.begin(), read.words.end());
  return plain;
}

}  // namespace cox::cli
