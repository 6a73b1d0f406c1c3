#include "runtime/core/replay.hpp"

#include <algorithm>
#include <deque>
#include <limits>
#include <map>
#include <optional>
#include <queue>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "runtime/core/fair_share.hpp"
#include "runtime/core/first_jobs.hpp"
#include "runtime/core/lifecycle.hpp"
#include "runtime/core/scheduler.hpp"

namespace cox::core {

namespace {

constexpr int kFailedExit = 1;
constexpr int kCancelledExit = 143;  ///< 128 + SIGTERM

/// Never zero, which means "not yet".
Millis at_second(std::int64_t second) { return Millis{1 + 1000 * second}; }

/// The finalizer of SplitMix64: neighbours become unlike. Source: Steele, Lea and Flood, "Fast
/// Splittable Pseudorandom Number Generators".
std::uint64_t mixed(std::uint64_t value) {
  value += 0x9e3779b97f4a7c15u;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
  return value ^ (value >> 31);
}

ClusterSettings cluster_of(const ReplayOptions& options) {
  ComputeEnvironment environment;
  environment.name = ComputeEnvironmentName{"trace"};
  environment.min_vcpus = environment.max_vcpus = options.nodes * options.vcpus;
  environment.instance_types = {{"node", options.vcpus, MiB{}}};
  environment.idle_ms_before_release = -1;
  JobQueue queue;
  queue.name = QueueName{"trace"};
  queue.environments = {environment.name};
  if (options.fair_share) queue.policy = "trace";
  ClusterSettings cluster;
  cluster.environments = {std::move(environment)};
  cluster.queues = {std::move(queue)};
  return cluster;
}

JobSpec spec_of(const TraceJob& traced, int vcpus_of_node) {
  JobSpec spec;
  spec.queue = QueueName{"trace"};
  spec.memory = MiB{};
  if (*traced.processors <= vcpus_of_node) {
    spec.vcpus = static_cast<int>(*traced.processors);
  } else {
    spec.vcpus = vcpus_of_node;
    spec.nodes = static_cast<int>((*traced.processors + vcpus_of_node - 1) / vcpus_of_node);
  }
  // What a scheduler may plan with: some traces let a job run for longer than it had asked for.
  if (traced.requested_s) {
    spec.timeout_s = static_cast<int>(std::min<std::int64_t>(
        std::max(*traced.requested_s, traced.run_s.value_or(0)), std::numeric_limits<int>::max()));
  }
  return spec;
}

std::string share_of(std::int64_t user) {
  return user < 0 ? "nobody" : fmt::format("user{}", user);
}

/// The first value that so many percent of all are not above; 0 of none.
double rank_of(const std::vector<double>& sorted, std::size_t percent) {
  return sorted.empty() ? 0 : sorted[(sorted.size() * percent + 99) / 100 - 1];
}

class Replay {
 public:
  Replay(const std::vector<TraceJob>& trace, const ReplayOptions& options)
      : options_(options), cluster_(cluster_of(options)) {
    policy_.decay_s = options.decay_s;
    report_.lines = trace.size();
    for (const auto& job : trace) admit(job);
    std::stable_sort(arrivals_.begin(), arrivals_.end(),
                     [&](const auto* a, const auto* b) { return rank(*a) < rank(*b); });
  }

  Result<ReplayReport> run() {
    bring_up();
    while (next_ < arrivals_.size() || !ends_.empty()) {
      now_ = next_ < arrivals_.size() ? arrivals_[next_]->submit_s : ends_.top().at;
      if (!ends_.empty()) now_ = std::min(now_, ends_.top().at);
      if (auto stepped = step(); !stepped) return tl::make_unexpected(stepped.error());
    }
    // Nothing runs any more, so what waits now would wait for ever.
    for (const auto* live : waiting_) refuse(*live->traced, "it waited, with all nodes free");
    return finish();
  }

 private:
  struct Live {
    Job job;
    const TraceJob* traced = nullptr;
  };
  struct End {
    std::int64_t at = 0;
    std::size_t line = 0;  ///< of the trace
    JobId job;

