#include <unistd.h>

#include <boost/json.hpp>
#include <chrono>
#include <filesystem>
#include <ostream>

#include "launcher/cli/cli_config.hpp"
#include "launcher/cli/client_log.hpp"
#include "launcher/cli/commands.hpp"
#include "launcher/cli/connection.hpp"
#include "launcher/cli/exit_codes.hpp"
#include "launcher/cli/mpi_source.hpp"
#include "launcher/cli/output.hpp"
#include "launcher/cli/payload.hpp"
#include "launcher/cli/submission.hpp"
#include "launcher/cli/submit_request.hpp"
#include "runtime/base/text.hpp"

namespace cox::cli {

namespace json = boost::json;

namespace {

constexpr int kInterrupted = 130;  // as a shell tells of a command that Ctrl-C ended
constexpr int kReconnectsMax = 20;

constexpr const char* kExamples =
    "  awsbsub -n 3 -cf submit_mpi.sh             a script on three nodes\n"
    "  awsbsub -jn hello -p 2 -m 512 ./prog in    a command with 2 vCPUs and 512 MiB\n"
    "  awsbsub -- sh -c 'date; hostname'          options of the command's own behind --\n"
    "  awsbsub -a 10 -d jobId=ID -cf task.sh      ten children, after another job\n"
    "  awsbsub -d afterany:ID -cf task.sh         after another job's end, good or bad\n"
    "  awsbsub -n 3 --wait --mpi ring.c           compile, run on three nodes, wait\n"
    "  awsbsub -n 3 --mpi --dry-run ring.c        which rank would go where\n"
    "  awsbsub --input in --output out -cf task.sh   in goes there, out comes back\n"
    "  echo 'hostname' | awsbsub                  a script from stdin\n";

void declare_options(Program& program, SubmitOptions& options) {
  program.option({"--job-name", {"-jn"}}, "NAME", options.job_name,
                 "name of the job; derived from the command if omitted");
  program.flag({"--command-file", {"-cf"}}, options.command_file,
               "the command is a file to send to the nodes");
  program.option({"--working-dir", {"-w"}}, "DIR", options.working_dir,
                 "the job's working directory, made if missing");
  program.option({"--parent-working-dir", {"-pw"}}, "DIR", options.parent_working_dir,
                 "where the job's directory job-ID is made");
  program.option({"--input-file", {"-if"}}, "FILE", options.input_files,
                 "a file to put into the working directory; repeatable");
  program.option({"--vcpus", {"-p"}}, "VCPUS", options.vcpus, "vCPUs, of each node; 1 if omitted");
  program.option({"--memory", {"-m"}}, "MIB", options.memory,
                 "memory, of each node, above which the job is killed; 128");
  program.option({"--env", {"-e"}}, "NAMES", options.env,
                 "variables to export to the job, comma-separated, or all");
  program.option({"--env-blacklist", {"-eb"}}, "NAMES", options.env_blacklist,
                 "variables not to export with -e all");
  program.option({"--retry-attempts", {"-r"}}, "ATTEMPTS", options.retry_attempts,
                 "attempts in all, 1 to 10; 1 if omitted");
  program.option({"--timeout", {"-t"}}, "SECONDS", options.timeout,
                 "seconds after which an attempt is ended, at least 60");
  program.option({"--nodes", {"-n"}}, "NODES", options.nodes,
                 "number of nodes; more than one makes a multi-node job");
  program.option({"--array-size", {"-a"}}, "SIZE", options.array_size,
                 "number of children of an array job, 2 to 10000");
  program.option({"--depends-on", {"-d"}}, "LIST", options.depends_on,
                 "jobId=ID[,type=N_TO_N] or type=SEQUENTIAL, several with , or ;\n"
                 "(not of the original: afterok:ID, afterany:ID, afternotok:ID)");
  program.flag({"--awscli", {"-aws"}}, options.awscli, "");
}

void declare_added_options(Program& program, SubmitOptions& options) {
  const auto added = [](const char* name) {
    return OptionNames{.name = name, .shorts = {}, .added = true};
  };
  program.option({.name = "--job-queue", .shorts = {"-jq"}, .added = true}, "QUEUE",
                 options.job_queue, "the queue; the cluster's first if omitted");
  program.option(added("--share-identifier"), "SHARE", options.share,
                 "the share of a queue with a scheduling policy");
  program.option(added("--scheduling-priority"), "PRIORITY", options.priority,
                 "place within the share, 0 to 9999, the highest first");
  program.option(added("--client-token"), "TOKEN", options.client_token,
                 "submit once: the same words with the same token give the same job");
  program.option(added("--input"), "PATH", options.inputs,
                 "a file or directory to stage to the job's nodes before it starts,\n"
                 "in a shared directory whose Source is staged; repeatable");
  program.option(added("--output"), "PATH", options.outputs,
                 "one to bring back from them when it has ended; repeatable");
  program.flag(added("--wait"), options.wait,
               "wait for the job's end; the exit status is the job's");
  program.flag(added("--mpi"), options.mpi,
               "the command is an MPI source or program: compile it, run it by\n"
               "mpirun");
  program.option(added("--ranks-per-node"), "RANKS", options.ranks_per_node,
                 "with --mpi: ranks on each node; one a slot if omitted");
  program.option(added("--map-by"), "PLACE", options.map_by, "with --mpi: as mpirun's option");
  program.option(added("--bind-to"), "PLACE", options.bind_to, "with --mpi: as mpirun's option");
  program.option(added("--mpi-launch"), "ROAD", options.mpi_launch,
                 "with --mpi: who starts the ranks: the nodes themselves (direct), mpirun, or the "
                 "nodes where the program allows it (auto, the default)");
  program.flag(added("--dry-run"), options.dry_run,
               "with --mpi: print which rank goes to which node and core");
}

Result<json::array> upload(Connection& connection, const std::vector<Upload>& files) {
  json::array list;
  for (const auto& file : files) {
    const auto stored = connection.put("blobs", file.bytes);
    if (!stored) return fail(within("upload of " + file.name, stored.error()));
    list.push_back(json::object{{"name", file.name},
                                {"sha256", text_of(stored->as_object(), "sha256")},
                                {"size", file.bytes.size()},
                                {"mode", file.mode}});
  }
  return list;
}

int show_layout(const SubmitOptions& options, Connection& connection, Streams streams) {
  const auto layout =
      connection.post("layout", json::object{{"nodes", options.nodes.value_or(1)},
                                             {"vcpus", options.vcpus.value_or(1)},
                                             {"memory", options.memory},
                                             {"slotsPerNode", options.vcpus.value_or(0)},
                                             {"ranksPerNode", options.ranks_per_node},
                                             {"mapBy", options.map_by},
                                             {"bindTo", options.bind_to}});
  if (!layout) return complain(streams, "awsbsub:show_layout", "Error: " + layout.error().message);
  if (options.common.json) {
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
  streams.out << render_table({{.name = "rank", .may_be_numeric = true}, {"node"}, {"cores"}},
                              rows);
  for (const auto& note : layout->as_object().at("notes").as_array()) {
    streams.err << "awsbsub: " << std::string_view(note.as_string()) << '\n';
  }
  return kDone;
}

/// Waits for the job's end, over restarts of the cluster's head too.
Result<json::value> ended_job(const std::string& id, Connection& connection) {
  for (int tries = 0;; ++tries) {
    auto job = connection.get("wait?job=" + encoded(id));
    if (job || job.error().code != Errc::unavailable || tries == kReconnectsMax) return job;
    client_log(LogLevel::warning, "awsbsub:ended_job", job.error().message);
    // Connecting waits for the daemon to come back, and starts it where nobody else does.
    auto again = Connection::open(connection.cluster());
    if (!again) return fail(again.error());
    connection = std::move(*again);
  }
}

int wait_for(const std::string& id, bool as_json, Connection& connection, Streams streams) {
  streams.out.flush();
  exit_on_interrupt(kInterrupted);  // the job goes on: nobody may take it for done
  const auto job = ended_job(id, connection);
  if (!job) return complain(streams, "awsbsub:wait_for", "Error: " + job.error().message);
  const auto& object = job->as_object();
  const int code = exit_status_of(object);
  if (as_json) {
    streams.out << json::serialize(json::object{{"jobId", id},
                                                {"status", text_of(object, "status")},
                                                {"statusReason", failure_of(object)},
                                                {"exitCode", code}})
                << '\n';
  }
  if (code != kDone) {
    complain(streams, "awsbsub:wait_for",
             fmt::format("awsbsub: job {} has {}: {}", id, text_of(object, "status"),
                         failure_of(object)));
  }
  return code;
}

/// The first queue of the cluster's file.
Result<std::string> default_queue(Connection& connection) {
  const auto shown = connection.get("cluster");
  if (!shown) return fail(shown.error());
  const auto arn = text_of(shown->as_object(), "jobQueueArn");
  if (arn.empty()) return fail(Errc::not_found, "the cluster has no job queue");
  return arn.substr(arn.rfind('/') + 1);
}

/// The cluster's own queue and definitions, but for what the configuration file names.
Result<Target> target_of(const SubmitOptions& options, const CliConfig& config,
                         Connection& connection) {
  const auto& cluster = connection.cluster();
  const auto own = [&](const char* option, const char* suffix) {
    const auto named = config.of_cluster(cluster, option);
    return named.empty() ? cluster + suffix : named;
  };
  Target target{cluster, options.job_queue, own("job_definition", "-JobDefinition"),
                own("job_definition_mnp", "-JobDefinitionMNP")};
  const bool only_serial = config.find("cluster " + cluster, "job_definition") &&
                           !config.find("cluster " + cluster, "job_definition_mnp");
  if (options.is_multi_node() && only_serial) {
    return fail(Errc::invalid_argument,
                "the current cluster does not support multi-node jobs: section 'cluster {}' of {} "
                "names no job_definition_mnp",
                cluster, config.path);
  }
  if (target.queue.empty()) target.queue = config.of_cluster(cluster, "job_queue");
  if (!target.queue.empty()) return target;
  auto queue = default_queue(connection);
  if (!queue) return fail(queue.error());
  target.queue = std::move(*queue);
  return target;
}

std::int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

/// A working directory that is here goes along, where it is in a directory that is staged.
Result<void> add_staging(const SubmitOptions& options, Payload& payload) {
  std::error_code error;
  const auto here = std::filesystem::current_path(error).string();
  const auto add = [&](const char* name, const std::vector<std::string>& paths) -> Result<void> {
    if (paths.empty()) return {};
    auto list = staged_list(paths, here);
    if (!list) return fail(list.error());
    payload.staging[name] = std::move(*list);
    return {};
  };
  const auto& work = options.working_dir;
  const bool is_here = work.starts_with('/') && work.find(':') == std::string::npos &&
                       std::filesystem::is_directory(work, error);
  return add("COXSWAIN_INPUTS", options.inputs)
      .and_then([&] { return add("COXSWAIN_OUTPUTS", options.outputs); })
      .and_then([&] {
        return add("COXSWAIN_WORKING_DIR",
                   is_here ? std::vector{work} : std::vector<std::string>{});
      });
}

int submit(const SubmitOptions& options, bool stdin_is_terminal, Streams streams) {
  const auto refuse = [&](const Error& error) {
    return complain(streams, "awsbsub:submit", error.message);
  };
  auto connection = Connection::open_complete(options.common.cluster);
  if (!connection) return refuse(within("Error", connection.error()));
  const auto config = load_cli_config().value_or(CliConfig{});
  const auto target = target_of(options, config, *connection);
  if (!target) return refuse(within("Error", target.error()));

  const auto name = job_name(options, stdin_is_terminal);
  const auto blacklist = options.env_blacklist.empty()
                             ? config.find("main", "env_blacklist").value_or("")
                             : options.env_blacklist;
  auto payload = make_payload(options, name, blacklist, streams);
  if (!payload) return refuse(within("Error", payload.error()));
  if (const auto named = add_staging(options, *payload); !named) return refuse(named.error());
  if (options.dry_run) return show_layout(options, *connection, streams);
  auto files = upload(*connection, payload->files);
  if (!files) return refuse(within("Error", files.error()));
  const auto answer = connection->batch(
      "submitjob", submit_request(options, *target, name, *payload, std::move(*files), now_ms()));
  if (!answer) {
    return refuse(
        within("Error submitting job to AWS Batch. Failed with exception", answer.error()));
  }
  const auto id = text_of(answer->as_object(), "jobId");
  if (options.common.json) {
    streams.out << json::serialize(json::object{{"jobId", id}, {"jobName", name}}) << '\n';
  } else {
    streams.out << fmt::format("Job {} ({}) has been submitted.\n", id, name);
  }
  return options.wait ? wait_for(id, options.common.json, *connection, streams) : kDone;
}

}  // namespace

int run_awsbsub(const std::vector<std::string>& args, Streams streams) {
  SubmitOptions options;
  Program program("awsbsub", "Submits a job to a cluster.", options.common);
  declare_options(program, options);
  declare_added_options(program, options);
  program.words(Program::Words::command, "command", options.command,
                "the command and its arguments, or with -cf its file;\n"
                "a script from stdin if omitted");
  program.examples(kExamples);
  if (const int status = program.parse(args, streams); status >= 0) return status;
  const bool stdin_is_terminal = ::isatty(STDIN_FILENO) == 1;
  if (const auto good = check(options, stdin_is_terminal); !good) {
    return complain(streams, "awsbsub:check", good.error().message);
  }
  return submit(options, stdin_is_terminal, streams);
}

}  // namespace cox::cli
