#pragma once

#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "runtime/head/state.hpp"

/// The jobs that wait, drawn one by one out of the state's indexes: in the order of
/// State::snapshot(), and of jobs that are alike no more than it has. Only the state includes it.
namespace cox::head {

/// Waiting jobs that are alike, as far as a pass has come in them.
struct AlikeJobs {
  std::map<std::uint64_t, const Job*>::const_iterator at;
  std::map<std::uint64_t, const Job*>::const_iterator end;
  std::size_t left = 0;
  bool over = false;  ///< none of them is given any more

  [[nodiscard]] bool has_more() const { return !over && left > 0 && at != end; }
  void advance() {
    ++at;
    --left;
  }
};

/// The jobs of one queue.
class QueueLine {
 public:
  /// A job, and where it stands among those of all queues of one priority.
  using Standing = std::pair<std::uint64_t, const Job*>;

  virtual ~QueueLine() = default;
  [[nodiscard]] virtual std::optional<Standing> next() = 0;
  virtual void pass_over_alike() = 0;
  [[nodiscard]] virtual bool any_left(const std::function<bool(const Job&)>& is_so) = 0;
};

/// Of a queue without policy: first in, first out.
class State::PlainLine : public QueueLine {
 public:
  PlainLine(const State& state, const Heads& heads)
      : state_(state), head_(heads.begin()), end_(heads.end()) {}

  std::optional<Standing> next() override {
    if (last_) {
      auto& jobs = begun_[*last_];
      if (!jobs.over) jobs.advance();
      if (jobs.has_more()) order_.emplace(jobs.at->first, *last_);
      last_.reset();
    }
    const bool begins = head_ != end_ && (order_.empty() || head_->first < order_.top().first);
    if (begins) {
      last_ = begun_.size();
      begun_.push_back(state_.alike(*head_++->second));
    } else if (!order_.empty()) {
      last_ = order_.top().second;
      order_.pop();
    } else {
      return std::nullopt;
    }
    return *begun_[*last_].at;
  }
  void pass_over_alike() override { begun_[*last_].over = true; }
  bool any_left(const std::function<bool(const Job&)>& is_so) override {
    for (std::size_t i = 0; i < begun_.size(); ++i) {
      if (i != last_ && begun_[i].has_more() && is_so(*begun_[i].at->second)) return true;
    }
    for (auto head = head_; head != end_; ++head) {
      if (is_so(*state_.waiting_.at(*head->second).begin()->second)) return true;
    }
    return false;
  }

 private:
  using Next = std::pair<Order, std::size_t>;  ///< a job's, and of which in begun_

  const State& state_;
  Heads::const_iterator head_;
  Heads::const_iterator end_;
  std::vector<AlikeJobs> begun_;
  std::priority_queue<Next, std::vector<Next>, std::greater<>> order_;
  std::optional<std::size_t> last_;
};

/// Of a queue with a policy: by shares, as core::order_by_share() puts them.
class State::SharedLine : public QueueLine {
 public:
  SharedLine(const State& state, const Heads& heads, const core::QueueShares& shares, Millis now)
      : state_(state) {
    alike_.reserve(heads.size());
    for (const auto& [order, needs] : heads) {
      const auto index = alike_.size();
      alike_.push_back(state.alike(*needs));
      standings_.push_back(alike_.back());
      places_.emplace(order, index);
      auto& line = lines_[std::get<5>(*needs)];
      line.jobs.emplace(-std::get<6>(*needs), order, index);
    }
    count_uses(heads, shares, now);
    for (auto& [share, line] : lines_) wait(line);
  }

  std::optional<Standing> next() override {
    while (!turns_.empty()) {
      const auto standing = next_place();
      auto& line = *std::get<Line*>(turns_.top());
      turns_.pop();
      const auto [priority, order, index] = line.jobs.top();
      line.jobs.pop();
      auto& jobs = alike_[index];
      const auto* job = jobs.at->second;
      jobs.advance();
      if (jobs.left > 0 && jobs.at != jobs.end) line.jobs.emplace(priority, jobs.at->first, index);
      line.use += job->spec->vcpus * job->node_count();
      wait(line);
      last_ = index;
      if (!jobs.over) return Standing{standing, job};
      ++state_.work_.jobs;  // it counts for its share all the same
    }
    return std::nullopt;
  }
  void pass_over_alike() override { alike_[last_].over = true; }
  bool any_left(const std::function<bool(const Job&)>& is_so) override {
    for (const auto& jobs : alike_) {
      if (jobs.has_more() && is_so(*jobs.at->second)) return true;
    }
    return false;
  }

