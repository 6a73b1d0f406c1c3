#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "launcher/provider/slurm_command.hpp"
#include "launcher/provider/slurm_pilots.hpp"
#include "launcher/provider/slurm_plan.hpp"
#include "runtime/base/text.hpp"
#include "runtime/os/process.hpp"
#include "tests/unit/os/temporary_directory.hpp"

namespace cox::provider {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

SlurmPlan plan() {
  SlurmPlan made;
  made.tag = "0123abcd";
  made.cluster = "sea";
  made.stage = "/shared/.coxswain-0123abcd";
  made.partition = "day";
  made.extra_args = {"--exclusive", "--time=7"};
  made.environments = {"sea-c1"};
  return made;
}

std::size_t place_of(const std::vector<std::string>& argv, const std::string& word) {
  return static_cast<std::size_t>(std::find(argv.begin(), argv.end(), word) - argv.begin());
}

PilotState state(const std::string& name, const std::string& reason) {
  return {"12", name, reason, "p1", {}, {}};
}

TEST(Sbatch, AsksForWhatThePilotNeedsAndLeavesOutWhatIsNotSaid) {
  const auto argv = sbatch_argv(plan(), {"p1", 3, 2, 3840, 3601});

  EXPECT_EQ(argv.front(), "sbatch");
  for (const auto* word : {"--parsable", "--partition=day", "--nodes=3", "--ntasks-per-node=1",
                           "--cpus-per-task=2", "--mem=3840M", "--time=61", "--no-requeue"}) {
    EXPECT_THAT(argv, Contains(word));
  }
  EXPECT_THAT(argv, Not(Contains(StartsWith("--account"))));
  EXPECT_THAT(argv, Not(Contains(StartsWith("--qos"))));
}

TEST(Sbatch, TakesTheFilesArgumentsAfterOursAndWhatPilotsAreFoundByLast) {
  const auto argv = sbatch_argv(plan(), {"p1", 1, 2, 0, 60});

  EXPECT_LT(place_of(argv, "--time=1"), place_of(argv, "--time=7"));
  EXPECT_LT(place_of(argv, "--time=7"), place_of(argv, "--comment=coxswain:0123abcd:p1"));
  EXPECT_LT(place_of(argv, "--comment=coxswain:0123abcd:p1"), argv.size());
}

TEST(Sbatch, SaysTheJobsNumberWithItsClusterOrWithout) {
  EXPECT_EQ(submitted_job("12\n").value(), "12");
  EXPECT_EQ(submitted_job("site: a notice\n13;west\n").value(), "13");
  const auto none = submitted_job("Submitted\n");
  ASSERT_FALSE(none);
  EXPECT_THAT(none.error().message, HasSubstr("which job"));
}

TEST(PilotScript, NamesNoSecretAndQuotesItsPaths) {
  auto site = plan();
  site.stage = "/shared/it's here";

  const auto script = pilot_script(site, "p1", "cafe");

  EXPECT_THAT(script, StartsWith("#!/bin/sh\n"));
  EXPECT_THAT(script, HasSubstr("--hold"));
  EXPECT_THAT(script, HasSubstr("/failed"));  // where we are told that a node cannot start
  EXPECT_THAT(script, HasSubstr("/var/tmp/coxswain-0123abcd-p1"));
  EXPECT_THAT(script, HasSubstr("[ ! -x " + shell_quote(site.stage + "/cafe/cox-agent") + " ]"));
  EXPECT_THAT(script, HasSubstr("see\" " + shell_quote(site.stage) + "\":"));
}

/// Runs a pilot's script with programs of its own names before the system's on PATH: each is called
/// with PILOT, the process that Slurm would tell to end.
class PilotOnNode : public testing::Test {
 protected:
  void SetUp() override {
    site_.tag = directory_.path().substr(directory_.path().rfind('-') + 1);
    site_.stage = directory_ / "stage";
    std::filesystem::create_directories(pilot_stage(site_, "p1"));
    std::filesystem::create_directories(staged_agent(site_, "cafe"));
    std::ofstream(pilot_stage(site_, "p1") + "/0.json") << "{}";
    std::ofstream(directory_ / "pilot") << pilot_script(site_, "p1", "cafe");
    // What starts the nodes' shells.
    program("srun", "export PILOT=$$; while [ \"$1\" != /bin/sh ]; do shift; done; exec \"$@\"");
    program("rm", "[ $1 != -rf ] || { kill $PILOT; kill $$; }; exec /bin/rm \"$@\"");
    agent("exec sleep 1000");
  }
  void TearDown() override { std::filesystem::remove_all(pilot_base(site_, "p1")); }

