#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "launcher/provider/address_plan.hpp"
#include "launcher/provider/node_files.hpp"
#include "node_world.hpp"
#include "runtime/base/text.hpp"

/// Real nodes: name spaces, mounts and processes of this machine. Each test runs as root and as an
/// ordinary user where it may, else as the user it has.
namespace cox::provider {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;

const NodeId kOne{"i-00000000000000001"};
const NodeId kTwo{"i-00000000000000002"};
const NodeId kThree{"i-00000000000000003"};

std::vector<unsigned> users() {
  constexpr unsigned kOrdinaryUser = 54'321;
  if (::geteuid() == 0) return {0, kOrdinaryUser};
  return {::geteuid()};
}

/// Braces, unlike +, run their parts in order.
std::string lines(const std::vector<std::string>& parts) { return join(parts, "\n"); }

/// Asks a node's first process for its host name; it may not listen yet.
std::string greet(const std::string& host) {
  return "exec 2> /dev/null; until cat < /dev/tcp/" + host +
         "/7; do ((++tries < 200)) || exit 1; sleep 0.02; done";
}

class LocalNodes : public testing::TestWithParam<unsigned> {
 protected:
  ~LocalNodes() override { EXPECT_THAT(world.leftovers(), IsEmpty()); }

  /// Nodes one and two, in the hands of a process that stays.
  void start_two() {
    const auto up = world.in_process(
        [this] {
          NodeHost host(world);
          return lines({host.provision(kOne, 0), host.provision(kTwo, 1)});
        },
        true);
    ASSERT_EQ(up,
              "i-00000000000000001 10.0.0.10 ip-10-0-0-10\n"
              "i-00000000000000002 10.0.0.11 ip-10-0-0-11");
  }
  void end_world() {
    world.kill_lasting();
    EXPECT_EQ(world.in_process([this] { return NodeHost(world).end_all(); }), "ended");
  }

