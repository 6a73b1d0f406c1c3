#include <fmt/format.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "tests/bench/bench_head.hpp"
#include "tests/bench/load_client.hpp"
#include "tests/bench/simulated_agents.hpp"

/// The real head under load: its HTTP, store on disk, turns and wire with TLS; only the nodes are
/// simulated. Prints its figures as a JSON object. bench.py runs it.
namespace cox::bench {

namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kPatience = std::chrono::seconds(300);
constexpr auto kLook = std::chrono::milliseconds(2);

double since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Figures in the order in which they were taken.
class Figures {
 public:
  void add(const std::string& name, double value) {
    rows_.push_back(fmt::format("  \"{}\": {:.6g}", name, value));
    fmt::print(stderr, "{} {:.6g}\n", name, value);
  }
  void print() const { fmt::print("{{\n{}\n}}\n", fmt::join(rows_, ",\n")); }

 private:
  std::vector<std::string> rows_;
};

std::string submission(const std::string& name, int vcpus, const std::string& more = "") {
  return fmt::format(
      R"({{"jobName":"{}","jobQueue":"bench-queue","jobDefinition":"bench-JobDefinition",)"
      R"("containerOverrides":{{"command":["/bin/true","{}"],"vcpus":{}}}{}}})",
      name, name, vcpus, more);
}

/// The text of a member of a flat JSON answer.
std::string member(const std::string& answer, const std::string& name) {
  const auto key = fmt::format("\"{}\":\"", name);
  const auto at = answer.find(key);
  if (at == std::string::npos) return "";
  const auto begin = at + key.size();
  return answer.substr(begin, answer.find('"', begin) - begin);
}

/// The head, its agents and its clients.
class Cluster {
 public:
  Cluster(HeadSetting setting, Jobs jobs, int connections) : setting_(std::move(setting)) {
    int ends[2];
    if (::pipe(ends) != 0) std::exit(EXIT_FAILURE);
    belongings_.api_listener = os::listen_unix(socket(), 0600).value();
    belongings_.agent_listener = os::listen_tcp("127.0.0.1", 0).value();
    belongings_.to_agents.reset(ends[1]);
    agents_ = start_agents(ends[0], os::local_port(belongings_.agent_listener), jobs);
    ::close(ends[0]);
    start();
    clients_ = std::make_unique<LoadClient>(socket(), connections);
    wait_until("the cluster is made", [&] {
      return member(client().get("/cox/v1/cluster"), "status") == "CREATE_COMPLETE";
    });
  }
  ~Cluster() {
    kill_process(head_);
    kill_process(agents_);
  }
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  [[nodiscard]] LoadClient& client() { return *clients_; }
  [[nodiscard]] pid_t head() const { return head_; }
  [[nodiscard]] pid_t agents() const { return agents_; }
  void turn_agents() const { (void)::kill(agents_, SIGUSR1); }

  std::vector<double> submit(std::uint64_t count, int vcpus) {
    return client().post("/v1/submitjob", count, [&](std::uint64_t i) {
      return submission(fmt::format("job-{}", i), vcpus);
    });
  }
  std::string submit_one(int vcpus, const std::string& more = "") {
    return member(client().post("/v1/submitjob", submission("one", vcpus, more)), "jobId");
  }
  void wait_for(const std::string& job) { (void)client().get("/cox/v1/wait?job=" + job); }

  /// Kills the head and starts it again. Returns the seconds until it answers.
  double restart() {
    clients_.reset();
    kill_process(head_);
    const auto begun = Clock::now();
    start();
    clients_ = std::make_unique<LoadClient>(socket(), 1);
    (void)client().get("/cox/v1/cluster");
    return since(begun);
  }

  template <class Condition>
  static void wait_until(const std::string& what, Condition condition) {
    const auto begun = Clock::now();
    while (!condition()) {
      if (Clock::now() - begun > kPatience) {
        fmt::print(stderr, "head_load: not within {} s: {}\n", kPatience.count(), what);
        std::exit(EXIT_FAILURE);
      }
      timespec pause{0, std::chrono::nanoseconds(kLook).count()};
      ::nanosleep(&pause, nullptr);
    }
  }

