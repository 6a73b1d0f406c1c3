#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/result.hpp"
#include "runtime/model/cluster.hpp"

/// A cluster's file, read: ParallelCluster v3 YAML or v2 INI → one typed configuration.
namespace cox::config {

/// Where something stands in the file. Lines and columns count from 1; 0: the file as a whole.
struct Place {
  int line = 0;
  int column = 0;

  friend bool operator==(const Place&, const Place&) = default;
};

enum class Level : std::uint8_t { info, warning, error };
[[nodiscard]] const char* to_string(Level level);  ///< "INFO", "WARNING", "ERROR"

/// Something to say about the file.
struct Finding {
  Level level = Level::error;
  std::string rule;  ///< the original's validator name: "AwsBatchComputeInstanceTypeValidator"
  std::string path;  ///< "Scheduling.AwsBatchQueues[0].ComputeResources[0].MaxvCpus"
  Place place;
  std::string text;  ///< one sentence: what is wrong and what to do

  friend bool operator==(const Finding&, const Finding&) = default;
};

struct SharedStorage {
  std::string name;
  std::string mount_dir;      ///< absolute
  std::string as_configured;  ///< as written
  std::string type;           ///< "Ebs", "Efs", "Raid", "FsxLustre", ...
  std::string file_system_id;
  std::string source = "existing";  ///< Coxswain/SharedStorage: or "staged", "server:/export"
  std::string path{};               ///< where it stands: "SharedStorage[0]"
  bool stays = false;  ///< DeletionPolicy Retain or Snapshot: its content outlives the cluster
};

struct ComputeResource {
  std::string name;
  std::vector<std::string> instance_types;  ///< as written: types, families, "optimal"
  int min_vcpus = 0;
  int desired_vcpus = 0;
  int max_vcpus = 10;
  Place place;
  int min_count = 0;  ///< of Slurm: nodes, as written; vCPUs follow from them
  int max_count = 0;
  bool cores_only = false;      ///< a node offers its type's cores, not its hardware threads
  std::int64_t memory_mib = 0;  ///< what jobs may take of a node; 0: the type's
  bool several_types = false;   ///< of Slurm: written as Instances
  std::string provider{};       ///< its own; empty: the cluster's
  std::map<std::string, std::string> tags{};  ///< of Slurm: beside the cluster's and the queue's
};

/// A script that nodes run, with its arguments.
struct CustomAction {
  std::string script;  ///< a path, or a URL
  std::vector<std::string> args;

