#include "runtime/agent/direct_run.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <functional>

#include "runtime/base/text.hpp"
#include "runtime/os/files.hpp"

namespace cox::agent {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

/// One node of a job on this machine: its step's ranks, which are shells, and what it tells.
class Node {
 public:
  Node(const std::string& directory, int index, std::vector<int> node_of_rank,
       const std::string& script, std::vector<std::string> hosts = {"ip-a", "ip-b"},
       int fan_out = 0) {
    plan_.command = {"/bin/sh", "-c", script};
    plan_.environment = {"PATH=/usr/bin:/bin", "PMI_RANK=nobody"};
    plan_.direct.emplace();
    plan_.direct->node_index = index;
    plan_.direct->node_of_rank = std::move(node_of_rank);
    plan_.direct->hosts = std::move(hosts);
    plan_.direct->fan_out = fan_out;
    plan_.direct->address = plan_.direct->hub_address = "127.0.0.1";
    plan_.direct->name = "job-1";
    plan_.direct->session_directory = fmt::format("{}/{}", directory, index);
    sigset_t none;
    sigemptyset(&none);
    run_.emplace(
        plan_, [this](const StepMessage& message) { hear(message); }, none);
    const auto opened = run_->open();
    EXPECT_TRUE(opened) << opened.error().message;
    meeting = opened ? *opened : wire::Meeting{};
  }

  void launch(const wire::Meeting& where) {
    for (std::size_t rank = 0; rank < plan_.direct->node_of_rank.size(); ++rank) {
      if (plan_.direct->node_of_rank[rank] != plan_.direct->node_index) continue;
      std::array<int, 2> ends{};
      ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
      outputs_.emplace_back(ends[0]);
      run_->add_output(static_cast<int>(rank), os::Fd(ends[1]),
                       os::Fd(::open("/dev/null", O_WRONLY | O_CLOEXEC)));
    }
    run_->launch(where);
  }

  /// What the ranks wrote, one text a rank. After the end.
  std::vector<std::string> output() const {
    std::vector<std::string> texts;
    for (const auto& end : outputs_) texts.push_back(os::read_all(end.get(), "pipe").value_or("?"));
    return texts;
  }

  DirectRun& run() { return *run_; }
  /// As a step that is killed: its ranks go with it.
  void kill() {
    run_->signal_ranks(SIGKILL);
    run_.reset();
    over = {137, "killed"};
  }
  bool lives() const { return run_.has_value(); }

  wire::Meeting meeting;
  std::optional<mpi::RankFailure> over;
  std::vector<std::string> ended;  ///< "rank code how"

 private:
  void hear(const StepMessage& message) {
    if (message.kind == 'D') over = {static_cast<int>(message.number), message.text};
    if (message.kind != 'Y') return;
    const auto end = rank_end_of(message);
    ended.push_back(fmt::format("{} {} {}", end.rank, end.exit_code, end.how));
  }

  StepPlan plan_;
  std::optional<DirectRun> run_;
  std::vector<os::Fd> outputs_;
};

class DirectRunTest : public testing::Test {
 protected:
  DirectRunTest() {
    std::string pattern = "/tmp/cox-direct-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
  }
  ~DirectRunTest() override { EXPECT_TRUE(os::remove_tree(directory_)); }

  /// Lets the nodes do what there is to do.
  static void turn(const std::vector<Node*>& nodes) {
    std::vector<Watch> watches;
    for (auto* node : nodes) {
      if (node->lives()) node->run().watch(watches);
    }
    std::vector<pollfd> watched;
    for (const auto& watch : watches) watched.push_back({watch.fd, watch.events, 0});
    ::poll(watched.data(), watched.size(), 5);
    for (std::size_t i = 0; i < watched.size(); ++i) {
      if (watched[i].revents != 0) watches[i].ready();
    }
    int status = 0;
    rusage usage{};
    for (pid_t pid = 0; (pid = ::wait4(-1, &status, WNOHANG, &usage)) > 0;) {
      for (auto* node : nodes) {
        if (node->lives()) node->run().child_ended(pid, status, usage);
      }
    }
    for (auto* node : nodes) {
      if (node->lives()) node->run().tick();
    }
  }