 private:
  [[nodiscard]] std::string socket() const { return setting_.directory + ".sock"; }
  void start() { head_ = start_head(setting_, belongings_); }

  HeadSetting setting_;
  Belongings belongings_;
  pid_t agents_ = 0;
  pid_t head_ = 0;
  std::unique_ptr<LoadClient> clients_;
};

constexpr int kClients = 64;
constexpr double kChildren = 10'000;      // of an array
constexpr std::uint64_t kPassing = 2000;  // jobs whose way through is timed

/// Seconds that this many jobs take from launch to end, one behind the other through 16 slots.
double pass_through(Cluster& cluster, const std::string& last) {
  const auto begun = Clock::now();
  cluster.turn_agents();
  cluster.wait_for(last);
  const auto seconds = since(begun);
  cluster.turn_agents();
  return seconds;
}

/// The rate of submissions to a long queue, to that of an empty one beside it: so many for each, in
/// turn and a slice at a time, so that the machine's moods meet both.
double rate_beside_empty(Cluster& long_queue, const std::string& directory, std::uint64_t jobs) {
  constexpr std::uint64_t kSlices = 20;
  Cluster empty({directory, 4, 4}, Jobs::stay, kClients);
  (void)empty.submit(kPassing, 1);
  const auto slice = std::max<std::uint64_t>(1, jobs / kSlices);
  double long_s = 0;
  double empty_s = 0;
  for (std::uint64_t i = 0; i < kSlices; ++i) {
    const bool long_first = i % 2 == 0;
    if (long_first) long_s += long_queue.submit(slice, 1).back();
    empty_s += empty.submit(slice, 1).back();
    if (!long_first) long_s += long_queue.submit(slice, 1).back();
  }
  return empty_s / long_s;
}

/// A long queue before nodes that are full.
void bench_queue(const std::string& directory, std::uint64_t jobs, Figures& figures) {
  Cluster cluster({directory, 4, 4}, Jobs::stay, kClients);
  (void)cluster.submit(kPassing, 1);
  figures.add("jobs_per_s_short_queue",
              static_cast<double>(kPassing) / pass_through(cluster, cluster.submit_one(1)));
  (void)cluster.submit(kPassing, 1);
  const auto last = cluster.submit_one(1);
  const auto before = memory_of(cluster.head());
  const auto cpu_before = cpu_seconds_of(cluster.head());
  const auto at_the_end = jobs / 20;
  const auto filling = jobs - at_the_end;
  const auto times = cluster.submit(filling, 1);
  const auto cpu_after = cpu_seconds_of(cluster.head());
  const auto count = static_cast<double>(jobs);
  const auto quarter = std::max<std::size_t>(1, times.size() / 4);
  figures.add("submits_per_s", static_cast<double>(filling) / times.back());
  figures.add("submit_rate_last_to_first_quarter",
              times[quarter - 1] / (times.back() - times[times.size() - 1 - quarter]));
  figures.add("cpu_us_per_submit", (cpu_after - cpu_before) / static_cast<double>(filling) * 1e6);
  figures.add("submit_rate_to_empty_queue",
              rate_beside_empty(cluster, directory + "-empty", at_the_end));
  figures.add("bytes_per_waiting_job",
              static_cast<double>(memory_of(cluster.head()) - before) / count);
  const auto array =
      fmt::format(R"(,"arrayProperties":{{"size":{}}})", static_cast<int>(kChildren));
  (void)cluster.submit_one(1, array);  // what its storing takes for a moment is there for the next
  const auto before_array = memory_of(cluster.head());
  (void)cluster.submit_one(1, array);
  figures.add("bytes_per_waiting_child",
              static_cast<double>(memory_of(cluster.head()) - before_array) / kChildren);
  figures.add("jobs_per_s_long_queue", static_cast<double>(kPassing) / pass_through(cluster, last));
  for (const auto* what : {"first", "again"}) {
    const auto begun = Clock::now();
    (void)cluster.client().post("/v1/listjobs",
                                R"({"jobQueue":"bench-queue","jobStatus":"RUNNABLE"})");
    figures.add(fmt::format("list_page_ms_{}", what), since(begun) * 1000);
  }
  figures.add("restart_s", cluster.restart());
  figures.add("bytes_per_waiting_job_after_restart",
              static_cast<double>(memory_of(cluster.head()) - before) / count);
  const auto begun = Clock::now();
  (void)cluster.submit_one(1);
  figures.add("submit_after_restart_ms", since(begun) * 1000);
}

/// Many agents: they connect, get a job each, and end it.
void bench_agents(const std::string& directory, int agents, Figures& figures) {
  const auto begun = Clock::now();
  Cluster cluster({directory, agents, 4}, Jobs::stay, 1);
  figures.add("agents", agents);
  figures.add("connected_s", since(begun));
  const auto before = Clock::now();
  const auto array =
      cluster.submit_one(4, fmt::format(R"(,"arrayProperties":{{"size":{}}})", agents));
  const auto all_run = fmt::format("\"RUNNING\":{}", agents);
  Cluster::wait_until("a job runs on each node", [&] {
    const auto shown =
        cluster.client().post("/v1/describejobs", fmt::format(R"({{"jobs":["{}"]}})", array));
    return shown.find(all_run) != std::string::npos;
  });
  figures.add("all_running_s", since(before));
  const auto ending = Clock::now();
  cluster.turn_agents();
  cluster.wait_for(array);
  figures.add("all_ended_s", since(ending));
  figures.add("head_bytes", static_cast<double>(memory_of(cluster.head())));
}

/// Jobs that end at once: what the head can do.
void bench_through(const std::string& directory, int jobs, Figures& figures) {
  Cluster cluster({directory, 4, 4}, Jobs::end, kClients);
  const auto rate = [&](const std::string& name, const std::function<void()>& run) {
    const auto cpu = cpu_seconds_of(cluster.head());
    const auto begun = Clock::now();
    run();
    figures.add("jobs_per_s_" + name, jobs / since(begun));
    figures.add("head_cpu_us_per_job_" + name, (cpu_seconds_of(cluster.head()) - cpu) / jobs * 1e6);
  };
  rate("array", [&] {
    cluster.wait_for(
        cluster.submit_one(1, fmt::format(R"(,"arrayProperties":{{"size":{}}})", jobs)));
  });
  rate("singles", [&] {
    (void)cluster.submit(static_cast<std::uint64_t>(jobs), 1);
    cluster.wait_for(cluster.submit_one(1));
  });
  std::vector<double> times;
  for (int i = 0; i < 200; ++i) {
    const auto begun = Clock::now();
    cluster.wait_for(cluster.submit_one(1));
    times.push_back(since(begun));
  }
  std::sort(times.begin(), times.end());
  figures.add("one_at_a_time_ms", times[times.size() / 2] * 1000);
}

int run(int argc, char** argv) {
  CLI::App app("Puts the head under load and prints what it took, as JSON");
  std::string directory = std::filesystem::temp_directory_path().string();
  std::uint64_t queue = 0;
  int agents = 0;
  int through = 0;
  app.add_option("--directory", directory, "Where the head's files go, for the time of the run");
  app.add_option("--queue", queue, "A queue of this many waiting jobs");
  app.add_option("--agents", agents, "This many agents, with a job each");
  app.add_option("--through", through, "This many jobs through a cluster of 16 slots");
  CLI11_PARSE(app, argc, argv);

  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  auto pattern = directory + "/head-load-XXXXXX";
  if (::mkdtemp(pattern.data()) == nullptr) {
    std::perror(pattern.c_str());
    return EXIT_FAILURE;
  }
  Figures figures;
  if (queue > 0) bench_queue(pattern + "/queue", queue, figures);
  if (agents > 0) bench_agents(pattern + "/agents", agents, figures);
  if (through > 0) bench_through(pattern + "/through", through, figures);
  std::filesystem::remove_all(pattern);
  figures.print();
  return EXIT_SUCCESS;
}

}  // namespace

}  // namespace cox::bench

int main(int argc, char** argv) { return cox::bench::run(argc, argv); }