  NodeWorld world{GetParam()};
};

INSTANTIATE_TEST_SUITE_P(, LocalNodes, testing::ValuesIn(users()), [](const auto& test) {
  return test.param == 0 ? std::string("as_root") : std::string("as_an_ordinary_user");
});

TEST_P(LocalNodes, ComeUpAndGoWithoutATrace) {
  const auto report = world.in_process([this] {
    NodeHost host(world);
    return lines({host.provision(kOne, 0), host.provision(kTwo, 1), host.terminate(kOne),
                  host.terminate(kTwo), host.terminate(kThree)});
  });

  EXPECT_EQ(report,
            "i-00000000000000001 10.0.0.10 ip-10-0-0-10\n"
            "i-00000000000000002 10.0.0.11 ip-10-0-0-11\n"
            "ended\nended\nended");
}

/// The hardware address of the cluster's bridge: "02:00:0a:00:00:01".
std::string bridge_mac(const os::Fd& network) {
  std::string text = "no such interface";
  std::thread([&] {
    const bool entered = ::setns(network.get(), CLONE_NEWNET) == 0;
    const os::Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq request{};
    std::strncpy(request.ifr_name, "br0", sizeof request.ifr_name - 1);
    if (!entered || ::ioctl(socket.get(), SIOCGIFHWADDR, &request) != 0) return;
    const auto* bytes = reinterpret_cast<const unsigned char*>(request.ifr_hwaddr.sa_data);
    text = fmt::format("{:02x}", fmt::join(bytes, bytes + 6, ":"));
  }).join();
  return text;
}

/// Else frames of a node that knows the old one are lost, for a minute or more.
TEST_P(LocalNodes, LeaveTheBridgesHardwareAddressAsItIs) {
  const auto seen = world.in_process([this] {
    NodeHost host(world);
    std::vector<std::string> macs{bridge_mac(host.network())};
    for (int ordinal = 0; ordinal < 8; ++ordinal) {
      (void)host.provision(NodeId{fmt::format("i-{:017x}", ordinal + 1)}, ordinal);
      macs.push_back(bridge_mac(host.network()));
    }
    (void)host.end_all();
    return lines(macs);
  });

  EXPECT_EQ(seen, lines(std::vector<std::string>(9, "02:00:0a:00:00:01")));
}

TEST_P(LocalNodes, SeeEachOtherAndTheirOwnRoot) {
  start_two();

  EXPECT_EQ(world.in_node(kTwo, "hostname; cat /etc/hostname"),
            "ip-10-0-0-11\nip-10-0-0-11\n -> 0");
  EXPECT_EQ(world.in_node(kOne, greet("ip-10-0-0-11")), "ip-10-0-0-11\n -> 0");
  EXPECT_EQ(world.in_node(kTwo, greet("10.0.0.10")), "ip-10-0-0-10\n -> 0");
  EXPECT_EQ(world.in_node(kOne, "cat /etc/hosts"),
            "127.0.0.1 localhost\n10.0.0.10 ip-10-0-0-10\n10.0.0.11 ip-10-0-0-11\n -> 0");
  EXPECT_EQ(world.in_node(kOne, "/sbin/ip -o -4 address show | awk '{print $2, $4}'"),
            "lo 127.0.0.1/8\nlo 169.254.169.254/32\neth0 10.0.0.10/16\n -> 0");
  EXPECT_EQ(world.in_node(kOne, "/sbin/ip route show default | cut -d' ' -f1-5"),
            "default via 10.0.0.1 dev eth0\n -> 0");
  EXPECT_EQ(world.in_node(kOne, "cat /proc/1/comm; all=(/proc/[0-9]*); echo ${#all[@]}"),
            "cox-agent\n2\n -> 0");
  EXPECT_EQ(world.in_node(kOne, "readlink /run/coxswain/node-bin/ssh; ls /run/coxswain"),
            "/run/coxswain/bin/cox-rsh\nbin\n" + std::string(GetParam() == 0 ? "cgroup\n" : "") +
                "cluster\nnode-bin\nscratch\n -> 0");
  end_world();
}

TEST_P(LocalNodes, ShareTheirHomeAndDirectoriesAndNothingElse) {
  start_two();

  EXPECT_EQ(world.in_node(kOne,
                          "echo 1 > ~/a; echo 2 > /shared/b; echo 3 > /tmp/c; "
                          "echo 4 > /dev/shm/d; pwd"),
            "/home/ec2-user\n -> 0");
  EXPECT_EQ(world.in_node(kTwo, "cat /home/ec2-user/a /shared/b; ls -A /tmp /dev/shm"),
            "1\n2\n/dev/shm:\n\n/tmp:\n -> 0");
  EXPECT_EQ(world.in_node(kOne, "ls -A /tmp /dev/shm"), "/dev/shm:\nd\n\n/tmp:\nc\n -> 0");
  EXPECT_EQ(world.in_node(kOne,
                          "touch /usr/x /usr/lib64/x /etc/x /run/coxswain/bin/x 2>&1 "
                          "| grep -c 'Read-only file system'"),
            "4\n -> 0");
  EXPECT_EQ(world.in_node(kOne,
                          "stat -c %F /usr/lib64/ld-linux-x86-64.so.2; "
                          "test -e /lib64/ld-linux-x86-64.so.2 && echo there"),
            "symbolic link\nthere\n -> 0");
  end_world();
}

TEST_P(LocalNodes, RunACommandAsSshDoes) {
  start_two();

  EXPECT_EQ(world.in_node(kOne, "exit 3"), " -> 3");
  EXPECT_EQ(world.in_node(kOne, "kill -9 $$"), " -> 137");
  EXPECT_EQ(world.in_node(kOne, "echo $USER $HOME $SHELL; echo $PATH"),
            "ec2-user /home/ec2-user /bin/bash\n/run/coxswain/bin:/usr/local/bin:/usr/bin:/bin:"
            "/usr/sbin:/sbin:/usr/lib64/openmpi/bin\n -> 0");
  EXPECT_EQ(world.in_node(kOne, "id -u; sed -n 's/^CapAmb:[[:space:]]*//p' /proc/self/status"),
            std::to_string(GetParam()) + "\n0000000000000000\n -> 0");
  EXPECT_EQ(world.in_node(kOne, "mount -t tmpfs none /mnt 2> /dev/null || echo refused"),
            "refused\n -> 0");
  EXPECT_EQ(world.in_node(kThree, "true"), "node i-00000000000000003 does not exist");
  end_world();
}

TEST_P(LocalNodes, LetAPersonWorkOnATerminal) {
  start_two();

  const auto seen =
      world.in_login_shell(kTwo,
                           "stty -echo; PS1=; echo at $(hostname) in $PWD\n"
                           "case $- in *m*) echo job control;; esac; test -t 0 && echo terminal\n"
                           "exit 7\n");

  EXPECT_THAT(seen, AllOf(HasSubstr("at ip-10-0-0-11 in /home/ec2-user\r\n"),
                          HasSubstr("job control\r\nterminal\r\n"), testing::EndsWith(" -> 7")));
  end_world();
}

TEST_P(LocalNodes, SayHowTheyEndedByThemselves) {
  const auto report = world.in_process([this] {
    NodeHost host(world);
    std::vector<std::string> said = {host.provision(kOne, 0), host.provision(kTwo, 1, "dies")};
    (void)world.in_node(kTwo,
                        "until : < /dev/tcp/10.0.0.11/7; do ((++tries < 200)); sleep 0.02; done");
    said.push_back(host.next_end());
    const auto mark = living_first_process(world.directory(), kOne);
    if (mark) (void)::kill(mark->pid, SIGKILL);
    said.push_back(host.next_end());
    said.push_back(host.provision(kOne, 0));
    said.push_back(host.end_all());
    return lines(said);
  });

  EXPECT_THAT(report,
              AllOf(HasSubstr("\ni-00000000000000002: its agent ended with exit code 7: "),
                    HasSubstr("\ni-00000000000000001: its agent was killed by signal 9\n"),
                    testing::EndsWith("i-00000000000000001 10.0.0.10 ip-10-0-0-10\nended")));
}

TEST_P(LocalNodes, ThatCannotBeMadeLeaveTheReasonAndNothingElse) {
  std::filesystem::remove(world.directory() + "/bin/cox-agent");

  const auto report = world.in_process([this] {
    NodeHost host(world);
    return lines({host.provision(kOne, 0), host.terminate(kOne)});
  });

  EXPECT_EQ(report,
            "error: node i-00000000000000001: /run/coxswain/bin/cox-agent: No such file or "
            "directory\nended");
}

TEST_P(LocalNodes, AreFoundAgainByTheNextKeeper) {
  start_two();
  world.kill_lasting();

  const auto report = world.in_process(
      [this] {
        NodeHost host(world);
        Node one;
        one.id = kOne;
        one.address = node_address(0);
        one.hostname = hostname_of(one.address);
        Node three = one;
        three.id = kThree;
        std::string said;
        for (const NodeId& id : host.provider().adopt({one, three})) said += id.value + " ";
        // Node two was unknown to whoever asked: it is ended. Node four finds the old bridge.
        said += host.provision(NodeId{"i-00000000000000004"}, 1);
        const auto listener = listen_in_network(host.network());
        said += listener ? "\nlistening\n" : "\n" + listener.error().message + "\n";
        const auto again = listen_in_network(host.network());
        return said + (again ? "twice" : "once only");
      },
      true);
  EXPECT_EQ(report,
            "i-00000000000000001 i-00000000000000004 10.0.0.11 ip-10-0-0-11\nlistening\nonce only");
  EXPECT_EQ(world.in_node(kOne, greet("ip-10-0-0-11")), "ip-10-0-0-11\n -> 0");
  EXPECT_EQ(world.in_node(kTwo, "true"), "node i-00000000000000002 does not exist");
  end_world();
}

TEST_P(LocalNodes, OfTwoClustersDoNotMeet) {
  NodeWorld other(GetParam());
  start_two();
  const auto up = other.in_process(
      [&other] {
        NodeHost host(other);
        return host.provision(kThree, 0);
      },
      true);
  ASSERT_EQ(up, "i-00000000000000003 10.0.0.10 ip-10-0-0-10");

  EXPECT_EQ(other.in_node(kThree, greet("10.0.0.10")), "ip-10-0-0-10\n -> 0");
  EXPECT_EQ(other.in_node(kThree, "cat /etc/hosts"),
            "127.0.0.1 localhost\n10.0.0.10 ip-10-0-0-10\n -> 0");
  EXPECT_EQ(world.in_node(kOne, greet("10.0.0.11")), "ip-10-0-0-11\n -> 0");

  end_world();
  other.kill_lasting();
  EXPECT_EQ(other.in_process([&other] { return NodeHost(other).end_all(); }), "ended");
  EXPECT_THAT(other.leftovers(), IsEmpty());
}

TEST_P(LocalNodes, AreManyAtOnce) {
  const auto report = world.in_process([this] {
    NodeHost host(world);
    int up = 0;
    int ended = 0;
    constexpr int kMany = 20;
    std::optional<std::string> done;
    for (int i = 0; i < kMany; ++i) {
      const NodeId id{"i-" + std::to_string(i)};
      host.provider().provision(NodeHost::request(id, i, "c4.large"), [&](const auto& node) {
        if (node && ++up == kMany) done = "up";
      });
    }
    std::string said = host.await(done);
    done.reset();
    // One of them while it comes up again.
    host.provider().terminate(NodeId{"i-0"}, [&](const auto&) { ++ended; });
    host.provider().end_all([&] { done = "ended"; });
    said += " " + host.await(done);
    return said + " " + std::to_string(ended);
  });

  EXPECT_EQ(report, "up ended 1");
}

TEST_P(LocalNodes, EndWhileTheyComeUp) {
  const auto report = world.in_process([this] {
    NodeHost host(world);
    std::string said;
    std::optional<std::string> done;
    host.provider().provision(NodeHost::request(kOne, 0, "c4.large"), [&](const auto& node) {
      said += node ? "up" : node.error().message;
    });
    host.loop().run_for(std::chrono::milliseconds(1));
    host.provider().terminate(kOne, [&](const auto& ended) { done = ended ? "ended" : "not"; });
    const std::string end = host.await(done);
    return said + ", " + end;
  });

  EXPECT_EQ(report, "the node was ended before it was up, ended");
}

}  // namespace
}  // namespace cox::provider
