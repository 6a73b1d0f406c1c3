#include <algorithm>
#include <boost/json.hpp>
#include <map>
#include <ostream>

#include "launcher/cli/connection.hpp"
#include "launcher/cli/output.hpp"
#include "launcher/cli/pcluster_answers.hpp"
#include "launcher/cli/pcluster_checked.hpp"
#include "launcher/cli/pcluster_file.hpp"
#include "launcher/cli/pcluster_interrupt.hpp"
#include "launcher/cli/pcluster_json.hpp"
#include "launcher/cli/pcluster_nodes.hpp"
#include "launcher/cli/pcluster_verbs.hpp"
#include "launcher/cli/pcluster_watch.hpp"
#include "launcher/cluster/lifecycle.hpp"
#include "runtime/base/text.hpp"
#include "runtime/os/event_loop.hpp"

/// ParallelCluster version 3's verbs: JSON on stdout, whether they succeed or not.
namespace cox::cli {

namespace json = boost::json;

namespace {

using Takes = VerbOption::Takes;

}  // namespace

json::object describe(const cluster::Record& record) {
  json::value api;
  if (cluster::is_made(record.status) || record.status == "CREATE_IN_PROGRESS") {
    auto connection = Connection::open(record.name);
    auto answer = connection ? connection->get("cluster") : fail(connection.error());
    if (answer) api = std::move(*answer);
  }
  const auto config = stored_config(record);
  auto shown = cluster_description(record, api, config ? &*config : nullptr);
  if (api.is_object() && cluster::is_made(record.status)) {
    auto connection = Connection::open(record.name);
    auto scaling = connection ? connection->get("scaling") : fail(connection.error());
    if (scaling) shown["coxswain"] = json::object{{"scaling", std::move(*scaling)}};
  }
  return shown;
}

namespace {

/// Waits for the end of a creation, shows the cluster, and takes back what could not be made.
int await_creation(const std::string& name, bool rollback, json::array messages, Streams streams) {
  const auto creation = follow_creation(name, [](const ResourceEvent&) {});
  auto record = cluster::load_record(cluster::directory_of(name));
  if (!creation || !record) {
    return refuse(streams, creation ? record.error().message : creation.error().message);
  }
  record->status = creation->complete ? "CREATE_COMPLETE" : "CREATE_FAILED";
  if (!creation->failures.empty()) record->status_reason = creation->failures.back().reason;
  auto shown = describe(*record);
  if (!messages.empty()) shown["validationMessages"] = std::move(messages);
  if (creation->complete) return say(streams, shown);
  if (rollback) {
    const UninterruptedScope whole;
    if (auto removed = cluster::remove(name, [](const std::string&) {}); !removed) {
      streams.err << "pcluster: " << removed.error().message << '\n';
    }
  }
  return say(streams, shown, kFailed);
}

int create_cluster(const Words& words, Streams streams) {
  leave_on_interrupt(kFailed);
  auto fault = fault_of(words);
  if (fault.empty()) fault = fault_of_suppression(words.all("--suppress-validators"));
  if (!fault.empty()) return bad_request(streams, fault);
  const auto name = words.get("--cluster-name");
  auto checked = check_file(words, "create-cluster", streams);
  if (!checked) return kFailed;
  if (const auto known = find_record(words); known && known->status != "CREATE_FAILED") {
    return bad_request(streams, fmt::format("cluster {} already exists", name));
  }
  if (*boolean(words.get("--dryrun", "false"))) {
    json::object answer{{"message", "Request would have succeeded, but DryRun flag is set."}};
    if (!checked->messages.empty()) answer["validationMessages"] = std::move(checked->messages);
    return say(streams, answer, kFailed);
  }
  auto made = [&] {
    const UninterruptedScope whole;
    return cluster::create({.name = name,
                            .config_file = checked->file.path,
                            .config_text = checked->file.text,
                            .cluster_template = {},
                            .config = *checked->file.loaded.config});
  }();
  if (!made) {
    return made.error().code == Errc::conflict ? bad_request(streams, made.error().message)
                                               : refuse(streams, made.error().message);
  }
  if (words.has("--wait")) {
    const bool rollback = *boolean(words.get("--rollback-on-failure", "true"));
    return await_creation(name, rollback, std::move(checked->messages), streams);
  }
  made->status = "CREATE_IN_PROGRESS";
  json::object answer{{"cluster", cluster_summary(*made)}};
  if (!checked->messages.empty()) answer["validationMessages"] = std::move(checked->messages);
  return say(streams, answer);
}

int describe_cluster(const Words& words, Streams streams) {
  if (const auto fault = fault_of(words); !fault.empty()) return bad_request(streams, fault);
  const auto record = find_record(words);
  if (!record) return refuse(streams, no_such_cluster(words.get("--cluster-name")));
  return say(streams, describe(*record));
}

/// All fits into one answer, so no token was ever given out.
std::string fault_of_token(const Words& words) {
  const auto token = words.get("--next-token");
  return token.empty() ? "" : fmt::format("the next token {} is not valid", token);
}

int list_clusters(const Words& words, Streams streams) {
  auto fault = fault_of(words);
  if (fault.empty()) fault = fault_of_token(words);
  if (!fault.empty()) return bad_request(streams, fault);
  const auto wanted = words.all("--cluster-status");
  json::array list;
  for (const auto& known : cluster::list_records()) {
    const auto record = cluster::current_record(known.name).value_or(known);
    const bool shown =
        wanted.empty() || std::find(wanted.begin(), wanted.end(),
                                    cluster::cluster_status(record.status)) != wanted.end();
    const bool in_region = !words.has("--region") || words.get("--region") == record.region;
    if (shown && in_region) list.push_back(cluster_summary(record));
  }
  return say(streams, {{"clusters", std::move(list)}});
}

int delete_cluster(const Words& words, Streams streams) {
  leave_on_interrupt(kFailed);
  if (const auto fault = fault_of(words); !fault.empty()) return bad_request(streams, fault);
  const auto name = words.get("--cluster-name");
  auto record = find_record(words);
  if (!record && !cluster::exists(name)) return refuse(streams, no_such_cluster(name));
  const auto say_what_is_left = [&](const std::string& said) {
    const bool tells = said.starts_with("host ") || said.starts_with("what was in ");
    if (tells) streams.err << "pcluster: " << said << '\n';
  };
  if (auto removed = cluster::remove(name, say_what_is_left); !removed) {
    return refuse(streams, removed.error().message);
  }
  if (words.has("--wait")) {
    return say(streams, {{"message", fmt::format("Cluster '{}' has been deleted.", name)}});
  }
  auto gone = record.value_or(cluster::Record{});
  gone.name = name;
  gone.status = "DELETE_IN_PROGRESS";
  return say(streams, {{"cluster", cluster_summary(gone)}});
}

/// The queue of each compute environment of a Slurm file; nodes of awsbatch have none.
std::map<std::string, std::string> slurm_queues(const cluster::Record& record) {
  std::map<std::string, std::string> queues;
  const auto config = record.scheduler == "slurm" ? stored_config(record) : std::nullopt;
  if (!config) return queues;
  for (std::size_t q = 0; q < config->queues.size(); ++q) {
    const auto& queue = config->queues[q];
    for (std::size_t r = 0; r < queue.compute_resources.size(); ++r) {
      queues[config::environment_name(*config, record.name, q, r)] = queue.name;
    }
  }
  return queues;
}

int describe_instances(const Words& words, Streams streams) {
  auto fault = fault_of(words);
  if (fault.empty()) fault = fault_of_token(words);
  if (!fault.empty()) return bad_request(streams, fault);
  const auto record = find_record(words);
  if (!record) return refuse(streams, no_such_cluster(words.get("--cluster-name")));
  const auto nodes = list_nodes(record->name);
  if (!nodes) return refuse(streams, nodes.error().message);
  const auto queues = slurm_queues(*record);
  json::array list;
  for (const auto& node : *nodes) {
    if (words.has("--node-type") && words.get("--node-type") != node.type) continue;
    const auto queue = queues.find(node.environment);
    const auto name = queue != queues.end() ? queue->second : std::string();
    if (words.has("--queue-name") && (name.empty() || words.get("--queue-name") != name)) continue;
    json::object shown{{"launchTime", render_utc(node.launched_at_ms)}, {"instanceId", node.id}};
    if (!node.address.empty()) shown["privateIpAddress"] = node.address;
    shown["instanceType"] = node.instance_type;
    shown["nodeType"] = node.type;
    shown["state"] = node.state;
    if (!name.empty()) shown["queueName"] = name;
    list.push_back(std::move(shown));
  }
  return say(streams, {{"instances", std::move(list)}});
}

int describe_fleet(const Words& words, Streams streams) {
  if (const auto fault = fault_of(words); !fault.empty()) return bad_request(streams, fault);
  const auto record = find_record(words);
  if (!record) return refuse(streams, no_such_cluster(words.get("--cluster-name")));
  auto connection = Connection::open(record->name);
  const auto answer = connection ? connection->get("cluster") : fail(connection.error());
  const bool ready = answer && cluster::is_made(record->status);
  return say(streams,
             {{"status", ready ? fleet_status(*record, text_of(answer->as_object(), "fleet"))
                               : std::string("UNKNOWN")}});
}

int update_fleet(const Words& words, Streams streams) {
  if (const auto fault = fault_of(words); !fault.empty()) return bad_request(streams, fault);
  const auto record = find_record(words);
  if (!record) return refuse(streams, no_such_cluster(words.get("--cluster-name")));
  const auto status = words.get("--status");
  const auto wanted = wanted_fleet(*record, status);
  if (!wanted) return bad_request(streams, wanted.error().message);
  auto connection = Connection::open(record->name);
  const auto answer = connection ? connection->post("fleet", json::object{{"status", *wanted}})
                                 : fail(connection.error());
  if (!answer) return refuse(streams, answer.error().message);
  return say(streams, {{"status", status},
                       {"lastStatusUpdatedTime", render_utc(os::SystemClock().now().value)}});
}

int version(const Words&, Streams streams) {
  return say(streams, {{"version", cluster::kVersion}});
}

VerbOption status_option() {
  return {"--status",
          {},
          Takes::one,
          true,
          "ENABLED or DISABLED; of a Slurm file START_REQUESTED or STOP_REQUESTED",
          {"START_REQUESTED", "STOP_REQUESTED", "ENABLED", "DISABLED"}};
}

VerbOption node_type_option() {
  return {"--node-type",
          {},
          Takes::one,
          false,
          "HeadNode or ComputeNode",
          {"HeadNode", "ComputeNode", "LoginNode"}};
}

std::vector<VerbOption> create_options() {
  auto options = checked_file_options();
  const std::vector<VerbOption> more{
      {"--dryrun", {}, Takes::one, false, "true: check only"},
      {"--rollback-on-failure",
       {},
       Takes::one,
       false,
       "false: with --wait, keep what was made when creation fails"},
      {"--wait", {}, Takes::nothing, false, "return when the cluster is ready"}};
  options.insert(options.end(), more.begin(), more.end());
  return options;
}

}  // namespace

const std::vector<VerbEntry>& version3_verbs() {
  static const std::vector<VerbEntry> verbs{
      {make_verb("list-clusters", "Lists the clusters of this host.",
                 {{"--cluster-status",
                   {},
                   Takes::many,
                   false,
                   "statuses to list",
                   {"CREATE_IN_PROGRESS", "CREATE_FAILED", "CREATE_COMPLETE", "DELETE_IN_PROGRESS",
                    "DELETE_FAILED", "DELETE_COMPLETE", "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE",
                    "UPDATE_FAILED"}},
                  {"--next-token", {}, Takes::one, false}},
                 "  pcluster list-clusters --cluster-status CREATE_COMPLETE\n"),
       list_clusters},
      {make_verb("create-cluster", "Makes a cluster.", create_options(),
                 "  pcluster create-cluster -n laptop -c configs/laptop.yaml --wait\n"
                 "  pcluster create-cluster -n laptop -c configs/laptop.yaml --dryrun true\n"),
       create_cluster},
      {make_verb("delete-cluster", "Ends a cluster and removes all that it had.",
                 {name_option(), {"--wait", {}, Takes::nothing, false, "say when it is gone"}},
                 "  pcluster delete-cluster -n laptop --wait\n"),
       delete_cluster},
      {make_verb("describe-cluster", "Shows a cluster.", {name_option()},
                 "  pcluster describe-cluster -n laptop\n"),
       describe_cluster},
      update_cluster_verb(),
      {make_verb("describe-compute-fleet", "Shows whether the compute environment is enabled.",
                 {name_option()}, "  pcluster describe-compute-fleet -n laptop\n"),
       describe_fleet},
      {make_verb("update-compute-fleet", "Enables or disables the compute environment.",
                 {name_option(), status_option()},
                 "  pcluster update-compute-fleet -n laptop --status DISABLED\n"),
       update_fleet},
      {make_verb("describe-cluster-instances", "Lists a cluster's nodes.",
                 {name_option(),
                  node_type_option(),
                  {"--queue-name", {}, Takes::one, false},
                  {"--next-token", {}, Takes::one, false}},
                 "  pcluster describe-cluster-instances -n laptop --node-type ComputeNode\n"),
       describe_instances},
      log_streams_verb(),
      log_events_verb(),
      stack_events_verb(),
      configure_verb(),
      export_logs_verb(),
      {make_verb("version", "Shows the version.", {}, "  pcluster version\n"), version}};
  return verbs;
}

}  // namespace cox::cli