  static void run_until(const std::vector<Node*>& nodes, const std::function<bool()>& done) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!done() && std::chrono::steady_clock::now() < end) turn(nodes);
    EXPECT_TRUE(done());
  }

  /// Runs all nodes until each says that it is over.
  static void run(const std::vector<Node*>& nodes) {
    run_until(nodes, [&] {
      return std::all_of(nodes.begin(), nodes.end(), [](const auto* n) { return n->over; });
    });
  }

  std::string directory_;
};

/// PMI-1 by hand: a rank's shell asks and reads the answers.
const std::string kMeet =
    "say() { printf '%s\\n' \"$1\" >&3; read -r answer <&3; }\n"
    "say 'cmd=init pmi_version=1 pmi_subversion=1'\n"
    "say \"cmd=put kvsname=job-1 key=from-$PMI_RANK value=hello $PMI_RANK\"\n"
    "say cmd=barrier_in\n"
    "for rank in 0 1 2; do say \"cmd=get kvsname=job-1 key=from-$rank\"; echo \"$answer\"; done\n"
    "say cmd=finalize\n";

TEST_F(DirectRunTest, LetsRanksOfTwoNodesReadEachOthersKeys) {
  Node main(directory_, 0, {0, 0, 1}, kMeet);
  Node other(directory_, 1, {0, 0, 1}, kMeet);
  main.launch(main.meeting);
  other.launch(main.meeting);

  run({&main, &other});

  EXPECT_EQ(main.over, (mpi::RankFailure{0, ""}));
  EXPECT_EQ(other.over, (mpi::RankFailure{0, ""}));
  const std::string all =
      "cmd=get_result rc=0 msg=success value=hello 0\n"
      "cmd=get_result rc=0 msg=success value=hello 1\n"
      "cmd=get_result rc=0 msg=success value=hello 2\n";
  EXPECT_THAT(main.output(), ElementsAre(all, all));
  EXPECT_THAT(other.output(), ElementsAre(all));
  EXPECT_THAT(main.ended, UnorderedElementsAre("0 0 ", "1 0 "));
}

TEST_F(DirectRunTest, EndsBothNodesAtTheFirstFailure) {
  const std::string script =
      "[ $PMI_RANK = 2 ] && exit 7; trap '' TERM; while :; do wait; read x <&3; done";
  Node main(directory_, 0, {0, 0, 1}, script);
  Node other(directory_, 1, {0, 0, 1}, script);
  main.launch(main.meeting);
  other.launch(main.meeting);

  run({&main, &other});

  EXPECT_EQ(main.over, (mpi::RankFailure{7, ""}));
  EXPECT_EQ(other.over, (mpi::RankFailure{7, ""}));
  EXPECT_THAT(other.ended, ElementsAre("2 7 "));
  EXPECT_THAT(main.ended, ElementsAre()) << "they did not end by themselves";
}

TEST_F(DirectRunTest, DoesNotHearWhoDoesNotKnowTheSecret) {
  Node main(directory_, 0, {0, 1}, "[ $PMI_RANK = 0 ] && read x <&3; exit 0");
  Node other(directory_, 1, {0, 1}, "exit 9");
  auto wrong = main.meeting;
  wrong.secret = std::string(32, '0');
  main.launch(main.meeting);
  other.launch(wrong);

  run({&other});

  EXPECT_EQ(other.over, (mpi::RankFailure{9, ""}));
  EXPECT_FALSE(main.over) << "a stranger's failure is none of the job's";
  main.run().stopping();
}

