#include "runtime/core/scaling_day.hpp"

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <set>
#include <utility>

#include "runtime/core/lifecycle.hpp"
#include "runtime/core/scheduler.hpp"

namespace cox::core {

namespace {

constexpr std::int64_t kMinuteMs = 60'000;
constexpr int kHourMinutes = 60;
constexpr int kHours = 24;
constexpr int kLongestMinutes = 30;  // of a job
constexpr int kWideNodes = 4;        // most of a multi-node job
constexpr Millis kMidnight{1'767'225'600'000};

/// How much of the day's load each hour gets.
constexpr std::array<int, kHours> kWeights{1, 1, 1,  1,  1, 1, 2, 4, 8, 12, 12, 10,
                                           6, 8, 10, 10, 8, 6, 4, 3, 2, 2,  1,  1};

ClusterSettings cluster_of(const DayOptions& options) {
  ComputeEnvironment environment;
  environment.name = ComputeEnvironmentName{"day"};
  environment.min_vcpus = options.min_vcpus;
  environment.max_vcpus = options.max_vcpus;
  environment.instance_types = options.types;
  environment.idle_ms_before_release =
      options.idle_minutes < 0 ? -1 : options.idle_minutes * kMinuteMs;
  JobQueue queue;
  queue.name = QueueName{"day"};
  queue.environments = {environment.name};
  ClusterSettings cluster;
  cluster.environments = {std::move(environment)};
  cluster.queues = {std::move(queue)};
  return cluster;
}

class Day {
 public:
  explicit Day(const DayOptions& options)
      : options_(options), cluster_(cluster_of(options)), drawn_(options.seed) {}

  Result<DayReport> run() {
    std::int64_t weights = 0;
    for (const int weight : kWeights) weights += weight;
    for (int hour = 0; hour < kHours; ++hour) {
      report_.hours.emplace_back();
      hour_ = &report_.hours.back();
      hour_->least_vcpus = options_.max_vcpus;
      const auto all =
          static_cast<std::int64_t>(options_.jobs) * kWeights[static_cast<std::size_t>(hour)];
      std::map<int, int> arrivals;
      for (std::int64_t i = 0; i < all / weights; ++i) ++arrivals[below(kHourMinutes)];
      double used = 0;
      double up = 0;
      for (int minute = 0; minute < kHourMinutes; ++minute) {
        if (auto passed = pass_minute(arrivals[minute]); !passed) return fail(passed.error());
        used += held_;
        up += up_vcpus();
        hour_->mean_vcpus += vcpus() / static_cast<double>(kHourMinutes);
      }
      hour_->used = up > 0 ? used / up : 0;
      used_ += used;
      up_ += up;
    }
    report_.utilisation = up_ > 0 ? used_ / up_ : 0;
    report_.wait_s = spread_of(std::move(waits_));
    return std::move(report_);
  }

 private:
  /// The next number of a sequence that the seed begins (SplitMix64).
  int below(int limit) {
    drawn_ += 0x9e3779b97f4a7c15u;
    auto mixed = drawn_;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
    return static_cast<int>((mixed ^ (mixed >> 31)) % static_cast<std::uint64_t>(limit));
  }

  Result<void> pass_minute(int arrivals) {
    for (int i = 0; i < arrivals; ++i) {
      if (auto came = submit(); !came) return came;
    }
    if (auto ended = end_jobs(); !ended) return ended;
    settle_nodes();
    for (const auto& placement : place(snapshot()).placed) {
      if (auto began = begin(placement); !began) return began;
    }
    carry_out(scale(snapshot()));
    const int now = vcpus();
    hour_->least_vcpus = std::min(hour_->least_vcpus, now);
    hour_->most_vcpus = std::max(hour_->most_vcpus, now);
    const auto waiting = std::count_if(jobs_.begin(), jobs_.end(), [](const Job& job) {
      return job.status == JobStatus::runnable;
    });
    hour_->most_waiting = std::max(hour_->most_waiting, static_cast<int>(waiting));
    now_ = now_ + kMinuteMs;
    return {};
  }

  /// Narrow jobs, and now and then one of several nodes.
  Result<void> submit() {
    const auto& smallest = options_.types.front();
    JobSpec spec;
    spec.queue = cluster_.queues[0].name;
    spec.vcpus = 1 + below(smallest.vcpus);
    const int most = options_.max_vcpus / smallest.vcpus;
    if (below(20) == 0 && most >= 2) spec.nodes = 2 + below(std::min(kWideNodes, most) - 1);
    Job job;
    job.id = JobId{fmt::format("{:06}", ++report_.submitted)};
    ++hour_->submitted;
    submitted_at_[job.id] = now_;
    jobs_.push_back(std::move(job));
    return happen(jobs_.back(), Submitted{now_, std::move(spec), {}, {}});
  }

  Result<void> begin(const Placement& placement) {
    const auto job = std::find_if(jobs_.begin(), jobs_.end(),
                                  [&](const Job& each) { return each.id == placement.job; });
    if (job == jobs_.end()) return fail(Errc::internal, "job {} is not known", placement.job);
    Placed event{now_, 1, {}, {}};
    for (const auto& id : placement.nodes) {
      NodeRun run;
      run.node = id;
      event.nodes.push_back(std::move(run));
      unused_.erase(id);
    }
    if (auto placed = happen(*job, event); !placed) return placed;
    for (int i = 0; i < job->node_count(); ++i) {
      if (auto started = happen(*job, NodeStarted{now_, 1, i}); !started) return started;
    }
    held_ += job->spec->vcpus * job->node_count();
    ends_at_[job->id] = now_ + kMinuteMs * (1 + below(kLongestMinutes));
    waits_.push_back(static_cast<double>(now_ - submitted_at_.at(job->id)) / 1000);
    return {};
  }

