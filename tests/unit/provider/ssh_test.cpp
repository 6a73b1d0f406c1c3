#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "launcher/provider/ssh_command.hpp"
#include "launcher/provider/ssh_plan.hpp"

namespace cox::provider {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

PlannedHost host(std::string name, std::string environment, int vcpus, std::int64_t memory) {
  PlannedHost made;
  made.target.host = std::move(name);
  made.environment = std::move(environment);
  made.vcpus = vcpus;
  made.memory_mib = memory;
  return made;
}

HostFacts facts(std::string address, int prefix) {
  HostFacts made;
  made.hostname = "desk";
  made.vcpus = 8;
  made.memory_mib = 16000;
  made.interfaces = {{"docker0", "172.17.0.1", 16}, {"eth0", address, prefix}};
  made.server_address = std::move(address);
  return made;
}

std::string option_of(const std::vector<std::string>& argv, const std::string& name) {
  for (std::size_t i = 1; i < argv.size(); ++i) {
    if (argv[i - 1] == "-o" && argv[i].starts_with(name + "=")) return argv[i];
  }
  return "";
}

TEST(SshArgv, NeverAsksAndNeverTakesAnUnknownKey) {
  const auto argv = ssh_argv({.host = "desk"}, "true");
  EXPECT_EQ(option_of(argv, "BatchMode"), "BatchMode=yes");
  EXPECT_EQ(option_of(argv, "StrictHostKeyChecking"), "StrictHostKeyChecking=yes");
  EXPECT_THAT(argv, Not(Contains("-p")));
  EXPECT_THAT(argv, Not(Contains("-l")));
  EXPECT_THAT(argv, Not(Contains("-i")));
  EXPECT_EQ(argv[argv.size() - 3], "--") << "a name is never an option";
  EXPECT_EQ(argv.back(), "exec /bin/sh -c true");
}

TEST(SshArgv, SaysWhatTheFileSays) {
  const auto argv = ssh_argv({.host = "10.0.0.12",
                              .user = "alice",
                              .port = 2222,
                              .identity_file = "/k",
                              .known_hosts_file = "/h",
                              .proxy_jump = "gate"},
                             "a 'b'");
  const auto follows = [&](const char* option) {
    const auto at = std::find(argv.begin(), argv.end(), option);
    return at == argv.end() ? "" : *(at + 1);
  };
  EXPECT_EQ(follows("-p"), "2222");
  EXPECT_EQ(follows("-l"), "alice");
  EXPECT_EQ(follows("-i"), "/k");
  EXPECT_EQ(
      option_of(argv, "ProxyCommand"),
      "ProxyCommand=ssh -o BatchMode=yes -o StrictHostKeyChecking=yes -o ConnectTimeout=8 -i /k "
      "-o UserKnownHostsFile=/h -W '[%h]:%p' -- gate");
  EXPECT_EQ(option_of(argv, "UserKnownHostsFile"), "UserKnownHostsFile=/h");
  EXPECT_EQ(argv[argv.size() - 2], "10.0.0.12");
}

TEST(TunnelArgv, LeadsALoopbackPortToTheHead) {
  const auto argv = tunnel_argv({.host = "desk"}, 4711, "cat");
  EXPECT_THAT(argv, Contains("127.0.0.1:0:127.0.0.1:4711"));
  EXPECT_EQ(option_of(argv, "ExitOnForwardFailure"), "ExitOnForwardFailure=yes");
  EXPECT_EQ(option_of(argv, "ClearAllForwardings"), "") << "it would clear this one too";
}

TEST(AllocatedPort, IsReadFromWhatSshSays) {
  EXPECT_EQ(allocated_port("Allocated port 40123 for remote forward to 127.0.0.1:4711"), 40123);
  EXPECT_EQ(allocated_port("Allocated port 0 for remote forward"), std::nullopt);
  EXPECT_EQ(allocated_port("Warning: whatever"), std::nullopt);
}

TEST(ExplainSshFailure, NamesTheMend) {
  const SshTarget target{.host = "desk", .user = "alice", .port = 2222, .known_hosts_file = "/h"};
  const auto text = [&](int code, const char* err) {
    return explain_ssh_failure(target, code, err).message;
  };
  EXPECT_THAT(text(255,
                   "No ED25519 host key is known for desk and you have requested strict "
                   "checking.\nHost key verification failed.\n"),
              HasSubstr("its host key is not in /h: compare `ssh-keyscan -p 2222 desk"));
  EXPECT_THAT(text(255,
                   "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\n"
                   "Host key verification failed.\n"),
              HasSubstr("is another one than /h has"));
  EXPECT_THAT(text(255, "alice@desk: Permission denied (publickey).\n"),
              HasSubstr("it let nobody in as alice"));
  EXPECT_THAT(text(255, "ssh: connect to host desk port 22: Connection refused\n"),
              HasSubstr("is sshd running"));
  EXPECT_THAT(text(255, "ssh: connect to host desk port 22: Connection timed out\n"),
              HasSubstr("it did not answer"));
  EXPECT_EQ(text(1, "no space left\n\n"), "host alice@desk:2222: no space left");
  EXPECT_EQ(text(3, ""), "host alice@desk:2222: ended with exit status 3");
  EXPECT_THAT(text(kNoAgent, ""), HasSubstr("let programs run from it"));
}

TEST(SshPlan, ComesBackAsItWas) {
  SshPlan plan{.tag = "00ff", .alone = false, .networks = "10.0.0.0/24", .hosts = {}};
  plan.hosts = {host("a", "ce", 2, 100), host("b", "other", 4, 200)};
  plan.hosts[1].target = {"b", "u", 22, "/i", "/k", "j"};
  plan.hosts[1].address = "10.0.0.9";
  plan.hosts[1].hostname = "bee";
  EXPECT_EQ(parse_plan(render_plan(plan)).value(), plan);
  EXPECT_EQ(parse_plan("{}").error().code, Errc::invalid_argument);
  EXPECT_EQ(parse_plan("no").error().code, Errc::invalid_argument);
}

TEST(ParseFacts, ReadsWhatTheAgentTells) {
  const auto read = parse_facts(
      R"({"hostname":"d","user":"u","vcpus":4,"memory_mib":8,"clock_ms":5,"load":0.5,"machine":"m",)"
      R"("interfaces":[{"name":"eth0","address":"10.0.0.3","prefix":24}],)"
      R"("server_address":"10.0.0.3","client_address":"","mpirun":"/m","orted":"/o",)"
      R"("open_mpi":"4.1.4","shm_mib":7,"scratch_mib":6,"open_files":-1,"processes":100,)"
      R"("port":4711,"shared":[{"directory":"/a","error":""},{"directory":"/b","error":"no"}]})");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->interfaces, (std::vector<HostInterface>{{"eth0", "10.0.0.3", 24}}));
  EXPECT_EQ(read->open_mpi, "4.1.4");
  EXPECT_EQ(read->processes, 100);
  EXPECT_EQ(read->port, 4711);
  EXPECT_THAT(read->shared, ElementsAre("", "no"));
  EXPECT_EQ(parse_facts("{}").error().code, Errc::invalid_argument);
}

