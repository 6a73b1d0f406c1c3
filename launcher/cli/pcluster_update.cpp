#include "launcher/cli/pcluster_update.hpp"

#include <poll.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <chrono>
#include <map>
#include <ostream>

#include "launcher/cli/connection.hpp"
#include "launcher/cli/pcluster_answers.hpp"
#include "launcher/cli/pcluster_checked.hpp"
#include "launcher/cli/pcluster_interrupt.hpp"
#include "launcher/cli/pcluster_json.hpp"
#include "launcher/cli/pcluster_verbs.hpp"
#include "launcher/cluster/lifecycle.hpp"
#include "runtime/os/files.hpp"

namespace cox::cli {

namespace json = boost::json;

namespace {

constexpr std::size_t kFileBytesMax = 1u << 20;
// Nodes of new compute environments come later; what is waited for is quick, but for a crash.
constexpr auto kUpdateTime = std::chrono::minutes(3);
constexpr int kPauseMs = 20;

/// What runs of each compute resource of the cluster's present file.
Result<std::vector<config::RunningCapacity>> running_capacity(const cluster::Record& record) {
  auto connection = Connection::open(record.name);
  const auto nodes = connection ? connection->get("nodes") : fail(connection.error());
  if (!nodes) return fail(nodes.error());
  const auto* list = nodes->if_array();
  if (list == nullptr) return fail(Errc::internal, "the cluster's answer holds no nodes");
  std::map<std::string, config::RunningCapacity> by_environment;
  for (const auto& value : *list) {
    const auto* node = value.if_object();
    if (node == nullptr || text_of(*node, "status") == "terminating") continue;
    auto& capacity = by_environment[text_of(*node, "computeEnvironment")];
    capacity.vcpus += static_cast<int>(int_of(*node, "registeredCPUs"));
    ++capacity.nodes;
  }
  std::vector<config::RunningCapacity> running;
  const auto config = stored_config(record);
  if (!config) return fail(Errc::unavailable, "the cluster's own file cannot be read");
  for (std::size_t q = 0; q < config->queues.size(); ++q) {
    const auto& queue = config->queues[q];
    for (std::size_t r = 0; r < queue.compute_resources.size(); ++r) {
      auto capacity = by_environment[config::environment_name(*config, record.name, q, r)];
      capacity.queue = queue.name;
      capacity.resource = queue.compute_resources[r].name;
      running.push_back(std::move(capacity));
    }
  }
  return running;
}

json::object change_object(const config::Change& change) {
  return {{"parameter", change.parameter},
          {"requestedValue", change.requested},
          {"currentValue", change.current}};
}

json::array change_set(const UpdatePlan& plan) {
  json::array set;
  for (const auto& change : plan.shown()) set.push_back(change_object(change));
  return set;
}

int refuse_update(const UpdatePlan& plan, Streams streams) {
  json::array errors;
  for (const auto& refusal : plan.refusals) {
    auto entry = change_object(refusal.change);
    entry["message"] = refusal.message;
    errors.push_back(std::move(entry));
  }
  return say(streams,
             {{"message", "Update failure"},
              {"updateValidationErrors", std::move(errors)},
              {"changeSet", change_set(plan)}},
             kFailed);
}

/// The answer to an update that is under way, or with --wait to one that has ended.
int answer_update(const Words& words, const UpdatePlan& plan, json::array messages,
                  const cluster::Record& record, Streams streams) {
  const auto finish = [&](json::object answer, int status) {
    answer["changeSet"] = change_set(plan);
    if (!messages.empty()) answer["validationMessages"] = std::move(messages);
    return say(streams, answer, status);
  };
  if (words.has("--wait")) {
    const auto ended = await_update(record.name);
    if (!ended) return refuse(streams, ended.error().message);
    const bool complete = ended->status == "UPDATE_COMPLETE";
    auto answer = describe(*ended);
    if (!complete) answer["message"] = "the update was taken back: " + ended->status_reason;
    return finish(std::move(answer), complete ? kDone : kFailed);
  }
  auto shown = record;
  shown.status = "UPDATE_IN_PROGRESS";
  return finish({{"cluster", cluster_summary(shown)}}, kDone);
}

int update_cluster(const Words& words, Streams streams) {
  leave_on_interrupt(kFailed);
  auto fault = fault_of(words);
  if (fault.empty()) fault = fault_of_suppression(words.all("--suppress-validators"));
  if (!fault.empty()) return bad_request(streams, fault);
  const auto record = find_record(words);
  if (!record) return refuse(streams, no_such_cluster(words.get("--cluster-name")));
  if (const auto obstacle = obstacle_to_update(*record); !obstacle.empty()) {
    return refuse(streams, obstacle);
  }
  auto checked = check_file(words, "update-cluster", streams);
  if (!checked) return kFailed;
  auto plan = plan_update(*record, checked->file, {});
  if (!plan && plan.error().code == Errc::invalid_argument) {
    return bad_request(streams, plan.error().message);
  }
  if (!plan) return refuse(streams, plan.error().message);
  if (plan->changes.empty()) {
    return bad_request(streams, "No changes found in your cluster configuration.");
  }
  const bool forced = *boolean(words.get("--force-update", "false"));
  if (!plan->refusals.empty() && !forced) return refuse_update(*plan, streams);
  if (*boolean(words.get("--dryrun", "false"))) {
    json::object answer{{"message", "Request would have succeeded, but DryRun flag is set."},
                        {"changeSet", change_set(*plan)}};
    if (!checked->messages.empty()) answer["validationMessages"] = std::move(checked->messages);
    return say(streams, answer, kFailed);
  }
  if (const auto begun = begin_update(*record, checked->file, {}); !begun) {
    return say(streams, {{"message", begun.error().message}, {"changeSet", change_set(*plan)}},
               kFailed);
  }
  return answer_update(words, *plan, std::move(checked->messages), *record, streams);
}

}  // namespace

std::vector<config::Change> UpdatePlan::shown() const {
  std::vector<config::Change> list;
  std::copy_if(changes.begin(), changes.end(), std::back_inserter(list),
               [](const auto& change) { return change.policy != config::UpdatePolicy::ignored; });
  return list;
}

std::string obstacle_to_update(const cluster::Record& record) {
  if (cluster::is_made(record.status) && !record.status.ends_with("_IN_PROGRESS")) return {};
  return fmt::format("cluster {} cannot be updated while it is in {}", record.name, record.status);
}

Result<UpdatePlan> plan_update(const cluster::Record& record, const ClusterFile& file,
                               const std::string& cluster_template) {
  if (record.v2 != file.is_ini) {
    return fail(Errc::invalid_argument, "cluster {} was made from a file of version {}: {} is none",
                record.name, record.v2 ? "2 (INI)" : "3 (YAML)", file.path);
  }
  const auto current = os::read_file(cluster::directory_of(record.name) + "/config", kFileBytesMax);
  if (!current) return fail(within("the cluster's own file", current.error()));
  UpdatePlan plan;
  plan.changes = record.v2 ? config::compare_ini(*current, record.cluster_template, file.text,
                                                 cluster_template)
                           : config::compare_yaml(*current, file.text);
  if (plan.changes.empty()) return plan;
  const auto running = running_capacity(record);
  if (!running) return fail(running.error());
  plan.refusals = config::refusals(plan.changes, *running);
  return plan;
}

Result<void> begin_update(const cluster::Record& record, const ClusterFile& file,
                          const std::string& cluster_template) {
  auto connection = Connection::open(record.name);
  if (!connection) return fail(connection.error());
  const auto answer =
      connection->post("update", json::object{{"text", file.text},
                                              {"file", file.path.substr(file.path.rfind('/') + 1)},
                                              {"template", cluster_template}});
  if (answer) return {};
  // The daemon may have died on its answer, with the update begun for good or carried out already.
  const auto now = cluster::current_record(record.name);
  const bool begun = now && (now->status == "UPDATE_IN_PROGRESS" ||
                             os::read_file(cluster::directory_of(record.name) + "/config",
                                           kFileBytesMax) == Result<std::string>(file.text));
  if (begun) return {};
  return fail(answer.error());
}

Result<cluster::Record> await_update(const std::string& name) {
  const auto end = std::chrono::steady_clock::now() + kUpdateTime;
  while (true) {
    auto record = cluster::settle(name);
    if (!record || record->status != "UPDATE_IN_PROGRESS") return record;
    if (std::chrono::steady_clock::now() > end) {
      return fail(Errc::unavailable, "the update of cluster {} has not ended after 3 minutes",
                  name);
    }
    ::poll(nullptr, 0, kPauseMs);
  }
}

std::string render_changes(const UpdatePlan& plan) {
  std::vector<std::array<std::string, 4>> rows{{"#", "parameter", "old value", "new value"}};
  for (const auto& change : plan.shown()) {
    rows.push_back(
        {std::to_string(rows.size()), change.parameter, change.current, change.requested});
  }
  std::array<std::size_t, 4> widths{};
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows) {
    text += fmt::format("{:{}}  {:{}}  {:{}}  {}\n", row[0], widths[0], row[1], widths[1], row[2],
                        widths[2], row[3]);
  }
  return text;
}

VerbEntry update_cluster_verb() {
  using Takes = VerbOption::Takes;
  auto options = checked_file_options();
  options.push_back(
      {"--dryrun", {}, Takes::one, false, "true: show what would change, change nothing"});
  options.push_back({"--force-update",
                     {},
                     Takes::one,
                     false,
                     "true: pass over the rules of what may change; what is impossible stays so"});
  options.push_back({"--wait", {}, Takes::nothing, false, "return when the update has ended"});
  return {make_verb("update-cluster", "Changes a cluster to what a file says.", std::move(options),
                    "  pcluster update-cluster -n laptop -c laptop.yaml --dryrun true\n"
                    "  pcluster update-cluster -n laptop -c laptop.yaml --wait\n"),
          update_cluster};
}

}  // namespace cox::cli