/// Three nodes of which the last meets the others at the second.
struct Chain {
  Chain(const std::string& directory, const std::array<std::string, 3>& scripts) {
    for (int i = 0; i < 3; ++i) {
      nodes.push_back(std::make_unique<Node>(directory, i, std::vector{0, 1, 2},
                                             scripts[static_cast<std::size_t>(i)],
                                             std::vector<std::string>{"ip-a", "ip-b", "ip-c"}, 1));
    }
    const auto& secret = nodes[0]->meeting.secret;
    EXPECT_EQ(nodes[1]->meeting.secret, "");
    EXPECT_EQ(nodes[2]->meeting, wire::Meeting{});
    // The last one comes to the second before that one knows the secret.
    nodes[2]->launch({nodes[1]->meeting.port, secret});
    nodes[1]->launch({nodes[0]->meeting.port, secret});
    nodes[0]->launch(nodes[0]->meeting);
  }
  std::vector<Node*> all() { return {nodes[0].get(), nodes[1].get(), nodes[2].get()}; }
  std::vector<std::unique_ptr<Node>> nodes;
};

TEST_F(DirectRunTest, HandsOnWhatNodesBehindANodeSay) {
  Chain chain(directory_, {kMeet, kMeet, kMeet});

  run(chain.all());

  for (const auto& node : chain.nodes) {
    EXPECT_EQ(node->over, (mpi::RankFailure{0, ""}));
    EXPECT_THAT(node->output(),
                ElementsAre(testing::AllOf(HasSubstr("hello 0"), HasSubstr("hello 1"),
                                           HasSubstr("hello 2"))));
  }
}

TEST_F(DirectRunTest, HandsOnAFailureAfterItsOwnRanksHaveEnded) {
  Chain chain(directory_, {"exec sleep 1000", "exit 0", "sleep 0.1; exit 5"});

  run(chain.all());

  for (const auto& node : chain.nodes) EXPECT_EQ(node->over->exit_code, 5);
  EXPECT_THAT(chain.nodes[0]->ended, testing::IsEmpty()) << "it was stopped by the others' failure";
}

TEST_F(DirectRunTest, EndsWithTheNodeThatOthersMeetAt) {
  Chain chain(directory_, {kMeet + "exec sleep 1000", kMeet, kMeet + "exec sleep 1000"});
  run_until(chain.all(), [&] { return !chain.nodes[1]->ended.empty(); });
  chain.nodes[1]->kill();  // it had told that its ranks have ended well

  run(chain.all());

  EXPECT_EQ(chain.nodes[0]->over, (mpi::RankFailure{137, "node ip-c was lost"}));
  EXPECT_EQ(chain.nodes[2]->over, (mpi::RankFailure{137, "the main node was lost"}));
}

TEST_F(DirectRunTest, TellsOfANodeThatIsLostBehindAnother) {
  Chain chain(directory_, {kMeet + "exec sleep 1000", kMeet, kMeet + "exec sleep 1000"});
  run_until(chain.all(), [&] { return !chain.nodes[1]->ended.empty(); });  // all have met
  chain.nodes[2]->kill();

  run(chain.all());

  EXPECT_EQ(chain.nodes[0]->over, (mpi::RankFailure{137, "node ip-c was lost"}));
  EXPECT_EQ(chain.nodes[1]->over, chain.nodes[0]->over);
}

TEST_F(DirectRunTest, ReplacesWhatTheJobSetOfARanksIdentity) {
  Node main(directory_, 0, {0},
            "echo $PMI_RANK $PMI_SIZE $OMPI_COMM_WORLD_LOCAL_SIZE; read x && echo input");
  main.launch({});

  run({&main});

  EXPECT_THAT(main.output(), ElementsAre("0 1 1\n"));
}

TEST_F(DirectRunTest, SaysThatAProgramCannotBeExecuted) {
  Node main(directory_, 0, {0}, "exec /nonexistent/program");
  main.launch({});

  run({&main});

  EXPECT_EQ(main.over, (mpi::RankFailure{127, ""}));
}

}  // namespace
}  // namespace cox::agent
