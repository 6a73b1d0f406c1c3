#include <unistd.h>

#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <chrono>
#include <ostream>

#include "launcher/cli/commands.hpp"
#include "launcher/cli/connection.hpp"
#include "launcher/cli/exit_codes.hpp"
#include "launcher/cli/mpi_source.hpp"
#include "launcher/cli/output.hpp"
#include "launcher/cli/submission.hpp"
#include "runtime/base/text.hpp"
#include "runtime/mpi/direct_plan.hpp"
#include "runtime/os/files.hpp"

namespace cox::cli {

namespace json = boost::json;

namespace {

constexpr const char* kExamples =
    "Examples:\n"
    "  awsbsub -n 3 -cf submit_mpi.sh            a script on three nodes\n"
    "  awsbsub -jn hello -p 2 -m 512 -- ./prog   a command with 2 vCPUs and 512 MiB\n"
    "  awsbsub -a 10 -d jobId=ID -cf task.sh     ten children, after another job\n"
    "  awsbsub -n 3 --wait --mpi ring.c          compile, run on three nodes, wait\n"
    "  echo 'hostname' | awsbsub                 a script from stdin\n";

std::vector<OptionNames> option_names() {
  auto names = common_options();
  for (const auto& option : std::vector<OptionNames>{{"--job-name", {"-jn"}, true},
                                                     {"--job-queue", {"-jq"}, true},
                                                     {"--command-file", {"-cf"}, false},
                                                     {"--working-dir", {"-w"}, true},
                                                     {"--parent-working-dir", {"-pw"}, true},
                                                     {"--input-file", {"-if"}, true},
                                                     {"--vcpus", {"-p"}, true},
                                                     {"--memory", {"-m"}, true},
                                                     {"--env", {"-e"}, true},
                                                     {"--env-blacklist", {"-eb"}, true},
                                                     {"--retry-attempts", {"-r"}, true},
                                                     {"--timeout", {"-t"}, true},
                                                     {"--nodes", {"-n"}, true},
                                                     {"--array-size", {"-a"}, true},
                                                     {"--depends-on", {"-d"}, true},
                                                     {"--awscli", {"-aws"}, false},
                                                     {"--mpi", {}, false},
                                                     {"--ranks-per-node", {}, true},
                                                     {"--map-by", {}, true},
                                                     {"--bind-to", {}, true},
                                                     {"--mpi-launch", {}, true},
                                                     {"--dry-run", {}, false},
                                                     {"--wait", {}, false},
                                                     {"--json", {}, false}}) {
    names.push_back(option);
  }
  return names;
}

void add_options(CLI::App& app, SubmitOptions& options, std::string& ignored, bool& ignored_flag) {
  app.add_option("--job-name", options.job_name,
                 "-jn: name of the job; derived from the command if omitted");
  app.add_option("--cluster", options.cluster, "-c: the cluster");
  app.add_option("--job-queue", options.job_queue,
                 "-jq: the queue; the cluster's first if omitted");
  app.add_flag("--command-file", options.command_file,
               "-cf: the command is a file to send to the nodes");
  app.add_option("--working-dir", options.working_dir,
                 "-w: the job's working directory, made if missing");
  app.add_option("--parent-working-dir", options.parent_working_dir,
                 "-pw: where the job's directory job-ID is made");
  app.add_option("--input-file", options.input_files,
                 "-if: a file to put into the working directory; repeatable");
  app.add_option("--vcpus", options.vcpus, "-p: vCPUs, of each node")->capture_default_str();
  app.add_option("--memory", options.memory,
                 "-m: MiB of memory, of each node; above it the job is killed")
      ->capture_default_str();
  app.add_option("--env", options.env, "-e: variables to export, comma-separated, or all");
  app.add_option("--env-blacklist", options.env_blacklist,
                 "-eb: variables not to export with -e all");
  app.add_option("--retry-attempts", options.retry_attempts, "-r: attempts in all, 1 to 10")
      ->capture_default_str();
  app.add_option("--timeout", options.timeout,
                 "-t: seconds after which an attempt is ended, at least 60");
  app.add_option("--nodes", options.nodes,
                 "-n: number of nodes; more than one makes a multi-node job");
  app.add_option("--array-size", options.array_size,
                 "-a: number of children of an array job, 2 to 10000");
  app.add_option("--depends-on", options.depends_on,
                 "-d: jobId=ID[,type=N_TO_N|SEQUENTIAL], several with , or ;");
  app.add_flag("--mpi", options.mpi,
               "the command is an MPI source or program: compile it and run its ranks");
  app.add_option("--ranks-per-node", options.ranks_per_node,
                 "with --mpi: ranks on each node; one a slot if omitted");
  app.add_option("--map-by", options.map_by, "with --mpi: as mpirun's option");
  app.add_option("--bind-to", options.bind_to, "with --mpi: as mpirun's option");
  app.add_option("--mpi-launch", options.mpi_launch,
                 "with --mpi: ranks are started by the nodes themselves (direct), by mpirun, or "
                 "directly where the program allows it (auto)")
      ->check(CLI::IsMember({"auto", "direct", "mpirun"}))
      ->capture_default_str();
  app.add_flag("--dry-run", options.dry_run,
               "with --mpi: print which rank goes to which node and core");
  app.add_flag("--wait", options.wait, "wait for the job's end; the exit status is the job's");
  app.add_flag("--json", options.json, "print JSON");
  app.add_option("--log-level", ignored)->group("");
  app.add_flag("--awscli", ignored_flag)->group("");
  app.add_option("command", options.command,
                 "the command, or with -cf its file; a script from stdin if omitted");
  app.footer(kExamples);
}

struct Upload {
  std::string name;
  std::string bytes;
  unsigned mode = 0600;
};

/// What goes to the cluster: the command and its files.
struct Payload {
  std::vector<std::string> command;
  std::vector<Upload> files;
  mpi::Linkage linkage;  ///< of an MPI program
};

std::map<std::string, std::string> environment() {
  std::map<std::string, std::string> values;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const auto equals = text.find('=');
    if (equals != std::string::npos) values[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return values;
}

Result<std::string> read_stdin() { return os::read_all(STDIN_FILENO, "standard input"); }

/// Scripts from other systems end their lines with CR LF; the CR would become part of every last
/// word.
std::string without_crlf(std::string script, const std::string& name, Streams streams) {
  if (script.find("\r\n") == std::string::npos) return script;
  streams.err << "awsbsub: " << name << " has CRLF line ends; it is sent with LF line ends\n";
  std::string mended;
  for (std::size_t i = 0; i < script.size(); ++i) {
    if (script[i] == '\r' && i + 1 < script.size() && script[i + 1] == '\n') continue;
    mended += script[i];
  }
  return mended;
}

Result<Payload> make_payload(const SubmitOptions& options, const std::string& name,
                             Streams streams) {
  Payload payload;
  for (const auto& file : options.input_files) {
    auto bytes = os::read_file(file, 512u << 20);
    if (!bytes) return fail(bytes.error());
    const bool executable = ::access(file.c_str(), X_OK) == 0;
    payload.files.push_back(
        {file.substr(file.rfind('/') + 1), std::move(*bytes), executable ? 0700u : 0600u});
  }
  std::string env_name;
  if (!options.env.empty()) {
    auto blacklist = options.env_blacklist;
    if (const auto config = load_cli_config(); blacklist.empty() && config)
      blacklist = config->env_blacklist;
    env_name = name + ".env.sh";
    payload.files.push_back({env_name, env_file(options.env, blacklist, environment())});
  }
  std::string script;
  auto words = options.command;
  if (options.command_file || options.command.empty()) {
    auto text = options.command_file ? os::read_file(options.command[0]) : read_stdin();
    if (!text) return fail(text.error());
    const auto shown =
        options.command_file ? options.command[0] : std::string("the script from stdin");
    script = name + ".sh";
    payload.files.push_back({script, without_crlf(std::move(*text), shown, streams), 0700});
    if (options.command_file) words.erase(words.begin());
  }
  const bool plain = script.empty() && env_name.empty() && options.input_files.empty() &&
                     options.working_dir.empty() && options.parent_working_dir.empty();
  if (plain) {
    payload.command = words;
  } else {
    payload.command = {"/bin/bash", "-c", command_chain(options, env_name, script, words)};
  }
  return payload;
}

Result<Payload> make_mpi_payload(const SubmitOptions& options) {
  const auto binary = mpi_binary(options.command[0]);
  if (!binary) return fail(binary.error());
  auto bytes = os::read_file(binary->path, 512u << 20);
  if (!bytes) return fail(bytes.error());
  Payload payload;
  payload.command = options.command;
  payload.command[0] = binary->name;
  payload.linkage = mpi::linkage_of(*bytes);
  payload.files.push_back({binary->name, std::move(*bytes), 0755});
  for (const auto& file : options.input_files) {
    auto content = os::read_file(file, 512u << 20);
    if (!content) return fail(content.error());
    payload.files.push_back({file.substr(file.rfind('/') + 1), std::move(*content), 0644});
  }
  return payload;
}

Result<json::array> upload(Connection& connection, std::vector<Upload> files) {
  json::array list;
  for (auto& file : files) {
    const auto size = file.bytes.size();
    const auto stored = connection.put("blobs", std::move(file.bytes));
    if (!stored) return fail(within("upload of " + file.name, stored.error()));
    list.push_back(json::object{{"name", file.name},
                                {"sha256", text_of(stored->as_object(), "sha256")},
                                {"size", size},
                                {"mode", file.mode}});
  }
  return list;
}

json::object make_request(const SubmitOptions& options, const Connection& connection,
                          const std::string& name, const Payload& payload, json::array files) {
  const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(
                       std::chrono::system_clock::now().time_since_epoch())
                       .count();
  json::object overrides;
  json::array command;
  for (const auto& word : payload.command) command.emplace_back(word);
  overrides["command"] = std::move(command);
  if (options.vcpus != 0) overrides["vcpus"] = options.vcpus;
  if (options.memory != 0) overrides["memory"] = options.memory;
  overrides["environment"] = json::array{json::object{
      {"name", "PCLUSTER_JOB_S3_URL"},
      {"value", fmt::format("s3://{}/batch/job-{}-{}/", connection.cluster(), name, now)}}};

  const bool multi_node = options.nodes.value_or(1) > 1;
  json::object request{{"jobName", name},
                       {"jobQueue", options.job_queue},
                       {"jobDefinition", connection.cluster() +
                                             (multi_node ? "-JobDefinitionMNP" : "-JobDefinition")},
                       {"retryStrategy", json::object{{"attempts", options.retry_attempts}}}};
  json::array depends_on;
  if (!options.depends_on.empty()) {
    const auto dependencies = parse_depends_on(options.depends_on).value();
    for (const auto& dependency : dependencies) {
      json::object entry;
      if (!dependency.job_id.empty()) entry["jobId"] = dependency.job_id;
      if (!dependency.type.empty()) entry["type"] = dependency.type;
      depends_on.push_back(std::move(entry));
    }
  }
  request["dependsOn"] = std::move(depends_on);
  if (options.timeout)
    request["timeout"] = json::object{{"attemptDurationSeconds", *options.timeout}};
  if (multi_node) {
    json::object range{{"targetNodes", "0:"}, {"containerOverrides", std::move(overrides)}};
    request["nodeOverrides"] = json::object{
        {"numNodes", *options.nodes}, {"nodePropertyOverrides", json::array{std::move(range)}}};
  } else {
    request["containerOverrides"] = std::move(overrides);
    request["arrayProperties"] =
        options.array_size ? json::object{{"size", *options.array_size}} : json::object{};
  }
  json::object extension{{"files", std::move(files)},
                         {"slotsPerNode", options.vcpus_given ? options.vcpus : 0}};
  if (options.mpi) {
    extension["mpi"] =
        json::object{{"ranksPerNode", options.ranks_per_node},
                     {"mapBy", options.map_by},
                     {"bindTo", options.bind_to},
                     {"launch", options.mpi_launch == "auto" ? "" : options.mpi_launch},
                     {"library", payload.linkage.library},
                     {"whyUnknown", payload.linkage.why_unknown}};
  }
  request["coxswain"] = std::move(extension);
  return request;
}

int show_layout(const SubmitOptions& options, Connection& connection, Streams streams) {
  const auto layout = connection.post(
      "layout", json::object{{"nodes", options.nodes.value_or(1)},
                             {"vcpus", options.vcpus},
                             {"memory", options.memory},
                             {"slotsPerNode", options.vcpus_given ? options.vcpus : 0},
                             {"ranksPerNode", options.ranks_per_node},
                             {"mapBy", options.map_by},
                             {"bindTo", options.bind_to}});
  if (!layout) {
    streams.err << "awsbsub: " << layout.error().message << '\n';
    return kFailed;
  }
  if (options.json) {
    streams.out << json::serialize(*layout) << '\n';
    return kDone;
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& value : layout->as_object().at("ranks").as_array()) {
    const auto& rank = value.as_object();
    std::vector<std::string> cores;
    for (const auto& core : rank.at("cores").as_array())
      cores.push_back(std::to_string(core.to_number<int>()));
    rows.push_back({std::to_string(int_of(rank, "rank")),
                    fmt::format("#{} {}", int_of(rank, "nodeIndex"), text_of(rank, "host")),
                    cores.empty() ? "any" : join(cores, ",")});
  }
  streams.out << render_table({{"rank", true}, {"node", false}, {"cores", false}}, rows);
  for (const auto& note : layout->as_object().at("notes").as_array()) {
    streams.err << "awsbsub: " << std::string_view(note.as_string()) << '\n';
  }
  return kDone;
}

/// The exit code of a job that has ended: its main node's, else 1.
int exit_code_of(const json::object& job) {
  if (text_of(job, "status") == "SUCCEEDED") return kDone;
  const auto* container = object_of(job, "container");
  auto code = container != nullptr ? int_of(*container, "exitCode") : 0;
  const auto* attempts = job.if_contains("attempts");
  if (code == 0 && attempts != nullptr && !attempts->as_array().empty()) {
    const auto* last = object_of(attempts->as_array().back().as_object(), "container");
    if (last != nullptr) code = int_of(*last, "exitCode");
  }
  return code > 0 && code < 256 ? static_cast<int>(code) : kFailed;
}

std::string failure_of(const json::object& job) {
  auto text = text_of(job, "statusReason");
  const auto* attempts = job.if_contains("attempts");
  if (attempts == nullptr || attempts->as_array().empty()) return text;
  const auto* container = object_of(attempts->as_array().back().as_object(), "container");
  const auto reason = container != nullptr ? text_of(*container, "reason") : "";
  return reason.empty() || reason == text ? text : fmt::format("{}: {}", text, reason);
}

int wait_for(const std::string& id, Connection& connection, Streams streams) {
  streams.out.flush();
  const auto job = connection.get("wait?job=" + encoded(id));
  if (!job) {
    streams.err << "awsbsub: " << job.error().message << '\n';
    return kFailed;
  }
  const auto& object = job->as_object();
  const int code = exit_code_of(object);
  if (code != 0) {
    streams.err << fmt::format("awsbsub: job {} has {}: {}\n", id, text_of(object, "status"),
                               failure_of(object));
  }
  return code;
}

Result<std::string> default_queue(Connection& connection) {
  const auto answer = connection.batch("describejobqueues", json::object{});
  if (!answer) return fail(answer.error());
  const auto& queues = answer->as_object().at("jobQueues").as_array();
  if (queues.empty()) return fail(Errc::not_found, "the cluster has no job queue");
  return text_of(queues.front().as_object(), "jobQueueName");
}

int submit(SubmitOptions options, bool stdin_is_terminal, Streams streams) {
  const auto complain = [&](const Error& error) {
    streams.err << error.message << '\n';
    return kFailed;
  };
  auto connection = Connection::open(options.cluster);
  if (!connection) return complain(within("Error", connection.error()));
  if (options.dry_run) return show_layout(options, *connection, streams);

  const auto named = options.mpi && !options.command.empty() ? job_name(options, true)
                                                             : job_name(options, stdin_is_terminal);
  const auto payload =
      options.mpi ? make_mpi_payload(options) : make_payload(options, named, streams);
  if (!payload) return complain(within("awsbsub", payload.error()));
  if (options.job_queue.empty()) {
    auto queue = default_queue(*connection);
    if (!queue) return complain(within("Error", queue.error()));
    options.job_queue = *queue;
  }
  auto files = upload(*connection, payload->files);
  if (!files) return complain(within("Error", files.error()));
  const auto answer = connection->batch(
      "submitjob", make_request(options, *connection, named, *payload, std::move(*files)));
  if (!answer) {
    return complain(
        within("Error submitting job to AWS Batch. Failed with exception", answer.error()));
  }
  const auto id = text_of(answer->as_object(), "jobId");
  if (options.json) {
    streams.out << json::serialize(json::object{{"jobId", id}, {"jobName", named}}) << '\n';
  } else {
    streams.out << fmt::format("Job {} ({}) has been submitted.\n", id, named);
  }
  return options.wait ? wait_for(id, *connection, streams) : kDone;
}

}  // namespace

int run_awsbsub(const std::vector<std::string>& args, Streams streams) {
  exit_quietly_on_interrupt();
  SubmitOptions options;
  std::string log_level;
  bool awscli = false;
  CLI::App app("Submits a job to a cluster.", "awsbsub");
  add_options(app, options, log_level, awscli);
  const auto names = option_names();
  if (const int status = parse(app, args, names, true, streams); status >= 0) return status;
  options.vcpus_given = app.count("--vcpus") > 0 && options.vcpus > 0;
  const bool stdin_is_terminal = ::isatty(STDIN_FILENO) == 1;
  if (const auto good = check(options, stdin_is_terminal); !good) {
    streams.err << good.error().message << '\n';
    return kFailed;
  }
  return submit(std::move(options), stdin_is_terminal, streams);
}

}  // namespace cox::cli
