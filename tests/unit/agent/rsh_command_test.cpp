#include "runtime/agent/rsh_command.hpp"

#include <gtest/gtest.h>

namespace cox::agent {
namespace {

struct RshCase {
  std::vector<std::string> words;
  RshCommand command;
};

TEST(ParseRsh, ReadsWhatLaunchersSay) {
  const RshCase cases[] = {
      // Open MPI 4.1's plm_rsh_agent.
      {{"-x", "10.0.0.12", "PATH=/opt/bin:$PATH ; export PATH ; orted -mca ess \"env\""},
       {"10.0.0.12", "PATH=/opt/bin:$PATH ; export PATH ; orted -mca ess \"env\"", false}},
      // Hydra's.
      {{"-x", "ip-10-0-0-12", "\"/usr/bin/hydra_pmi_proxy\"", "--control-port", "a:1"},
       {"ip-10-0-0-12", "\"/usr/bin/hydra_pmi_proxy\" --control-port a:1", false}},
      {{"host"}, {"host", "", false}},
      {{"user@host", "true"}, {"host", "true", false}},
      {{"-n", "host", "true"}, {"host", "true", true}},
      {{"-xnq", "host", "true"}, {"host", "true", true}},
      {{"-p", "22", "host", "true"}, {"host", "true", false}},
      {{"-p22", "host", "true"}, {"host", "true", false}},
      {{"-o", "StrictHostKeyChecking=no", "-l", "me", "host", "a", "b"}, {"host", "a b", false}},
      {{"-xo", "BatchMode=yes", "host", "true"}, {"host", "true", false}},
      {{"-p", "-n", "host"}, {"host", "", false}},  // a value, whatever it looks like
      {{"--", "host", "true"}, {"host", "true", false}},
      {{"host", "ls", "-n", "--"}, {"host", "ls -n --", false}},  // the command's own words
  };
  for (const auto& c : cases) {
    const auto command = parse_rsh(c.words);
    ASSERT_TRUE(command) << c.words[0];
    EXPECT_EQ(command->host, c.command.host) << c.words[0];
    EXPECT_EQ(command->command, c.command.command) << c.words[0];
    EXPECT_EQ(command->no_input, c.command.no_input) << c.words[0];
  }
}

TEST(ParseRsh, NeedsAHost) {
  const std::vector<std::string> wrong[] = {{},     {"-x"}, {"-p"}, {"-p", "22"},
                                            {"--"}, {""},   {"me@"}};
  for (const auto& words : wrong) {
    const auto command = parse_rsh(words);
    ASSERT_FALSE(command) << (words.empty() ? "nothing" : words[0]);
    EXPECT_EQ(command.error(), (Error{Errc::invalid_argument, "no host is named"}));
  }
}

}  // namespace
}  // namespace cox::agent
