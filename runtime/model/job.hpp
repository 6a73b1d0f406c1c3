#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/ids.hpp"
#include "runtime/base/shared.hpp"
#include "runtime/base/units.hpp"

namespace cox {

/// The states of AWS Batch, in the order of a job's life (awsbstat sorts by it).
enum class JobStatus : std::uint8_t {
  submitted,
  pending,
  runnable,
  starting,
  running,
  succeeded,
  failed,
};

[[nodiscard]] const char* to_string(JobStatus status);  ///< "SUBMITTED" … "FAILED"
[[nodiscard]] std::optional<JobStatus> job_status_from(std::string_view upper_case_name);
[[nodiscard]] bool is_terminal(JobStatus status);

struct EnvVar {
  std::string name;
  std::string value;

  friend bool operator==(const EnvVar&, const EnvVar&) = default;
};

/// The user a job runs as: the one who submitted it, as the kernel told the head.
struct JobUser {
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::string name;

  friend bool operator==(const JobUser&, const JobUser&) = default;
};

/// A file that travels with the job. Its bytes are in the head's blob store under the hash.
struct JobFile {
  std::string name;       ///< base name; no '/' in it
  std::string sha256;     ///< lower-case hex of the content
  std::int64_t size = 0;  ///< bytes
  std::uint32_t mode = 0600;

  friend bool operator==(const JobFile&, const JobFile&) = default;
};

enum class DependencyKind : std::uint8_t {
  whole,         ///< waits for SUCCEEDED of that job (of an array: of all its children)
  sequential,    ///< on an array: child i waits for child i-1; no job id
  n_to_n,        ///< both arrays: child i waits for the other's child i
  after_any,     ///< ours: waits for that job's end, however it ends
  after_not_ok,  ///< ours: waits for FAILED of that job
};

struct Dependency {
  JobId job;  ///< empty with `sequential`
  DependencyKind kind = DependencyKind::whole;

  friend bool operator==(const Dependency&, const Dependency&) = default;
};

/// What `awsbsub --mpi` asks for: the product starts the ranks itself.
struct MpiRun {
  int ranks_per_node = 0;    ///< 0: one rank a slot
  std::string map_by;        ///< mpirun's --map-by; empty: not given
  std::string bind_to;       ///< mpirun's --bind-to; empty: not given
  std::string launch = {};   ///< the road asked for: "direct", "mpirun"; empty: what is best
  std::string library = {};  ///< what the program is linked to: "openmpi", "mpich"; empty: unknown
  std::string why_unknown = {};  ///< why it is, where library is empty

  friend bool operator==(const MpiRun&, const MpiRun&) = default;
};

/// An entry of a retry strategy's evaluateOnExit. Patterns may end in '*'; an empty one matches
/// all.
struct ExitRule {
  std::string on_status_reason;
  std::string on_reason;
  std::string on_exit_code;
  bool retry = false;  ///< RETRY, else EXIT

  friend bool operator==(const ExitRule&, const ExitRule&) = default;
};

/// Nodes of a multi-node job that differ from what the job's other members say.
struct NodeGroup {
  int first = 0;
  int last = 0;  ///< included
  std::vector<std::string> command;
  std::vector<EnvVar> environment;
  int vcpus = 1;
  MiB memory;

  friend bool operator==(const NodeGroup&, const NodeGroup&) = default;
};

/// A submission, checked, with the job definition's values and the overrides worked in. What many
/// jobs have alike or few have at all is shared: a waiting job is mostly this.
struct JobSpec {
  std::string name;
  QueueName queue;
  Shared<std::string> definition;  ///< "name:revision"
  std::vector<std::string> command;
  std::vector<EnvVar> environment;
  int vcpus = 1;             ///< of each node
  MiB memory{128};           ///< of each node, a hard limit
  int slots_per_node = 0;    ///< MPI slots of each node; 0: the node's vCPUs
  std::optional<int> nodes;  ///< set (>= 1): multi-node parallel; such a job has whole nodes
  std::optional<int> array_size;
  Shared<std::vector<Dependency>> depends_on;
  int attempts = 1;              ///< in all, 1..10
  std::optional<int> timeout_s;  ///< per attempt, from its start
  Shared<JobUser> user;
  Shared<std::vector<JobFile>> files;
  Shared<std::optional<MpiRun>> mpi;
  bool cpu_and_memory_legacy = true;  ///< asked by the deprecated vcpus/memory members
  Shared<std::map<std::string, std::string>> tags;
  Shared<std::map<std::string, std::string>> parameters;  ///< already worked into the command
  Shared<std::vector<ExitRule>> exit_rules;  ///< in order; the first that matches decides
  Shared<std::vector<NodeGroup>> groups;     ///< empty: all nodes are alike
  int main_node = 0;                         ///< index of a multi-node job's main node
  Shared<std::string> share;                 ///< shareIdentifier, for fair share
  std::optional<int> priority;               ///< schedulingPriority, 0..9999
  std::optional<bool> propagate_tags;
  Shared<std::string> client_token;    ///< ours: the same of the same user is the same submission
  Shared<std::string> request_digest;  ///< with a token: of the request, SHA-256 in hexadecimal

