#include "launcher/provider/stage_command.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "launcher/provider/nfs_mount.hpp"

namespace cox::provider {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using State = StageClaim::State;

SshTarget target() {
  SshTarget host;
  host.host = "10.0.0.11";
  host.user = "alice";
  host.identity_file = "/k/my key";
  return host;
}

TEST(ReadClaims, TakesWhatTheHostTells) {
  const auto claims = read_claims("rsync\n0 taken 812\n2 used\n9 used\nnoise\n", 3);

  EXPECT_TRUE(claims.rsync);
  EXPECT_THAT(claims.directories,
              ElementsAre(StageClaim{State::taken, 812}, StageClaim{State::untold, 0},
                          StageClaim{State::used, 0}));
}

TEST(BringArgv, SaysSshsWordsInRsyncsQuotes) {
  const auto argv = bring_argv(target(), "/shared");

  EXPECT_THAT(argv, Contains(HasSubstr("\"BatchMode=yes\"")));
  EXPECT_THAT(argv, Contains(HasSubstr("\"StrictHostKeyChecking=yes\"")));
  EXPECT_THAT(argv, Contains(HasSubstr("\"-i\" \"/k/my key\"")));
  EXPECT_EQ(argv[argv.size() - 2], "/shared/");
  EXPECT_EQ(argv.back(), "10.0.0.11:/shared/");
}

TEST(FetchArgv, GoesTheOtherWayAndTakesNoLinkThatLeadsOut) {
  auto host = target();
  host.host = "fe80::1";
  const auto argv = fetch_argv(host, "/shared");

  EXPECT_THAT(argv, Contains("--safe-links"));
  EXPECT_EQ(argv[argv.size() - 2], "[fe80::1]:/shared/");
  EXPECT_EQ(argv.back(), "/shared/");
}

TEST(RelayScript, UsesTheHostsOwnKeys) {
  const auto script = relay_script(target(), "10.0.0.12", "/shared");

  EXPECT_THAT(script, HasSubstr("10.0.0.12:/shared/"));
  EXPECT_THAT(script, HasSubstr("\"-l\" \"alice\""));
  EXPECT_THAT(script, testing::Not(HasSubstr("/k/my key")));
}

TEST(RsyncInput, EndsEachPathWithANul) {
  EXPECT_EQ(rsync_input({"/shared", {"a b", "c"}}), std::string("a b\0c\0", 6));
}

TEST(PercentOf, IsTheLastThatWasSaid) {
  EXPECT_EQ(percent_of("  1 0%  1kB/s\r  9 45%  1kB/s"), 45);
  EXPECT_EQ(percent_of("12 100% x"), 100);
  EXPECT_EQ(percent_of("nothing yet"), std::nullopt);
}

TEST(TotalsOf, ReadsRsyncsStatistics) {
  const auto totals = totals_of(
      "Number of files: 4 (reg: 2, dir: 2)\nNumber of regular files transferred: 2\n"
      "Total file size: 40 bytes\nTotal transferred file size: 12006 bytes\n");

  EXPECT_EQ(totals.files, 2);
  EXPECT_EQ(totals.bytes, 12006);
}

TEST(MissingOf, IsWhatIsNotThereAndNothingElse) {
  const StagedSet set{"/shared", {"out/a", "out/b"}};
  const std::string gone =
      "rsync: [sender] link_stat \"/shared/out/b\" failed: No such file or directory (2)\n"
      "rsync error: some files/attrs were not transferred (code 23) at main.c(1333)\n"
      "rsync: [Receiver] write error: Broken pipe (32)\n";

  EXPECT_THAT(missing_of(set, 23, gone), ElementsAre("out/b"));
  EXPECT_THAT(missing_of(set, 12, gone), IsEmpty());
  EXPECT_THAT(missing_of(set, 23,
                         gone + "rsync: [sender] send_files failed to open \"/shared/out/a\": "
                                "Permission denied (13)\n"),
              IsEmpty());
}

struct Failure {
  const char* name;
  int exit_code;
  const char* err;
  const char* text;
  friend void PrintTo(const Failure& c, std::ostream* out) { *out << c.name; }
};

class Explained : public testing::TestWithParam<Failure> {};

TEST_P(Explained, SaysWhatToDo) {
  const auto& c = GetParam();
  const auto error = explain_rsync_failure(target(), "/shared", c.exit_code, c.err);

  EXPECT_EQ(error.code, Errc::unavailable);
  EXPECT_THAT(error.message, HasSubstr(c.text));
}

const Failure kFailures[] = {
    {"full", 11,
     "rsync: [receiver] write failed on \"/shared/a\": No space left on device (28)\n"
     "rsync error: error in file IO (code 11) at receiver.c(378)\n",
     "host alice@10.0.0.11: there is no room left in /shared: make some"},
    {"no_rsync_there", 127, "sh: 1: rsync: not found\n",
     "host alice@10.0.0.11: rsync is not there: install it (apt-get install rsync)"},
    {"no_rsync_here", 127, "env: 'rsync': No such file or directory\n",
     "rsync is not on this machine"},
    {"no_ssh", 255, "ssh: connect to host 10.0.0.11 port 22: Connection refused\n",
     "nothing listens there"},
    {"closed", 23,
     "rsync: [sender] send_files failed to open \"/shared/a\": Permission denied (13)\n"
     "rsync error: some files/attrs were not transferred (see previous errors) (code 23)\n",
     "rsync failed: [sender] send_files failed to open \"/shared/a\": Permission denied (13)"},
};

INSTANTIATE_TEST_SUITE_P(, Explained, testing::ValuesIn(kFailures),
                         [](const auto& test) { return test.param.name; });

TEST(ReadMounts, TakesWhatTheHostTells) {
  using Mount = MountSaid::State;
  const auto told = read_mounts("0 mounted\n1 failed mount.nfs: No such device\n7 used\n", 3);

  EXPECT_THAT(told, ElementsAre(MountSaid{Mount::mounted, ""},
                                MountSaid{Mount::failed, "mount.nfs: No such device"},
                                MountSaid{Mount::untold, ""}));
}

TEST(ExplainMount, SaysWhatToDoUnlessItIsMounted) {
  using Mount = MountSaid::State;
  const NfsMount mount{"/shared", "store:/export"};

  EXPECT_EQ(explain_mount(mount, {Mount::mounted}).text, "");
  EXPECT_EQ(explain_mount(mount, {Mount::silent}).text,
            "the server of store:/export did not answer within 20 s");
  EXPECT_EQ(explain_mount(mount, {Mount::failed, "mount.nfs: No such device"}).text,
            "store:/export cannot be mounted: mount.nfs: No such device");
  for (const auto state : {Mount::others, Mount::used, Mount::not_root, Mount::no_client,
                           Mount::silent, Mount::failed, Mount::untold}) {
    EXPECT_NE(explain_mount(mount, {state, "x"}).text, "");
    EXPECT_NE(explain_mount(mount, {state, "x"}).mend, "");
  }
}

}  // namespace
}  // namespace cox::provider
