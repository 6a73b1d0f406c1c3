#include <algorithm>
#include <boost/json.hpp>
#include <cstddef>

#include "runtime/api/shapes.hpp"
#include "runtime/base/text.hpp"

/// SubmitJob → JobSpec. Limits: AWS Batch user guide, "Service quotas", and API reference,
/// SubmitJob.
namespace cox::api {

namespace json = boost::json;

namespace {

constexpr std::size_t kRequestBytesMax = 30 * 1024;
constexpr std::size_t kDependenciesMax = 20;
constexpr int kDefaultVcpus = 1;  // of the cluster's own job definitions
constexpr MiB kDefaultMemory{512};
constexpr std::int64_t kVcpusMax = 100'000;
constexpr std::int64_t kMemoryMax = 1LL << 40;

bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_';
}

bool is_job_name(std::string_view name) {
  return !name.empty() && name.size() <= 128 && name[0] != '-' && name[0] != '_' &&
         std::all_of(name.begin(), name.end(), is_name_char);
}

/// An integer within limits, or the default; a complaint where it is outside.
int limited(const Members& members, std::string_view name, int absent, std::int64_t least,
            std::int64_t most) {
  const auto value = members.integer(name);
  if (!value) return absent;
  if (*value < least || *value > most) {
    members.complain(fmt::format("{} must be from {} to {}, not {}", name, least, most, *value));
    return absent;
  }
  return static_cast<int>(*value);
}

void read_environment(const Members& overrides, std::optional<Error>& complaint, JobSpec& spec) {
  for (const auto* entry : overrides.objects("environment")) {
    const Members variable(*entry, "environment.", complaint);
    EnvVar read{variable.required_text("name"), variable.text("value").value_or("")};
    if (read.name.starts_with("AWS_BATCH")) {
      variable.complain(fmt::format(
          "Environment variable {} is reserved: names that start with AWS_BATCH can't be set",
          read.name));
    }
    if (read.name.find('=') != std::string::npos || read.name.find('\0') != std::string::npos ||
        read.value.find('\0') != std::string::npos) {
      variable.complain(fmt::format("Environment variable name {} is not valid", read.name));
    }
    spec.environment.push_back(std::move(read));
  }
}

/// containerOverrides, of the job or of its one node range.
void read_overrides(const json::object& object, std::optional<Error>& complaint, JobSpec& spec) {
  const Members overrides(object, "containerOverrides.", complaint);
  spec.vcpus = limited(overrides, "vcpus", spec.vcpus, 1, kVcpusMax);
  if (const auto memory = overrides.integer("memory")) {
    if (*memory < 4 || *memory > kMemoryMax) {
      overrides.complain(fmt::format("memory must be at least 4 MiB, not {}", *memory));
    } else {
      spec.memory = MiB{*memory};
    }
  }
  for (const auto* entry : overrides.objects("resourceRequirements")) {
    const Members requirement(*entry, "resourceRequirements.", complaint);
    const auto type = requirement.required_text("type");
    const auto value = to_int(requirement.required_text("value"));
    spec.cpu_and_memory_legacy = false;
    if (type == "VCPU" && value && *value >= 1 && *value <= kVcpusMax) {
      spec.vcpus = static_cast<int>(*value);
    } else if (type == "MEMORY" && value && *value >= 4 && *value <= kMemoryMax) {
      spec.memory = MiB{*value};
    } else if (type == "GPU") {
      requirement.complain("resourceRequirements of type GPU: this cluster's nodes have no GPU");
    } else {
      requirement.complain(fmt::format("resourceRequirements: {} is not valid", type));
    }
  }
  if (overrides.has("command")) spec.command = overrides.texts("command");
  read_environment(overrides, complaint, spec);
}

/// True where a range of nodes is all of them: "0:", ":", "0:<last>", ":<last>", and "0" of one.
bool covers_all(std::string_view target, int nodes) {
  const auto last = std::to_string(nodes - 1);
  return target == "0:" || target == ":" || target == "0:" + last || target == ":" + last ||
         (nodes == 1 && target == "0");
}

void read_node_overrides(const Members& body, std::optional<Error>& complaint, JobSpec& spec) {
  spec.nodes = 1;
  const auto* object = body.object("nodeOverrides");
  if (object == nullptr) return;
  const Members overrides(*object, "nodeOverrides.", complaint);
  spec.nodes = limited(overrides, "numNodes", 1, 1, 1000);
  for (const auto* entry : overrides.objects("nodePropertyOverrides")) {
    const Members range(*entry, "nodePropertyOverrides.", complaint);
    const auto target = range.required_text("targetNodes");
    if (!covers_all(target, *spec.nodes)) {
      range.complain(fmt::format(
          "nodePropertyOverrides: targetNodes {} must cover all nodes of the job: 0:", target));
    }
    if (const auto* container = range.object("containerOverrides")) {
      read_overrides(*container, complaint, spec);
    }
  }
}

void read_dependencies(const View& view, const Request& request, const Members& body,
                       std::optional<Error>& complaint, JobSpec& spec) {
  const auto entries = body.objects("dependsOn");
  // More than the original takes is ours only: its own clients never send it.
  if (entries.size() > kDependenciesMax && !body.has("coxswain")) {
    body.complain(fmt::format("dependsOn can't have more than {} jobs", kDependenciesMax));
  }
  for (const auto* entry : entries) {
    const Members member(*entry, "dependsOn.", complaint);
    const auto type = member.text("type").value_or("");
    Dependency dependency{JobId{member.text("jobId").value_or("")}, DependencyKind::whole};
    if (type == "N_TO_N") {
      dependency.kind = DependencyKind::n_to_n;
    } else if (type == "SEQUENTIAL") {
      // With a job id it counts as a plain dependency.
      if (dependency.job.empty()) dependency.kind = DependencyKind::sequential;
    } else if (!type.empty()) {
      member.complain(fmt::format("dependsOn: type must be N_TO_N or SEQUENTIAL, not {}", type));
    }
    if (dependency.kind != DependencyKind::whole && !spec.array_size) {
      member.complain(fmt::format("Dependency of type {} is for array jobs only", type));
    }
    if (dependency.kind == DependencyKind::sequential) {
      spec.depends_on.push_back(dependency);
      continue;
    }
    const auto* job = view.find(parse_job_ref(dependency.job.value).id);
    if (job == nullptr || !may_see(*job, request.user)) {
      member.complain(fmt::format("Dependent job {} does not exist", dependency.job));
      continue;
    }
    if (dependency.kind == DependencyKind::n_to_n && job->spec.array_size != spec.array_size) {
      member.complain(fmt::format("N_TO_N dependency: job {} must be an array job of the same size",
                                  dependency.job));
    }
    dependency.job = job->id;
    spec.depends_on.push_back(dependency);
  }
}

bool is_sha256(std::string_view text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

/// Our own member: files, slots and what --mpi asks for.
void read_extension(const Members& body, std::optional<Error>& complaint, JobSpec& spec) {
  const auto* object = body.object("coxswain");
  if (object == nullptr) return;
  const Members extension(*object, "coxswain.", complaint);
  spec.slots_per_node = limited(extension, "slotsPerNode", 0, 0, kVcpusMax);
  for (const auto* entry : extension.objects("files")) {
    const Members member(*entry, "files.", complaint);
    JobFile file{member.required_text("name"), member.required_text("sha256"),
                 member.integer("size").value_or(0),
                 static_cast<std::uint32_t>(limited(member, "mode", 0600, 0, 0777))};
    if (file.name == "." || file.name == ".." ||
        file.name.find_first_of(std::string_view("/\0", 2)) != std::string::npos) {
      member.complain(fmt::format("files: {} is not a file name", file.name));
    }
    if (!is_sha256(file.sha256)) member.complain("files: sha256 is not 64 hexadecimal digits");
    spec.files.push_back(std::move(file));
  }
  if (const auto* mpi = extension.object("mpi")) {
    const Members members(*mpi, "mpi.", complaint);
    spec.mpi = MpiRun{limited(members, "ranksPerNode", 0, 0, kVcpusMax),
                      members.text("mapBy").value_or(""),
                      members.text("bindTo").value_or(""),
                      members.text("launch").value_or(""),
                      members.text("library").value_or(""),
                      members.text("whyUnknown").value_or("")};
    const auto& launch = spec.mpi->launch;
    if (!launch.empty() && launch != "direct" && launch != "mpirun") {
      members.complain(fmt::format("launch must be direct or mpirun, not {}", launch));
    }
  }
}

void read_retry_and_timeout(const Members& body, std::optional<Error>& complaint, JobSpec& spec) {
  if (const auto* retry = body.object("retryStrategy")) {
    spec.attempts = limited(Members(*retry, "retryStrategy.", complaint), "attempts", 1, 1, 10);
  }
  if (const auto* timeout = body.object("timeout")) {
    const Members members(*timeout, "timeout.", complaint);
    const auto seconds = members.integer("attemptDurationSeconds");
    if (seconds && (*seconds < 60 || *seconds > INT32_MAX)) {
      members.complain(
          fmt::format("Timeout attemptDurationSeconds must be at least 60, not {}", *seconds));
    } else if (seconds) {
      spec.timeout_s = static_cast<int>(*seconds);
    }
  }
}

/// Which of the cluster's definitions is meant. Returns true for the multi-node one.
bool read_definition(const View& view, const std::string& given, const Members& body,
                     JobSpec& spec) {
  const auto name = short_name(given, "job-definition");
  const auto serial = serial_definition(view.cluster());
  const auto multi_node = multi_node_definition(view.cluster());
  if (name != serial && name != serial + ":1" && name != multi_node && name != multi_node + ":1") {
    body.complain(
        fmt::format("JobDefinition name {} does not exist or is not in ACTIVE status", name));
    return false;
  }
  const bool is_multi_node = name.starts_with(multi_node);
  spec.definition = (is_multi_node ? multi_node : serial) + ":1";
  return is_multi_node;
}

}  // namespace

Result<JobSpec> read_submission(const View& view, const Request& request,
                                const json::object& object) {
  if (request.body.size() > kRequestBytesMax && !object.contains("coxswain")) {
    return fail(Errc::invalid_argument, "Request is larger than {} bytes", kRequestBytesMax);
  }
  std::optional<Error> complaint;
  const Members body(object, "", complaint);
  JobSpec spec;
  spec.user = request.user;
  spec.vcpus = kDefaultVcpus;
  spec.memory = kDefaultMemory;
  spec.name = body.required_text("jobName");
  if (!complaint && !is_job_name(spec.name)) body.complain("Job name should match valid pattern");

  const auto queue_given = body.required_text("jobQueue");
  const auto definition_given = body.required_text("jobDefinition");
  if (complaint) return fail(*complaint);

  const auto queue_name = short_name(queue_given, "job-queue");
  const auto& queues = view.cluster().queues;
  const auto queue = std::find_if(queues.begin(), queues.end(), [&](const JobQueue& candidate) {
    return candidate.name.value == queue_name;
  });
  if (queue == queues.end()) {
    body.complain(fmt::format("JobQueue {} not found.", queue_name));
  } else if (!queue->enabled) {
    body.complain(fmt::format("JobQueue {} is not ENABLED", queue_name));
  } else {
    spec.queue = queue->name;
  }

  const bool multi_node = read_definition(view, definition_given, body, spec);
  if (const auto* array = body.object("arrayProperties"); array != nullptr && !array->empty()) {
    const Members members(*array, "arrayProperties.", complaint);
    if (members.has("size")) spec.array_size = limited(members, "size", 2, 2, 10'000);
  }
  if (multi_node) {
    if (spec.array_size) body.complain("An array job can't use a multi-node job definition");
    if (body.has("containerOverrides")) {
      body.complain("containerOverrides can't be used with a multi-node job definition");
    }
    read_node_overrides(body, complaint, spec);
  } else {
    if (body.has("nodeOverrides")) {
      body.complain("nodeOverrides can only be used with a multi-node job definition");
    }
    if (const auto* overrides = body.object("containerOverrides")) {
      read_overrides(*overrides, complaint, spec);
    }
  }
  read_dependencies(view, request, body, complaint, spec);
  read_retry_and_timeout(body, complaint, spec);
  read_extension(body, complaint, spec);
  if (spec.command.empty()) {
    body.complain("Container command must not be empty: the job definition has none");
  }
  if (complaint) return fail(*complaint);
  return spec;
}

}  // namespace cox::api
