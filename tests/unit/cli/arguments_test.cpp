#include "launcher/cli/arguments.hpp"

#include <gtest/gtest.h>

#include "runtime/base/text.hpp"

namespace cox::cli {
namespace {

/// Options as awsbsub and awsbout have them, with their traps: names that begin alike, two letters,
/// flags, and options that the original lacks.
std::vector<OptionNames> options() {
  return {{"--cluster", {"-c"}},
          {"--job-name", {"-jn"}},
          {"--job-queue", {"-jq"}, true, true},
          {"--command-file", {"-cf"}, false},
          {"--nodes", {"-n"}},
          {"--env", {"-e"}},
          {"--env-blacklist", {"-eb"}},
          {"--head", {"-hd"}},
          {"--details", {"-d"}, false},
          {"--expand-children", {"-x"}, false},
          {"--log-level", {"-ll"}},
          {"--mpi", {}, false, true},
          {"--wait", {}, false, true}};
}

/// What was read, as one line: "--nodes=3 --details | words", "help" or the error.
std::string read(const std::vector<std::string>& args, bool has_command) {
  const auto all = options();
  const auto read = read_arguments(args, all, has_command);
  if (!read) return "error: " + read.error().message;
  std::vector<std::string> shown;
  for (const auto& [option, value] : read->given) {
    shown.push_back(all[option].name + (value ? "=" + *value : ""));
  }
  if (read->help) shown.emplace_back("help");
  return join(shown, " ") + " | " + shell_quote(read->words);
}

struct Case {
  const char* name;  // says the rule
  std::vector<std::string> args;
  const char* want;

  friend void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }
};

std::string name_of(const testing::TestParamInfo<Case>& test) { return test.param.name; }

class Options : public testing::TestWithParam<Case> {};

TEST_P(Options, AreReadAsArgparseDoes) { EXPECT_EQ(read(GetParam().args, false), GetParam().want); }

const Case kOptions[] = {
    {"short_with_value", {"-n", "3"}, "--nodes=3 | "},
    {"short_with_value_attached", {"-n3"}, "--nodes=3 | "},
    {"short_with_value_behind_equals", {"-n=3"}, "--nodes=3 | "},
    {"two_letters", {"-jn", "a", "-hd", "2"}, "--job-name=a --head=2 | "},
    {"two_letters_with_equals", {"-jn=a"}, "--job-name=a | "},
    {"two_letters_with_value_attached", {"-hd2"}, "--head=2 | "},
    {"two_letters_before_one", {"-eb", "A"}, "--env-blacklist=A | "},
    {"two_letter_flag", {"-cf"}, "--command-file | "},
    {"long", {"--nodes", "3"}, "--nodes=3 | "},
    {"long_with_equals", {"--nodes=3"}, "--nodes=3 | "},
    {"long_with_empty_value", {"--env="}, "--env= | "},
    {"abbreviated", {"--node", "3", "--det"}, "--nodes=3 --details | "},
    {"abbreviated_with_equals", {"--no=3"}, "--nodes=3 | "},
    {"whole_name_before_longer_one", {"--env", "A"}, "--env=A | "},
    {"the_originals_own_before_added_ones", {"--job", "a"}, "--job-name=a | "},
    {"abbreviated_short", {"-j", "a"}, "--job-name=a | "},
    {"flags_joined", {"-dx"}, "--details --expand-children | "},
    {"flag_joined_to_option", {"-dn3"}, "--details --nodes=3 | "},
    {"negative_number_is_a_value", {"-n", "-1"}, "--nodes=-1 | "},
    {"negative_number_is_a_word", {"-1.5"}, " | -1.5"},
    {"blank_makes_a_word", {"-a b"}, " | '-a b'"},
    {"dash_is_a_word", {"-"}, " | -"},
    {"words_between_options", {"a", "-d", "b"}, "--details | a b"},
    {"all_words_behind_the_mark", {"-d", "--", "-n", "--"}, "--details | -n --"},
    {"help", {"-h"}, "help | "},
    {"long_help", {"--help", "--nope"}, "help | "},
    {"abbreviated_help", {"--hel"}, "help | "},
    {"value_that_looks_like_an_option", {"--env=-x"}, "--env=-x | "},
    {"last_value_missing", {"-n"}, "error: argument -n/--nodes: expected one argument"},
    {"option_for_a_value", {"-n", "-d"}, "error: argument -n/--nodes: expected one argument"},
    {"mark_for_a_value", {"-n", "--"}, "error: argument -n/--nodes: expected one argument"},
    {"unknown_long", {"--nope"}, "error: unrecognized arguments: --nope"},
    {"unknown_short", {"-q"}, "error: unrecognized arguments: -q"},
    {"ambiguous",
     {"--e", "A"},
     "error: ambiguous option: --e could match --env, --env-blacklist, --expand-children"},
    {"ambiguous_with_help", {"--he"}, "error: ambiguous option: --he could match --head, --help"},
    {"flag_with_a_value",
     {"--details=1"},
     "error: argument -d/--details: ignored explicit argument '1'"},
    {"short_flag_with_a_value",
     {"-d=1"},
     "error: argument -d/--details: ignored explicit argument '1'"},
};

INSTANTIATE_TEST_SUITE_P(, Options, testing::ValuesIn(kOptions), name_of);

class Command : public testing::TestWithParam<Case> {};

TEST_P(Command, IsReadAsArgparseDoes) { EXPECT_EQ(read(GetParam().args, true), GetParam().want); }

const Case kCommands[] = {
    {"its_words_stand_together", {"-n", "3", "sleep", "5"}, "--nodes=3 | sleep 5"},
    {"options_may_stand_behind_it",
     {"-cf", "a.sh", "1", "-n", "3"},
     "--command-file --nodes=3 | a.sh 1"},
    {"added_options_too", {"a.sh", "-cf", "--wait"}, "--command-file --wait | a.sh"},
    {"help_too", {"ls", "-h"}, "help | ls"},
    {"the_last_of_two_counts_later", {"-n", "2", "a", "-n", "3"}, "--nodes=2 --nodes=3 | a"},
    {"unknown_option_is_not_its_own",
     {"ls", "-la"},
     "error: unrecognized arguments: -la (options of the command itself go behind \"--\")"},
    {"option_without_value_neither",
     {"ls", "-l"},
     "error: argument -ll/--log-level: expected one argument (options of the command itself go "
     "behind \"--\")"},
    {"words_behind_options_neither",
     {"head", "-n", "3", "file"},
     "error: unrecognized arguments: file (options of the command itself go behind \"--\")"},
    {"all_behind_the_mark_is", {"ls", "--", "-n", "3", "--", "x"}, " | ls -n 3 -- x"},
    {"mark_before_it", {"-n", "2", "--", "ls", "--", "-n"}, "--nodes=2 | ls -- -n"},
    {"wrong_option_before_it", {"--nope", "ls"}, "error: unrecognized arguments: --nope"},
};

INSTANTIATE_TEST_SUITE_P(, Command, testing::ValuesIn(kCommands), name_of);

TEST(PlainWords, AreLongOptionsAndAMark) {
  const auto all = options();
  const auto read = read_arguments({"-jn", "a b", "--env=", "-d", "x", "-h"}, all, false);
  ASSERT_TRUE(read);
  EXPECT_EQ(plain_words(*read, all), (std::vector<std::string>{"--job-name=a b", "--env", "",
                                                               "--details", "--help", "--", "x"}));
}

}  // namespace
}  // namespace cox::cli
