#include "launcher/cli/cli_config.hpp"

#include <gtest/gtest.h>

namespace cox::cli {
namespace {

constexpr const char* kPath = "/home/me/.parallelcluster/awsbatch-cli.cfg";

Error refused(const std::string& text) {
  const auto config = parse_cli_config(kPath, text);
  if (!config) return config.error();
  const auto name = default_cluster(*config);
  return name ? Error{} : name.error();
}

TEST(CliConfig, NamesTheClusterAndItsOwnSettings) {
  const auto config = parse_cli_config(kPath,
                                       "# sample\n[main]\ncluster_name = demo\nEnv_Blacklist: A,B\n"
                                       "\n[cluster demo]\njob_definition = own:2\n; end\n");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(default_cluster(*config).value(), "demo");
  EXPECT_EQ(config->find("main", "env_blacklist"), "A,B");
  EXPECT_EQ(config->of_cluster("demo", "job_definition"), "own:2");
  EXPECT_EQ(config->of_cluster("other", "job_definition"), "");
}

TEST(CliConfig, ThatNamesNoClusterSaysSectionOptionAndFile) {
  EXPECT_EQ(refused("[main]\nregion = x\n"),
            (Error{Errc::invalid_argument,
                   "there is no option 'cluster_name' in section 'main' of file "
                   "/home/me/.parallelcluster/awsbatch-cli.cfg"}));
  EXPECT_EQ(
      refused("[cluster x]\n"),
      (Error{Errc::invalid_argument,
             "there is no section 'main' in file /home/me/.parallelcluster/awsbatch-cli.cfg"}));
}

TEST(CliConfig, ThatIsNoIniFileSaysTheLine) {
  EXPECT_EQ(refused("[main]\nnonsense\n"),
            (Error{Errc::invalid_argument,
                   "/home/me/.parallelcluster/awsbatch-cli.cfg:2: 'nonsense' is neither a section "
                   "nor an option"}));
}

}  // namespace
}  // namespace cox::cli
