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
const NodeRun* part_of(const Attempt* attempt, int node_index) {
  const auto index = static_cast<std::size_t>(node_index);
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
  if (run == nullptr || node_index == job.spec->main_node) return job.status_reason.get();
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

/// The definition's container with what the job has in its place.
json::object container_object(const JobSpec& spec, int node_index, const json::object& defined) {
  const auto* group = spec.group_of(node_index);
  const auto vcpus = group != nullptr ? group->vcpus : spec.vcpus;
  const auto memory = group != nullptr ? group->memory : spec.memory;
  json::array environment;
  for (const auto& variable : group != nullptr ? group->environment : spec.environment) {
    environment.push_back(json::object{{"name", variable.name}, {"value", variable.value}});
  }
  json::array requirements;
  if (!spec.cpu_and_memory_legacy) {
    requirements = {json::object{{"type", "VCPU"}, {"value", std::to_string(vcpus)}},
                    json::object{{"type", "MEMORY"}, {"value", std::to_string(memory.value)}}};
  }
  json::object container{{"command", strings(group != nullptr ? group->command : spec.command)},
                         {"environment", std::move(environment)},
                         {"volumes", json::array{}},
                         {"mountPoints", json::array{}},
                         {"ulimits", json::array{}},
                         {"networkInterfaces", json::array{}},
                         {"resourceRequirements", std::move(requirements)},
                         {"secrets", json::array{}},
                         {"vcpus", vcpus},
                         {"memory", memory.value}};
  for (const auto& [name, value] : defined) {
    const bool is_jobs = name == "command" || name == "environment" || name == "vcpus" ||
                         name == "memory" || name == "resourceRequirements";
    if (!is_jobs) container[name] = value;
  }
  return container;
}

/// The definition's container for a node of the job; of a single job, for all of it.
json::object defined_container(const json::object& definition, const Job& job, int node_index) {
  if (job.is_multi_node()) return container_of_node(definition, node_index, job.node_count());
  const auto* container = definition.if_contains("containerProperties");
  return container == nullptr ? json::object{} : container->as_object();
}

/// nodeProperties of a multi-node job's parent: a range for all nodes, or one for each group.
json::object node_properties(const json::object& definition, const Job& job) {
  json::array ranges;
  const auto add = [&](int first, int last) {
    ranges.push_back(json::object{
        {"targetNodes", fmt::format("{}:{}", first, last)},
        {"container",
         container_object(job.spec, first, defined_container(definition, job, first))}});
  };
  for (const auto& group : job.spec->groups) add(group.first, group.last);
  if (ranges.empty()) add(0, job.node_count() - 1);
  return {{"numNodes", job.node_count()},
          {"mainNode", job.spec->main_node},
          {"nodeRangeProperties", std::move(ranges)}};
}

json::object retry_object(const JobSpec& spec) {
  json::array conditions;
  for (const auto& rule : spec.exit_rules) {
    json::object condition{{"action", rule.retry ? "retry" : "exit"}};
    if (!rule.on_status_reason.empty()) condition["onStatusReason"] = rule.on_status_reason;
    if (!rule.on_reason.empty()) condition["onReason"] = rule.on_reason;
    if (!rule.on_exit_code.empty()) condition["onExitCode"] = rule.on_exit_code;
    conditions.push_back(std::move(condition));
  }
  return {{"attempts", spec.attempts}, {"evaluateOnExit", std::move(conditions)}};
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
    if (dependency.kind == DependencyKind::after_any) shown["type"] = "AFTER_ANY";
    if (dependency.kind == DependencyKind::after_not_ok) shown["type"] = "AFTER_NOT_OK";
    list.push_back(std::move(shown));
  }
  return list;
}

json::object status_summary(const Job& job) {
  json::object summary;
  for (int i = 0; i <= static_cast<int>(JobStatus::failed); ++i) {
    const auto status = static_cast<JobStatus>(i);
    const auto count = job.children->find(status);
    summary[to_string(status)] = count == job.children->end() ? 0 : count->second;
  }
  return summary;
}