    friend bool operator<(const End& a, const End& b) {
      return std::tie(b.at, b.line) < std::tie(a.at, a.line);  // the first is the top
    }
  };

  // Before the start.

  void refuse(const TraceJob& job, std::string why) {
    report_.never_placed.push_back({job.line, job.number, std::move(why)});
  }

  /// Sorts out what is not played.
  void admit(const TraceJob& job) {
    if (job.end == TraceEnd::part) {
      ++report_.parts;
    } else if (job.end == TraceEnd::cancelled && job.run_s.value_or(0) == 0) {
      ++report_.cancelled;
    } else if (!job.run_s) {
      refuse(job, "its run time is not known");
    } else if (!job.processors) {
      refuse(job, "its number of processors is not known");
    } else if (!smallest_fit(cluster_.environments[0], spec_of(job, options_.vcpus))) {
      refuse(job, fmt::format("it needs {} processors, more than {} {} can give", *job.processors,
                              options_.nodes, options_.nodes == 1 ? "node" : "nodes"));
    } else {
      arrivals_.push_back(&job);
    }
  }

  [[nodiscard]] std::pair<std::int64_t, std::uint64_t> rank(const TraceJob& job) const {
    return {job.submit_s, options_.seed == 0 ? 0 : mixed(mixed(options_.seed) ^ job.line)};
  }

  /// The nodes that MinvCpus asks for. As it is MaxvCpus, too, and none is ever idle for too long,
  /// scale() would say nothing after this.
  void bring_up() {
    snapshot_.cluster = &cluster_;
    for (const auto& wanted : scale(snapshot_).launch) {
      for (int i = 0; i < wanted.count; ++i) {
        Node node;
        node.id = NodeId{fmt::format("node-{:06}", nodes_.size())};
        node.environment = wanted.environment;
        node.instance_type = wanted.type.name;
        node.vcpus = wanted.type.vcpus;
        node.status = NodeStatus::up;
        nodes_.push_back(std::move(node));
      }
    }
    for (const auto& node : nodes_) {
      index_of_.emplace(node.id, snapshot_.nodes.size());
      snapshot_.nodes.push_back({&node, node.vcpus, node.memory, 0});
      free_vcpus_ += node.vcpus;
    }
  }

  // What happens.

  /// All that happens at one time, and then passes until one places nothing.
  Result<void> step() {
    while (!ends_.empty() && ends_.top().at == now_) {
      const auto id = ends_.top().job;
      ends_.pop();
      if (auto ended = end(id); !ended) return ended;
      is_settled_ = false;
    }
    for (; next_ < arrivals_.size() && arrivals_[next_]->submit_s == now_; ++next_) {
      if (options_.fair_share || waiting_.size() < looked_at()) is_settled_ = false;
      if (auto came = submit(*arrivals_[next_]); !came) return came;
    }
    while (!is_settled_) {
      if (auto passed = pass(); !passed) return passed;
    }
    return {};
  }

  /// How many of those that wait a pass looks at; with shares, of each share. One that is placed
  /// takes a vCPU or more; one that is not has a node or more set aside for it, until those behind
  /// can have none but for a while, by backfill, which goes as deep and no deeper.
  [[nodiscard]] std::size_t looked_at() const {
    return free_vcpus_ == 0 ? 0 : static_cast<std::size_t>(free_vcpus_) + nodes_.size();
  }

  Result<void> submit(const TraceJob& traced) {
    const JobId id{std::to_string(++submitted_)};
    auto& live = live_[id];
    live.traced = &traced;
    live.job.id = id;
    waiting_.push_back(&live);
    auto spec = spec_of(traced, options_.vcpus);
    if (options_.fair_share) spec.share = share_of(traced.user.value_or(-1));
    return happen(live.job, Submitted{at_second(now_), std::move(spec), {}, {}});
  }

