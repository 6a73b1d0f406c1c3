#include <algorithm>
#include <boost/json.hpp>
#include <cstddef>

#include "runtime/api/container_shapes.hpp"
#include "runtime/api/shapes.hpp"
#include "runtime/base/text.hpp"

/// SubmitJob → JobSpec. Limits: AWS Batch user guide, "Service quotas", and API reference,
/// SubmitJob.
namespace cox::api {

namespace json = boost::json;

namespace {

constexpr std::size_t kRequestBytesMax = 30 * 1024;
constexpr std::size_t kDependenciesMax = 20;
constexpr std::size_t kShareMax = 255;
constexpr std::size_t kSharesMax = 500;  // active ones of a queue

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
    } else if (type == "AFTER_ANY") {  // ours, as the next
      dependency.kind = DependencyKind::after_any;
    } else if (type == "AFTER_NOT_OK") {
      dependency.kind = DependencyKind::after_not_ok;
    } else if (!type.empty()) {
      member.complain(fmt::format(
          "dependsOn: type must be N_TO_N or SEQUENTIAL (or AFTER_ANY or AFTER_NOT_OK, which AWS "
          "Batch does not have), not {}",
          type));
    }
    const bool of_children =
        dependency.kind == DependencyKind::n_to_n || dependency.kind == DependencyKind::sequential;
    if (of_children && !spec.array_size) {
      member.complain(fmt::format("Dependency of type {} is for array jobs only", type));
    }
    if (dependency.kind == DependencyKind::sequential) {
      spec.depends_on.edit().push_back(dependency);
      continue;
    }
    const auto* job = view.find(parse_job_ref(dependency.job.value).id);
    if (job == nullptr || !may_see(*job, request.user)) {
      member.complain(fmt::format("Dependent job {} does not exist", dependency.job));
      continue;
    }
    if (dependency.kind == DependencyKind::n_to_n && job->spec->array_size != spec.array_size) {
      member.complain(fmt::format("N_TO_N dependency: job {} must be an array job of the same size",
                                  dependency.job));
    }
    dependency.job = job->id;
    spec.depends_on.edit().push_back(dependency);
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
    spec.files.edit().push_back(std::move(file));
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

const Shape& submit_shape() {
  static const Shape override{required(text("targetNodes")),
                              object("containerOverrides", container_override_shape())};
  static const Shape nodes{integer("numNodes", 1, 1000),
                           objects("nodePropertyOverrides", override)};
  static const Shape array{integer("size", 2, 10'000)};
  static const Shape shape{text("shareIdentifier"),
                           integer("schedulingPriorityOverride", 0, 9999),
                           object("arrayProperties", array),
                           text_map("parameters"),
                           object("containerOverrides", container_override_shape()),
                           object("nodeOverrides", nodes),
                           object("retryStrategy", retry_shape()),
                           boolean("propagateTags"),
                           object("timeout", timeout_shape()),
                           text_map("tags")};
  return shape;
}

/// What one container runs and gets.
struct Effective {
  std::vector<std::string> command;
  std::vector<EnvVar> environment;
  int vcpus = 1;
  MiB memory{128};
  bool listed = false;
  bool has_image = false;

  friend bool operator==(const Effective&, const Effective&) = default;
};

/// "Ref::name" as a whole word is replaced by the parameter; an unknown one stays.
std::vector<std::string> substituted(std::vector<std::string> command,
                                     const std::map<std::string, std::string>& parameters) {
  constexpr std::string_view kMark = "Ref::";
  for (auto& word : command) {
    if (!word.starts_with(kMark)) continue;
    const auto value = parameters.find(word.substr(kMark.size()));
    if (value != parameters.end()) word = value->second;
  }
  return command;
}

/// A definition's container with an override worked in: a command replaces, environment is merged
/// by name, and requirements by type. vcpus and memory of an override change those of the
/// definition only, not its resourceRequirements.
Effective effective(const json::object& container, const json::object* overrides,
                    const std::map<std::string, std::string>& parameters,
                    std::optional<Error>& complaint) {
  Effective made;
  const auto base = resources_in(container, complaint);
  const auto changes = overrides != nullptr ? resources_in(*overrides, complaint) : Resources{};
  const auto without_list = [&](const char* name) {
    // By the list where it has the type, else by the older members.
    const auto* list = container.if_contains("resourceRequirements");
    return list == nullptr ||
           std::none_of(list->as_array().begin(), list->as_array().end(), [&](const auto& entry) {
             return text_in(entry.as_object(), "type") == name;
           });
  };
  made.listed = base.listed || changes.listed;
  made.vcpus = base.vcpus.value_or(1);
  made.memory = base.memory.value_or(MiB{128});
  if (changes.vcpus && (changes.listed || without_list("VCPU"))) made.vcpus = *changes.vcpus;
  if (changes.memory && (changes.listed || without_list("MEMORY"))) made.memory = *changes.memory;
  if (base.gpu || changes.gpu) {
    complain(complaint, "resourceRequirements of type GPU: this cluster's nodes have no GPU");
  }
  made.has_image = !text_in(container, "image").empty();
  made.command = texts_in(container, "command");
  made.environment = environment_in(container, complaint);
  if (overrides != nullptr) {
    if (overrides->contains("command")) made.command = texts_in(*overrides, "command");
    for (auto& variable : environment_in(*overrides, complaint)) {
      const auto same =
          std::find_if(made.environment.begin(), made.environment.end(),
                       [&](const EnvVar& each) { return each.name == variable.name; });
      if (same == made.environment.end()) {
        made.environment.push_back(std::move(variable));
      } else {
        same->value = std::move(variable.value);
      }
    }
  }
  made.command = substituted(std::move(made.command), parameters);
  return made;
}

void take(JobSpec& spec, Effective made) {
  spec.command = std::move(made.command);
  spec.environment = std::move(made.environment);
  spec.vcpus = made.vcpus;
  spec.memory = made.memory;
  spec.cpu_and_memory_legacy = !made.listed;
}

/// An image has a command of its own, where it is run. No program can be given a NUL.
void check_command(const View& view, const Effective& made, std::optional<Error>& complaint) {
  for (const auto& word : made.command) {
    if (word.find('\0') == std::string::npos) continue;
    complain(complaint, "Container command can't have a NUL character in it");
  }
  if (!made.command.empty() || (made.has_image && view.cluster().containers)) return;
  complain(complaint, "Container command must not be empty: the job definition has none");
}

const json::object* object_in(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  return value == nullptr ? nullptr : &value->as_object();
}

/// numNodes of the definition or of the override, where that is allowed.
int read_node_count(const json::object& properties, const json::object* overrides,
                    std::optional<Error>& complaint) {
  const int defined = static_cast<int>(integer_in(properties, "numNodes", 1));
  if (overrides == nullptr || !overrides->contains("numNodes")) return defined;
  const int nodes = static_cast<int>(integer_in(*overrides, "numNodes", 1));
  const auto main_node = integer_in(properties, "mainNode", 0);
  bool has_open_end = false;
  for (const auto& range : properties.at("nodeRangeProperties").as_array()) {
    const auto span = read_span(text_in(range.as_object(), "targetNodes"), nodes);
    if (!span) {
      complain(complaint, fmt::format("nodeOverrides: the definition's range {} has no place in {} "
                                      "nodes",
                                      text_in(range.as_object(), "targetNodes"), nodes));
    }
    has_open_end = has_open_end || (span && span->open_end);
  }
  if (!has_open_end) {
    complain(complaint,
             "nodeOverrides: numNodes can be given only where a range of the job "
             "definition has no upper end");
  }
  if (main_node >= nodes) {
    complain(complaint,
             fmt::format("nodeOverrides: numNodes must be above mainNode {}", main_node));
  }
  return nodes;
}

/// The innermost override for a node, or null.
const json::object* override_for(const json::object* overrides, int node_index, int nodes) {
  const auto* list =
      overrides == nullptr ? nullptr : overrides->if_contains("nodePropertyOverrides");
  const json::object* best = nullptr;
  int width = 0;
  if (list == nullptr) return best;
  for (const auto& value : list->as_array()) {
    const auto span = read_span(text_in(value.as_object(), "targetNodes"), nodes);
    if (!span || node_index < span->first || node_index > span->last) continue;
    if (best != nullptr && span->last - span->first >= width) continue;
    best = object_in(value.as_object(), "containerOverrides");
    width = span->last - span->first;
  }
  return best;
}

void check_override_spans(const json::object* overrides, int nodes,
                          std::optional<Error>& complaint) {
  const auto* list =
      overrides == nullptr ? nullptr : overrides->if_contains("nodePropertyOverrides");
  if (list == nullptr) return;
  for (const auto& value : list->as_array()) {
    const auto target = text_in(value.as_object(), "targetNodes");
    if (read_span(target, nodes)) continue;
    complain(complaint, fmt::format("nodePropertyOverrides: targetNodes {} is no range of {} nodes",
                                    target, nodes));
  }
}

/// All nodes of a multi-node job: alike where they can be, else as groups.
void read_nodes(const View& view, const json::object& definition, const json::object* overrides,
                std::optional<Error>& complaint, JobSpec& spec) {
  const auto& properties = definition.at("nodeProperties").as_object();
  const int nodes = read_node_count(properties, overrides, complaint);
  check_override_spans(overrides, nodes, complaint);
  spec.nodes = nodes;
  spec.main_node = static_cast<int>(integer_in(properties, "mainNode", 0));
  if (complaint) return;
  std::vector<std::pair<NodeGroup, Effective>> groups;
  for (int i = 0; i < nodes; ++i) {
    auto made = effective(container_of_node(definition, i, nodes),
                          override_for(overrides, i, nodes), spec.parameters, complaint);
    if (!groups.empty() && groups.back().second == made) {
      groups.back().first.last = i;
    } else {
      groups.push_back({NodeGroup{i, i, made.command, made.environment, made.vcpus, made.memory},
                        std::move(made)});
    }
  }
  for (auto& [group, made] : groups) {
    check_command(view, made, complaint);
    if (group.first <= spec.main_node && spec.main_node <= group.last) take(spec, made);
  }
  if (groups.size() == 1) return;
  for (auto& [group, made] : groups) {
    // Nodes are taken whole; each must do for the most demanding part.
    spec.vcpus = std::max(spec.vcpus, made.vcpus);
    spec.memory = std::max(spec.memory, made.memory);
    spec.groups.edit().push_back(std::move(group));
  }
}

void read_retry_and_timeout(const json::object& body, const json::object& definition,
                            std::optional<Error>& complaint, JobSpec& spec) {
  const auto either = [&](const char* name) {
    const auto* own = object_in(body, name);
    return own != nullptr ? own : object_in(definition, name);
  };
  if (const auto* retry = either("retryStrategy")) {
    spec.attempts = static_cast<int>(integer_in(*retry, "attempts", 1));
    spec.exit_rules = exit_rules_in(*retry, complaint);
  }
  if (const auto* timeout = either("timeout"); timeout != nullptr && !timeout->empty()) {
    spec.timeout_s = static_cast<int>(integer_in(*timeout, "attemptDurationSeconds", 60));
  }
}

/// Queue, and what its scheduling policy asks for.
void read_queue(const View& view, const std::string& name, const json::object& body,
                std::optional<Error>& complaint, JobSpec& spec) {
  const auto& queues = view.cluster().queues;
  const auto queue = std::find_if(queues.begin(), queues.end(),
                                  [&](const JobQueue& each) { return each.name.value == name; });
  if (queue == queues.end())
    return complain(complaint, fmt::format("JobQueue {} not found.", name));
  if (!queue->enabled) complain(complaint, fmt::format("JobQueue {} is not ENABLED", name));
  spec.queue = queue->name;
  spec.share = text_in(body, "shareIdentifier");
  if (queue->policy.empty() && body.contains("shareIdentifier")) {
    complain(complaint, fmt::format("shareIdentifier can't be used: JobQueue {} has no scheduling "
                                    "policy",
                                    name));
  } else if (!queue->policy.empty() && spec.share.empty()) {
    complain(complaint, fmt::format("shareIdentifier must not be empty: JobQueue {} has a "
                                    "scheduling policy",
                                    name));
  }
  const bool is_plain = std::all_of(spec.share.begin(), spec.share.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  });
  if (!is_plain || spec.share.size() > kShareMax) {
    return complain(complaint,
                    fmt::format("shareIdentifier must be up to {} letters and digits", kShareMax));
  }
  if (queue->policy.empty() || complaint) return;
  const auto shares = view.unfinished_shares(queue->name);
  if (shares.size() >= kSharesMax && !shares.contains(spec.share)) {
    complain(complaint, fmt::format("JobQueue {} can't have more than {} active share identifiers",
                                    name, kSharesMax));
  }
}

/// An override's command has no empty words.
void check_words(const json::object* overrides, std::optional<Error>& complaint) {
  if (overrides == nullptr) return;
  const auto command = texts_in(*overrides, "command");
  if (std::find(command.begin(), command.end(), "") != command.end()) {
    complain(complaint, "containerOverrides.command can't have an empty string in it");
  }
}

void check_all_words(const json::object& body, std::optional<Error>& complaint) {
  check_words(object_in(body, "containerOverrides"), complaint);
  const auto* nodes = object_in(body, "nodeOverrides");
  const auto* list = nodes == nullptr ? nullptr : nodes->if_contains("nodePropertyOverrides");
  if (list == nullptr) return;
  for (const auto& value : list->as_array()) {
    check_words(object_in(value.as_object(), "containerOverrides"), complaint);
  }
}

void read_container(const View& view, const json::object& body, const json::object& definition,
                    std::optional<Error>& complaint, JobSpec& spec) {
  const bool multi_node = definition.contains("nodeProperties");
  if (multi_node) {
    if (spec.array_size) complain(complaint, "An array job can't use a multi-node job definition");
    if (body.contains("containerOverrides")) {
      complain(complaint, "containerOverrides can't be used with a multi-node job definition");
    }
    return read_nodes(view, definition, object_in(body, "nodeOverrides"), complaint, spec);
  }
  if (body.contains("nodeOverrides")) {
    complain(complaint, "nodeOverrides can only be used with a multi-node job definition");
  }
  auto made = effective(definition.at("containerProperties").as_object(),
                        object_in(body, "containerOverrides"), spec.parameters, complaint);
  check_command(view, made, complaint);
  take(spec, std::move(made));
}

void read_labels(const json::object& body, const json::object& definition,
                 std::optional<Error>& complaint, JobSpec& spec) {
  spec.parameters = map_in(body, "parameters");
  for (const auto& [name, value] : map_in(definition, "parameters")) {
    spec.parameters.edit().emplace(name, value);
  }
  spec.tags = map_in(body, "tags");
  check_tags(spec.tags, complaint);
  const auto* propagated = body.if_contains("propagateTags");
  if (propagated == nullptr) propagated = definition.if_contains("propagateTags");
  if (propagated != nullptr) spec.propagate_tags = propagated->as_bool();
  const auto priority = integer_in(body, "schedulingPriorityOverride",
                                   integer_in(definition, "schedulingPriority", -1));
  if (priority >= 0) spec.priority = static_cast<int>(priority);
}

}  // namespace

Result<JobSpec> read_submission(const View& view, const Request& request,
                                const json::object& object) {
  if (request.body.size() > kRequestBytesMax && !object.contains("coxswain")) {
    return fail(Errc::invalid_argument, "Request is larger than {} bytes", kRequestBytesMax);
  }
  std::optional<Error> complaint;
  const Members members(object, "", complaint);
  JobSpec spec;
  spec.user = request.user;
  spec.name = members.required_text("jobName");
  if (!complaint && !is_name(spec.name)) complain(complaint, "Job name should match valid pattern");
  const auto queue_given = members.required_text("jobQueue");
  const auto definition_given = members.required_text("jobDefinition");
  const auto body = checked(object, submit_shape(), "", complaint);
  refuse_members(
      object,
      {"eksPropertiesOverride", "ecsPropertiesOverride", "consumableResourcePropertiesOverride"},
      complaint);
  if (complaint) return fail(*complaint);

  const auto here = arns_for(view, request);
  read_queue(view, short_name(here, queue_given, kQueueKind), body, complaint, spec);
  const auto found = find_definition(view, here, definition_given);
  if (!found) {
    complain(complaint, fmt::format("JobDefinition name {} does not exist or is not in ACTIVE "
                                    "status",
                                    short_name(here, definition_given, kDefinitionKind)));
  }
  if (complaint) return fail(*complaint);
  spec.definition = fmt::format("{}:{}", found->name, found->revision);
  const auto definition = json::parse(found->body).as_object();
  if (const auto* array = object_in(body, "arrayProperties"); array && array->contains("size")) {
    spec.array_size = static_cast<int>(integer_in(*array, "size", 2));
  }
  read_labels(body, definition, complaint, spec);
  // Our own commands take any words, as a shell does.
  if (!members.has("coxswain")) check_all_words(body, complaint);
  read_container(view, body, definition, complaint, spec);
  read_dependencies(view, request, members, complaint, spec);
  read_retry_and_timeout(body, definition, complaint, spec);
  read_extension(members, complaint, spec);
  if (complaint) return fail(*complaint);
  return spec;
}

}  // namespace cox::api
