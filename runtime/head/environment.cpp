#include "runtime/head/environment.hpp"

#include <algorithm>
#include <cstddef>

#include "runtime/base/text.hpp"
#include "runtime/mpi/direct_plan.hpp"
#include "runtime/mpi/hostfile.hpp"
#include "runtime/mpi/launch_plan.hpp"

namespace cox::head {

namespace {

constexpr const char* kNone = "NONE";

/// Mount directories of one kind as the file has them, comma-separated.
std::string shared_of(const ClusterSettings& cluster, std::string_view kind,
                      std::string SharedDirectory::*member) {
  std::vector<std::string> list;
  for (const auto& directory : cluster.shared) {
    if (directory.kind == kind) list.push_back(directory.*member);
  }
  return join(list, ",");
}

std::string or_none(std::string text) { return text.empty() ? kNone : text; }

void add_pcluster(std::vector<EnvVar>& list, const PartContext& context) {
  const auto& cluster = *context.cluster;
  list.push_back({"PCLUSTER_AWS_REGION", cluster.region});
  list.push_back({"PCLUSTER_STACK_NAME", cluster.stack_name});
  list.push_back({"PCLUSTER_SHARED_DIRS",
                  or_none(shared_of(cluster, "Ebs", &SharedDirectory::as_configured))});
  list.push_back({"PCLUSTER_RAID_SHARED_DIR",
                  or_none(shared_of(cluster, "Raid", &SharedDirectory::as_configured))});
  const auto efs_dirs = or_none(shared_of(cluster, "Efs", &SharedDirectory::as_configured));
  const auto efs_ids = or_none(shared_of(cluster, "Efs", &SharedDirectory::file_system_id));
  if (cluster.v2) {
    list.push_back({"PCLUSTER_EFS_SHARED_DIR", efs_dirs});
    list.push_back({"PCLUSTER_EFS_FS_ID", efs_ids});
    list.push_back({"PCLUSTER_MASTER_IP", context.head_node_address});
    list.push_back({"MASTER_IP", context.head_node_address});
  } else {
    list.push_back({"PCLUSTER_EFS_SHARED_DIRS", efs_dirs});
    list.push_back({"PCLUSTER_EFS_FS_IDS", efs_ids});
    list.push_back({"PCLUSTER_HEAD_NODE_IP", context.head_node_address});
  }
}

/// The original awsbsub's jobs fetch their files by `aws s3 sync s3://…`. The files have come with
/// the job: this function of bash takes them (%FILES%) from the job's directory, and leaves every
/// other use of aws to the program of that name.
constexpr std::string_view kAwsFunction =
    "() { local word last from=;"
    " for word in \"$@\"; do last=$word;"
    " [[ $word == \"$PCLUSTER_JOB_S3_URL\"* ]] && from=$word; done;"
    " if [[ $1 != s3 || -z $from || $from == \"$last\" ]]; then command aws \"$@\"; return; fi;"
    " local name=${from#\"$PCLUSTER_JOB_S3_URL\"};"
    " if [[ -n $name ]]; then cp -p \"$COX_JOB_DIR/$name\" \"$last\"; return; fi;"
    " mkdir -p \"$last\" || return;"
    " [[ $last -ef $COX_JOB_DIR ]] && return;"
    " for word in %FILES%; do cp -p \"$COX_JOB_DIR/$word\" \"$last\" || return; done; }";

void add_aws_function(const JobSpec& spec, const std::vector<std::string>& command,
                      std::vector<EnvVar>& environment) {
  if (spec.files.empty()) return;
  std::string names;
  for (const auto& file : spec.files) names += " " + shell_quote(file.name);
  std::string function(kAwsFunction);
  constexpr std::string_view kPlace = " %FILES%";
  function.replace(function.find(kPlace), kPlace.size(), names);
  const auto folder = std::find_if(environment.begin(), environment.end(), [](const EnvVar& each) {
    return each.name == "PCLUSTER_JOB_S3_URL" && !each.value.empty();
  });
  if (folder == environment.end()) return;
  const bool fetches = std::any_of(command.begin(), command.end(), [&](const std::string& word) {
    return word.find(folder->value) != std::string::npos;
  });
  if (fetches) environment.push_back({"BASH_FUNC_aws%%", function});
}

/// What the main node of an --mpi job runs; the other nodes only stand by for it.
std::vector<std::string> mpi_command(const JobSpec& spec, const mpi::NodePaths& paths) {
  const mpi::Layout layout{spec.mpi->ranks_per_node, spec.mpi->map_by, spec.mpi->bind_to};
  std::vector<std::string> program{"@PROGRAM@"};
  program.insert(program.end(), spec.command.begin() + 1, spec.command.end());
  std::string line = "exec";
  for (const auto& word : mpi::mpirun_argv(paths, layout, "@HOSTFILE@", program)) {
    // HOME is the agent's to choose: the shell on the node fills it in.
    if (word == "@PROGRAM@") {
      line += " \"$HOME\"/" + shell_quote(std::string_view(spec.command.front()));
    } else if (word == "@HOSTFILE@") {
      line += " \"$HOME/hostfile\"";
    } else {
      line += " " + shell_quote(std::string_view(word));
    }
  }
  return {"/bin/sh", "-c", line};
}

/// What each node of a direct launch gets: its own ranks' cores only.
void add_ranks(wire::Prepare& prepare, const JobSpec& spec, const PartContext& context) {
  prepare.seats = context.seats;
  for (auto& seat : prepare.seats) {
    if (seat.node_index != prepare.part.node_index) seat.cores.clear();
  }
  prepare.mpi_library = spec.mpi->library;
  prepare.mpi_environment =
      mpi::direct_defaults(context.paths, spec.mpi->library, context.more_ranks_than_cores);
}

}  // namespace

std::vector<EnvVar> part_environment(const Job& job, int node_index, const PartContext& context) {
  const Attempt& attempt = job.attempts.back();
  const auto& run = attempt.nodes[static_cast<std::size_t>(node_index)];
  const bool multi_node = job.is_multi_node();
  std::vector<EnvVar> list;
  list.push_back(
      {"AWS_BATCH_JOB_ID", multi_node ? fmt::format("{}#{}", job.id, node_index) : job.id.value});
  list.push_back({"AWS_BATCH_JOB_ATTEMPT", std::to_string(attempt.number)});
  list.push_back({"AWS_BATCH_JQ_NAME", job.spec->queue.value});
  list.push_back({"AWS_BATCH_CE_NAME", run.environment.value});
  if (job.array_index) {
    list.push_back({"AWS_BATCH_JOB_ARRAY_INDEX", std::to_string(*job.array_index)});
    list.push_back({"AWS_BATCH_JOB_ARRAY_SIZE", std::to_string(job.spec->array_size.value_or(0))});
  }
  if (job.is_multi_node()) {
    list.push_back({"AWS_BATCH_JOB_NUM_NODES", std::to_string(job.node_count())});
    list.push_back({"AWS_BATCH_JOB_NODE_INDEX", std::to_string(node_index)});
    list.push_back({"AWS_BATCH_JOB_MAIN_NODE_INDEX", std::to_string(job.spec->main_node)});
    if (node_index != job.spec->main_node) {
      const auto& main = attempt.nodes[static_cast<std::size_t>(job.spec->main_node)];
      list.push_back({"AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS", main.address});
    }
  }
  add_pcluster(list, context);
  return list;
}

Result<wire::Prepare> make_prepare(const Job& job, int node_index, const PartContext& context) {
  const Attempt& attempt = job.attempts.back();
  const JobSpec& spec = job.spec;
  wire::Prepare prepare;
  prepare.part = {job.id, attempt.number, node_index};
  prepare.user = spec.user;
  prepare.command = spec.command;
  prepare.vcpus = spec.vcpus;
  prepare.memory_mib = spec.memory.value;
  prepare.multi_node = job.is_multi_node();
  prepare.starts_itself = attempt.nodes.size() == 1;
  prepare.environment = spec.environment;
  if (const auto* group = spec.group_of(node_index)) {
    prepare.command = group->command;
    prepare.environment = group->environment;
    prepare.vcpus = group->vcpus;
    prepare.memory_mib = group->memory.value;
  }
  prepare.container = context.container;
  if (spec.mpi && !prepare.container.image.empty()) {
    return fail(Errc::invalid_argument,
                "ranks are started by us on nodes only, not in a container of {}",
                prepare.container.image);
  }
  const auto ours = part_environment(job, node_index, context);
  prepare.environment.insert(prepare.environment.end(), ours.begin(), ours.end());
  add_aws_function(spec, prepare.command, prepare.environment);

  std::vector<mpi::NodeSlots> slots;
  for (std::size_t i = 0; i < attempt.nodes.size(); ++i) {
    const auto& run = attempt.nodes[i];
    prepare.peers.push_back({static_cast<int>(i), run.node, run.address, run.hostname, run.slots});
    slots.push_back({run.address, run.slots});
  }
  // The main node first, where rank 0 then is.
  std::rotate(slots.begin(), slots.begin() + spec.main_node, slots.begin() + spec.main_node + 1);
  if (job.is_multi_node() || spec.mpi) {
    auto hostfile = mpi::render_hostfile(slots);
    if (!hostfile) return fail(hostfile.error());
    prepare.hostfile = std::move(*hostfile);
  }
  prepare.mpi_environment =
      mpi::tuned_environment(context.paths, prepare.capture_ranks, context.more_ranks_than_cores);
  if (spec.mpi && !context.seats.empty()) {
    add_ranks(prepare, spec, context);
  } else if (spec.mpi) {
    prepare.command =
        node_index == 0 ? mpi_command(spec, context.paths) : std::vector<std::string>{};
    // The road is chosen: the mpirun that is meant is Open MPI's own.
    prepare.environment.push_back({"COX_MPIRUN", "real"});
  } else {
    prepare.directory = fmt::format(
        "job-{}", job.is_multi_node() ? fmt::format("{}#{}", job.id, node_index) : job.id.value);
  }
  return prepare;
}

}  // namespace cox::head
