#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/core/scheduler.hpp"
#include "runtime/head/state.hpp"

/// What a turn of the head's state and scheduler costs on a large cluster with a long queue; no
/// wire, no disk. Usage: turn_cost [NODES [JOBS]]. Prints milliseconds as a JSON object.
namespace cox::bench {

namespace {

using Clock = std::chrono::steady_clock;
constexpr int kVcpus = 4;
constexpr Millis kThen{1'700'000'000'000};
constexpr int kRounds = 21;

class Cluster {
 public:
  explicit Cluster(int nodes) : nodes_(nodes), state_(settings(nodes)) {
    for (int i = 1; i <= nodes; ++i) {
      Node node;
      node.id = NodeId{fmt::format("i-{:017x}", i * 7919LL)};
      node.ordinal = i;
      node.environment = ComputeEnvironmentName{"ce"};
      node.instance_type = "bench";
      node.vcpus = kVcpus;
      node.memory = MiB{1 << 20};
      node.status = NodeStatus::up;
      node.address = "10.0.0.1";
      state_.put_node(std::move(node));
    }
  }

  void submit() {
    JobSpec spec;
    spec.name = "job";
    spec.queue = QueueName{"queue"};
    spec.definition = "bench-JobDefinition:1";
    spec.command = {"/bin/true", std::to_string(submitted_)};
    apply(job(submitted_++), core::Submitted{kThen, std::move(spec), {}, {}});
  }

  /// What the head does at the end of a turn. Returns how many jobs were placed.
  std::size_t pass() {
    const auto placed = state_.place(kThen);
    for (const auto& placement : placed) {
      core::Placed event{kThen, 1, {}, "mpirun"};
      NodeRun run;
      run.node = placement.nodes.front();
      event.nodes.push_back(std::move(run));
      apply(placement.job, event);
      running_.push_back(placement.job);
    }
    const auto plan = state_.scale(kThen);
    if (!plan.launch.empty()) std::exit(EXIT_FAILURE);
    return placed.size();
  }

  void end_one() {
    const auto id = running_[ended_++];
    apply(id, core::NodeStarted{kThen, 1, 0});
    apply(id, core::NodeExited{kThen, 1, 0, 0, ""});
  }

  [[nodiscard]] std::size_t slots() const { return static_cast<std::size_t>(nodes_) * kVcpus; }

 private:
  static ClusterSettings settings(int nodes) {
    ClusterSettings cluster;
    ComputeEnvironment environment;
    environment.name = ComputeEnvironmentName{"ce"};
    environment.instance_types = {{"bench", kVcpus, MiB{1 << 20}}};
    environment.max_vcpus = nodes * kVcpus;
    environment.idle_ms_before_release = -1;
    cluster.environments = {environment};
    JobQueue queue;
    queue.name = QueueName{"queue"};
    queue.environments = {environment.name};
    cluster.queues = {queue};
    return cluster;
  }

  static JobId job(int number) {
    return JobId{fmt::format("{:08x}-0000-4000-8000-000000000000", number)};
  }

  void apply(const JobId& id, const core::JobEvent& event) {
    if (const auto applied = state_.apply(id, event); !applied) {
      fmt::print(stderr, "turn_cost: {}\n", applied.error().message);
      std::exit(EXIT_FAILURE);
    }
  }

  int nodes_;
  head::State state_;
  int submitted_ = 0;
  std::size_t ended_ = 0;
  std::vector<JobId> running_;
};

double ms_of(const std::function<void()>& what) {
  const auto begun = Clock::now();
  what();
  return std::chrono::duration<double, std::milli>(Clock::now() - begun).count();
}

double median_ms(const std::function<void()>& what) {
  std::vector<double> times;
  for (int i = 0; i < kRounds; ++i) times.push_back(ms_of(what));
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

int run(int nodes, int jobs) {
  Cluster cluster(nodes);
  const auto turn = [&](const std::function<void()>& change) {
    return median_ms([&] {
      change();
      (void)cluster.pass();
    });
  };
  const auto idle = turn([&] { cluster.submit(); });
  for (std::size_t i = kRounds; i < cluster.slots(); ++i) cluster.submit();
  const auto fill = ms_of([&] { (void)cluster.pass(); });
  for (int i = 0; i < jobs; ++i) cluster.submit();
  (void)cluster.pass();
  const auto submitted = turn([&] { cluster.submit(); });
  const auto ended = turn([&] { cluster.end_one(); });
  fmt::print(
      "{{\n  \"nodes\": {},\n  \"waiting\": {},\n  \"fill_all_slots_ms\": {:.4g},\n"
      "  \"turn_after_submit_idle_ms\": {:.4g},\n  \"turn_after_submit_full_ms\": {:.4g},\n"
      "  \"turn_after_end_full_ms\": {:.4g}\n}}\n",
      nodes, jobs, fill, idle, submitted, ended);
  return EXIT_SUCCESS;
}

}  // namespace

}  // namespace cox::bench

int main(int argc, char** argv) {
  const int nodes = argc > 1 ? std::atoi(argv[1]) : 10'000;
  const int jobs = argc > 2 ? std::atoi(argv[2]) : 1'000'000;
  return cox::bench::run(nodes, jobs);
}
