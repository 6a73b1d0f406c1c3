#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <cstdlib>
#include <iostream>
#include <ostream>
#include <sstream>
#include <string>

#include "launcher/cli/client_log.hpp"
#include "launcher/cli/connection.hpp"
#include "launcher/cli/exit_codes.hpp"
#include "launcher/cli/pcluster_file.hpp"
#include "launcher/cli/pcluster_interrupt.hpp"
#include "launcher/cli/pcluster_nodes.hpp"
#include "launcher/cli/pcluster_update.hpp"
#include "launcher/cli/pcluster_verbs.hpp"
#include "launcher/cli/pcluster_watch.hpp"
#include "launcher/cluster/lifecycle.hpp"
#include "runtime/base/text.hpp"
#include "runtime/os/event_loop.hpp"
#include "runtime/os/files.hpp"

/// ParallelCluster version 2's verbs: text.
namespace cox::cli {

namespace json = boost::json;

namespace {

using Takes = VerbOption::Takes;

constexpr const char* kName = "cluster_name";

int fail_with(Streams streams, const std::string& text) {
  client_log(LogLevel::error, "pcluster:v2", text);
  streams.err << "ERROR: " << text << '\n';
  return kFailed;
}

std::string config_path(const Words& words) {
  return words.has("--config") ? words.get("--config") : default_ini_path();
}

void show_finding(const config::Finding& finding, const ClusterFile& file, Streams streams) {
  const bool is_error = finding.level == config::Level::error;
  (is_error ? streams.err : streams.out)
      << (is_error ? "ERROR: " : "WARNING: ") << finding.text << '\n'
      << config::render_place(finding, file.path, file.text);
}

/// Says what is to be said about the file. Nothing when it cannot be used: with sanity_check =
/// false, faults that can be suppressed are printed and do not count.
std::optional<ClusterFile> read_file(const Words& words, Streams streams) {
  const auto path = config_path(words);
  auto file = read_cluster_file(
      path, {.region = words.get("--region"), .cluster_template = words.get("--cluster-template")},
      true);
  if (!file) {
    fail_with(streams, file.error().message);
    return std::nullopt;
  }
  for (const auto& finding : file->loaded.findings) {
    if (finding.level != config::Level::info) show_finding(finding, *file, streams);
  }
  const auto& config = file->loaded.config;
  if (!config || (file->has(config::Level::error) && config->sanity_check)) return std::nullopt;
  return std::move(*file);
}

/// The outputs of the stack, one `Key: value` a line.
void show_outputs(const cluster::Record& record, Streams streams) {
  auto connection = Connection::open(record.name);
  const auto answer = connection ? connection->get("cluster") : fail(connection.error());
  const auto config = stored_config(record);
  streams.out << "ClusterUser: " << (config ? config->os_user : "ec2-user") << '\n';
  if (!answer) return;
  const auto& about = answer->as_object();
  if (const auto* head = object_of(about, "headNode")) {
    streams.out << "MasterPrivateIP: " << text_of(*head, "address") << '\n';
  }
  constexpr std::array<std::pair<const char*, const char*>, 4> kOutputs{
      {{"BatchComputeEnvironmentArn", "computeEnvironmentArn"},
       {"BatchJobQueueArn", "jobQueueArn"},
       {"BatchJobDefinitionArn", "jobDefinitionArn"},
       {"BatchJobDefinitionMnpArn", "jobDefinitionMnpArn"}}};
  for (const auto& [shown, name] : kOutputs) {
    if (const auto value = text_of(about, name); !value.empty()) {
      streams.out << shown << ": " << value << '\n';
    }
  }
}

/// A status line, rewritten in place on a terminal; elsewhere one line each.
class StatusLine {
 public:
  explicit StatusLine(Streams streams)
      : streams_(streams), terminal_(::isatty(STDOUT_FILENO) == 1) {}

  void show(const std::string& resource, const std::string& state) {
    constexpr std::size_t kWidth = 80;
    auto line = fmt::format("Status: {} - {}", resource, state);
    if (terminal_) line.resize(std::max(line.size(), kWidth), ' ');
    streams_.out << (terminal_ ? "\r" : "") << line << (terminal_ ? "" : "\n") << std::flush;
  }
  void show(const ResourceEvent& event) { show(event.resource, event.state); }
  void end() {
    if (terminal_) streams_.out << '\n';
  }

