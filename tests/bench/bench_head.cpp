#include "tests/bench/bench_head.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <utility>

#include "runtime/head/head.hpp"
#include "runtime/os/files.hpp"
#include "tests/bench/simulated_agents.hpp"

namespace cox::bench {

namespace {

/// Nodes that are there as soon as they are asked for; their agents live in another process.
class BenchProvider : public NodeProvider {
 public:
  BenchProvider(os::EventLoop& loop, int to_agents) : loop_(loop), to_agents_(to_agents) {}

  void provision(NodeRequest request, std::function<void(Result<ProvisionedNode>)> done) override {
    tell_agents(to_agents_, {request.id,
                             {request.identity.certificate, request.identity.private_key,
                              request.identity.ca_certificate}});
    const int ordinal = request.ordinal;
    ProvisionedNode node{request.id,
                         fmt::format("10.{}.{}.10", ordinal / 250 + 1, ordinal % 250 + 1),
                         fmt::format("node-{}", ordinal)};
    loop_.post([node = std::move(node), done = std::move(done)] { done(node); });
  }
  void terminate(const NodeId& /*id*/, std::function<void(Result<void>)> done) override {
    loop_.post([done = std::move(done)] { done({}); });
  }
  void on_node_ended(std::function<void(NodeId, std::string)> /*handler*/) override {}
  [[nodiscard]] std::vector<NodeId> adopt(const std::vector<Node>& known) override {
    std::vector<NodeId> ids;
    for (const auto& node : known) ids.push_back(node.id);
    return ids;
  }

 private:
  os::EventLoop& loop_;
  int to_agents_;
};

ClusterSettings cluster_of(const HeadSetting& setting) {
  ClusterSettings cluster;
  cluster.name = cluster.stack_name = "bench";
  cluster.region = "us-east-1";
  cluster.head_node = {"head", 1, MiB{1024}};
  ComputeEnvironment environment;
  environment.name = ComputeEnvironmentName{"bench-ce"};
  environment.instance_types = {{"bench", setting.vcpus, MiB{1 << 20}}};
  environment.min_vcpus = environment.desired_vcpus = environment.max_vcpus =
      setting.nodes * setting.vcpus;
  environment.idle_ms_before_release = -1;
  cluster.environments = {environment};
  JobQueue queue;
  queue.name = QueueName{"bench-queue"};
  queue.environments = {environment.name};
  cluster.queues = {queue};
  return cluster;
}

[[noreturn]] void run_head(const HeadSetting& setting, const Belongings& belongings) {
  (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const auto log = setting.directory + ".log";
  const os::Fd file(::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  (void)::dup2(file.get(), STDERR_FILENO);
  os::EventLoop loop;
  const os::SystemClock clock;
  BenchProvider provider(loop, belongings.to_agents.get());
  head::HeadOptions options;
  options.cluster = cluster_of(setting);
  options.directory = setting.directory;
  options.api_listener = os::Fd(::dup(belongings.api_listener.get()));
  options.agent_listener = os::Fd(::dup(belongings.agent_listener.get()));
  options.node_lost_after_ms = 600'000;
  const auto head = head::make_head(loop, clock, provider, std::move(options));
  if (const auto started = head->start(); !started) {
    fmt::print(stderr, "the head cannot start: {}\n", started.error().message);
    std::_Exit(EXIT_FAILURE);
  }
  loop.run();
  std::_Exit(EXIT_SUCCESS);
}

}  // namespace

pid_t start_head(const HeadSetting& setting, const Belongings& belongings) {
  std::fflush(nullptr);
  const pid_t pid = ::fork();
  if (pid == 0) run_head(setting, belongings);
  return pid;
}

void kill_process(pid_t pid) {
  (void)::kill(pid, SIGKILL);
  (void)::waitpid(pid, nullptr, 0);
}

long memory_of(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/smaps_rollup", pid));
  for (std::string line; std::getline(file, line);) {
    long kib = 0;
    if (std::sscanf(line.c_str(), "Anonymous: %ld kB", &kib) == 1) return kib * 1024;
  }
  return 0;
}

double cpu_seconds_of(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string text;
  std::getline(file, text);
  std::istringstream fields(text.substr(text.rfind(')') + 2));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  long user = 0;
  long system = 0;
  fields >> user >> system;
  return static_cast<double>(user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

}  // namespace cox::bench