  Result<void> end_jobs() {
    for (auto& job : jobs_) {
      const auto end = ends_at_.find(job.id);
      if (end == ends_at_.end() || end->second > now_) continue;
      ends_at_.erase(end);
      for (int i = 0; i < job.node_count(); ++i) {
        const auto id = job.current()->nodes[static_cast<std::size_t>(i)].node;
        if (auto exited = happen(job, NodeExited{now_, 1, i, 0, ""}); !exited) return exited;
        for (auto& node : nodes_) {
          if (node.id == id) node.idle_since = now_;
        }
      }
      held_ -= job.spec->vcpus * job.node_count();
      ++report_.ended;
    }
    std::erase_if(jobs_, [](const Job& job) { return is_terminal(job.status); });
    return {};
  }

  static Result<void> happen(Job& job, const JobEvent& event) {
    auto changed = after(std::move(job), event);
    if (!changed) return fail(Errc::internal, "the day went wrong: {}", changed.error().message);
    job = std::move(*changed);
    return {};
  }

  /// What was asked for comes up in its time, what was given back is gone.
  void settle_nodes() {
    std::erase_if(nodes_, [](const Node& node) { return node.status == NodeStatus::terminating; });
    for (auto& node : nodes_) {
      const bool is_due = now_ - node.launched_at >= options_.start_minutes * kMinuteMs;
      if (node.status != NodeStatus::pending || !is_due) continue;
      node.status = NodeStatus::up;
      node.idle_since = now_;
      unused_.insert(node.id);
    }
  }

  [[nodiscard]] Snapshot snapshot() const {
    Snapshot seen;
    seen.cluster = &cluster_;
    seen.now = now_;
    std::map<NodeId, std::size_t> places;
    for (const auto& node : nodes_) {
      places[node.id] = seen.nodes.size();
      seen.nodes.push_back({&node, node.vcpus, node.memory, 0});
    }
    for (const auto& job : jobs_) {
      if (job.status == JobStatus::runnable) seen.waiting.push_back(&job);
      if (job.status == JobStatus::runnable || job.current() == nullptr) continue;
      seen.active.push_back(&job);
      for (const auto& run : job.current()->nodes) {
        auto& free = seen.nodes[places.at(run.node)];
        ++free.jobs;
        free.free_vcpus = job.is_multi_node() ? 0 : free.free_vcpus - job.spec->vcpus;
        free.free_memory = job.is_multi_node() ? MiB{} : free.free_memory - job.spec->memory;
      }
    }
    return seen;
  }

  void carry_out(const ScalePlan& plan) {
    report_.grow_events += plan.launch.empty() ? 0 : 1;
    report_.shrink_events += plan.release.empty() ? 0 : 1;
    for (const auto& wanted : plan.launch) {
      for (int i = 0; i < wanted.count; ++i) {
        Node node;
        node.id = NodeId{fmt::format("{:06}", ++report_.launched)};
        node.environment = wanted.environment;
        node.instance_type = wanted.type.name;
        node.vcpus = wanted.type.vcpus;
        node.memory = wanted.type.memory;
        node.launched_at = node.idle_since = now_;
        nodes_.push_back(std::move(node));
        hour_->grown += wanted.type.vcpus;
      }
    }
    for (auto& node : nodes_) {
      if (std::find(plan.release.begin(), plan.release.end(), node.id) == plan.release.end()) {
        continue;
      }
      node.status = NodeStatus::terminating;
      hour_->shrunk += node.vcpus;
      ++report_.released;
      report_.unused += unused_.erase(node.id) > 0 ? 1 : 0;
    }
  }

  [[nodiscard]] int vcpus() const {
    int sum = 0;
    for (const auto& node : nodes_) {
      if (node.status != NodeStatus::terminating) sum += node.vcpus;
    }
    return sum;
  }
  [[nodiscard]] int up_vcpus() const {
    int sum = 0;
    for (const auto& node : nodes_) {
      if (node.status == NodeStatus::up) sum += node.vcpus;
    }
    return sum;
  }

  const DayOptions options_;
  const ClusterSettings cluster_;
  std::uint64_t drawn_;
  Millis now_ = kMidnight;
  std::deque<Node> nodes_;  ///< in the order of their ids
  std::deque<Job> jobs_;    ///< in order of submission
  std::map<JobId, Millis> submitted_at_;
  std::map<JobId, Millis> ends_at_;
  std::set<NodeId> unused_;  ///< nodes that are up and have had no job
  int held_ = 0;             ///< vCPUs, by jobs
  std::vector<double> waits_;
  double used_ = 0;
  double up_ = 0;
  DayHour* hour_ = nullptr;
  DayReport report_;
};

}  // namespace

Result<DayReport> simulate_day(const DayOptions& options) {
  const bool sizes_fit = options.min_vcpus >= 0 && options.max_vcpus >= 1 &&
                         options.min_vcpus <= options.max_vcpus &&
                         options.max_vcpus <= kDayVcpusMax;
  if (!sizes_fit) {
    return fail(Errc::invalid_argument,
                "vCPUs must be 0 to {}, the least not above the most; they are {} and {}",
                kDayVcpusMax, options.min_vcpus, options.max_vcpus);
  }
  if (options.jobs < 1 || options.jobs > kDayJobsMax) {
    return fail(Errc::invalid_argument, "the number of jobs must be 1 to {}, and is {}",
                kDayJobsMax, options.jobs);
  }
  if (options.types.empty() || options.types.front().vcpus > options.max_vcpus) {
    return fail(Errc::invalid_argument, "no instance type fits into {} vCPUs", options.max_vcpus);
  }
  return Day(options).run();
}

}  // namespace cox::core
