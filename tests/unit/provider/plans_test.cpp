#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <set>

#include "launcher/provider/address_plan.hpp"
#include "launcher/provider/hosts_file.hpp"
#include "launcher/provider/login.hpp"
#include "launcher/provider/memory_cgroup.hpp"
#include "launcher/provider/node_description.hpp"
#include "launcher/provider/node_end.hpp"
#include "launcher/provider/node_files.hpp"
#include "launcher/provider/refusal.hpp"
#include "runtime/base/text.hpp"

namespace cox::provider {
namespace {

TEST(NodeAddress, StartsAtTenAndNeverEndsInZeroOr255) {
  EXPECT_EQ(node_address(0), "10.0.0.10");
  EXPECT_EQ(node_address(1), "10.0.0.11");
  EXPECT_EQ(node_address(244), "10.0.0.254");
  EXPECT_EQ(node_address(245), "10.0.1.1");
  EXPECT_EQ(node_address(kOrdinalMax), "10.0.255.240");
}

RC_GTEST_PROP(NodeAddress, IsAnotherForEachOrdinalAndInTheNetwork, ()) {
  const int one = *rc::gen::inRange(0, kOrdinalMax + 1);
  const int other = *rc::gen::inRange(0, kOrdinalMax + 1);
  RC_PRE(one != other);
  RC_ASSERT(node_address(one) != node_address(other));
  const auto parts = split(node_address(one), '.');
  const auto last = to_int(parts.at(3)).value_or(0);
  RC_ASSERT(parts.at(0) == "10" && parts.at(1) == "0" && last >= 1 && last <= 254);
  RC_ASSERT(node_address(one) != kHeadAddress);
}

TEST(NodeNames, FollowFromTheAddress) {
  EXPECT_EQ(hostname_of("10.0.0.11"), "ip-10-0-0-11");
  EXPECT_EQ(mac_of("10.0.1.254"), "02:00:0a:00:01:fe");
  EXPECT_EQ(link_name_of("10.0.255.240"), "n10.0.255.240");
}

TEST(HostsFile, ListsLocalhostAndThenNodesByAddressAsNumbers) {
  const std::map<NodeId, HostLine> nodes = {{NodeId{"a"}, {"10.0.0.100", "ip-10-0-0-100"}},
                                            {NodeId{"b"}, {"10.0.0.11", "ip-10-0-0-11"}}};

  EXPECT_EQ(render_hosts(nodes),
            "127.0.0.1 localhost\n10.0.0.11 ip-10-0-0-11\n10.0.0.100 ip-10-0-0-100\n");
}

TEST(ProcessMarks, AreReadAsTheyAreWritten) {
  const auto mark = parse_mark(render_mark({4711, 123'456'789}));

  ASSERT_TRUE(mark) << mark.error().message;
  EXPECT_EQ(*mark, (ProcessMark{4711, 123'456'789}));
}

TEST(ProcessMarks, RefuseWhatIsNone) {
  for (const char* text : {"", "12", "12 x", "-3 4", "99999999999 1", "1 2 3"}) {
    EXPECT_FALSE(parse_mark(text)) << text;
  }
}

TEST(BringUpOutcomes, AreReadAsTheyAreWritten) {
  const BringUpOutcome up{42, "network 1.0 ms, root 2.0 ms"};
  const Result<BringUpOutcome> down = fail(Errc::unavailable, "node i-1: no room");

  EXPECT_EQ(parse_outcome(render_outcome(up)), up);
  EXPECT_EQ(parse_outcome(render_outcome(down)), down);
}

TEST(BringUpOutcomes, ASilentEndIsAnError) {
  const auto outcome = parse_outcome("");

  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error(), (Error{Errc::unavailable, "coxd ended while it brought the node up"}));
}

TEST(NodeDescriptions, AreReadAsTheyAreWritten) {
  const NodeDescription node{.id = NodeId{"i-1"},
                             .directory = "/c/nodes/i-1",
                             .hostname = "ip-10-0-0-11",
                             .root = {.home_directory = "/c/home",
                                      .os_user = "ec2-user",
                                      .api_directory = "/c/api",
                                      .bin_directory = "/p/bin",
                                      .hosts_file = "/c/hosts",
                                      .hostname_file = "/c/nodes/i-1/hostname",
                                      .scratch_directory = "/c/nodes/i-1/scratch",
                                      .cgroup_directory = "",
                                      .shared = {{"/c/shared/a", "/shared"}}},
                             .link = {"v1", "10.0.0.11", "02:00:0a:00:00:0b"},
                             .agent_options = R"({"private_key":"line\nline"})"};

  const auto read = parse_description(render_description(node));

  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(render_description(*read), render_description(node));
  EXPECT_EQ(read->agent_options, node.agent_options);
  EXPECT_FALSE(parse_description("{}"));
}

struct RefusalCase {
  const char* name;
  int error_number;
  NamespaceSettings settings;
  const char* want;

