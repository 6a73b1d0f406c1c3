#include "runtime/core/fair_share.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <queue>
#include <set>
#include <tuple>

namespace cox::core {

namespace {

/// What is left of a vCPU's use after so many milliseconds.
double left_after(std::int64_t ms, int decay_s) {
  if (ms <= 0) return 1;
  return std::exp2(-static_cast<double>(ms) / (1000.0 * decay_s));
}

int vcpus_of(const Job& job) { return job.spec->vcpus * job.node_count(); }

/// A share of one queue while its jobs are put in order.
struct Line {
  double use = 0;  ///< vCPUs
  double weight = 1;
  std::vector<std::pair<std::size_t, const Job*>> jobs;  ///< by place in the list; in order
  std::size_t next = 0;
};

using Lines = std::map<std::string, Line>;

Line& line_of(Lines& lines, const QueueShares& shares, const std::string& share) {
  const auto [found, is_new] = lines.try_emplace(share);
  if (is_new) {
    found->second.weight = weight_of(*shares.policy, share);
    const auto past = shares.past.find(share);
    found->second.use = past == shares.past.end() ? 0 : past->second;
  }
  return found->second;
}

/// The lines' jobs, the one of the share with the lowest weighted use first; of equals the one that
/// stood first.
std::vector<const Job*> served(Lines& lines) {
  using Turn = std::tuple<double, std::size_t, Line*>;
  std::priority_queue<Turn, std::vector<Turn>, std::greater<>> turns;
  const auto wait = [&](Line& line) {
    if (line.next == line.jobs.size()) return;
    turns.emplace(line.use * line.weight, line.jobs[line.next].first, &line);
  };
  for (auto& [share, line] : lines) {
    std::sort(line.jobs.begin(), line.jobs.end(), [](const auto& a, const auto& b) {
      return std::pair(-a.second->spec->priority.value_or(0), a.first) <
             std::pair(-b.second->spec->priority.value_or(0), b.first);
    });
    wait(line);
  }
  std::vector<const Job*> list;
  while (!turns.empty()) {
    auto& line = *std::get<Line*>(turns.top());
    turns.pop();
    const auto* job = line.jobs[line.next++].second;
    line.use += vcpus_of(*job);
    list.push_back(job);
    wait(line);
  }
  return list;
}

}  // namespace

double weight_of(const SchedulingPolicy& policy, const std::string& share) {
  for (const auto& each : policy.shares) {
    const std::string_view pattern = each.identifier;
    const bool matches = pattern.ends_with('*')
                             ? share.starts_with(pattern.substr(0, pattern.size() - 1))
                             : share == pattern;
    if (matches) return each.weight;
  }
  return 1.0;
}

double past_use(const Job& job, const Attempt& attempt, int decay_s, Millis now) {
  if (decay_s <= 0 || !attempt.started_at.set()) return 0;
  const auto end = attempt.over ? attempt.stopped_at : now;
  return vcpus_of(job) * (left_after(now - end, decay_s) -
                          left_after(now - std::min(attempt.started_at, end), decay_s));
}

void ShareUse::change(const Job& job, const Attempt& attempt, int decay_s, int sign) {
  if (decay_s <= 0 || job.spec->share.empty() || !attempt.over || !attempt.started_at.set()) return;
  auto& sum = shares_[{job.spec->queue, job.spec->share}];
  const auto at = std::max(sum.at, attempt.stopped_at);
  sum.vcpus =
      sum.vcpus * left_after(at - sum.at, decay_s) + sign * past_use(job, attempt, decay_s, at);
  sum.at = at;
}

void ShareUse::add(const Job& job, const Attempt& attempt, int decay_s) {
  change(job, attempt, decay_s, +1);
}

void ShareUse::remove(const Job& job, int decay_s) {
  for (const auto& attempt : job.attempts) change(job, attempt, decay_s, -1);
}

std::map<std::string, double> ShareUse::of(const QueueName& queue, int decay_s, Millis now) const {
  std::map<std::string, double> list;
  if (decay_s <= 0) return list;
  for (auto each = shares_.lower_bound({queue, ""});
       each != shares_.end() && each->first.first == queue; ++each) {
    const auto& sum = each->second;
    list[each->first.second] = std::max(0.0, sum.vcpus * left_after(now - sum.at, decay_s));
  }
  return list;
}

void order_by_share(Snapshot& snapshot) {
  for (const auto& [queue, shares] : snapshot.shares) {
    Lines lines;
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < snapshot.waiting.size(); ++i) {
      const auto* job = snapshot.waiting[i];
      if (job->spec->queue != queue) continue;
      places.push_back(i);
      line_of(lines, shares, job->spec->share).jobs.emplace_back(i, job);
    }
    if (places.empty()) continue;
    for (const auto* job : snapshot.active) {
      if (job->spec->queue != queue) continue;
      auto& line = line_of(lines, shares, job->spec->share);
      line.use +=
          vcpus_of(*job) + past_use(*job, *job->current(), shares.policy->decay_s, snapshot.now);
    }
    const auto order = served(lines);
    for (std::size_t i = 0; i < places.size(); ++i) snapshot.waiting[places[i]] = order[i];
  }
}

std::vector<std::string> active_shares(const Snapshot& snapshot, const QueueName& queue) {
  std::set<std::string> active;
  for (const auto* jobs : {&snapshot.waiting, &snapshot.active}) {
    for (const auto* job : *jobs) {
      if (job->spec->queue == queue) active.insert(job->spec->share);
    }
  }
  return {active.begin(), active.end()};
}

}  // namespace cox::core