  /// What a node runs: its group's part, or nothing where it is like all.
  [[nodiscard]] const NodeGroup* group_of(int node_index) const;

  friend bool operator==(const JobSpec&, const JobSpec&) = default;
};

/// How far one node of an attempt has come.
enum class NodePhase : std::uint8_t { preparing, ready, running, exited };

/// One node's part in an attempt. `#<index>` of a multi-node job; index 0 is the main node.
struct NodeRun {
  NodeId node;
  std::string address;
  std::string hostname;
  std::string instance_type;
  ComputeEnvironmentName environment;
  int slots = 1;
  NodePhase phase = NodePhase::preparing;
  Millis started_at;
  Millis stopped_at;
  std::optional<int> exit_code;  ///< 0..255; 128 + signal for a signal; 137 when killed
  std::string reason;            ///< lower-level text, e.g. "OutOfMemoryError: …"

  friend bool operator==(const NodeRun&, const NodeRun&) = default;
};

/// One try at running a job. A late report for an older number is refused.
struct Attempt {
  int number = 0;  ///< from 1
  std::vector<NodeRun> nodes;
  Millis started_at;
  Millis stopped_at;
  std::optional<int> exit_code;  ///< the main node's
  std::string status_reason;
  bool over = false;   ///< the outcome is decided; other nodes may still be stopping
  std::string launch;  ///< of --mpi, how its ranks start and why: "mpirun: …", "direct: …"

  /// The agents start the ranks themselves: the attempt's nodes live and end together.
  [[nodiscard]] bool is_direct() const { return launch.starts_with("direct"); }
  friend bool operator==(const Attempt&, const Attempt&) = default;
};

/// A job: a single one, a multi-node one, an array's parent or an array's child.
struct Job {
  JobId id;
  Shared<JobSpec> spec;  ///< an array's children have it together
  JobStatus status = JobStatus::submitted;
  bool cancelled = false;  ///< the kill was to end waiting jobs only
  bool timed_out = false;  ///< the current attempt ran over its time
  Shared<std::string> status_reason;
  Millis created_at;
  Millis started_at;  ///< of the last attempt
  Millis stopped_at;
  std::vector<Attempt> attempts;                   ///< the last is the current one
  Shared<std::vector<JobId>> waits_for;            ///< dependencies not yet met
  std::optional<int> array_index;                  ///< of a child
  Shared<std::map<JobStatus, int>> children;       ///< of an array's parent: how many in each state
  Shared<std::optional<std::string>> kill_reason;  ///< a kill was asked for, with this reason

  [[nodiscard]] bool is_array_parent() const { return spec->array_size && !array_index; }
  [[nodiscard]] bool is_multi_node() const { return spec->nodes.has_value(); }
  /// Nodes that an attempt needs.
  [[nodiscard]] int node_count() const { return spec->nodes.value_or(1); }
  /// The attempt that holds nodes now, or null.
  [[nodiscard]] const Attempt* current() const {
    return attempts.empty() ? nullptr : &attempts.back();
  }
  friend bool operator==(const Job&, const Job&) = default;
};

/// `<uuid>:<i>`, `<uuid>#<n>` taken apart.
struct JobRef {
  JobId id;                       ///< the job itself: "uuid" or "uuid:3"
  std::optional<int> node_index;  ///< of "#n"

  friend bool operator==(const JobRef&, const JobRef&) = default;
};

/// Reads any id that a user may give. Never fails: what is no reference is an unknown id. Pure.
[[nodiscard]] JobRef parse_job_ref(std::string_view text);

/// The id of an array's parent for a child's id, the id itself otherwise. Pure.
[[nodiscard]] JobId parent_of(const JobId& id);
[[nodiscard]] JobId child_of(const JobId& parent, int index);

/// The name of the log stream of one node's part in one attempt:
/// `<definition name, 200 characters at most>/default/<id>`, unique by attempt and node, without
/// ':' and '*' (CloudWatch Logs forbids them). Pure.
[[nodiscard]] std::string log_stream_name(const Job& job, int attempt, int node_index);

}  // namespace cox
