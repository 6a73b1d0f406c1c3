#include "launcher/cli/program.hpp"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <csignal>
#include <functional>
#include <ostream>
#include <set>
#include <utility>

#include "launcher/cli/client_log.hpp"
#include "launcher/cli/exit_codes.hpp"
#include "runtime/base/text.hpp"

namespace cox::cli {

namespace {

constexpr std::size_t kUsageWidth = 78;
constexpr std::size_t kHelpColumn = 34;

std::atomic<int> status_at_interrupt{kDone};

extern "C" void leave(int) {
  constexpr char kText[] = "Exiting...\n";
  [[maybe_unused]] const auto ignored = ::write(STDOUT_FILENO, kText, sizeof kText - 1);
  ::_exit(status_at_interrupt.load());
}

/// "-jn JOB_NAME, --job-name JOB_NAME" where CLI11, which knows no short names of two letters,
/// would show the long name only.
class HelpFormatter : public CLI::Formatter {
 public:
  HelpFormatter(const std::vector<OptionNames>& options, std::function<std::string()> usage)
      : options_(options), usage_(std::move(usage)) {
    column_width(kHelpColumn);
    label("Positionals", "Words");
  }

  std::string make_help(const CLI::App* app, std::string, CLI::AppFormatMode mode) const override {
    auto groups = make_groups(app, mode);
    groups.erase(groups.find_last_not_of('\n') + 1);
    return usage_() + "\n\n" + app->get_description() + "\n" + make_positionals(app) + groups +
           "\n\n" + app->get_footer();
  }
  std::string make_option_name(const CLI::Option* option, bool is_positional) const override {
    if (is_positional) return option->get_name(true);
    const auto name = "--" + option->get_lnames().at(0);
    const auto declared =
        std::find_if(options_.begin(), options_.end(),
                     [&](const OptionNames& candidate) { return candidate.name == name; });
    if (declared == options_.end()) return "-h, " + name;
    std::vector<std::string> names = declared->shorts;
    names.push_back(name);
    return join(names, ", ") + (declared->takes_value ? " " + option->get_type_name() : "");
  }
  std::string make_option_opts(const CLI::Option*) const override { return ""; }

 private:
  const std::vector<OptionNames>& options_;
  std::function<std::string()> usage_;
};

bool is_number(const std::string& value) {
  const auto number = to_int(value);
  return number && std::abs(*number) <= INT32_MAX;
}

/// "usage: NAME [-h] [-c CLUSTER] …", broken at the width.
std::string usage_text(const std::string& name, const std::vector<std::string>& pieces) {
  const auto start = "usage: " + name;
  std::string text;
  std::string line = start;
  for (const auto& piece : pieces) {
    if (line.size() + 1 + piece.size() > kUsageWidth) {
      text += line + '\n';
      line = std::string(start.size(), ' ');
    }
    line += ' ' + piece;
  }
  return text + line;
}

}  // namespace

struct Program::Impl {
  Impl(std::string program, std::string summary, CommonOptions& shared)
      : name(std::move(program)), app(std::move(summary), name), common(shared) {
    app.formatter(std::make_shared<HelpFormatter>(options, [this] { return usage_line(); }));
  }

  template <class T>
  CLI::Option* declare(OptionNames names, const std::string& value_name, T& value,
                       const std::string& help) {
    auto* const made = app.add_option(names.name, value, help)->type_name(value_name);
    made->expected(1)->allow_extra_args(false)->multi_option_policy(
        CLI::MultiOptionPolicy::TakeLast);
    keep(std::move(names), value_name, help, made);
    return made;
  }

  void keep(OptionNames names, const std::string& value_name, const std::string& help,
            CLI::Option* made) {
    if (help.empty()) {
      made->group("");
    } else {
      const auto& shown = names.shorts.empty() ? names.name : names.shorts.front();
      usage.push_back("[" + shown + (value_name.empty() ? "" : " " + value_name) + "]");
    }
    options.push_back(std::move(names));
  }

  [[nodiscard]] std::string usage_line() const {
    auto pieces = usage;
    pieces.insert(pieces.begin(), "[-h]");
    pieces.insert(pieces.end(), words_usage.begin(), words_usage.end());
    return usage_text(name, pieces);
  }

  /// Whether values that must be numbers are: argparse's words for those that are not.
  [[nodiscard]] Result<void> check_numbers(const Arguments& read) const {
    for (const auto& [option, value] : read.given) {
      if (numbers.contains(option) && !is_number(*value)) {
        return fail(Errc::invalid_argument, "argument {}: invalid int value: '{}'",
                    shown_name(options[option]), *value);
      }
    }
    return {};
  }

