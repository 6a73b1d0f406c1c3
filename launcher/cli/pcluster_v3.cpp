#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/json.hpp>
#include <cstdlib>
#include <ostream>

#include "launcher/cli/connection.hpp"
#include "launcher/cli/exit_codes.hpp"
#include "launcher/cli/output.hpp"
#include "launcher/cli/pcluster.hpp"
#include "runtime/base/text.hpp"

/// The verbs of ParallelCluster 3: JSON on stdout, and exit status 1 with a "message" where it says
/// no.
namespace cox::cli {

namespace json = boost::json;

namespace {

struct V3Options {
  std::string name;
  std::string config;
  std::string region;
  std::string query;
  std::string status;
  std::string dryrun = "false";
  std::string rollback = "true";
  std::string failure_level = "ERROR";
  std::string node_type;
  std::string ignored;
  std::vector<std::string> suppressed;
  std::vector<std::string> statuses;
  bool wait = false;
  bool debug = false;
};

/// JSON with an indent of two blanks, as the original prints.
void pretty(const json::value& value, const std::string& indent, std::string& text) {
  const auto deeper = indent + "  ";
  if (const auto* object = value.if_object(); object != nullptr && !object->empty()) {
    text += "{\n";
    for (const auto& [key, member] : *object) {
      text += deeper + json::serialize(json::string(key)) + ": ";
      pretty(member, deeper, text);
      text += &member == &(object->end() - 1)->value() ? "\n" : ",\n";
    }
    text += indent + "}";
  } else if (const auto* array = value.if_array(); array != nullptr && !array->empty()) {
    text += "[\n";
    for (const auto& item : *array) {
      text += deeper;
      pretty(item, deeper, text);
      text += &item == &array->back() ? "\n" : ",\n";
    }
    text += indent + "]";
  } else {
    text += json::serialize(value);
  }
}

int print(const json::value& value, int status, Streams streams) {
  std::string text;
  pretty(value, "", text);
  streams.out << text << '\n';
  return status;
}

int refuse(const std::string& message, Streams streams) {
  return print(json::object{{"message", message}}, kFailed, streams);
}

int not_found(const std::string& name, Streams streams) {
  return refuse(fmt::format("Cluster '{}' does not exist or belongs to an incompatible "
                            "ParallelCluster major version.",
                            name),
                streams);
}

std::string stack_arn(const cluster::Record& record) {
  return fmt::format("arn:aws:cloudformation:{}:123456789012:stack/{}/{}", record.region,
                     record.name, record.created_at.value);
}

/// ROLLBACK_* and the like have been turned to these already; a record holds cluster states.
json::object summary(const cluster::Record& record) {
  return {{"clusterName", record.name},
          {"cloudformationStackStatus", record.status},
          {"cloudformationStackArn", stack_arn(record)},
          {"region", record.region},
          {"version", record.version},
          {"clusterStatus", record.status},
          {"scheduler", json::object{{"type", record.scheduler}}}};
}

json::array messages_of(const ConfigFile& file, config::Level least) {
  json::array list;
  for (const auto& finding : file.loaded.findings) {
    if (finding.level < least) continue;
    const char* level = finding.level == config::Level::error     ? "ERROR"
                        : finding.level == config::Level::warning ? "WARNING"
                                                                  : "INFO";
    const auto text = finding.path.empty() || finding.rule != "ConfigSchemaValidator"
                          ? finding.text
                          : fmt::format("{}: {}", finding.path, finding.text);
    list.push_back(json::object{{"level", level}, {"type", finding.rule}, {"message", text}});
  }
  return list;
}

/// Checks what the options' values may be. Nothing: they are good.
std::optional<std::string> option_fault(const V3Options& options) {
  for (const auto& [name, value] :
       {std::pair{"dryrun", options.dryrun}, std::pair{"rollback-on-failure", options.rollback}}) {
    const auto word = to_lower(value);
    if (word != "true" && word != "false") {
      return fmt::format("Bad Request: Wrong type, expected 'boolean' for parameter '{}'", name);
    }
  }
  for (const auto& word : options.suppressed) {
    if (word != "ALL" && !word.starts_with("type:")) {
      return fmt::format("Bad Request: '{}' does not match '^(ALL|type:[A-Za-z0-9]+)$'", word);
    }
  }
  if (!options.query.empty()) {
    return "Bad Request: --query is not served by this version: filter the JSON with a program "
           "such as jq";
  }
  return std::nullopt;
}

int report_findings(const ConfigFile& file, Streams streams) {
  for (const auto& finding : file.loaded.findings) {
    streams.err << config::render(finding, file.name, file.text);
  }
  const auto& first = file.loaded.findings.front();
  if (first.path.empty() && first.rule == "ConfigSchemaValidator") {
    return refuse(
        fmt::format("Bad Request: {}",
                    trim(config::render(first, file.name, file.text)
                             .substr(0, config::render(first, file.name, file.text).find('\n')))),
        streams);
  }
  return print(
      json::object{{"configurationValidationErrors", messages_of(file, config::Level::info)},
                   {"message", "Invalid cluster configuration."}},
      kFailed, streams);
}

int describe(const std::string& name, Streams streams);

int finish_creation(const V3Options& options, Streams streams) {
  const bool terminal = ::isatty(STDERR_FILENO) == 1;
  const auto done = follow_creation(options.name, [&](const std::string& text) {
    if (terminal) streams.err << "\r\033[K" << text << std::flush;
  });
  if (terminal) streams.err << "\r\033[K" << std::flush;
  if (done) return describe(options.name, streams);
  const bool rollback = to_lower(options.rollback) == "true";
  if (rollback) {
    const auto removed = cluster::remove(options.name, [](const std::string&) {});
    if (!removed) streams.err << "pcluster: taking it back: " << removed.error().message << '\n';
  }
  return print(json::object{{"message", fmt::format("Cluster creation failed. CREATE_FAILED: {}",
                                                    done.error().message)},
                            {"clusterName", options.name},
                            {"clusterStatus", "CREATE_FAILED"}},
               kFailed, streams);
}

int create(const V3Options& options, Streams streams) {
  if (const auto good = cluster::check_name(options.name); !good) {
    return refuse("Bad Request: " + good.error().message, streams);
  }
  config::LoadOptions load;
  load.region = options.region;
  const char* region = std::getenv("AWS_DEFAULT_REGION");
  load.environment_region = region != nullptr ? region : "";
  const auto file = read_config(options.config, false, load);
  if (!file) return refuse("Bad Request: " + file.error().message, streams);
  if (config::looks_like_ini(file->text)) {
    return refuse(fmt::format("Bad Request: {} is a file of ParallelCluster 2: make the cluster "
                              "with `pcluster create -c {} NAME`",
                              options.config, options.config),
                  streams);
  }
  if (!file->loaded.config) return report_findings(*file, streams);
  if (cluster::load_record(cluster::directory_of(options.name))
          .map([](const auto& r) { return r.status; })
          .value_or("CREATE_FAILED") != "CREATE_FAILED") {
    return refuse(fmt::format("Bad Request: Cluster {} already exists.", options.name), streams);
  }
  auto messages = messages_of(*file, config::Level::info);
  if (const auto note = overcommit_note(*file->loaded.config); !note.empty()) {
    messages.push_back(
        json::object{{"level", "INFO"}, {"type", "LocalCapacityValidator"}, {"message", note}});
  }
  if (to_lower(options.dryrun) == "true") {
    json::object answer{{"message", "Request would have succeeded, but DryRun flag is set."}};
    if (!messages.empty()) answer["validationMessages"] = std::move(messages);
    return print(answer, kFailed, streams);
  }
  const auto made =
      cluster::create({options.name, options.config, file->text, "", *file->loaded.config});
  if (!made) {
    const bool exists = made.error().code == Errc::conflict;
    return refuse(exists ? fmt::format("Bad Request: Cluster {} already exists.", options.name)
                         : "Cluster creation failed. CREATE_FAILED: " + made.error().message,
                  streams);
  }
  if (options.wait) return finish_creation(options, streams);
  auto record = *made;
  record.status = "CREATE_IN_PROGRESS";
  json::object answer{{"cluster", summary(record)}};
  if (!messages.empty()) answer["validationMessages"] = std::move(messages);
  return print(answer, kDone, streams);
}

json::object head_node_of(const json::object& head) {
  return {{"launchTime", render_utc(int_of(head, "launchTime"))},
          {"instanceId", text_of(head, "id")},
          {"instanceType", text_of(head, "instanceType")},
          {"state", text_of(head, "state")},
          {"privateIpAddress", text_of(head, "address")}};
}

int describe(const std::string& name, Streams streams) {
  const auto directory = cluster::directory_of(name);
  const auto record = cluster::load_record(directory);
  if (!record) return not_found(name, streams);
  json::object answer{{"creationTime", render_utc(record->created_at.value)}};
  std::string fleet = "UNKNOWN";
  if (record->status == "CREATE_COMPLETE" || record->status == "CREATE_IN_PROGRESS") {
    auto connection = Connection::open(name);
    const auto described = connection ? connection->get("cluster") : fail(connection.error());
    if (described) {
      const auto& cluster = described->as_object();
      if (const auto* head = object_of(cluster, "headNode"))
        answer["headNode"] = head_node_of(*head);
      if (record->status == "CREATE_COMPLETE") fleet = text_of(cluster, "fleet");
    } else {
      streams.err << "pcluster: " << described.error().message << '\n';
    }
  }
  answer["version"] = record->version;
  answer["clusterConfiguration"] = json::object{{"url", "file://" + directory + "/config"}};
  answer["tags"] =
      json::array{json::object{{"key", "parallelcluster:cluster-name"}, {"value", name}},
                  json::object{{"key", "parallelcluster:version"}, {"value", record->version}}};
  answer["cloudFormationStackStatus"] = record->status;
  answer["clusterName"] = name;
  answer["computeFleetStatus"] = fleet;
  answer["cloudformationStackArn"] = stack_arn(*record);
  answer["lastUpdatedTime"] = render_utc(record->updated_at.value);
  answer["region"] = record->region;
  answer["clusterStatus"] = record->status;
  answer["scheduler"] = json::object{{"type", record->scheduler}};
  if (record->status == "CREATE_FAILED") {
    answer["failures"] = json::array{json::object{{"failureCode", "ClusterCreationFailure"},
                                                  {"failureReason", record->status_reason}}};
  }
  return print(answer, kDone, streams);
}

int list(const V3Options& options, Streams streams) {
  json::array clusters;
  for (const auto& record : cluster::list_records()) {
    const bool wanted =
        options.statuses.empty() || std::find(options.statuses.begin(), options.statuses.end(),
                                              record.status) != options.statuses.end();
    if (wanted) clusters.push_back(summary(record));
  }
  return print(json::object{{"clusters", std::move(clusters)}}, kDone, streams);
}

int remove_cluster(const V3Options& options, Streams streams) {
  auto record = cluster::load_record(cluster::directory_of(options.name));
  if (!record && ::access(cluster::directory_of(options.name).c_str(), F_OK) != 0) {
    return not_found(options.name, streams);
  }
  const auto known = record.value_or(cluster::Record{});
  const auto done = cluster::remove(options.name, [](const std::string&) {});
  if (!done) return refuse(done.error().message, streams);
  if (options.wait) {
    return print(json::object{{"message", fmt::format("Cluster '{}' has been successfully deleted.",
                                                      options.name)}},
                 kDone, streams);
  }
  auto shown = known;
  shown.name = options.name;
  shown.status = "DELETE_IN_PROGRESS";
  return print(json::object{{"cluster", summary(shown)}}, kDone, streams);
}

int instances(const V3Options& options, Streams streams) {
  if (!cluster::load_record(cluster::directory_of(options.name)))
    return not_found(options.name, streams);
  auto connection = Connection::open(options.name);
  const auto described = connection ? connection->get("cluster") : fail(connection.error());
  const auto nodes = connection ? connection->get("nodes") : fail(connection.error());
  if (!described || !nodes)
    return refuse((described ? nodes.error() : described.error()).message, streams);
  json::array list;
  if (const auto* head = object_of(described->as_object(), "headNode");
      head != nullptr && (options.node_type.empty() || options.node_type == "HeadNode")) {
    auto shown = head_node_of(*head);
    shown["nodeType"] = "HeadNode";
    list.push_back(std::move(shown));
  }
  for (const auto& value : nodes->as_array()) {
    if (!options.node_type.empty() && options.node_type != "ComputeNode") break;
    const auto& node = value.as_object();
    list.push_back(
        json::object{{"instanceId", text_of(node, "ec2InstanceId")},
                     {"instanceType", text_of(node, "instanceType")},
                     {"privateIpAddress", text_of(node, "privateIpAddress")},
                     {"state", text_of(node, "status") == "ACTIVE" ? "running" : "pending"},
                     {"nodeType", "ComputeNode"}});
  }
  return print(json::object{{"instances", std::move(list)}}, kDone, streams);
}

int fleet(const V3Options& options, bool change, Streams streams) {
  if (!cluster::load_record(cluster::directory_of(options.name)))
    return not_found(options.name, streams);
  if (change && options.status != "ENABLED" && options.status != "DISABLED") {
    return refuse(
        "Bad Request: the update compute fleet status can only be set to `ENABLED` or `DISABLED` "
        "for AWS Batch clusters.",
        streams);
  }
  auto connection = Connection::open(options.name);
  if (!connection) return refuse(connection.error().message, streams);
  const auto answer = change ? connection->post("fleet", json::object{{"status", options.status}})
                             : connection->get("cluster");
  if (!answer) return refuse(answer.error().message, streams);
  const auto status = text_of(answer->as_object(), change ? "status" : "fleet");
  return print(json::object{{"status", status}}, kDone, streams);
}

int ssh(const std::vector<std::string>& args, Streams streams) {
  std::string name;
  std::vector<std::string> rest;
  for (std::size_t i = 0; i < args.size(); ++i) {
    if ((args[i] == "-n" || args[i] == "--cluster-name") && name.empty() && i + 1 < args.size()) {
      name = args[++i];
    } else if ((args[i] == "-r" || args[i] == "--region") && i + 1 < args.size()) {
      ++i;
    } else if (args[i] == "--dryrun" && i + 1 < args.size()) {
      if (to_lower(args[++i]) == "true") {
        return print(json::object{{"command", "pcluster ssh -n " + name}}, kDone, streams);
      }
    } else {
      rest.assign(args.begin() + static_cast<std::ptrdiff_t>(i), args.end());
      break;
    }
  }
  if (name.empty()) {
    streams.err << "usage: pcluster ssh -n NAME [ssh options] [COMMAND ...]\n"
                << "pcluster ssh: error: the following arguments are required: -n/--cluster-name\n";
    return kMisused;
  }
  return ssh_to_head_node(name, rest, streams);
}

std::vector<OptionNames> names_of(const std::string& verb) {
  std::vector<OptionNames> names{
      {"--region", {"-r"}, true}, {"--debug", {}, false}, {"--query", {}, true}};
  if (verb != "list-clusters") names.push_back({"--cluster-name", {"-n"}, true});
  if (verb == "create-cluster") {
    names.push_back({"--cluster-configuration", {"-c"}, true});
    names.push_back({"--suppress-validators", {}, true});
    names.push_back({"--validation-failure-level", {}, true});
    names.push_back({"--dryrun", {}, true});
    names.push_back({"--rollback-on-failure", {}, true});
  }
  if (verb == "create-cluster" || verb == "delete-cluster") names.push_back({"--wait", {}, false});
  if (verb == "list-clusters") names.push_back({"--cluster-status", {}, true});
  if (verb == "update-compute-fleet") names.push_back({"--status", {}, true});
  if (verb == "describe-cluster-instances") {
    names.push_back({"--node-type", {}, true});
    names.push_back({"--queue-name", {}, true});
  }
  if (verb.starts_with("list") || verb.ends_with("instances"))
    names.push_back({"--next-token", {}, true});
  return names;
}

void add_options(CLI::App& app, const std::string& verb, V3Options& options) {
  for (const auto& option : names_of(verb)) {
    const auto& name = option.name;
    if (name == "--cluster-name") app.add_option(name, options.name, "-n: the cluster")->required();
    if (name == "--cluster-configuration")
      app.add_option(name, options.config, "-c: the YAML file")->required();
    if (name == "--region") app.add_option(name, options.region, "-r: the region");
    if (name == "--query") app.add_option(name, options.query, "not served by this version");
    if (name == "--debug") app.add_flag(name, options.debug, "taken for the original's sake");
    if (name == "--suppress-validators")
      app.add_option(name, options.suppressed, "ALL or type:<ValidatorName>");
    if (name == "--validation-failure-level") {
      app.add_option(name, options.failure_level, "INFO, WARNING or ERROR")
          ->check(CLI::IsMember({"INFO", "WARNING", "ERROR"}));
    }
    if (name == "--dryrun") app.add_option(name, options.dryrun, "true: only check");
    if (name == "--rollback-on-failure")
      app.add_option(name, options.rollback, "false: keep what a failed creation made");
    if (name == "--wait") app.add_flag(name, options.wait, "wait for the end");
    if (name == "--cluster-status")
      app.add_option(name, options.statuses, "only clusters in these states");
    if (name == "--status") app.add_option(name, options.status, "ENABLED or DISABLED")->required();
    if (name == "--node-type") app.add_option(name, options.node_type, "HeadNode or ComputeNode");
    if (name == "--queue-name" || name == "--next-token")
      app.add_option(name, options.ignored, "taken for the original's sake");
  }
}

}  // namespace

bool is_v3_verb(const std::string& verb) {
  const auto known = {"create-cluster",      "describe-cluster",           "list-clusters",
                      "delete-cluster",      "describe-cluster-instances", "describe-compute-fleet",
                      "update-compute-fleet"};
  return std::find(known.begin(), known.end(), verb) != known.end();
}

int run_v3(const std::string& verb, const std::vector<std::string>& args, Streams streams) {
  if (verb == "ssh") return ssh(args, streams);
  V3Options options;
  CLI::App app("", "pcluster " + verb);
  add_options(app, verb, options);
  if (const int status = parse(app, args, names_of(verb), false, streams); status >= 0)
    return status;
  if (const auto fault = option_fault(options)) return refuse(*fault, streams);
  if (verb == "create-cluster") return create(options, streams);
  if (verb == "list-clusters") return list(options, streams);
  if (verb == "delete-cluster") return remove_cluster(options, streams);
  if (verb == "describe-cluster-instances") return instances(options, streams);
  if (verb == "describe-compute-fleet") return fleet(options, false, streams);
  if (verb == "update-compute-fleet") return fleet(options, true, streams);
  return describe(options.name, streams);
}

}  // namespace cox::cli
