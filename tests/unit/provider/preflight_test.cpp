#include "launcher/provider/preflight.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

namespace cox::provider {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// Hosts a, b and c, that can be a cluster and share /data.
struct Hosts {
  SshPlan plan;
  Demands demands{.shared = {"/data"}};
  std::vector<HostLook> looks;

  Hosts() {
    for (int i = 0; i < 3; ++i) {
      PlannedHost host;
      host.target.host = std::string(1, static_cast<char>('a' + i));
      plan.hosts.push_back(host);
      HostFacts facts;
      facts.hostname = "desk" + host.target.host;
      facts.user = "alice";
      facts.vcpus = 4;
      facts.memory_mib = 8000;
      facts.clock_ms = 1'000'050;
      facts.machine = host.target.host;
      facts.interfaces = {{"eth0", address(0, i), 24}, {"eth1", address(1, i), 24}};
      facts.server_address = address(0, i);
      facts.mpirun = "/usr/bin/mpirun";
      facts.orted = "/usr/bin/orted";
      facts.open_mpi = "4.1.4";
      facts.shm_mib = 1000;
      facts.scratch_mib = 10'000;
      facts.shared = {""};
      HostLook look;
      look.facts = facts;
      look.asked_ms = 1'000'000;
      look.answered_ms = 1'000'100;
      for (int other = 0; other < 3; ++other) {
        look.reached.push_back({address(0, other), address(1, other)});
      }
      look.seen = {{true, true, true}};
      looks.push_back(look);
    }
  }

  /// All have /work for themselves, and the last shares it with this machine.
  StageClaims& stage(std::size_t host) {
    demands.staged = {"/work"};
    for (auto& look : looks) look.claims = {true, {{StageClaim::State::taken, 5000}}};
    looks.back().claims.directories[0] = {StageClaim::State::shared, 0};
    return looks[host].claims;
  }