 private:
  /// A share while its jobs are served.
  struct Line {
    double use = 0;  ///< vCPUs
    double weight = 1;
    using Next = std::tuple<int, Order, std::size_t>;  ///< minus priority; of which in alike_
    std::priority_queue<Next, std::vector<Next>, std::greater<>> jobs;
  };

  void wait(Line& line) {
    if (line.jobs.empty()) return;
    turns_.emplace(line.use * line.weight, std::get<1>(line.jobs.top()), &line);
  }

  void count_uses(const Heads& heads, const core::QueueShares& shares, Millis now) {
    const auto& queue = std::get<QueueName>(*heads.begin()->second);
    for (auto& [share, line] : lines_) {
      line.weight = core::weight_of(*shares.policy, share);
      const auto past = shares.past.find(share);
      if (past != shares.past.end()) line.use = past->second;
      const auto held = state_.held_.find({queue, share});
      if (shares.policy->decay_s == 0 && held != state_.held_.end()) line.use += held->second.vcpus;
    }
    if (shares.policy->decay_s == 0) return;
    for (const auto& [order, job] : state_.active_) {
      ++state_.work_.jobs;
      const auto line = job->spec->queue == queue ? lines_.find(job->spec->share) : lines_.end();
      if (line == lines_.end()) continue;
      line->second.use += job->spec->vcpus * job->node_count() +
                          core::past_use(*job, *job->current(), shares.policy->decay_s, now);
    }
  }

  /// The next of the places that the queue's jobs have.
  Order next_place() {
    const auto [order, index] = places_.top();
    places_.pop();
    auto& jobs = standings_[index];
    jobs.advance();
    if (jobs.has_more()) places_.emplace(jobs.at->first, index);
    return order;
  }

  using Turn = std::tuple<double, Order, Line*>;
  using Place = std::pair<Order, std::size_t>;

  const State& state_;
  std::vector<AlikeJobs> alike_;      ///< in the order in which they are served
  std::vector<AlikeJobs> standings_;  ///< the same in the order of submission
  std::priority_queue<Place, std::vector<Place>, std::greater<>> places_;
  std::map<std::string, Line> lines_;
  std::priority_queue<Turn, std::vector<Turn>, std::greater<>> turns_;
  std::size_t last_ = 0;  ///< of alike_
};

/// The jobs of all queues, those of the highest priority first.
class State::AllLines : public core::WaitingLine {
 public:
  AllLines(const State& state, const core::Snapshot& seen) {
    for (const auto& queue : state.cluster_.queues) {
      const auto heads = state.heads_.find(queue.name);
      if (heads == state.heads_.end() || heads->second.empty()) continue;
      const auto shares = seen.shares.find(queue.name);
      if (shares == seen.shares.end()) {
        lines_.push_back({std::make_unique<PlainLine>(state, heads->second), queue.priority});
      } else {
        lines_.push_back(
            {std::make_unique<SharedLine>(state, heads->second, shares->second, seen.now),
             queue.priority});
      }
    }
    for (std::size_t i = 0; i < lines_.size(); ++i) draw(i);
  }

  const Job* next() override {
    if (last_) draw(*std::exchange(last_, std::nullopt));
    if (fronts_.empty()) return nullptr;
    const auto front = fronts_.begin();
    last_ = std::get<2>(*front);
    const auto* job = std::get<const Job*>(*front);
    fronts_.erase(front);
    return job;
  }
  void pass_over_alike() override { lines_[*last_].jobs->pass_over_alike(); }
  bool any_left(const std::function<bool(const Job&)>& is_so) override {
    for (const auto& front : fronts_) {
      if (is_so(*std::get<const Job*>(front))) return true;
    }
    for (auto& line : lines_) {
      if (line.jobs->any_left(is_so)) return true;
    }
    return false;
  }

 private:
  struct Line {
    std::unique_ptr<QueueLine> jobs;
    int priority = 0;
  };

  void draw(std::size_t index) {
    if (const auto next = lines_[index].jobs->next()) {
      fronts_.emplace(-lines_[index].priority, next->first, index, next->second);
    }
  }

  std::vector<Line> lines_;
  std::set<std::tuple<int, Order, std::size_t, const Job*>> fronts_;  ///< one of each line
  std::optional<std::size_t> last_;                                   ///< of lines_
};

}  // namespace cox::head
