#include "launcher/cli/commands.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <functional>
#include <sstream>

namespace cox::cli {
namespace {

using Run = std::function<int(const std::vector<std::string>&, Streams)>;

struct Said {
  int status = -1;
  std::string out;
  std::string err;
};

Said said(const Run& run, const std::vector<std::string>& args) {
  std::ostringstream out;
  std::ostringstream err;
  Said all;
  all.status = run(args, {out, err});
  all.out = out.str();
  all.err = err.str();
  return all;
}

/// The commands, as far as they go without a cluster.
class Commands : public testing::Test {
 protected:
  void SetUp() override {
    char path[] = "/tmp/cox-cli-XXXXXX";
    home_ = ::mkdtemp(path);
    ::setenv("HOME", home_.c_str(), 1);
    ::setenv("COX_STATE_DIR", home_.c_str(), 1);
  }
  void TearDown() override {
    std::filesystem::remove_all(home_);
    ::setenv("HOME", "/dev/null", 1);  // what runs later keeps no log
  }

  std::string home_;
};

struct Named {
  const char* name;
  Run run;
  std::vector<std::string> enough;  ///< words that it needs
};

const std::vector<Named>& all() {
  static const std::vector<Named> list{
      {"awsbsub", run_awsbsub, {"ls"}}, {"awsbstat", run_awsbstat, {}},
      {"awsbout", run_awsbout, {"x"}},  {"awsbkill", run_awsbkill, {"x"}},
      {"awsbhosts", run_awsbhosts, {}}, {"awsbqueues", run_awsbqueues, {}}};
  return list;
}

TEST_F(Commands, TellTheirUsageAndExamplesOnStdout) {
  for (const auto& [name, run, enough] : all()) {
    const auto help = said(run, {"--help"});
    EXPECT_EQ(help.status, 0) << name;
    EXPECT_EQ(help.err, "") << name;
    EXPECT_EQ(help.out.rfind(std::string("usage: ") + name + " [-h] [-c CLUSTER]", 0), 0u)
        << help.out;
    EXPECT_NE(help.out.find("\n\nExamples:\n  "), std::string::npos) << help.out;
    EXPECT_EQ(help.out.find("log-level"), std::string::npos) << name;
  }
}

TEST_F(Commands, AnswerWrongWordsWithUsageAndTwo) {
  for (const auto& [name, run, enough] : all()) {
    const auto wrong = said(run, {"--nope"});
    EXPECT_EQ(wrong.status, 2) << name;
    EXPECT_EQ(wrong.out, "") << name;
    EXPECT_EQ(wrong.err.rfind(std::string("usage: ") + name, 0), 0u) << wrong.err;
    EXPECT_TRUE(
        wrong.err.ends_with(std::string("\n") + name + ": error: unrecognized arguments: --nope\n"))
        << wrong.err;
  }
  EXPECT_TRUE(
      said(run_awsbout, {})
          .err.ends_with("\nawsbout: error: the following arguments are required: job_id\n"));
  EXPECT_TRUE(
      said(run_awsbkill, {})
          .err.ends_with("\nawsbkill: error: the following arguments are required: job_ids\n"));
  EXPECT_TRUE(said(run_awsbout, {"a", "b", "c"})
                  .err.ends_with("\nawsbout: error: unrecognized arguments: b c\n"));
  for (const auto* option : {"-p", "-m", "-r", "-t", "-n", "-a"}) {
    const auto wrong = said(run_awsbsub, {option, "x1", "ls"});
    EXPECT_EQ(wrong.status, 2) << option;
    EXPECT_TRUE(wrong.err.ends_with(": invalid int value: 'x1'\n")) << wrong.err;
  }
  EXPECT_TRUE(said(run_awsbsub, {"-n", "99999999999", "ls"})
                  .err.ends_with("argument -n/--nodes: invalid int value: '99999999999'\n"));
}

TEST_F(Commands, WantALevelThatThereIs) {
  for (const auto& [name, run, enough] : all()) {
    auto words = enough;
    words.insert(words.begin(), {"-ll", "loud"});
    const auto wrong = said(run, words);
    EXPECT_EQ(wrong.status, 1) << name;
    EXPECT_EQ(wrong.err, "Invalid log level: loud\n") << name;
  }
}

TEST_F(Commands, WantACluster) {
  for (const auto& [name, run, enough] : all()) {
    const auto none = said(run, enough);
    EXPECT_EQ(none.status, 1) << name;
    EXPECT_EQ(none.err, "Error: cluster parameter is required\n") << name;
    auto words = enough;
    words.insert(words.begin(), {"-c", "nobody"});
    const auto unknown = said(run, words);
    EXPECT_EQ(unknown.status, 1) << name;
    EXPECT_EQ(unknown.err, "Error: cluster nobody does not exist\n") << name;
    EXPECT_EQ(unknown.out, "") << name;
  }
  EXPECT_TRUE(std::filesystem::exists(home_ + "/.parallelcluster/awsbatch-cli.log"));
}

TEST_F(Commands, TakeTheLastOfAnOptionGivenTwice) {
  EXPECT_EQ(said(run_awsbqueues, {"-c", "one", "-c", "two"}).err,
            "Error: cluster two does not exist\n");
}

TEST_F(Commands, TakeWordsAsTheyAre) {
  // CLI11 would take a list out of the brackets; the second word is one too many here.
  EXPECT_TRUE(said(run_awsbout, {"x", "[a,b]"})
                  .err.ends_with("\nawsbout: error: unrecognized arguments: [a,b]\n"));
}

TEST_F(Commands, RefuseOptionsOfAwsbout) {
  const auto refused = [](std::vector<std::string> options) {
    options.emplace_back("ID");
    const auto wrong = said(run_awsbout, options);
    EXPECT_EQ(wrong.status, 1);
    return wrong.err;
  };
  EXPECT_EQ(refused({"-hd", "1", "-t", "1"}),
            "Parameters validation error: please specify --head or --tail parameter, not both\n");
  EXPECT_EQ(refused({"-hd", "1", "-s"}),
            "Parameters validation error: --head parameter cannot be set with the --stream\n");
  EXPECT_EQ(
      refused({"-sp", "1"}),
      "Parameters validation error: --stream-period can be used only with --stream parameter\n");
  EXPECT_EQ(refused({"--rank", "1", "--ranks", "1"}),
            "Parameters validation error: please specify --rank or --ranks, not both\n");
  EXPECT_EQ(refused({"--rank", "-1"}),
            "Parameters validation error: --head, --tail and --rank cannot be negative\n");
}

}  // namespace
}  // namespace cox::cli