  static std::string address(int network, int host) {
    return fmt::format("10.0.{}.{}", network, 11 + host);
  }
  HostFacts& facts(std::size_t host) { return *looks[host].facts; }
  [[nodiscard]] std::vector<Trouble> judge() const { return judge_hosts(plan, demands, looks); }
};

TEST(JudgeHosts, HasNothingToSayOfGoodOnes) {
  EXPECT_THAT(Hosts().judge(), IsEmpty());
  EXPECT_FALSE(any_error(Hosts().judge()));
}

TEST(JudgeHosts, TakesDirectoriesThatAreStagedAsTheyAre) {
  Hosts hosts;
  (void)hosts.stage(0);
  EXPECT_THAT(hosts.judge(), IsEmpty());
}

struct Fault {
  const char* name;
  std::function<void(Hosts&)> make;
  const char* level;
  const char* check;
  const char* host;
  const char* text;
};

class Judged : public testing::TestWithParam<Fault> {};

TEST_P(Judged, IsToldWithItsMend) {
  Hosts hosts;
  GetParam().make(hosts);
  const auto troubles = hosts.judge();
  ASSERT_EQ(troubles.size(), 1u);
  EXPECT_STREQ(to_string(troubles[0].gravity), GetParam().level);
  EXPECT_EQ(troubles[0].check, GetParam().check);
  EXPECT_EQ(troubles[0].host, GetParam().host);
  EXPECT_THAT(troubles[0].text, HasSubstr(GetParam().text));
  EXPECT_EQ(troubles[0].mend.empty(), troubles[0].check == "ssh") << "ssh's sentence has the mend";
  EXPECT_THAT(render_trouble(troubles[0]), HasSubstr(GetParam().text));
}

const Fault kFaults[] = {
    {"no_ssh",
     [](Hosts& hosts) {
       hosts.looks[1].facts = fail(Errc::unavailable, "host b: its host key is not in /k");
       for (auto& look : hosts.looks) look.seen[0][1] = false;
     },
     "ERROR", "ssh", "b", "its host key is not in /k"},
    {"same_machine", [](Hosts& hosts) { hosts.facts(2).machine = "a"; }, "ERROR", "name", "c",
     "the same machine as a"},
    {"same_name", [](Hosts& hosts) { hosts.facts(2).hostname = "deska"; }, "ERROR", "name", "c",
     "is that of a too"},
    {"other_version", [](Hosts& hosts) { hosts.facts(1).open_mpi = "4.1.2"; }, "ERROR", "open-mpi",
     "b", "it has Open MPI 4.1.2, others have 4.1.4"},
    {"no_open_mpi", [](Hosts& hosts) { hosts.facts(1).mpirun = hosts.facts(1).open_mpi = ""; },
     "ERROR", "open-mpi", "b", "not there"},
    {"no_orted", [](Hosts& hosts) { hosts.facts(1).orted = ""; }, "ERROR", "open-mpi", "b",
     "orted"},
    {"no_rsync", [](Hosts& hosts) { hosts.stage(1).rsync = false; }, "ERROR", "staged", "b",
     "rsync is not there, and /work is staged by it"},
    {"used", [](Hosts& hosts) { hosts.stage(1).directories[0].state = StageClaim::State::used; },
     "ERROR", "staged", "b", "/work there is not empty"},
    {"others",
     [](Hosts& hosts) { hosts.stage(1).directories[0].state = StageClaim::State::others; }, "ERROR",
     "staged", "b", "holds what another cluster has staged"},
    {"denied",
     [](Hosts& hosts) { hosts.stage(1).directories[0].state = StageClaim::State::denied; }, "ERROR",
     "staged", "b", "alice can neither make /work there nor write into it"},
    {"no_room", [](Hosts& hosts) { hosts.stage(1).directories[0].free_mib = 12; }, "ERROR",
     "staged", "b", "/work has 12 MiB left there"},
    {"unwritable",
     [](Hosts& hosts) {
       hosts.facts(1).shared = {"/data: Permission denied"};
       for (auto& look : hosts.looks) look.seen[0][1] = false;
     },
     "ERROR", "shared", "b", "Permission denied"},
    {"not_seen", [](Hosts& hosts) { hosts.looks[0].seen[0][2] = false; }, "ERROR", "shared", "a",
     "what c wrote there is not seen"},
    {"too_many_vcpus", [](Hosts& hosts) { hosts.plan.hosts[0].vcpus = 8; }, "WARNING", "cores", "a",
     "8 vCPUs are asked of it and it has 4"},
    {"busy", [](Hosts& hosts) { hosts.facts(0).load = 2.5; }, "WARNING", "cores", "a",
     "its load is 2.5 of 4 cores"},
    {"too_much_memory", [](Hosts& hosts) { hosts.plan.hosts[0].memory_mib = 9000; }, "WARNING",
     "memory", "a", "9000 MiB"},
    {"behind", [](Hosts& hosts) { hosts.facts(0).clock_ms = 990'000; }, "WARNING", "clock", "a",
     "10 s behind"},
    {"far_ahead", [](Hosts& hosts) { hosts.facts(0).clock_ms = 9'000'100; }, "ERROR", "clock", "a",
     "8000 s ahead"},
    {"little_shm", [](Hosts& hosts) { hosts.facts(0).shm_mib = 10; }, "WARNING", "shm", "a",
     "10 MiB"},
    {"full", [](Hosts& hosts) { hosts.facts(0).scratch_mib = 10; }, "ERROR", "disk", "a", "10 MiB"},
    {"few_files", [](Hosts& hosts) { hosts.facts(0).open_files = 256; }, "WARNING", "limits", "a",
     "256 files"},
    {"few_processes", [](Hosts& hosts) { hosts.facts(0).processes = 20; }, "WARNING", "limits", "a",
     "20 processes"},
    {"wall", [](Hosts& hosts) { hosts.looks[0].reached[1] = {}; }, "ERROR", "network", "a and b",
     "reaches the second at 10.0.0.12"},
};

INSTANTIATE_TEST_SUITE_P(Faults, Judged, testing::ValuesIn(kFaults),
                         [](const auto& each) { return std::string(each.param.name); });

TEST(JudgeHosts, HoldsALittleLoadAndABusyLinkAgainstNobody) {
  Hosts hosts;
  hosts.facts(0).load = 0.4;
  hosts.facts(1).clock_ms = 1'001'900;
  EXPECT_THAT(hosts.judge(), IsEmpty());
}

TEST(JudgeHosts, WarnsWhereNoHostHasOpenMpi) {
  Hosts hosts;
  for (std::size_t i = 0; i < 3; ++i) hosts.facts(i).mpirun = hosts.facts(i).open_mpi = "";
  EXPECT_EQ(hosts.judge().size(), 3u);
  EXPECT_FALSE(any_error(hosts.judge())) << "jobs without MPI can run";
}

TEST(ChooseAddresses, TakesANetworkThatLeadsEverywhere) {
  Hosts hosts;
  EXPECT_THAT(choose_addresses(hosts.looks), ElementsAre("10.0.0.11", "10.0.0.12", "10.0.0.13"));
  hosts.looks[0].reached[1] = {"10.0.1.12"};
  EXPECT_THAT(choose_addresses(hosts.looks), ElementsAre("10.0.1.11", "10.0.1.12", "10.0.1.13"));
  EXPECT_THAT(hosts.judge(), IsEmpty());
  hosts.looks[1].reached[0] = {"10.0.0.11"};
  EXPECT_THAT(choose_addresses(hosts.looks), ElementsAre("10.0.0.11", "10.0.0.12", "10.0.0.13"))
      << "no network does: ssh's is what is complained about";
}

}  // namespace
}  // namespace cox::provider