  /// Those of each share that a pass looks at, in the order in which they are served. Returns where
  /// the last of them stands.
  std::size_t look_at_shares() {
    std::map<std::string, std::size_t> seen;
    std::size_t last = 0;
    for (std::size_t i = 0; i < waiting_.size(); ++i) {
      const auto& job = waiting_[i]->job;
      if (++seen[job.spec->share] > looked_at()) continue;
      snapshot_.waiting.push_back(&job);
      last = i + 1;
    }
    snapshot_.shares[cluster_.queues[0].name] = {
        &policy_, use_.of(cluster_.queues[0].name, policy_.decay_s, snapshot_.now)};
    order_by_share(snapshot_);
    return last;
  }

  Result<void> pass() {
    auto count = std::min(waiting_.size(), looked_at());
    snapshot_.now = at_second(now_);
    snapshot_.waiting.clear();
    if (options_.fair_share) {
      count = look_at_shares();
    } else {
      for (std::size_t i = 0; i < count; ++i) snapshot_.waiting.push_back(&waiting_[i]->job);
    }
    const auto last = waiting_.begin() + static_cast<std::ptrdiff_t>(count);
    const auto plan = count == 0 ? std::vector<Placement>{} : place_all(snapshot_);
    is_settled_ = plan.empty();
    for (const auto& placement : plan) {
      if (auto began = begin(placement); !began) return began;
    }
    const auto has_begun = [](const Live* live) { return live->job.status != JobStatus::runnable; };
    waiting_.erase(std::remove_if(waiting_.begin(), last, has_begun), last);
    return {};
  }

  Result<void> begin(const Placement& placement) {
    auto& live = live_.at(placement.job);
    Placed event{at_second(now_), 1, {}, {}};
    for (const auto& id : placement.nodes) {
      NodeRun run;
      run.node = id;
      event.nodes.push_back(std::move(run));
    }
    if (auto placed = happen(live.job, event); !placed) return placed;
    for (int i = 0; i < live.job.node_count(); ++i) {
      auto started = happen(live.job, NodeStarted{at_second(now_), 1, i});
      if (!started) return started;
    }
    if (auto taken = take(live.job); !taken) return taken;
    snapshot_.active.push_back(&live.job);
    const auto& traced = *live.traced;
    ends_.push({now_ + *traced.run_s, traced.line, live.job.id});
    waits_.push_back(static_cast<double>(now_ - traced.submit_s));
    if (options_.fair_share) waits_of_[traced.user.value_or(-1)].push_back(waits_.back());
    slowdowns_.push_back(bounded_slowdown(now_ - traced.submit_s, *traced.run_s));
    used_ += static_cast<double>(*traced.processors) * static_cast<double>(*traced.run_s);
    held_ += static_cast<double>(live.job.spec->vcpus) * live.job.node_count() *
             static_cast<double>(*traced.run_s);
    return {};
  }

  Result<void> end(const JobId& id) {
    auto& live = live_.at(id);
    const auto how = live.traced->end;
    const int exit_code = how == TraceEnd::succeeded ? 0
                          : how == TraceEnd::failed  ? kFailedExit
                                                     : kCancelledExit;
    for (int i = 0; i < live.job.node_count(); ++i) {
      auto exited = happen(live.job, NodeExited{at_second(now_), 1, i, exit_code, ""});
      if (!exited) return exited;
    }
    give_back(live.job);
    if (options_.fair_share) use_.add(live.job, *live.job.current(), policy_.decay_s);
    ++(live.job.status == JobStatus::succeeded ? report_.finished : report_.failed);
    auto& active = snapshot_.active;
    active.erase(std::find(active.begin(), active.end(), &live.job));
    live_.erase(id);
    return {};
  }

  static Result<void> happen(Job& job, const JobEvent& event) {
    auto changed = after(std::move(job), event);
    if (!changed) return fail(Errc::internal, "the replay went wrong: {}", changed.error().message);
    job = std::move(*changed);
    return {};
  }

  Result<void> take(const Job& job) {
    for (const auto& run : job.current()->nodes) {
      auto& free = snapshot_.nodes[index_of_.at(run.node)];
      const bool fits = job.is_multi_node() ? free.jobs == 0 : free.free_vcpus >= job.spec->vcpus;
      if (!fits) return fail(Errc::internal, "job {} was placed on a node without room", job.id);
      ++free.jobs;
      free.free_vcpus -= job.spec->vcpus;
      free_vcpus_ -= job.spec->vcpus;
    }
    return {};
  }

