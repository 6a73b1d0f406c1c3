#include <algorithm>
#include <boost/json.hpp>
#include <set>

#include "runtime/api/shape_rules.hpp"
#include "runtime/api/shapes.hpp"
#include "runtime/base/text.hpp"

/// Job queues. Limits: API reference, CreateJobQueue.
namespace cox::api {

namespace json = boost::json;

namespace {

constexpr std::size_t kQueuesMax = 50;
constexpr std::int64_t kPriorityMax = std::numeric_limits<std::int32_t>::max();

const Shape& order_shape() {
  static const Shape shape{required(integer("order", 0, kPriorityMax)),
                           required(text("computeEnvironment"))};
  return shape;
}

const Shape& limit_action_shape() {
  static const Shape shape{required(text("reason")), required(word("state", {"RUNNABLE"})),
                           required(integer("maxTimeSeconds", 600, 86'400)),
                           required(word("action", {"CANCEL", "TERMINATE"}))};
  return shape;
}

const JobQueue* find_queue(const View& view, std::string_view name) {
  for (const auto& queue : view.cluster().queues) {
    if (queue.name.value == name) return &queue;
  }
  return nullptr;
}

/// The queue's name, as an operation was given it.
std::string queue_in(const View& view, const Request& request, const json::object& body) {
  return short_name(arns_for(view, request), text_in(body, "jobQueue"), kQueueKind);
}

Answer no_such_queue(std::string_view name) {
  return client_exception(fmt::format("JobQueue {} not found.", name));
}

/// computeEnvironmentOrder, in ascending order of the numbers.
void read_order(const View& view, const Arns& here, const json::object& body, JobQueue& queue,
                std::optional<Error>& complaint) {
  const auto* given = body.if_contains("computeEnvironmentOrder");
  if (given == nullptr) return;
  std::map<std::int64_t, ComputeEnvironmentName> order;
  std::set<std::string> seen;
  for (const auto& value : given->as_array()) {
    const auto& entry = value.as_object();
    const auto name = short_name(here, text_in(entry, "computeEnvironment"), kEnvironmentKind);
    const auto& environments = view.cluster().environments;
    const bool known = std::any_of(environments.begin(), environments.end(),
                                   [&](const auto& each) { return each.name.value == name; });
    if (!known) complain(complaint, fmt::format("ComputeEnvironment {} does not exist", name));
    if (!seen.insert(name).second) {
      complain(complaint, fmt::format("ComputeEnvironment {} is given twice", name));
    }
    if (!order.emplace(integer_in(entry, "order", 0), ComputeEnvironmentName{name}).second) {
      complain(complaint, "computeEnvironmentOrder: two have the same order");
    }
  }
  queue.environments.clear();
  queue.orders.clear();
  for (const auto& [number, name] : order) {
    queue.environments.push_back(name);
    queue.orders.push_back(static_cast<int>(number));
  }
}

void read_policy(const View& view, const Arns& here, const json::object& body, JobQueue& queue,
                 std::optional<Error>& complaint) {
  const auto arn = text_in(body, "schedulingPolicyArn");
  if (!body.contains("schedulingPolicyArn")) return;
  const auto* policy = find_policy(view, here, arn);
  if (policy == nullptr) {
    return complain(complaint, arn.empty()
                                   ? "A scheduling policy can be replaced, not removed"
                                   : fmt::format("Scheduling policy {} does not exist", arn));
  }
  queue.policy = policy->name;
}

void read_queue(const View& view, const Arns& here, const json::object& body, JobQueue& queue,
                std::optional<Error>& complaint) {
  if (const auto state = text_in(body, "state"); !state.empty()) queue.enabled = state == "ENABLED";
  queue.priority = static_cast<int>(integer_in(body, "priority", queue.priority));
  read_order(view, here, body, queue, complaint);
  read_policy(view, here, body, queue, complaint);
  if (const auto* actions = body.if_contains("jobStateTimeLimitActions")) {
    queue.limit_actions.clear();
    for (const auto& value : actions->as_array()) {
      const auto& action = value.as_object();
      queue.limit_actions.push_back({text_in(action, "reason"),
                                     static_cast<int>(integer_in(action, "maxTimeSeconds", 0)),
                                     text_in(action, "action") == "TERMINATE"});
    }
  }
}

Outcome changed(const View& view, const Request& request, JobQueue queue) {
  ChangeCatalog change;
  change.answer =
      json_answer({{"jobQueueName", queue.name.value},
                   {"jobQueueArn", arns_for(view, request).of(kQueueKind, queue.name.value)}});
  change.put.emplace_back(std::move(queue));
  return change;
}

json::object described(const View& view, const Arns& arns, const JobQueue& queue) {
  json::array order;
  std::vector<std::string> notes;
  for (const auto& environment : queue.environments) {
    const auto index = order.size();
    order.push_back(json::object{
        {"order", queue.orders.size() == queue.environments.size() ? queue.orders[index]
                                                                   : static_cast<int>(index) + 1},
        {"computeEnvironment", arns.of(kEnvironmentKind, environment.value)}});
    const auto note = view.environment_note(environment);
    if (!note.empty()) notes.push_back(fmt::format("{}: {}", environment, note));
  }
  json::object shown{{"jobQueueName", queue.name.value},
                     {"jobQueueArn", arns.of(kQueueKind, queue.name.value)},
                     {"state", queue.enabled ? "ENABLED" : "DISABLED"},
                     {"status", "VALID"},
                     {"statusReason", notes.empty() ? "JobQueue Healthy" : join(notes, "; ")},
                     {"priority", queue.priority},
                     {"computeEnvironmentOrder", std::move(order)},
                     {"tags", tags_object(queue.tags)}};
  if (!queue.policy.empty()) shown["schedulingPolicyArn"] = arns.of(kPolicyKind, queue.policy);
  json::array actions;
  for (const auto& action : queue.limit_actions) {
    actions.push_back(json::object{{"reason", action.reason},
                                   {"state", "RUNNABLE"},
                                   {"maxTimeSeconds", action.max_seconds},
                                   {"action", action.terminate ? "TERMINATE" : "CANCEL"}});
  }
  if (!actions.empty()) shown["jobStateTimeLimitActions"] = std::move(actions);
  return shown;
}

}  // namespace

void check_running_limit(const std::map<std::string, std::string>& tags,
                         std::optional<Error>& complaint) {
  const auto tag = tags.find(kRunningLimitTag);
  if (tag == tags.end() || running_limit_in(tag->second)) return;
  complain(complaint, fmt::format("Tag {} must be a whole number from 1, not {}", kRunningLimitTag,
                                  tag->second));
}

std::vector<JobId> unfinished_jobs(const View& view, const QueueName& queue) {
  std::vector<JobId> list;
  for (int i = 0; i <= static_cast<int>(JobStatus::running); ++i) {
    for (const auto* job : view.jobs(queue, static_cast<JobStatus>(i))) list.push_back(job->id);
  }
  return list;
}

Outcome create_job_queue(const View& view, const Request& request, const json::object& asked) {
  static const Shape shape{required(text("jobQueueName")),
                           word("state", {"ENABLED", "DISABLED"}),
                           text("schedulingPolicyArn"),
                           required(integer("priority", 0, kPriorityMax)),
                           required(objects("computeEnvironmentOrder", order_shape(), 1, 3)),
                           objects("jobStateTimeLimitActions", limit_action_shape()),
                           text_map("tags")};
  std::optional<Error> complaint;
  const auto body = checked(asked, shape, "", complaint);
  if (complaint) return render_error(*complaint);
  if (auto refused = refuse_stranger(request)) return *refused;
  JobQueue queue;
  queue.name = QueueName{text_in(body, "jobQueueName")};
  queue.from_file = false;
  queue.tags = map_in(body, "tags");
  if (!is_name(queue.name.value)) return refuse_name(queue.name.value);
  check_tags(queue.tags, complaint);
  check_running_limit(queue.tags, complaint);
  read_queue(view, arns_for(view, request), body, queue, complaint);
  if (find_queue(view, queue.name.value) != nullptr) complain(complaint, "Object already exists");
  if (view.cluster().queues.size() >= kQueuesMax) {
    complain(complaint, fmt::format("An account can't have more than {} job queues", kQueuesMax));
  }
  if (complaint) return render_error(*complaint);
  queue.arn = Arns{view.cluster().region, view.cluster().account}.of(kQueueKind, queue.name.value);
  return changed(view, request, std::move(queue));
}

Outcome update_job_queue(const View& view, const Request& request, const json::object& asked) {
  static const Shape shape{required(text("jobQueue")),
                           word("state", {"ENABLED", "DISABLED"}),
                           text("schedulingPolicyArn"),
                           integer("priority", 0, kPriorityMax),
                           objects("computeEnvironmentOrder", order_shape(), 1, 3),
                           objects("jobStateTimeLimitActions", limit_action_shape())};
  std::optional<Error> complaint;
  const auto body = checked(asked, shape, "", complaint);
  if (complaint) return render_error(*complaint);
  if (auto refused = refuse_stranger(request)) return *refused;
  const auto* found = find_queue(view, queue_in(view, request, body));
  if (found == nullptr) return no_such_queue(queue_in(view, request, body));
  auto queue = *found;
  read_queue(view, arns_for(view, request), body, queue, complaint);
  if (found->policy.empty() && !queue.policy.empty()) {
    complain(complaint, "A scheduling policy can only be given when the job queue is made");
  }
  if (complaint) return render_error(*complaint);
  return changed(view, request, std::move(queue));
}

Outcome delete_job_queue(const View& view, const Request& request, const json::object& asked) {
  static const Shape shape{required(text("jobQueue"))};
  std::optional<Error> complaint;
  const auto body = checked(asked, shape, "", complaint);
  if (complaint) return render_error(*complaint);
  if (auto refused = refuse_stranger(request)) return *refused;
  const auto* queue = find_queue(view, queue_in(view, request, body));
  // As AWS: what is not there is gone.
  if (queue == nullptr) return json_answer({});
  if (queue->enabled) {
    return client_exception(
        fmt::format("Cannot delete, JobQueue {} must be DISABLED first", queue->name));
  }
  if (queue->from_file) {
    return client_exception(
        fmt::format("Cannot delete, JobQueue {} is of the cluster's own file", queue->name));
  }
  ChangeCatalog change;
  change.gone.push_back(key_of(*queue));
  change.killed = unfinished_jobs(view, queue->name);
  change.kill_reason = "Job queue was deleted";
  change.answer = json_answer({});
  return change;
}

Answer describe_job_queues(const View& view, const Arns& arns, const json::object& object) {
  static const Shape shape{texts("jobQueues", 0, 100), integer("maxResults", 1, 100),
                           text("nextToken")};
  std::optional<Error> complaint;
  const auto body = checked(object, shape, "", complaint);
  Pager pager(read_page(body, complaint));
  if (complaint) return render_error(*complaint);
  const auto asked = texts_in(body, "jobQueues");
  for (const auto& queue : view.cluster().queues) {
    if (!is_asked_for(arns, asked, kQueueKind, queue.name.value)) continue;
    pager.add(queue.name.value, [&] { return described(view, arns, queue); });
  }
  return pager.answer("jobQueues");
}

/// The first RUNNABLE jobs of a queue, in the order in which they will be placed.
Answer job_queue_snapshot(const View& view, const Request& request, const json::object& asked) {
  static const Shape shape{required(text("jobQueue"))};
  constexpr std::size_t kShown = 100;
  std::optional<Error> complaint;
  const auto body = checked(asked, shape, "", complaint);
  if (complaint) return render_error(*complaint);
  const auto* queue = find_queue(view, queue_in(view, request, body));
  if (queue == nullptr) return no_such_queue(queue_in(view, request, body));
  const auto arns = arns_for(view, request);
  json::array jobs;
  for (const auto* job : view.front_of_queue(queue->name, kShown, request.now)) {
    jobs.push_back(json::object{{"jobArn", arns.of("job", job->id.value)},
                                {"earliestTimeAtPosition", job->created_at.value}});
  }
  return json_answer({{"frontOfQueue", json::object{{"jobs", std::move(jobs)},
                                                    {"lastUpdatedAt", request.now.value}}}});
}

}  // namespace cox::api