/// Start and end of the item; a job that ended without starting shows 0 as its start, as AWS does.
void add_times(json::object& shown, const Job& job, std::optional<int> node_index) {
  Millis started = job.started_at;
  Millis stopped = job.stopped_at;
  if (node_index) {
    const auto* run = part_of(shown_attempt(job), *node_index);
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

void add_shape(json::object& shown, const View& view, const Arns& arns, const Job& job,
               std::optional<int> node_index) {
  const auto definition = definition_body(view, job.spec->definition.get());
  const int main_node = job.spec->main_node;
  const int index = node_index.value_or(main_node);
  auto container = container_object(job.spec, index, defined_container(definition, job, index));
  if (const auto* attempt = shown_attempt(job); attempt != nullptr) {
    add_runtime(container, arns, job, *attempt, index);
  }
  if (node_index) {
    shown["nodeDetails"] =
        json::object{{"nodeIndex", *node_index}, {"isMainNode", *node_index == main_node}};
    shown["container"] = std::move(container);
    return;
  }
  if (job.is_multi_node()) {
    shown["nodeProperties"] = node_properties(definition, job);
    return;
  }
  shown["container"] = std::move(container);
  if (job.is_array_parent()) {
    shown["arrayProperties"] =
        json::object{{"size", *job.spec->array_size}, {"statusSummary", status_summary(job)}};
  } else if (job.array_index) {
    shown["arrayProperties"] =
        json::object{{"index", *job.array_index}, {"statusSummary", json::object{}}};
  }
}

}  // namespace

json::object job_object(const View& view, const Arns& arns, const Job& job,
                        std::optional<int> node_index, std::size_t work) {
  const auto status = node_index ? status_of_node(job, *node_index) : job.status;
  json::object shown{
      {"jobArn", arns.of("job", shown_id(job, node_index))},
      {"jobName", job.spec->name},
      {"jobId", shown_id(job, node_index)},
      {"jobQueue", arns.of("job-queue", job.spec->queue.value)},
      {"jobDefinition", arns.of("job-definition", job.spec->definition.get())},
      {"status", to_string(status)},
      {"createdAt", job.created_at.value},
      {"attempts", job.is_array_parent()
                       ? json::array{}
                       : attempts_array(arns, job, node_index.value_or(job.spec->main_node))},
      {"dependsOn", depends_on(job.spec)},
      {"parameters", tags_object(job.spec->parameters)},
      {"platformCapabilities", json::array{"EC2"}}};
  shown["tags"] = tags_object(job.spec->tags);
  if (job.spec->propagate_tags) shown["propagateTags"] = *job.spec->propagate_tags;
  if (!job.spec->share.empty()) shown["shareIdentifier"] = job.spec->share.get();
  if (job.spec->priority) shown["schedulingPriority"] = *job.spec->priority;
  shown["isCancelled"] = job.kill_reason.has_value() && job.cancelled;
  shown["isTerminated"] = job.kill_reason.has_value() && !job.cancelled;

  auto reason = node_index ? reason_of_node(job, *node_index) : job.status_reason.get();
  json::object own;
  if (job.status == JobStatus::runnable || job.status == JobStatus::pending) {
    auto waiting = waiting_object(view, job, work);
    if (reason.empty()) reason = waiting_sentence(waiting);
    if (!waiting.at("reasons").as_array().empty()) own["waiting"] = std::move(waiting);
  }
  if (reason.empty() && status == JobStatus::starting) reason = view.progress(job.id);
  if (!reason.empty()) shown["statusReason"] = reason;

  add_times(shown, job, node_index);
  add_shape(shown, view, arns, job, node_index);
  if (!node_index) {
    shown["retryStrategy"] = retry_object(job.spec);
  }
  if (job.spec->timeout_s && !job.is_array_parent()) {
    shown["timeout"] = json::object{{"attemptDurationSeconds", *job.spec->timeout_s}};
  }
  // Ours: why it waits, and how ranks were started, for details.
  if (const auto* attempt = job.current(); attempt != nullptr && !attempt->launch.empty()) {
    own["launch"] = attempt->launch;
  }
  if (!own.empty()) shown["coxswain"] = std::move(own);
  return shown;
}

json::object job_summary(const Arns& arns, const Job& job, std::optional<int> node_index) {
  const auto status = node_index ? status_of_node(job, *node_index) : job.status;
  json::object shown{{"jobArn", arns.of("job", shown_id(job, node_index))},
                     {"jobId", shown_id(job, node_index)},
                     {"jobName", job.spec->name},
                     {"createdAt", job.created_at.value},
                     {"status", to_string(status)},
                     {"jobDefinition", arns.of("job-definition", job.spec->definition.get())}};
  const auto reason = node_index ? reason_of_node(job, *node_index) : job.status_reason.get();
  if (!reason.empty()) shown["statusReason"] = reason;
  add_times(shown, job, node_index);

  const auto* run = part_of(shown_attempt(job), node_index.value_or(job.spec->main_node));
  if (run != nullptr && run->exit_code && (node_index || !job.is_multi_node())) {
    json::object container{{"exitCode", *run->exit_code}};
    if (!run->reason.empty()) container["reason"] = run->reason;
    shown["container"] = std::move(container);
  }
  if (node_index) {
    shown["nodeProperties"] = json::object{{"nodeIndex", *node_index},
                                           {"isMainNode", *node_index == job.spec->main_node}};
  } else if (job.is_multi_node()) {
    shown["nodeProperties"] = json::object{{"numNodes", job.node_count()}};
  } else if (job.is_array_parent()) {
    shown["arrayProperties"] = json::object{{"size", *job.spec->array_size}};
  } else if (job.array_index) {
    shown["arrayProperties"] = json::object{{"index", *job.array_index}};
  }
  return shown;
}

}  // namespace cox::api
