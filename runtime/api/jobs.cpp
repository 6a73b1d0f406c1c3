#include <boost/json.hpp>

#include "runtime/api/shapes.hpp"
#include "runtime/base/text.hpp"
#include "runtime/core/lifecycle.hpp"

/// A job as DescribeJobs and ListJobs show it. Which members are there, and when, is what clients
/// rely on: an array child has no `size`, a node no `nodeProperties`, a job that never started no
/// log stream.
namespace cox::api {

namespace json = boost::json;

namespace {

json::array strings(const std::vector<std::string>& list) {
  json::array array;
  for (const auto& text : list) array.emplace_back(text);
  return array;
}

std::string shown_id(const Job& job, std::optional<int> node_index) {
  return node_index ? fmt::format("{}#{}", job.id.value, *node_index) : job.id.value;
}

/// The part whose figures stand for the item: the node asked for, else the main node.
const NodeRun* part_of(const Attempt* attempt, std::optional<int> node_index) {
  const auto index = static_cast<std::size_t>(node_index.value_or(0));
  return attempt != nullptr && index < attempt->nodes.size() ? &attempt->nodes[index] : nullptr;
}

/// The attempt that the item shows: the current one, but none while a retry waits.
const Attempt* shown_attempt(const Job& job) {
  const bool waits = job.status < JobStatus::starting;
  return waits && !job.attempts.empty() && job.attempts.back().over ? nullptr : job.current();
}

JobStatus status_of_node(const Job& job, int node_index) {
  const auto* run = part_of(shown_attempt(job), node_index);
  if (run == nullptr) return job.status;
  switch (run->phase) {
    case NodePhase::preparing:
    case NodePhase::ready:
      return is_terminal(job.status) ? JobStatus::failed : JobStatus::starting;
    case NodePhase::running:
      return JobStatus::running;
    case NodePhase::exited:
      return run->exit_code == 0 ? JobStatus::succeeded : JobStatus::failed;
  }
  return job.status;
}

std::string reason_of_node(const Job& job, int node_index) {
  const auto* run = part_of(shown_attempt(job), node_index);
  if (run == nullptr || node_index == 0) return job.status_reason;
  if (run->phase != NodePhase::exited) return "";
  if (job.kill_reason) return *job.kill_reason;
  return run->reason.empty() ? core::kNormalEndReason : run->reason;
}

void add_runtime(json::object& container, const Arns& arns, const Job& job, const Attempt& attempt,
                 int node_index) {
  const auto* run = part_of(&attempt, node_index);
  if (run == nullptr) return;
  if (run->exit_code) container["exitCode"] = *run->exit_code;
  if (!run->reason.empty()) container["reason"] = run->reason;
  container["containerInstanceArn"] =
      arns.ecs("container-instance", fmt::format("{}_Batch/{}", run->environment, run->node));
  container["taskArn"] = arns.ecs("task", fmt::format("{}_Batch/{}-{}-{}", run->environment,
                                                      job.id.value, attempt.number, node_index));
  container["logStreamName"] = log_stream_name(job, attempt.number, node_index);
  container["networkInterfaces"] = json::array{json::object{{"privateIpv4Address", run->address}}};
}

json::object container_object(const JobSpec& spec) {
  json::array environment;
  for (const auto& variable : spec.environment) {
    environment.push_back(json::object{{"name", variable.name}, {"value", variable.value}});
  }
  json::object container{{"command", strings(spec.command)},
                         {"environment", std::move(environment)},
                         {"volumes", json::array{}},
                         {"mountPoints", json::array{}},
                         {"ulimits", json::array{}},
                         {"networkInterfaces", json::array{}},
                         {"resourceRequirements", json::array{}},
                         {"secrets", json::array{}},
                         {"vcpus", spec.vcpus},
                         {"memory", spec.memory.value}};
  if (!spec.cpu_and_memory_legacy) {
    container["resourceRequirements"] =
        json::array{json::object{{"type", "VCPU"}, {"value", std::to_string(spec.vcpus)}},
                    json::object{{"type", "MEMORY"}, {"value", std::to_string(spec.memory.value)}}};
  }
  return container;
}

json::array attempts_array(const Arns& arns, const Job& job, int node_index) {
  json::array list;
  for (const auto& attempt : job.attempts) {
    const auto* run = part_of(&attempt, node_index);
    if (run == nullptr || (run->phase != NodePhase::exited && !attempt.over)) continue;
    json::object container{{"networkInterfaces", json::array{}}};
    add_runtime(container, arns, job, attempt, node_index);
    json::object shown{{"container", std::move(container)},
                       {"statusReason", attempt.status_reason}};
    if (run->started_at.set()) shown["startedAt"] = run->started_at.value;
    if (run->stopped_at.set()) shown["stoppedAt"] = run->stopped_at.value;
    list.push_back(std::move(shown));
  }
  return list;
}

json::array depends_on(const JobSpec& spec) {
  json::array list;
  for (const auto& dependency : spec.depends_on) {
    json::object shown;
    if (!dependency.job.empty()) shown["jobId"] = dependency.job.value;
    if (dependency.kind == DependencyKind::n_to_n) shown["type"] = "N_TO_N";
    if (dependency.kind == DependencyKind::sequential) shown["type"] = "SEQUENTIAL";
    list.push_back(std::move(shown));
  }
  return list;
}

json::object status_summary(const Job& job) {
  json::object summary;
  for (int i = 0; i <= static_cast<int>(JobStatus::failed); ++i) {
    const auto status = static_cast<JobStatus>(i);
    const auto count = job.children.find(status);
    summary[to_string(status)] = count == job.children.end() ? 0 : count->second;
  }
  return summary;
}

/// Start and end of the item; a job that ended without starting shows 0 as its start, as AWS does.
void add_times(json::object& shown, const Job& job, std::optional<int> node_index) {
  Millis started = job.started_at;
  Millis stopped = job.stopped_at;
  if (node_index) {
    const auto* run = part_of(shown_attempt(job), node_index);
    started = run != nullptr ? run->started_at : Millis{};
    stopped = run != nullptr ? run->stopped_at : job.stopped_at;
  }
  if (started.set()) {
    shown["startedAt"] = started.value;
  } else if (is_terminal(job.status) && !job.is_array_parent()) {
    shown["startedAt"] = 0;
  }
  if (stopped.set()) shown["stoppedAt"] = stopped.value;
}

void add_shape(json::object& shown, const Arns& arns, const Job& job,
               std::optional<int> node_index) {
  json::object container = container_object(job.spec);
  if (const auto* attempt = shown_attempt(job); attempt != nullptr) {
    add_runtime(container, arns, job, *attempt, node_index.value_or(0));
  }
  if (node_index) {
    shown["nodeDetails"] =
        json::object{{"nodeIndex", *node_index}, {"isMainNode", *node_index == 0}};
    shown["container"] = std::move(container);
    return;
  }
  if (job.is_multi_node()) {
    const int nodes = job.node_count();
    json::object range{{"targetNodes", fmt::format("0:{}", nodes - 1)},
                       {"container", container_object(job.spec)}};
    shown["nodeProperties"] = json::object{{"numNodes", nodes},
                                           {"mainNode", 0},
                                           {"nodeRangeProperties", json::array{std::move(range)}}};
    return;
  }
  shown["container"] = std::move(container);
  if (job.is_array_parent()) {
    shown["arrayProperties"] =
        json::object{{"size", *job.spec.array_size}, {"statusSummary", status_summary(job)}};
  } else if (job.array_index) {
    shown["arrayProperties"] =
        json::object{{"index", *job.array_index}, {"statusSummary", json::object{}}};
  }
}

}  // namespace

json::object job_object(const View& view, const Arns& arns, const Job& job,
                        std::optional<int> node_index) {
  const auto status = node_index ? status_of_node(job, *node_index) : job.status;
  json::object shown{
      {"jobArn", arns.of("job", shown_id(job, node_index))},
      {"jobName", job.spec.name},
      {"jobId", shown_id(job, node_index)},
      {"jobQueue", arns.of("job-queue", job.spec.queue.value)},
      {"jobDefinition", arns.of("job-definition", job.spec.definition)},
      {"status", to_string(status)},
      {"createdAt", job.created_at.value},
      {"attempts",
       job.is_array_parent() ? json::array{} : attempts_array(arns, job, node_index.value_or(0))},
      {"dependsOn", depends_on(job.spec)},
      {"parameters", json::object{}},
      {"platformCapabilities", json::array{"EC2"}}};
  json::object tags;
  for (const auto& [key, value] : job.spec.tags) tags[key] = value;
  shown["tags"] = std::move(tags);

  auto reason = node_index ? reason_of_node(job, *node_index) : job.status_reason;
  if (reason.empty() && job.status == JobStatus::runnable) {
    std::vector<std::string> sentences;
    for (const auto& block : view.blocks(job.id)) sentences.push_back(core::to_sentence(block));
    reason = join(sentences, "; ");
  }
  if (!reason.empty()) shown["statusReason"] = reason;

  add_times(shown, job, node_index);
  add_shape(shown, arns, job, node_index);
  if (!node_index) {
    shown["retryStrategy"] =
        json::object{{"attempts", job.spec.attempts}, {"evaluateOnExit", json::array{}}};
  }
  if (job.spec.timeout_s && !job.is_array_parent()) {
    shown["timeout"] = json::object{{"attemptDurationSeconds", *job.spec.timeout_s}};
  }
  // Ours: how ranks were started, for details.
  if (const auto* attempt = job.current(); attempt != nullptr && !attempt->launch.empty()) {
    shown["coxswain"] = json::object{{"launch", attempt->launch}};
  }
  return shown;
}

json::object job_summary(const Arns& arns, const Job& job, std::optional<int> node_index) {
  const auto status = node_index ? status_of_node(job, *node_index) : job.status;
  json::object shown{{"jobArn", arns.of("job", shown_id(job, node_index))},
                     {"jobId", shown_id(job, node_index)},
                     {"jobName", job.spec.name},
                     {"createdAt", job.created_at.value},
                     {"status", to_string(status)},
                     {"jobDefinition", arns.of("job-definition", job.spec.definition)}};
  const auto reason = node_index ? reason_of_node(job, *node_index) : job.status_reason;
  if (!reason.empty()) shown["statusReason"] = reason;
  add_times(shown, job, node_index);

  const auto* run = part_of(shown_attempt(job), node_index);
  if (run != nullptr && run->exit_code && (node_index || !job.is_multi_node())) {
    json::object container{{"exitCode", *run->exit_code}};
    if (!run->reason.empty()) container["reason"] = run->reason;
    shown["container"] = std::move(container);
  }
  if (node_index) {
    shown["nodeProperties"] =
        json::object{{"nodeIndex", *node_index}, {"isMainNode", *node_index == 0}};
  } else if (job.is_multi_node()) {
    shown["nodeProperties"] = json::object{{"numNodes", job.node_count()}};
  } else if (job.is_array_parent()) {
    shown["arrayProperties"] = json::object{{"size", *job.spec.array_size}};
  } else if (job.array_index) {
    shown["arrayProperties"] = json::object{{"index", *job.array_index}};
  }
  return shown;
}

}  // namespace cox::api
