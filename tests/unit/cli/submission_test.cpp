#include "launcher/cli/submission.hpp"

#include <gtest/gtest.h>

#include <functional>

#include "launcher/cli/payload.hpp"

namespace cox::cli {
namespace {

const std::string kFile = COX_SOURCE_DIR "/LICENSE";

/// What check() says of options that `change` has changed; empty: nothing.
std::string complaint(const std::function<void(SubmitOptions&)>& change, bool terminal = true) {
  SubmitOptions options;
  change(options);
  const auto good = check(options, terminal);
  return good ? "" : good.error().message;
}

TEST(Check, AsksForACommandWhereThereIsNoScript) {
  EXPECT_EQ(complaint([](auto&) {}), "Error: command parameter is required");
  EXPECT_EQ(complaint([](auto& o) { o.mpi = true; }, false),
            "Error: command parameter is required");
  EXPECT_EQ(complaint([](auto&) {}, false), "");
  EXPECT_EQ(complaint([](auto& o) { o.command = {"ls"}; }), "");
  EXPECT_EQ(complaint([](auto& o) { o.command = {"ls"}; }, false), "");
}

TEST(Check, WantsTheCommandFileToBeAFile) {
  EXPECT_EQ(complaint([](auto& o) { o.command_file = true; }),
            "Error: command is required when using --command-file option");
  EXPECT_EQ(complaint([](auto& o) {
              o.command_file = true;
              o.command = {"/tmp"};
            }),
            "Error: the provided command file \"/tmp\" must be an existing file");
  EXPECT_EQ(complaint([](auto& o) {
              o.command_file = true;
              o.command = {kFile};
            }),
            "");
}

TEST(Check, RefusesOptionsThatExcludeEachOther) {
  const auto with = [](const std::function<void(SubmitOptions&)>& change) {
    return complaint([&](auto& o) {
      o.command = {"ls"};
      change(o);
    });
  };
  EXPECT_EQ(with([](auto& o) { o.env_blacklist = "A"; }),
            "Error: --env-blacklist option can be used only when --env option is 'all'");
  EXPECT_EQ(with([](auto& o) {
              o.env_blacklist = "A";
              o.env = "all,B";
            }),
            "Error: --env-blacklist option can be used only when --env option is 'all'");
  EXPECT_EQ(with([](auto& o) {
              o.env_blacklist = "A";
              o.env = "all";
            }),
            "");
  EXPECT_EQ(with([](auto& o) { o.working_dir = o.parent_working_dir = "/x"; }),
            "Error: --working-dir and --parent-working-dir options can't be used together");
  EXPECT_EQ(
      with([](auto& o) {
        o.mpi = true;
        o.working_dir = "/x";
      }),
      "Error: --working-dir or --parent-working-dir and --mpi options can't be used together");
  EXPECT_EQ(with([](auto& o) { o.dry_run = true; }),
            "Error: --dry-run, --ranks-per-node, --map-by, --bind-to and --mpi-launch can be "
            "used only with --mpi");
  EXPECT_EQ(with([](auto& o) { o.mpi_launch = "direct"; }),
            "Error: --dry-run, --ranks-per-node, --map-by, --bind-to and --mpi-launch can be "
            "used only with --mpi");
  EXPECT_EQ(with([](auto& o) {
              o.mpi = true;
              o.mpi_launch = "srun";
            }),
            "Error: --mpi-launch must be direct, mpirun or auto, not srun");
  EXPECT_EQ(with([](auto& o) { o.input_files = {"/nowhere/x"}; }),
            "Error: the input file \"/nowhere/x\" must be an existing file");
}

TEST(Check, SaysTheFirstOfManyFaultsInTheOriginalsOrder) {
  SubmitOptions options;
  options.command_file = true;
  options.depends_on = "nonsense";
  options.env_blacklist = "A";
  options.working_dir = options.parent_working_dir = "/x";
  const auto first = [&] { return check(options, true).error().message.substr(0, 30); };
  EXPECT_EQ(first(), "Error: command is required whe");
  options.command = {"/tmp"};
  EXPECT_EQ(first(), "Error: the provided command fi");
  options.command = {kFile};
  EXPECT_EQ(first(), "Error: please check the syntax");
  options.depends_on = "";
  EXPECT_EQ(first(), "Error: --env-blacklist option ");
  options.env_blacklist = "";
  EXPECT_EQ(first(), "Error: --working-dir and --par");
}

TEST(JobName, IsGivenOrStdinOrTheCommandsBaseName) {
  const auto name = [](const std::string& given, bool file, std::vector<std::string> command,
                       bool terminal) {
    SubmitOptions options;
    options.job_name = given;
    options.command_file = file;
    options.command = std::move(command);
    return job_name(options, terminal);
  };
  EXPECT_EQ(name("mine", true, {"a.sh"}, false), "mine");
  EXPECT_EQ(name("", true, {"dir/submit_mpi.sh"}, true), "submit_mpi_sh");
  EXPECT_EQ(name("", true, {"dir/submit_mpi.sh"}, false), "STDIN");
  EXPECT_EQ(name("", false, {}, false), "STDIN");
  EXPECT_EQ(name("", false, {"/bin/my-prog..x"}, false), "my_prog_x");
}

std::string depends_on(const std::string& text) {
  const auto list = parse_depends_on(text);
  if (!list) return list.error().message.substr(0, 30);
  std::string shown;
  for (const auto& [id, type] : *list) shown += "(" + id + "," + type + ")";
  return shown;
}

TEST(DependsOn, IsARealList) {
  EXPECT_EQ(depends_on("jobId=A"), "(A,)");
  EXPECT_EQ(depends_on("type=SEQUENTIAL"), "(,SEQUENTIAL)");
  EXPECT_EQ(depends_on("jobId=A,type=N_TO_N"), "(A,N_TO_N)");
  EXPECT_EQ(depends_on("type=N_TO_N,jobId=A"), "(A,N_TO_N)");
  EXPECT_EQ(depends_on("jobId=A,jobId=B"), "(A,)(B,)");
  EXPECT_EQ(depends_on("jobId=A;jobId=B"), "(A,)(B,)");
  EXPECT_EQ(depends_on("jobId=A jobId=B"), "(A,)(B,)");
  EXPECT_EQ(depends_on("jobId=A,type=N_TO_N;jobId=B,type=N_TO_N"), "(A,N_TO_N)(B,N_TO_N)");
  EXPECT_EQ(depends_on("jobId=A,type=SEQUENTIAL"), "(A,SEQUENTIAL)");
  EXPECT_EQ(depends_on("jobId=A;type=N_TO_N,jobId=B"), "(A,N_TO_N)(B,)");
}

TEST(DependsOn, TakesTheWaysOfOtherSchedulers) {
  EXPECT_EQ(depends_on("afterany:A"), "(A,AFTER_ANY)");
  EXPECT_EQ(depends_on("afterok:A,afternotok:B:3"), "(A,)(B:3,AFTER_NOT_OK)");
  EXPECT_EQ(depends_on("jobId=A;afterany:B,jobId=C"), "(A,)(B,AFTER_ANY)(C,)");
  EXPECT_EQ(depends_on("jobId=A,type=AFTER_ANY"), "(A,AFTER_ANY)");
  EXPECT_EQ(depends_on("type=AFTER_NOT_OK,jobId=A"), "(A,AFTER_NOT_OK)");
}

TEST(DependsOn, RefusesAnotherSyntax) {
  for (const auto* text :
       {"afterany:", "after:A", "", "A", "jobId=", "jobId", "job=A", "jobId=A,B", ",;"}) {
    EXPECT_EQ(depends_on(text), "Error: please check the syntax") << text;
  }
}

using Variables = std::map<std::string, std::string>;

TEST(Exported, AreTheVariablesNamed) {
  const Variables all{{"A", "1"}, {"B", "2"}, {"PATH", "/bin"}, {"C", ""}};
  EXPECT_EQ(exported("A, C,nope", "", all), (Variables{{"A", "1"}, {"C", ""}}));
  EXPECT_EQ(exported("all", "", all), (Variables{{"A", "1"}, {"B", "2"}, {"C", ""}}));
  EXPECT_EQ(exported("all,PATH", "", all), all);
  EXPECT_EQ(exported("all", "A, B", all), (Variables{{"PATH", "/bin"}, {"C", ""}}));
}

TEST(Exported, AreNeverReservedOnesOrWhatNoShellTakes) {
  const Variables all{{"aws_x", "1"},       {"AWS_BATCH_JOB_ID", "1"},
                      {"PCLUSTER_X", "1"},  {"LESS_TERMCAP_mb", "1"},
                      {"f()", "() { :; }"}, {"BASH_FUNC_f%%", "1"},
                      {"1A", "1"},          {"A.B", "1"},
                      {"VCPUS", "1"}};
  EXPECT_EQ(exported("all", "", all), Variables{});
  EXPECT_EQ(exported("aws_x,AWS_BATCH_JOB_ID,PCLUSTER_X,f(),1A,VCPUS", "", all),
            (Variables{{"VCPUS", "1"}}));
}

TEST(EnvFile, QuotesWhatAShellWouldTakeApart) {
  EXPECT_EQ(env_file({{"A", "it's"}, {"B", "two\nlines"}, {"C", "plain"}, {"D", ""}}),
            "export A='it'\"'\"'s';\n"
            "export B='two\nlines';\n"
            "export C=plain;\n"
            "export D='';\n");
}

TEST(CommandChain, RunsAScriptWhereItIs) {
  EXPECT_EQ(command_chain({}, {"a.sh", "", {"a.sh"}}, {"x y"}), "chmod +x ./a.sh && ./a.sh 'x y'");
  EXPECT_EQ(command_chain({}, {"a.sh", "a.env.sh", {"a.env.sh", "a.sh"}}, {}),
            "source ./a.env.sh && chmod +x ./a.sh && ./a.sh");
}

TEST(CommandChain, PutsFilesIntoTheWorkingDirectoryWhole) {
  SubmitOptions options;
  options.working_dir = "/shared/$USER";
  EXPECT_EQ(command_chain(options, {"a.sh", "", {"in put", "a.sh"}}, {}),
            "mkdir -p \"/shared/$USER\" && cd \"/shared/$USER\" && COX_NEW=$(mktemp -d -p .) && "
            "cp -p \"$COX_JOB_DIR\"/'in put' \"$COX_JOB_DIR\"/a.sh \"$COX_NEW\" && "
            "mv -f \"$COX_NEW\"/'in put' \"$COX_NEW\"/a.sh . && rmdir \"$COX_NEW\" && "
            "unset COX_NEW && chmod +x ./a.sh && ./a.sh");
}

TEST(CommandChain, MakesTheJobsDirectoryInItsParent) {
  SubmitOptions options;
  options.parent_working_dir = "/shared";
  EXPECT_EQ(command_chain(options, {"", "", {}}, {"ls", "-l"}),
            "mkdir -p \"/shared\" && cd \"/shared\" && mkdir -p \"job-${AWS_BATCH_JOB_ID}\" && "
            "cd \"job-${AWS_BATCH_JOB_ID}\" && ls -l");
}

TEST(LineEnds, AreMendedInTextOnly) {
  std::string script = "#!/bin/bash\r\necho a\rb\r\n";
  EXPECT_TRUE(mend_line_ends(script));
  EXPECT_EQ(script, "#!/bin/bash\necho a\rb\n");
  EXPECT_FALSE(mend_line_ends(script));
  std::string binary(
      "\x7f"
      "ELF\0\r\n",
      7);
  const auto before = binary;
  EXPECT_FALSE(mend_line_ends(binary));
  EXPECT_EQ(binary, before);
}

}  // namespace
}  // namespace cox::cli