  [[nodiscard]] Result<void> check_words(const Arguments& read) const {
    const bool needs = words_kind == Words::one || words_kind == Words::some;
    if (needs && read.words.empty()) {
      return fail(Errc::invalid_argument, "the following arguments are required: {}", words_name);
    }
    const std::size_t most = words_kind == Words::one ? 1 : read.words.size();
    if (read.words.size() <= most) return {};
    return fail(
        Errc::invalid_argument, "unrecognized arguments: {}",
        join({read.words.begin() + static_cast<std::ptrdiff_t>(most), read.words.end()}, " "));
  }

  std::string name;
  std::vector<OptionNames> options;
  CLI::App app;
  CommonOptions& common;
  std::vector<std::string> usage;
  std::vector<std::string> words_usage;
  std::set<std::size_t> numbers;  ///< indices into options
  Words words_kind = Words::any;
  std::string words_name;
  std::vector<std::string>* words = nullptr;
};

Program::Program(std::string name, std::string summary, CommonOptions& common)
    : impl_(std::make_unique<Impl>(std::move(name), std::move(summary), common)) {
  option({"--cluster", {"-c"}}, "CLUSTER", common.cluster,
         "the cluster; else what ~/.parallelcluster/awsbatch-cli.cfg\nnames, or this node's own");
  option({"--log-level", {"-ll"}}, "LOG_LEVEL", common.log_level, "");
}

Program::~Program() = default;

void Program::flag(OptionNames names, bool& value, std::string help) {
  names.takes_value = false;
  auto* const made = impl_->app.add_flag(names.name, value, help);
  impl_->keep(std::move(names), "", help, made);
}

void Program::option(OptionNames names, std::string value_name, std::string& value,
                     std::string help) {
  impl_->declare(std::move(names), value_name, value, help);
}

void Program::option(OptionNames names, std::string value_name, std::vector<std::string>& values,
                     std::string help) {
  impl_->declare(std::move(names), value_name, values, help)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

void Program::option(OptionNames names, std::string value_name, int& value, std::string help) {
  impl_->numbers.insert(impl_->options.size());
  impl_->declare(std::move(names), value_name, value, help);
}

void Program::option(OptionNames names, std::string value_name, std::optional<int>& value,
                     std::string help) {
  impl_->numbers.insert(impl_->options.size());
  impl_->declare(std::move(names), value_name, value, help);
}

void Program::words(Words kind, std::string name, std::vector<std::string>& values,
                    std::string help) {
  auto& impl = *impl_;
  impl.words_kind = kind;
  impl.words_name = name;
  impl.words = &values;
  switch (kind) {
    case Words::any:
      impl.words_usage = {"[" + name + " ...]"};
      break;
    case Words::one:
      impl.words_usage = {name};
      break;
    case Words::some:
      impl.words_usage = {name, "[" + name + " ...]"};
      break;
    case Words::command:
      impl.words_usage = {"[" + name + "]", "[arguments ...]"};
      break;
  }
  // Only for the help: CLI11 would take a word such as "[a,b]" apart.
  impl.app.add_option(name, std::as_const(help));
}

void Program::examples(const std::string& text) { impl_->app.footer("Examples:\n" + text); }

int Program::parse(const std::vector<std::string>& args, Streams streams) {
  auto& impl = *impl_;
  exit_on_interrupt(kDone);
  flag({.name = "--json", .shorts = {}, .added = true}, impl.common.json, "print JSON");
  const auto misused = [&](const std::string& text) {
    streams.err << impl.usage_line() << '\n' << impl.name << ": error: " << text << '\n';
    return kMisused;
  };
  auto read = read_arguments(args, impl.options, impl.words_kind == Words::command);
  if (!read) return misused(read.error().message);
  if (read->help) {
    streams.out << impl.app.help();
    return kDone;
  }
  if (const auto good = impl.check_numbers(*read); !good) return misused(good.error().message);
  if (const auto good = impl.check_words(*read); !good) return misused(good.error().message);
  if (impl.words != nullptr) *impl.words = std::exchange(read->words, {});
  auto plain = plain_words(*read, impl.options);
  std::reverse(plain.begin(), plain.end());  // CLI11 takes them from the back
  try {
    impl.app.parse(plain);
  } catch (const CLI::ParseError& error) {
    return misused(error.what());
  }
  const auto level = log_level_from(impl.common.log_level);
  if (!level) {
    streams.err << "Invalid log level: " << impl.common.log_level << '\n';
    return kFailed;
  }
  open_client_log(*level);
  client_log(LogLevel::info, impl.name + ":parse", shell_quote(args));
  return -1;
}

void exit_on_interrupt(int status) {
  status_at_interrupt = status;
  std::signal(SIGINT, leave);
}

}  // namespace cox::cli