  void give_back(const Job& job) {
    for (const auto& run : job.current()->nodes) {
      auto& free = snapshot_.nodes[index_of_.at(run.node)];
      --free.jobs;
      free.free_vcpus += job.spec->vcpus;
      free_vcpus_ += job.spec->vcpus;
    }
  }

  ReplayReport finish() {
    std::sort(report_.never_placed.begin(), report_.never_placed.end(),
              [](const auto& a, const auto& b) { return a.line < b.line; });
    report_.wait_s = spread_of(std::move(waits_));
    report_.slowdown = spread_of(std::move(slowdowns_));
    for (auto& [user, waits] : waits_of_) {
      const auto jobs = waits.size();
      report_.shares.push_back({share_of(user), jobs, spread_of(std::move(waits))});
    }
    if (!arrivals_.empty()) report_.makespan_s = now_ - arrivals_.front()->submit_s;
    const double all = static_cast<double>(report_.makespan_s) * options_.nodes * options_.vcpus;
    if (all > 0) {
      report_.used = used_ / all;
      report_.held = held_ / all;
    }
    return std::move(report_);
  }

  const ReplayOptions options_;
  const ClusterSettings cluster_;
  std::vector<const TraceJob*> arrivals_;  ///< in the order in which they come
  std::size_t next_ = 0;                   ///< of arrivals_
  std::size_t submitted_ = 0;
  std::deque<Node> nodes_;
  std::unordered_map<NodeId, std::size_t> index_of_;  ///< in snapshot_.nodes
  std::unordered_map<JobId, Live> live_;
  std::deque<const Live*> waiting_;  ///< in order of submission
  std::priority_queue<End> ends_;
  Snapshot snapshot_;  ///< nodes and active jobs are kept up to date in it
  int free_vcpus_ = 0;
  bool is_settled_ = true;  ///< the next pass would place nothing
  std::int64_t now_ = 0;    ///< seconds
  std::vector<double> waits_;
  std::vector<double> slowdowns_;
  SchedulingPolicy policy_;
  ShareUse use_;
  std::map<std::int64_t, std::vector<double>> waits_of_;  ///< by user; -1: not known
  double used_ = 0;                                       ///< vCPU seconds
  double held_ = 0;
  ReplayReport report_;
};

}  // namespace

Spread spread_of(std::vector<double> values) {
  Spread spread;
  for (const double value : values) spread.mean += value;
  if (!values.empty()) spread.mean /= static_cast<double>(values.size());
  std::sort(values.begin(), values.end());
  spread.median = rank_of(values, 50);
  spread.p95 = rank_of(values, 95);
  spread.max = rank_of(values, 100);
  return spread;
}

double bounded_slowdown(std::int64_t wait_s, std::int64_t run_s) {
  const auto bound = std::max(run_s, kSlowdownBoundSeconds);
  return std::max(1.0, static_cast<double>(wait_s + run_s) / static_cast<double>(bound));
}

Result<ReplayReport> replay(const std::vector<TraceJob>& trace, const ReplayOptions& options) {
  const auto check = [](int value, int max, const char* what) -> Result<void> {
    if (value >= 1 && value <= max) return {};
    return fail(Errc::invalid_argument, "the number of {} must be 1 to {}, and is {}", what, max,
                value);
  };
  if (auto good = check(options.nodes, kReplayNodesMax, "nodes"); !good) {
    return tl::make_unexpected(good.error());
  }
  if (auto good = check(options.vcpus, kReplayVcpusMax, "a node's vCPUs"); !good) {
    return tl::make_unexpected(good.error());
  }
  if (options.decay_s < 0 || options.decay_s > kShareDecayMax) {
    return fail(Errc::invalid_argument, "a share's decay must be 0 to {} seconds, and is {}",
                kShareDecayMax, options.decay_s);
  }
  return Replay(trace, options).run();
}

}  // namespace cox::core