 private:
  Streams streams_;
  bool terminal_;
};

void show_failures(const std::vector<ResourceEvent>& failures, Streams streams) {
  for (const auto& event : failures) {
    streams.out << "  - " << event.resource << ' ' << event.state
                << (event.reason.empty() ? "" : ": ") << event.reason << '\n';
  }
}

/// Watches a cluster being made; on failure takes it back unless -nr.
int await_creation(const cluster::Record& record, bool rollback, Streams streams) {
  StatusLine line(streams);
  const auto creation =
      follow_creation(record.name, [&](const ResourceEvent& event) { line.show(event); });
  line.end();
  if (creation && creation->complete) {
    streams.out << '\n';
    show_outputs(record, streams);
    return kDone;
  }
  streams.out << "Cluster creation failed.  Failed events:\n";
  if (creation) show_failures(creation->failures, streams);
  const auto why = !creation                    ? creation.error().message
                   : creation->failures.empty() ? "the cluster's daemon did not say why"
                                                : creation->failures.back().reason;
  fail_with(streams, fmt::format("cluster {} could not be created: {}", record.name, why));
  if (!rollback) return kFailed;
  const UninterruptedScope whole;
  if (auto removed = cluster::remove(record.name, [](const std::string&) {}); !removed) {
    fail_with(streams, removed.error().message);
  }
  return kFailed;
}

/// -g: a JSON map of texts. Errors: invalid_argument.
Result<std::map<std::string, std::string>> tags_in(const std::string& text) {
  std::map<std::string, std::string> tags;
  if (text.empty()) return tags;
  boost::system::error_code error;
  const auto parsed = json::parse(text, error);
  const auto* object = error ? nullptr : parsed.if_object();
  const auto refused = [&] {
    return fail(Errc::invalid_argument,
                "--tags takes a JSON map of texts, such as '{{\"key\": \"value\"}}', not {}", text);
  };
  if (object == nullptr) return refused();
  for (const auto& [key, value] : *object) {
    if (!value.is_string()) return refused();
    tags[key] = value.get_string();
  }
  return tags;
}

/// Parameters of a stack's template, which nothing here has.
Result<void> look_at_parameters(const Words& words, Streams streams) {
  const auto text = words.get("--extra-parameters");
  if (text.empty()) return {};
  boost::system::error_code error;
  const auto parsed = json::parse(text, error);
  if (error || !parsed.is_object()) {
    return fail(Errc::invalid_argument, "--extra-parameters takes a JSON map, not {}", text);
  }
  streams.out << "WARNING: --extra-parameters are of a CloudFormation template: they do nothing "
                 "here\n";
  return {};
}

int create(const Words& words, Streams streams) {
  leave_on_interrupt(kDone);  // it stops the watching only
  const auto name = words.get(kName);
  streams.out << "Beginning cluster creation for cluster: " << name << '\n' << std::flush;
  if (auto good = cluster::check_name(name); !good) return fail_with(streams, good.error().message);
  const auto tags = tags_in(words.get("--tags"));
  if (!tags) return fail_with(streams, tags.error().message);
  if (const auto good = look_at_parameters(words, streams); !good) {
    return fail_with(streams, good.error().message);
  }
  auto file = read_file(words, streams);
  if (!file) return kFailed;
  auto made = [&] {
    const UninterruptedScope whole;
    return cluster::create({.name = name,
                            .config_file = file->path,
                            .config_text = file->text,
                            .cluster_template = words.get("--cluster-template"),
                            .config = *file->loaded.config,
                            .tags = *tags});
  }();
  if (!made) return fail_with(streams, made.error().message);
  if (const auto more = overcommit(*file->loaded.config, machine_cpus())) {
    streams.out << "WARNING: " << more->text << '\n';
  }
  streams.out << "Creating stack named: " << (made->v2 ? "parallelcluster-" : "") << name << '\n'
              << std::flush;
  if (words.has("--nowait")) {
    streams.out << "Status: CREATE_IN_PROGRESS\n";
    return kDone;
  }
  return await_creation(*made, !words.has("--norollback"), streams);
}

/// True when the user says yes, or has said so before.
bool is_wanted(const Words& words, Streams streams) {
  if (words.has("--yes")) return true;
  streams.out << "Do you want to proceed with the update? - Y/N: " << std::flush;
  std::string said;
  std::getline(std::cin, said);
  streams.out << '\n';
  return said == "Y" || said == "y" || said == "yes" || said == "Yes";
}

int update(const Words& words, Streams streams) {
  leave_on_interrupt(kFailed);
  const auto name = words.get(kName);
  auto record = cluster::settle(name);
  if (!record) return fail_with(streams, fmt::format("cluster {} does not exist", name));
  if (const auto obstacle = obstacle_to_update(*record); !obstacle.empty()) {
    return fail_with(streams, obstacle);
  }
  if (const auto good = look_at_parameters(words, streams); !good) {
    return fail_with(streams, good.error().message);
  }
  if (words.has("--reset-desired")) {
    streams.out << "reset_desired flag does not work with awsbatch scheduler\n";
  }
  const auto file = read_file(words, streams);
  if (!file) return kFailed;
  const auto label = words.get("--cluster-template", record->cluster_template);
  const auto plan = plan_update(*record, *file, label);
  if (!plan) return fail_with(streams, plan.error().message);
  if (plan->changes.empty()) {
    streams.out << "\nThere are no changes to your cluster configuration.\n\n";
    return kDone;
  }
  streams.out << "Found Configuration Changes:\n\n" << render_changes(*plan) << '\n';
  if (!plan->refusals.empty() && !words.has("--force")) {
    for (const auto& refusal : plan->refusals) streams.out << "  - " << refusal.message << '\n';
    return fail_with(streams, "the update cannot be made: see the reasons above");
  }
  if (!is_wanted(words, streams)) {
    streams.out << "Update aborted.\n";
    return kFailed;
  }
  streams.out << "Updating: " << name << '\n' << std::flush;
  if (const auto begun = begin_update(*record, *file, label); !begun) {
    return fail_with(streams, begun.error().message);
  }
  if (words.has("--nowait")) {
    streams.out << "Status: UPDATE_IN_PROGRESS\n";
    return kDone;
  }
  record = await_update(name);
  if (!record) return fail_with(streams, record.error().message);
  streams.out << "Status: " << record->status << '\n';
  if (record->status == "UPDATE_COMPLETE") return kDone;
  return fail_with(streams, "the update was taken back: " + record->status_reason);
}

/// The original leaves them with CloudWatch; here they would go with the cluster.
Result<void> keep_logs(const std::string& name, Streams streams) {
  const char* home = std::getenv("HOME");
  const auto directory = std::string(home != nullptr ? home : "") + "/.parallelcluster";
  if (auto made = os::make_directories(directory, 0755); !made) return made;
  const auto path =
      fmt::format("{}/{}-logs-{}.tar.gz", directory, name, os::SystemClock().now().value);
  Words words;
  words.add("--cluster-name", {name});
  words.add("--output-file", {path});
  std::ostringstream said;
  if (export_logs_verb().run(words, {said, said}) != kDone) {
    return fail(Errc::unavailable, "its logs cannot be kept: {}", trim(said.str()));
  }
  streams.out << "Logs are kept in " << path << '\n';
  return {};
}

int remove(const Words& words, Streams streams) {
  leave_on_interrupt(kDone);
  const auto name = words.get(kName);
  streams.out << "Deleting: " << name << '\n' << std::flush;
  if (!cluster::exists(name)) {
    streams.out << "WARNING: Cluster " << name << " does not exist: it is deleted already.\n";
    return kDone;
  }
  if (words.has("--keep-logs")) {
    if (const auto kept = keep_logs(name, streams); !kept) {
      return fail_with(streams, "nothing was deleted: " + kept.error().message);
    }
  }
  StatusLine line(streams);
  std::vector<std::string> kept;
  const auto removed = cluster::remove(name, [&](const std::string& step) {
    if (step.starts_with("what was in ")) kept.push_back("Kept: " + step);
    line.show("parallelcluster-" + name, fmt::format("DELETE_IN_PROGRESS ({})", step));
  });
  line.end();
  for (const auto& each : kept) streams.out << each << '\n';
  if (!removed) {
    streams.out << "Cluster did not delete successfully. Run 'pcluster delete " << name
                << "' again\n";
    return fail_with(streams, removed.error().message);
  }
  streams.out << "Cluster deleted successfully.\n";
  return kDone;
}

int list(const Words& words, Streams streams) {
  std::vector<std::array<std::string, 3>> rows;
  std::array<std::size_t, 3> widths{};
  for (const auto& known : cluster::list_records()) {
    const auto record = cluster::current_record(known.name).value_or(known);
    if (words.has("--region") && words.get("--region") != record.region) continue;
    rows.push_back({record.name, record.status, record.version});
    for (std::size_t i = 0; i < widths.size(); ++i) {
      widths[i] = std::max(widths[i], rows.back()[i].size());
    }
  }
  // Asked for by name, so it is no matter where it goes.
  const auto coloured = [&](const std::string& status) {
    const auto padded = fmt::format("{:{}}", status, widths[1]);
    if (!words.has("--color")) return padded;
    const char* colour = status.ends_with("_FAILED")        ? "31"
                         : status.ends_with("_IN_PROGRESS") ? "33"
                                                            : "32";
    return fmt::format("\x1b[{}m{}\x1b[0m", colour, padded);
  };
  for (const auto& row : rows) {
    streams.out << fmt::format("{:{}}  {}  {}\n", row[0], widths[0], coloured(row[1]), row[2]);
  }
  return kDone;
}

/// Errors are said on err; nothing then.
std::optional<cluster::Record> find(const Words& words, Streams streams) {
  auto record = cluster::current_record(words.get(kName));
  if (record) return std::move(*record);
  fail_with(streams, fmt::format("cluster {} does not exist", words.get(kName)));
  return std::nullopt;
}

int status(const Words& words, Streams streams) {
  leave_on_interrupt(kDone);
  auto record = find(words, streams);
  if (!record) return kFailed;
  const bool waits = !words.has("--nowait");
  if (waits && record->status == "UPDATE_IN_PROGRESS") {
    streams.out << "Status: " << record->status << '\n' << std::flush;
    auto updated = await_update(record->name);
    if (!updated) return fail_with(streams, updated.error().message);
    record = std::move(*updated);
  }
  if (waits && record->status == "CREATE_IN_PROGRESS") {
    StatusLine line(streams);
    const auto creation =
        follow_creation(record->name, [&](const ResourceEvent& event) { line.show(event); });
    line.end();
    if (!creation) return fail_with(streams, creation.error().message);
    record->status = creation->complete ? "CREATE_COMPLETE" : "CREATE_FAILED";
    if (!creation->failures.empty()) record->status_reason = creation->failures.back().reason;
  }
  streams.out << "Status: " << record->status << '\n';
  if (!record->status_reason.empty()) {
    show_failures({{record->name, record->status, record->status_reason}}, streams);
  }
  if (!cluster::is_made(record->status)) return kDone;
  const auto nodes = list_nodes(record->name);
  if (!nodes) return fail_with(streams, nodes.error().message);
  const bool running =
      !nodes->empty() && nodes->front().type == "HeadNode" && nodes->front().state == "running";
  streams.out << "MasterServer: " << (running ? "RUNNING" : "PENDING") << '\n';
  show_outputs(*record, streams);
  return kDone;
}

int instances(const Words& words, Streams streams) {
  const auto record = find(words, streams);
  if (!record) return kFailed;
  const auto nodes = list_nodes(record->name);
  if (!nodes) return fail_with(streams, nodes.error().message);
  const bool is_slurm = record->scheduler == "slurm";
  for (const auto& node : *nodes) {
    const bool is_head = node.type == "HeadNode";
    if (!is_head && !is_slurm) continue;
    streams.out << fmt::format("{:<20} {}\n", is_head ? "MasterServer" : "ComputeFleet", node.id);
  }
  if (!is_slurm) {
    streams.out << "Run 'awsbhosts --cluster " << record->name
                << "' to list the compute instances\n";
  }
  return kDone;
}

int set_fleet(const Words& words, bool wanted, Streams streams) {
  const auto record = find(words, streams);
  if (!record) return kFailed;
  auto connection = Connection::open(record->name);
  const auto answer =
      connection
          ? connection->post("fleet", json::object{{"status", wanted ? "ENABLED" : "DISABLED"}})
          : fail(connection.error());
  if (!answer) return fail_with(streams, answer.error().message);
  if (record->scheduler == "slurm") {
    streams.out << (wanted ? "Starting" : "Stopping") << " compute fleet : ";
  } else {
    streams.out << (wanted ? "Enabling" : "Disabling") << " AWS Batch compute environment : ";
  }
  streams.out << record->name << '\n';
  return kDone;
}

int start(const Words& words, Streams streams) { return set_fleet(words, true, streams); }

int stop(const Words& words, Streams streams) { return set_fleet(words, false, streams); }

/// A verb with the options that all have.
VerbEntry entry(const char* name, const char* summary, std::vector<VerbOption> options, RunVerb run,
                const char* examples, bool named = true) {
  options.push_back({"--config", {"-c"}, Takes::one, false, "file of version 2 (INI)"});
  options.push_back({"--region", {"-r"}, Takes::one, false, "AWS region that the cluster shows"});
  return {{name, summary, std::move(options), named ? kName : "", examples, true}, run};
}

const VerbOption kNoWait{"--nowait", {"-nw"}, Takes::nothing, false, "do not wait for the end"};

}  // namespace

const std::vector<VerbEntry>& version2_verbs() {
  static const std::vector<VerbEntry> verbs{
      entry("create", "Makes a cluster and shows how it comes up.",
            {kNoWait,
             {"--norollback", {"-nr"}, Takes::nothing, false, "keep what was made when it fails"},
             {"--template-url", {"-u"}, Takes::one, false, "accepted"},
             {"--cluster-template", {"-t"}, Takes::one, false, "use section [cluster LABEL]"},
             {"--extra-parameters", {"-p"}, Takes::one, false, "JSON; does nothing here"},
             {"--tags", {"-g"}, Takes::one, false, "JSON map; tags beside the file's"}},
            create,
            "  pcluster create tutor2\n"
            "  pcluster create -c configs/tutorial.config -t awsbatch tutor2\n"),
      entry("update", "Changes a cluster to what a file says.",
            {kNoWait,
             {"--norollback", {"-nr"}, Takes::nothing, false, "accepted"},
             {"--cluster-template", {"-t"}, Takes::one, false, "use section [cluster LABEL]"},
             {"--extra-parameters", {"-p"}, Takes::one, false, "JSON; does nothing here"},
             {"--reset-desired", {"-rd"}, Takes::nothing, false, "not for scheduler awsbatch"},
             {"--force", {"-f"}, Takes::nothing, false, "pass over the rules of what may change"},
             {"--yes", {"-y"}, Takes::nothing, false, "do not ask"}},
            update, "  pcluster update tutor2\n"),
      entry("delete", "Ends a cluster and removes all that it had.",
            {kNoWait,
             {"--keep-logs",
              {},
              Takes::nothing,
              false,
              "pack them into NAME-logs-TIME.tar.gz below ~/.parallelcluster first"}},
            remove, "  pcluster delete tutor2\n"),
      entry("status", "Shows a cluster's status and outputs.", {kNoWait}, status,
            "  pcluster status tutor2\n"),
      entry("list", "Lists the clusters of this host.",
            {{"--color", {}, Takes::nothing, false, "colour the states"}}, list,
            "  pcluster list\n", false),
      entry("instances", "Shows the head node's id, and those of a Slurm file's nodes.", {},
            instances, "  pcluster instances tutor2\n"),
      entry("start", "Enables the compute environment.", {}, start, "  pcluster start tutor2\n"),
      entry("stop", "Disables the compute environment: hosts shrink to the minimum.", {}, stop,
            "  pcluster stop tutor2\n")};
  return verbs;
}

}  // namespace cox::cli