  friend void PrintTo(const RefusalCase& c, std::ostream* out) { *out << c.name; }
};

const RefusalCase kRefusals[] = {
    {"root_lacks_capability",
     EPERM,
     {true, "", "", ""},
     "cannot make a mount namespace: Operation not permitted (root has no CAP_SYS_ADMIN here; in a "
     "container, start it with --privileged)"},
    {"none_left",
     ENOSPC,
     {false, "1", "100", "0"},
     "cannot make a mount namespace: No space left on device (user namespaces are used up or off; "
     "let root run: sysctl -w user.max_user_namespaces=15000)"},
    {"turned_off_on_debian",
     EPERM,
     {false, "0", "100", ""},
     "cannot make a mount namespace: Operation not permitted (user namespaces are off for ordinary "
     "users; let root run: sysctl -w kernel.unprivileged_userns_clone=1)"},
    {"restricted_by_apparmor",
     EACCES,
     {false, "1", "100", "1"},
     "cannot make a mount namespace: Permission denied (AppArmor restricts user namespaces; let "
     "root run: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0)"},
    {"unknown_reason",
     EPERM,
     {false, "", "100", ""},
     "cannot make a mount namespace: Operation not permitted (this machine does not let ordinary "
     "users make namespaces; in a container, start it with --privileged)"},
    {"another_error_stands_alone",
     ENOMEM,
     {false, "0", "0", "1"},
     "cannot make a mount namespace: Cannot allocate memory"},
};

class Refusal : public testing::TestWithParam<RefusalCase> {};

TEST_P(Refusal, SaysWhatToDo) {
  const auto& c = GetParam();

  const Error error = explain_refusal("cannot make a mount namespace", c.error_number, c.settings);

  EXPECT_EQ(error, (Error{Errc::unavailable, c.want}));
}

INSTANTIATE_TEST_SUITE_P(, Refusal, testing::ValuesIn(kRefusals),
                         [](const auto& test) { return test.param.name; });

TEST(MemoryHierarchies, VersionOneIsPreferredWhereItHasMemory) {
  const std::string hybrid =
      "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
      "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
  const std::string unified = "41 31 0:38 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw\n";

  EXPECT_EQ(find_memory_hierarchy(hybrid), (MemoryHierarchy{"/sys/fs/cgroup/memory", false}));
  EXPECT_EQ(find_memory_hierarchy(unified), (MemoryHierarchy{"/sys/fs/cgroup", true}));
  EXPECT_EQ(find_memory_hierarchy("22 27 0:21 / /proc rw - proc proc rw\n"), std::nullopt);
}

TEST(Login, AnEmptyCommandIsALoginShellInTheClustersHome) {
  const auto program = login_program(
      "ec2-user", {}, [](const char* name) { return std::string(name) == "TERM" ? "xterm" : ""; });

  EXPECT_EQ(program.argv, (std::vector<std::string>{"bash", "-l"}));
  EXPECT_EQ(program.directory, "/home/ec2-user");
  EXPECT_EQ(program.environment,
            (std::vector<std::string>{"HOME=/home/ec2-user", "USER=ec2-user", "LOGNAME=ec2-user",
                                      "SHELL=/bin/bash", std::string("PATH=") + kLoginPath,
                                      "LANG=C.UTF-8", "TERM=xterm"}));
}

TEST(Login, WordsAreJoinedForAShellAsSshDoes) {
  const auto program =
      login_program("ec2-user", {"echo", "a b;", "exit 3"}, [](const char*) { return ""; });

  EXPECT_EQ(program.argv, (std::vector<std::string>{"bash", "-c", "echo a b; exit 3"}));
}

TEST(NodeEnds, AreSaidInAClause) {
  EXPECT_EQ(describe_end(std::nullopt, "/nonexistent"), "its agent ended");
  EXPECT_EQ(describe_end(9, "/nonexistent"), "its agent was killed by signal 9");
  EXPECT_EQ(describe_end(7 << 8, "/nonexistent"), "its agent ended with exit code 7");
}

}  // namespace
}  // namespace cox::provider
