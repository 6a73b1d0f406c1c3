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
  std::string type;           ///< "Ebs", "Efs", "Raid"
  std::string file_system_id;
};

struct ComputeResource {
  std::string name;
  std::vector<std::string> instance_types;  ///< as written: types, families, "optimal"
  int min_vcpus = 0;
  int desired_vcpus = 0;
  int max_vcpus = 10;
  Place place;
};

struct Queue {
  std::string name;
  bool spot = false;
  std::vector<ComputeResource> compute_resources;
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

/// The product's table of instance types.
[[nodiscard]] std::optional<InstanceType> find_instance_type(std::string_view name);

/// All types that a list of types, families and "optimal" allows, smallest first (vCPUs, memory,
/// name). "optimal": C4, C5, M4, M5, R4 and R5, as AWS Batch has it. Errors: not_found, naming the
/// word and the nearest known one.
[[nodiscard]] Result<std::vector<InstanceType>> expand_instance_types(
    const std::vector<std::string>& words);

/// The settings that the head runs by. `name` is the cluster's. Pure.
[[nodiscard]] ClusterSettings to_settings(const ClusterConfig& config, const std::string& name);

}  // namespace cox::config