  void program(const std::string& name, const std::string& text) { write(directory_ / name, text); }
  void agent(const std::string& text) {
    write(staged_agent(site_, "cafe") + "/cox-agent", "mkdir -p \"$2/scratch\"; " + text);
  }
  os::RunResult run() {
    return os::run({"timeout", "20", "env", "SLURM_PROCID=0", "SLURM_JOB_NUM_NODES=1",
                    "PATH=" + directory_.path() + ":/usr/bin:/bin", "sh", directory_ / "pilot"})
        .value();
  }
  bool left() const { return std::filesystem::exists(pilot_base(site_, "p1")); }

 private:
  static void write(const std::string& path, const std::string& text) {
    std::ofstream(path) << "#!/bin/sh\n" << text << "\n";
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
  }

  os::TemporaryDirectory directory_;
  SlurmPlan site_ = plan();
};

TEST_F(PilotOnNode, LeavesNothingThoughItWasToldToEndBeforeItsAgentBegan) {
  program("date", "kill $PILOT; exec /bin/date \"$@\"");
  EXPECT_EQ(run().exit_code, 143);
  EXPECT_FALSE(left());
}

TEST_F(PilotOnNode, LeavesNothingThoughItIsToldToEndBesideItsAgent) {
  agent("kill $PILOT; exec sleep 1000");
  EXPECT_EQ(run().exit_code, 143);
  EXPECT_FALSE(left());
}

TEST_F(PilotOnNode, WaitsForItsAgentAndGivesItsStatus) {
  agent("read options; [ \"$options\" = '{}' ] && exit 0");
  const auto done = run();
  EXPECT_EQ(done.exit_code, 0) << done.err;
  EXPECT_FALSE(left());
}

TEST(Squeue, TellsOfTheClustersOwnPilotsAlone) {
  const auto states = parse_squeue(plan(),
                                   "12|PENDING|Resources|1:00:00|1:00:00|coxswain:0123abcd:p1\n"
                                   "13|RUNNING|None|1:00|0:59|coxswain:ffff:p2\n"
                                   "14|RUNNING|None|1:00|0:59|(null)\n"
                                   "garbage\n"
                                   "15|RUNNING|None|12:00|INVALID|coxswain:0123abcd:p3\n");

  EXPECT_THAT(states, ElementsAre(PilotState{"12", "PENDING", "Resources", "p1", 3600, 3600},
                                  PilotState{"15", "RUNNING", "None", "p3", 720, {}}));
}

TEST(PilotState, WaitsRunsOrIsOver) {
  for (const auto* name : {"PENDING", "CONFIGURING", "SUSPENDED"}) {
    EXPECT_TRUE(is_waiting(state(name, "None"))) << name;
    EXPECT_FALSE(is_over(state(name, "None"))) << name;
  }
  for (const auto* name : {"RUNNING", "COMPLETING"}) {
    EXPECT_FALSE(is_waiting(state(name, "None"))) << name;
    EXPECT_FALSE(is_over(state(name, "None"))) << name;
  }
  for (const auto* name : {"TIMEOUT", "PREEMPTED", "NODE_FAIL", "CANCELLED", "FAILED", "COMPLETED",
                           "OUT_OF_MEMORY", "DEADLINE", "BOOT_FAIL"}) {
    EXPECT_TRUE(is_over(state(name, "None"))) << name;
  }
}

TEST(PilotState, IsToldInSlurmsWords) {
  EXPECT_EQ(why_it_waits(state("PENDING", "Priority")), "Slurm job 12 waits: Priority");
  EXPECT_EQ(why_it_waits(state("PENDING", "None")), "Slurm job 12 waits: its turn has not come");
  EXPECT_EQ(why_it_ended(state("TIMEOUT", "TimeLimit")),
            "Slurm ended job 12: TIMEOUT, its time limit was reached");
  EXPECT_EQ(why_it_ended(state("NODE_FAIL", "NodeDown")),
            "Slurm ended job 12: NODE_FAIL, a node of it failed (NodeDown)");
}

TEST(SlurmFailure, SaysWhatIsMissingOrWhatSlurmSays) {
  EXPECT_THAT(explain_slurm_failure("sbatch", 127, "").message,
              HasSubstr("sbatch was not found: the slurm provider needs Slurm's commands"));
  EXPECT_EQ(explain_slurm_failure("sbatch", 1,
                                  "sbatch: error: invalid partition specified: x\n"
                                  "sbatch: error: Batch job submission failed\n")
                .message,
            "sbatch: invalid partition specified: x; Batch job submission failed");
  EXPECT_EQ(explain_slurm_failure("scancel", 2, "").message, "scancel: ended with exit status 2");
  EXPECT_THAT(explain_slurm_failure("squeue", 137, "").message, HasSubstr("took too long"));
}

struct TimeCase {
  const char* text;
  std::optional<int> seconds;
};

TEST(SlurmTime, IsReadInEachOfItsForms) {
  const TimeCase cases[] = {{"90", 90 * 60},
                            {"1:30", 90},
                            {"2:00:01", 7201},
                            {"1-2", 26 * 3600},
                            {"1-02:30", 26 * 3600 + 1800},
                            {"1-02:30:05", 26 * 3600 + 1805},
                            {"UNLIMITED", kNoTimeLimit},
                            {"infinite", kNoTimeLimit},
                            {"INVALID", std::nullopt},
                            {"n/a", std::nullopt},
                            {"", std::nullopt},
                            {"1:2:3:4", std::nullopt},
                            {"-5", std::nullopt}};

  for (const auto& each : cases) EXPECT_EQ(slurm_seconds(each.text), each.seconds) << each.text;
}

TEST(SlurmLending, IsPilotSecondsWithinThePartitionsLimit) {
  auto site = plan();
  site.extra_args = {};
  EXPECT_EQ(lending_of(site), (Lending{3600, 0}));

  site.max_seconds = 1800;
  EXPECT_EQ(lending_of(site), (Lending{1800, 1800}));
  site.max_seconds = 7200;
  EXPECT_EQ(lending_of(site), (Lending{3600, 7200}));
}

TEST(SlurmLending, IsWhatTheFilesArgumentsSay) {
  auto site = plan();  // --time=7
  EXPECT_EQ(lending_of(site), (Lending{420, 420}));

  site.extra_args = {"-t", "1:00:00", "--exclusive"};
  EXPECT_EQ(lending_of(site), (Lending{3600, 3600}));
  site.extra_args = {"-t30", "--tasks-per-core=1"};
  EXPECT_EQ(lending_of(site), (Lending{1800, 1800}));
  site.extra_args = {"--time=UNLIMITED"};
  EXPECT_EQ(lending_of(site).max_s, 0);
}

TEST(SlurmLending, IsSaidOfTheSitesEnvironmentsAlone) {
  ClusterSettings settings;

  apply_site(plan(), settings);

  EXPECT_EQ(settings.lent.size(), 1u);
  EXPECT_TRUE(settings.lent.contains(ComputeEnvironmentName{"sea-c1"}));
}

TEST(SlurmPlan, IsReadAsItWasWritten) {
  auto site = plan();
  site.account = "a \"b\"";
  site.qos = "q";
  site.pilot_seconds = 90;
  site.max_seconds = 7200;

  site.environments.clear();  // the file has them
  EXPECT_EQ(parse_site(render_site(site)).value(), site);
  EXPECT_FALSE(parse_site("{}"));
  EXPECT_FALSE(parse_site("no JSON"));
}

TEST(PilotRecord, IsReadAsItWasWritten) {
  const PilotRecord pilot{"p1", "12", "sea-c1", {NodeId{"i-1"}, NodeId{"i-2"}}};

  EXPECT_EQ(parse_pilot(render_pilot(pilot)).value(), pilot);
  EXPECT_FALSE(parse_pilot("[]"));
}

TEST(PilotRecord, IsFoundOnDiskUntilItIsForgotten) {
  const os::TemporaryDirectory made;
  const auto directory = made / "slurm-pilots";
  const PilotRecord first{"p1", "", "sea-c1", {NodeId{"i-1"}}};
  const PilotRecord second{"p2", "13", "sea-c1", {NodeId{"i-2"}}};

  EXPECT_THAT(load_pilots(directory), IsEmpty());
  ASSERT_TRUE(save_pilot(directory, second));
  ASSERT_TRUE(save_pilot(directory, first));
  EXPECT_THAT(load_pilots(directory), ElementsAre(first, second));
  forget_pilot(directory, "p1");
  EXPECT_THAT(load_pilots(directory), ElementsAre(second));
  forget_pilot(directory, "p2");
}

}  // namespace
}  // namespace cox::provider
