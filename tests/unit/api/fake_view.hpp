#pragma once

#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "runtime/api/api.hpp"
#include "runtime/core/lifecycle.hpp"

namespace cox::api {

inline constexpr Millis kThen{1'700'000'000'000};

/// A cluster "tutor" with one queue and one environment, and what a test puts into it.
class FakeView : public View {
 public:
  FakeView() {
    settings.name = "tutor";
    settings.region = "eu-west-1";
    ComputeEnvironment environment;
    environment.name = ComputeEnvironmentName{"tutor-ce"};
    environment.min_vcpus = 2;
    environment.max_vcpus = 12;
    environment.instance_types = {{"c4.large", 2, MiB{3840}}, {"c4.xlarge", 4, MiB{7680}}};
    settings.environments = {environment};
    JobQueue queue;
    queue.name = QueueName{"tutor-queue"};
    queue.environments = {environment.name};
    settings.queues = {queue};
  }

  [[nodiscard]] const ClusterSettings& cluster() const override { return settings; }
  [[nodiscard]] const Job* find(const JobId& id) const override {
    for (const auto& job : all) {
      if (job.id == id) return &job;
    }
    return nullptr;
  }
  [[nodiscard]] std::vector<const Job*> jobs(const QueueName& queue,
                                             JobStatus status) const override {
    std::vector<const Job*> list;
    for (const auto& job : all) {
      if (job.spec->queue == queue && job.status == status && !job.array_index)
        list.push_back(&job);
    }
    return list;
  }
  [[nodiscard]] std::vector<const Node*> nodes() const override {
    std::vector<const Node*> list;
    for (const auto& node : machines) list.push_back(&node);
    return list;
  }
  [[nodiscard]] NodeLoad load(const NodeId& id) const override {
    const auto found = loads.find(id);
    return found == loads.end() ? NodeLoad{} : found->second;
  }
  [[nodiscard]] std::vector<core::Block> blocks(const JobId& id) const override {
    const auto found = why.find(id);
    return found == why.end() ? std::vector<core::Block>{} : found->second;
  }
  [[nodiscard]] std::vector<const Job*> front_of_queue(const QueueName& queue, std::size_t count,
                                                       Millis /*now*/) const override {
    std::vector<const Job*> list;
    for (const auto& job : all) {
      const bool waits = job.spec->queue == queue && job.status == JobStatus::runnable;
      if (waits && list.size() < count) list.push_back(&job);
    }
    return list;
  }
  [[nodiscard]] std::set<std::string> unfinished_shares(const QueueName& queue) const override {
    std::set<std::string> list;
    for (const auto& job : all) {
      if (job.spec->queue == queue && !is_terminal(job.status)) list.insert(job.spec->share);
    }
    return list;
  }
  [[nodiscard]] std::string environment_note(const ComputeEnvironmentName&) const override {
    return note;
  }

  /// Adds a job, submitted by the user of `asker()`, after these events.
  Job& add(const std::string& id, JobSpec spec, const std::vector<core::JobEvent>& events = {},
           std::optional<int> array_index = {}, Millis at = kThen) {
    if (spec.name.empty()) spec.name = "hello";
    spec.queue = QueueName{"tutor-queue"};
    if (spec.definition.empty()) {
      spec.definition = spec.nodes ? "tutor-JobDefinitionMNP:1" : "tutor-JobDefinition:1";
    }
    spec.user = asker();
    Job job;
    job.id = JobId{id};
    job =
        core::after(std::move(job), core::Submitted{at, std::move(spec), array_index, {}}).value();
    for (const auto& event : events) job = core::after(std::move(job), event).value();
    all.push_back(std::move(job));
    return all.back();
  }

  static JobUser asker() { return {1000, 1000, "ann"}; }
  static JobUser somebody_else() { return {1001, 1001, "bob"}; }

  ClusterSettings settings;
  std::deque<Job> all;  ///< oldest first
  std::deque<Node> machines;
  std::map<NodeId, NodeLoad> loads;
  std::map<JobId, std::vector<core::Block>> why;
  std::string note;
};

inline Request request_of(const std::string& operation, std::string body,
                          JobUser user = FakeView::asker()) {
  Request request;
  request.method = "POST";
  request.target = "/v1/" + operation;
  request.body = std::move(body);
  request.user = std::move(user);
  return request;
}

/// The answer to a request that changes nothing; "…" of a command instead where it is one.
inline Answer answer_to(const View& view, const Request& request) {
  auto outcome = handle(view, request);
  if (auto* answer = std::get_if<Answer>(&outcome)) return *answer;
  return {0, fmt::format("a command ({}), no answer", outcome.index()), ""};
}

/// A NodeRun as the head makes it, on "i-<number>" at 10.0.0.<number>.
inline NodeRun run_on(int number) {
  NodeRun run;
  run.node = NodeId{fmt::format("i-{}", number)};
  run.address = fmt::format("10.0.0.{}", number);
  run.hostname = fmt::format("ip-10-0-0-{}", number);
  run.environment = ComputeEnvironmentName{"tutor-ce"};
  run.instance_type = "c4.large";
  return run;
}

inline JobSpec spec_of(std::vector<std::string> command) {
  JobSpec spec;
  spec.command = std::move(command);
  return spec;
}

}  // namespace cox::api