  friend bool operator==(const CustomAction&, const CustomAction&) = default;
};

/// Each in its order.
struct CustomActions {
  std::vector<CustomAction> on_node_start;
  std::vector<CustomAction> on_node_configured;
  std::vector<CustomAction> on_node_updated;
};

struct Queue {
  std::string name;
  bool spot = false;  ///< multi-node jobs do not run here
  std::vector<ComputeResource> compute_resources;
  CustomActions actions{};                    ///< of its nodes
  std::map<std::string, std::string> tags{};  ///< of Slurm: beside the cluster's
  int max_running = 0;  ///< Coxswain/Queues: jobs that may run at once; 0: no limit
};

/// Coxswain/Ssh. Empty texts: what the user's ssh configuration says.
struct SshHost {
  std::string host;
  std::string user;
  int port = 0;                 ///< 0: what ssh's configuration says
  int vcpus = 0;                ///< 0: what the host has
  std::int64_t memory_mib = 0;  ///< 0: what the host has
  std::string proxy_jump;
  std::string compute_resource;  ///< empty: the first
};

struct SshSettings {
  std::string user;
  std::string identity_file;
  std::string known_hosts_file;
  std::vector<SshHost> hosts;
};

/// Coxswain/Slurm: the site that the slurm provider asks for nodes.
struct SlurmSite {
  std::string partition;
  std::string account;
  std::string qos;
  std::vector<std::string> extra_args;
  int pilot_seconds = 3600;
};

/// Coxswain/Api: where AWS's clients reach the cluster.
struct ApiSettings {
  std::string address = "127.0.0.1";
  int port = 0;      ///< 0: a free one, which is kept
  std::string host;  ///< what clients know it by; empty: the address, or the machine's name
  std::string certificate_file;
  std::string private_key_file;
};

/// What the rest of the product needs of a file, whichever format it had.
struct ClusterConfig {
  bool v2 = false;
  std::string region;
  std::string os = "alinux2";
  std::string os_user = "ec2-user";
  std::string head_instance_type;
  std::string key_name;
  std::vector<Queue> queues;
  std::vector<SharedStorage> shared;
  int scaledown_idle_minutes = 10;  ///< negative: never
  std::map<std::string, std::string> tags;
  std::map<std::string, std::string> ssh_alias;  ///< v2 [aliases]
  bool sanity_check = true;                      ///< v2
  std::string provider = "local";                ///< Coxswain/Provider
  std::string scheduler = "awsbatch";            ///< or "slurm": what the file's queues are of
  CustomActions head_actions{};
  int head_start_limit_s = 1800;  ///< DevSettings/Timeouts: what head_actions may take
  int node_start_limit_s = 1800;  ///< and those of the queues' nodes
  int log_retention_days = 180;   ///< of Monitoring/Logs; 0: for ever
  bool logs_enabled = true;       ///< of Monitoring/Logs: whether pcluster shows them
  SshSettings ssh;
  SlurmSite slurm;
  ApiSettings api;
  std::string containers = "podman";  ///< or "host": images are ignored
  int history_days = 7;               ///< Coxswain/HistoryDays
};

/// What reading a file gives: findings always; a configuration unless a finding stands in its way.
/// Errors that can be suppressed do not: whoever makes a cluster looks at the findings too.
struct Loaded {
  std::optional<ClusterConfig> config;
  std::vector<Finding> findings;  ///< in the order of the file
};

struct LoadOptions {
  std::string region{};              ///< -r; empty: the file's, else the environment's
  std::string environment_region{};  ///< AWS_DEFAULT_REGION or AWS_REGION
  std::string cluster_template{};    ///< v2 -t; empty: [global] cluster_template, else "default"
  /// The providers that this program has; a file that names another one is refused.
  std::vector<std::string> providers{"local", "ssh", "slurm"};
};

/// Reads YAML; never throws. Pure.
[[nodiscard]] Loaded load_yaml(std::string_view text, const LoadOptions& options);

/// Reads INI; never throws. Pure.
[[nodiscard]] Loaded load_ini(std::string_view text, const LoadOptions& options);

/// True for an error that only says what AWS would refuse: a cluster can be made all the same, when
/// the user says so (--suppress-validators, sanity_check = false). Pure.
[[nodiscard]] bool can_be_suppressed(const Finding& finding);

/// True when the text is no YAML map, or no INI file, at all. Pure.
[[nodiscard]] bool is_about_text(const Finding& finding);

/// True for a text that looks like a v2 file: its first line that is neither blank nor a comment
/// is a [section]. Pure.
[[nodiscard]] bool looks_like_ini(std::string_view text);

/// `FILE:LINE:COLUMN: error: path: text [rule]`, the line itself and a caret, for people; the rule
/// where it can be suppressed. Pure.
[[nodiscard]] std::string render(const Finding& finding, std::string_view file_name,
                                 std::string_view text);

/// The place alone: `FILE:LINE:COLUMN`, the line and a caret, indented; empty where the finding is
/// about the file as a whole. Pure.
[[nodiscard]] std::string render_place(const Finding& finding, std::string_view file_name,
                                       std::string_view text);

/// All keys of a v3 file as Markdown: types, defaults, ranges, and what becomes of them. Pure.
[[nodiscard]] std::string render_key_table();

/// A JSON Schema (draft 7) of a v3 file, for editors. Pure.
[[nodiscard]] std::string render_json_schema();

/// The product's table of instance types.
[[nodiscard]] std::optional<InstanceType> find_instance_type(std::string_view name);

/// All types that a list of types, families and "optimal" allows, smallest first (vCPUs, memory,
/// name). "optimal": C4, C5, M4, M5, R4 and R5, as AWS Batch has it. Errors: not_found, naming the
/// word and the nearest known one.
[[nodiscard]] Result<std::vector<InstanceType>> expand_instance_types(
    const std::vector<std::string>& words);

/// What the nodes of a compute resource may be and what each offers to jobs, smallest first.
/// Errors: as expand_instance_types().
[[nodiscard]] Result<std::vector<InstanceType>> offered_types(const ComputeResource& resource);

/// The name of a compute resource's compute environment. Pure.
[[nodiscard]] std::string environment_name(const ClusterConfig& config, const std::string& cluster,
                                           std::size_t queue, std::size_t resource);

/// The settings that the head runs by. `name` is the cluster's. Pure.
[[nodiscard]] ClusterSettings to_settings(const ClusterConfig& config, const std::string& name);

}  // namespace cox::config