TEST(ChooseAddress, TakesTheOneThatSshCameBy) {
  EXPECT_EQ(choose_address(facts("10.0.0.7", 24)), "10.0.0.7");
}

TEST(ChooseAddress, DoesNotTakeLoopbackWhereThereIsAnother) {
  auto found = facts("10.0.0.7", 24);
  found.server_address = "127.0.0.1";
  EXPECT_EQ(choose_address(found), "172.17.0.1");
  found.interfaces.clear();
  EXPECT_EQ(choose_address(found), "127.0.0.1");
}

TEST(NetworkOf, IsTheInterfacesOwn) {
  EXPECT_EQ(network_of(facts("10.1.2.200", 24), "10.1.2.200"), "10.1.2.0/24");
  EXPECT_EQ(network_of(facts("10.1.2.200", 26), "10.1.2.200"), "10.1.2.192/26");
  EXPECT_EQ(network_of(facts("10.1.2.3", 32), "10.1.2.3"), "10.1.2.3/32");
  EXPECT_EQ(network_of(facts("10.1.2.3", 24), "10.9.9.9"), "");
}

TEST(ApplyFacts, FillsInWhatTheFileLeavesOpen) {
  SshPlan plan;
  plan.hosts = {host("a", "ce", 0, 0), host("b", "ce", 2, 100)};
  apply_facts(plan, {facts("10.0.0.1", 24), facts("10.0.1.1", 24)}, {"10.0.0.1", "10.0.1.1"});
  EXPECT_EQ(plan.hosts[0].vcpus, 8);
  EXPECT_EQ(plan.hosts[0].memory_mib, 16000);
  EXPECT_EQ(plan.hosts[0].address, "10.0.0.1");
  EXPECT_EQ(plan.hosts[1].vcpus, 2);
  EXPECT_EQ(plan.hosts[1].memory_mib, 100);
  EXPECT_EQ(plan.networks, "10.0.0.0/24,10.0.1.0/24");
}

TEST(ApplyPlan, GivesAnEnvironmentItsHostsShapes) {
  SshPlan plan;
  plan.hosts = {host("a", "ce", 8, 100), host("b", "ce", 2, 50), host("c", "ce", 2, 50)};
  ClusterSettings settings;
  settings.environments.resize(2);
  settings.environments[0].name = ComputeEnvironmentName{"ce"};
  settings.environments[0].max_vcpus = 100;
  settings.environments[0].min_vcpus = 20;
  settings.environments[0].desired_vcpus = 4;
  settings.environments[1].name = ComputeEnvironmentName{"local"};
  settings.environments[1].max_vcpus = 7;
  apply_plan(plan, settings);
  const auto& made = settings.environments[0];
  EXPECT_THAT(made.instance_types, ElementsAre(InstanceType{"host-2x50", 2, MiB{50}},
                                               InstanceType{"host-8x100", 8, MiB{100}}));
  EXPECT_EQ(made.max_vcpus, 12);
  EXPECT_EQ(made.min_vcpus, 12);
  EXPECT_EQ(made.desired_vcpus, 4);
  EXPECT_FALSE(made.managed);
  EXPECT_EQ(made.unmanaged_vcpus, 12);
  EXPECT_EQ(settings.environments[1].max_vcpus, 7);
  EXPECT_TRUE(settings.environments[1].managed);
  EXPECT_TRUE(settings.environments[1].instance_types.empty());
}

}  // namespace
}  // namespace cox::provider
