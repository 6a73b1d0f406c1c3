#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/json.hpp>
#include <cstdlib>
#include <ostream>

#include "launcher/cli/connection.hpp"
#include "launcher/cli/exit_codes.hpp"
#include "launcher/cli/pcluster.hpp"
#include "runtime/base/text.hpp"

/// The verbs of ParallelCluster 2: text, and waits.
namespace cox::cli {

namespace json = boost::json;

namespace {

/// The options of all v2 verbs; a verb takes those that the original's takes.
struct V2Options {
  std::string name;
  std::string config;
  std::string region;
  std::string cluster_template;
  std::string ignored;
  bool nowait = false;
  bool norollback = false;
  bool keep_logs = false;
  bool color = false;
};

int complain(const std::string& text, Streams streams) {
  streams.err << "ERROR: " << text << '\n';
  return kFailed;
}

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

/// A status line rewritten in place on a terminal; one line each elsewhere.
class StatusLine {
 public:
  explicit StatusLine(Streams streams)
      : streams_(streams), terminal_(::isatty(STDOUT_FILENO) == 1) {}
  void show(const std::string& text) {
    if (terminal_) {
      streams_.out << "\r\033[KStatus: " << text << std::flush;
    } else {
      streams_.out << "Status: " << text << '\n' << std::flush;
    }
  }
  void end() {
    if (terminal_) streams_.out << '\n';
  }

 private:
  Streams streams_;
  bool terminal_;
};

void print_outputs(const std::string& name, Streams streams) {
  auto connection = Connection::open(name);
  const auto described = connection ? connection->get("cluster") : fail(connection.error());
  if (!described) return;
  const auto& cluster = described->as_object();
  const auto line = [&](const char* key, const std::string& value) {
    if (!value.empty()) streams.out << key << ": " << value << '\n';
  };
  line("ClusterUser", "ec2-user");
  if (const auto* head = object_of(cluster, "headNode"))
    line("MasterPrivateIP", text_of(*head, "address"));
  line("BatchComputeEnvironmentArn", text_of(cluster, "computeEnvironmentArn"));
  line("BatchJobQueueArn", text_of(cluster, "jobQueueArn"));
  line("BatchJobDefinitionArn", text_of(cluster, "jobDefinitionArn"));
  line("BatchJobDefinitionMnpArn", text_of(cluster, "jobDefinitionMnpArn"));
}

std::string config_path(const V2Options& options) {
  if (!options.config.empty()) return options.config;
  if (const auto path = variable("AWS_PCLUSTER_CONFIG_FILE"); !path.empty()) return path;
  return variable("HOME") + "/.parallelcluster/config";
}

int create(const V2Options& options, Streams streams) {
  streams.out << "Beginning cluster creation for cluster: " << options.name << '\n' << std::flush;
  if (const auto good = cluster::check_name(options.name); !good)
    return complain(good.error().message, streams);
  config::LoadOptions load;
  load.region = options.region;
  load.environment_region = variable("AWS_DEFAULT_REGION");
  load.cluster_template = options.cluster_template;
  const auto file = read_config(config_path(options), true, load);
  if (!file) {
    return complain(fmt::format("Configuration file {}", file.error().message), streams);
  }
  for (const auto& finding : file->loaded.findings) {
    if (finding.level == config::Level::error) {
      streams.err << "ERROR: " << finding.text << '\n'
                  << config::render(finding, file->name, file->text);
    } else if (finding.level == config::Level::warning) {
      streams.out << "WARNING: " << finding.text << '\n';
    }
  }
  if (!file->loaded.config) return kFailed;
  if (const auto note = overcommit_note(*file->loaded.config); !note.empty()) {
    streams.err << "pcluster: " << note << '\n';
  }
  streams.out << "Creating stack named: parallelcluster-" << options.name << '\n' << std::flush;
  const auto made = cluster::create(
      {options.name, file->name, file->text, options.cluster_template, *file->loaded.config});
  if (!made) return complain(made.error().message, streams);
  StatusLine status(streams);
  if (options.nowait) {
    status.show("CREATE_IN_PROGRESS");
    status.end();
    return kDone;
  }
  const auto done =
      follow_creation(options.name, [&](const std::string& text) { status.show(text); });
  status.end();
  if (!done) {
    streams.err << "ERROR: cluster creation failed: " << done.error().message << '\n';
    if (options.norollback) return kFailed;
    const auto removed = cluster::remove(options.name, [](const std::string&) {});
    if (!removed) streams.err << "ERROR: taking it back: " << removed.error().message << '\n';
    return kFailed;
  }
  streams.out << '\n';
  print_outputs(options.name, streams);
  return kDone;
}

int remove_cluster(const V2Options& options, Streams streams) {
  streams.out << "Deleting: " << options.name << '\n' << std::flush;
  if (!cluster::load_record(cluster::directory_of(options.name)) &&
      ::access(cluster::directory_of(options.name).c_str(), F_OK) != 0) {
    streams.out << "WARNING: cluster " << options.name
                << " does not exist: it is deleted already.\n";
    return kDone;
  }
  StatusLine status(streams);
  const auto done = cluster::remove(options.name, [&](const std::string& text) {
    status.show(fmt::format("parallelcluster-{} - DELETE_IN_PROGRESS ({})", options.name, text));
  });
  status.end();
  if (!done) {
    return complain(done.error().message + "; run pcluster delete again", streams);
  }
  streams.out << "Cluster deleted successfully.\n";
  return kDone;
}

int status_of(const V2Options& options, Streams streams) {
  const auto record = cluster::load_record(cluster::directory_of(options.name));
  if (!record) return complain(fmt::format("cluster {} does not exist", options.name), streams);
  if (record->status == "CREATE_IN_PROGRESS" && !options.nowait) {
    [[maybe_unused]] const auto done = follow_creation(options.name, [](const std::string&) {});
  }
  auto connection = Connection::open(options.name);
  const auto described = connection ? connection->get("cluster") : fail(connection.error());
  const auto state = described ? text_of(described->as_object(), "status") : record->status;
  streams.out << "Status: " << state << '\n';
  if (!described) return complain(described.error().message, streams);
  const auto* head = object_of(described->as_object(), "headNode");
  const bool runs = head != nullptr && text_of(*head, "state") == "running";
  streams.out << "MasterServer: " << (runs ? "RUNNING" : "PENDING") << '\n';
  print_outputs(options.name, streams);
  return kDone;
}

int list(Streams streams) {
  const auto records = cluster::list_records();
  std::size_t name_width = 0;
  std::size_t status_width = 0;
  for (const auto& record : records) {
    name_width = std::max(name_width, record.name.size());
    status_width = std::max(status_width, record.status.size());
  }
  for (const auto& record : records) {
    streams.out << fmt::format("{:<{}}  {:<{}}  {}\n", record.name, name_width, record.status,
                               status_width, record.version);
  }
  return kDone;
}

int instances(const V2Options& options, Streams streams) {
  auto connection = Connection::open(options.name);
  const auto described = connection ? connection->get("cluster") : fail(connection.error());
  if (!described) return complain(described.error().message, streams);
  if (const auto* head = object_of(described->as_object(), "headNode")) {
    streams.out << "MasterServer         " << text_of(*head, "id") << '\n';
  }
  streams.out << "Run 'awsbhosts --cluster " << options.name << "' to list the compute instances\n";
  return kDone;
}

int set_fleet(const V2Options& options, bool enabled, Streams streams) {
  auto connection = Connection::open(options.name);
  const auto done =
      connection
          ? connection->post("fleet", json::object{{"status", enabled ? "ENABLED" : "DISABLED"}})
          : fail(connection.error());
  if (!done) return complain(done.error().message, streams);
  streams.out << (enabled ? "Enabling" : "Disabling")
              << " AWS Batch compute environment: " << options.name << '\n';
  return kDone;
}

std::vector<OptionNames> names_of(const std::string& verb) {
  std::vector<OptionNames> names{{"--config", {"-c"}, true}, {"--region", {"-r"}, true}};
  if (verb == "create" || verb == "delete" || verb == "status")
    names.push_back({"--nowait", {"-nw"}, false});
  if (verb == "create") {
    names.push_back({"--norollback", {"-nr"}, false});
    names.push_back({"--template-url", {"-u"}, true});
    names.push_back({"--cluster-template", {"-t"}, true});
    names.push_back({"--extra-parameters", {"-p"}, true});
    names.push_back({"--tags", {"-g"}, true});
  }
  if (verb == "delete") names.push_back({"--keep-logs", {}, false});
  if (verb == "list") names.push_back({"--color", {}, false});
  return names;
}

void add_options(CLI::App& app, const std::string& verb, V2Options& options) {
  app.add_option("--config", options.config,
                 "-c: the configuration file; ~/.parallelcluster/config if omitted");
  app.add_option("--region", options.region, "-r: the region");
  for (const auto& option : names_of(verb)) {
    const auto& name = option.name;
    if (name == "--nowait") app.add_flag(name, options.nowait, "-nw: do not wait for the end");
    if (name == "--norollback")
      app.add_flag(name, options.norollback, "-nr: keep what a failed creation made");
    if (name == "--cluster-template")
      app.add_option(name, options.cluster_template, "-t: the section [cluster LABEL] to use");
    if (name == "--template-url") app.add_option(name, options.ignored, "-u: has no meaning here");
    if (name == "--extra-parameters")
      app.add_option(name, options.ignored, "-p: has no meaning here");
    if (name == "--tags") app.add_option(name, options.ignored, "-g: tags as JSON");
    if (name == "--keep-logs") app.add_flag(name, options.keep_logs, "has no meaning here");
    if (name == "--color") app.add_flag(name, options.color, "has no meaning here");
  }
  if (verb != "list") app.add_option("cluster_name", options.name, "the cluster")->required();
}

}  // namespace

bool is_v2_verb(const std::string& verb) {
  const auto known = {"create", "delete", "status", "list",   "instances",
                      "start",  "stop",   "ssh",    "version"};
  return std::find(known.begin(), known.end(), verb) != known.end();
}

int run_v2(const std::string& verb, const std::vector<std::string>& args, Streams streams) {
  if (verb == "version") {
    streams.out << cluster::kVersion << '\n';
    return kDone;
  }
  if (verb == "ssh") {
    if (args.empty() || args[0] == "-h" || args[0] == "--help") {
      auto& where = args.empty() ? streams.err : streams.out;
      where << "usage: pcluster ssh NAME [ssh options] [COMMAND ...]\n\nA login shell on the head "
               "node, or a "
               "command there, with stdin and its exit status.\n\nExamples:\n  pcluster ssh "
               "tutor2\n  pcluster ssh "
               "tutor2 -i key.pem 'cat > job.sh' < job.sh\n";
      return args.empty() ? kMisused : kDone;
    }
    return ssh_to_head_node(args[0], {args.begin() + 1, args.end()}, streams);
  }
  V2Options options;
  CLI::App app("", "pcluster " + verb);
  add_options(app, verb, options);
  if (const int status = parse(app, args, names_of(verb), false, streams); status >= 0)
    return status;
  if (verb == "create") return create(options, streams);
  if (verb == "delete") return remove_cluster(options, streams);
  if (verb == "status") return status_of(options, streams);
  if (verb == "list") return list(streams);
  if (verb == "instances") return instances(options, streams);
  return set_fleet(options, verb == "start", streams);
}

}  // namespace cox::cli
