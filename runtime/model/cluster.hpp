#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "runtime/base/ids.hpp"
#include "runtime/base/units.hpp"

namespace cox {

/// What an instance type offers to jobs.
struct InstanceType {
  std::string name;  ///< as EC2 names it: "c4.large"
  int vcpus = 1;     ///< hardware threads
  MiB memory;

  friend bool operator==(const InstanceType&, const InstanceType&) = default;
};

/// A group of alike nodes that grows from min_vcpus to max_vcpus. Names follow AWS Batch.
struct ComputeEnvironment {
  ComputeEnvironmentName name;
  std::string arn;
  bool enabled = true;
  bool spot = false;  ///< multi-node jobs do not run on Spot environments (AWS Batch)
  int min_vcpus = 0;
  int desired_vcpus = 0;  ///< at creation only
  int max_vcpus = 0;
  /// Types that may be provisioned, smallest first: by vCPUs, then memory, then name.
  std::vector<InstanceType> instance_types;
  std::int64_t idle_ms_before_release = 0;  ///< negative: never given back
  bool from_file = true;                    ///< of the cluster's own file: it cannot be deleted
  bool managed = true;                      ///< false: UNMANAGED, nodes come by other ways
  int unmanaged_vcpus = 0;
  std::string resources = {};      ///< JSON: computeResources as given by API; empty: from file
  std::string service_role = {};   ///< carried and described only
  std::string update_policy = {};  ///< JSON; empty: not given
  std::map<std::string, std::string> tags = {};

  friend bool operator==(const ComputeEnvironment&, const ComputeEnvironment&) = default;
};

/// What is done with a job that stands RUNNABLE at the head of its queue for too long.
struct LimitAction {
  std::string reason;  ///< a cause of AWS's, or words of the user's own
  int max_seconds = 600;
  bool terminate = false;  ///< TERMINATE, else CANCEL: the same for a job that has not started

  friend bool operator==(const LimitAction&, const LimitAction&) = default;
};

/// Where jobs wait. Higher priority is served first.
struct JobQueue {
  QueueName name;
  std::string arn;
  int priority = 1;
  bool enabled = true;
  std::vector<ComputeEnvironmentName> environments;  ///< tried in this order
  bool from_file = true;    ///< of the cluster's own file: it cannot be deleted
  std::string policy = {};  ///< name of its scheduling policy; empty: first in, first out
  std::vector<LimitAction> limit_actions = {};
  std::map<std::string, std::string> tags = {};
  int max_running = 0;           ///< jobs that may run at once, by the cluster's file; 0: no limit
  std::vector<int> orders = {};  ///< of each environment, as a client gave it; empty: 1, 2, 3

  friend bool operator==(const JobQueue&, const JobQueue&) = default;
};

/// Ours: the tag that limits how many jobs of a queue run at once, a whole number from 1. A tag,
/// because clients of AWS's API can send it as they are.
inline constexpr const char* kRunningLimitTag = "coxswain:MaxRunningJobs";
/// The number that such a tag holds, or nothing where it is none. Pure.
[[nodiscard]] std::optional<int> running_limit_in(const std::string& tag);
/// How many jobs of the queue may run at once: by its tag, else by the file; 0: no limit. Pure.
[[nodiscard]] int running_limit(const JobQueue& queue);

/// A directory that every node of the cluster sees at the same path.
struct SharedDirectory {
  std::string mount_dir;       ///< absolute
  std::string as_configured;   ///< as written in the file: what PCLUSTER_SHARED_DIRS holds
  std::string kind;            ///< "Ebs", "Efs" or "Raid"
  std::string file_system_id;  ///< of Efs, for PCLUSTER_EFS_FS_IDS; may be empty
  bool staged = false;         ///< hosts have it each for itself: what a job names is copied there

  friend bool operator==(const SharedDirectory&, const SharedDirectory&) = default;
};

/// How nodes are lent where a site's own engine gives them out: in allocations, for a time.
struct Lending {
  int default_s = 3600;  ///< asked for where a job has no timeout
  int max_s = 0;         ///< the longest that is given; 0: no limit

  friend bool operator==(const Lending&, const Lending&) = default;
};

/// A script that a node runs while it comes up.
struct NodeScript {
  std::string action;  ///< "OnNodeStart" or "OnNodeConfigured"
  std::string script;  ///< an absolute path, or a URL: file, http, https, s3
  std::vector<std::string> args = {};

  friend bool operator==(const NodeScript&, const NodeScript&) = default;
};

/// What the nodes of one kind run, in this order; with the first that fails the node has failed.
struct NodeScripts {
  std::vector<NodeScript> list;
  int limit_s = 1800;  ///< for all of them together

  friend bool operator==(const NodeScripts&, const NodeScripts&) = default;
};

/// All that the head must know of the cluster's configuration. Changed by an update only.
struct ClusterSettings {
  std::string name;
  std::string stack_name;  ///< v3: the name; v2: "parallelcluster-" and the name
  std::string region;
  std::string account = "123456789012";
  bool v2 = false;  ///< made from an INI file: jobs also see MASTER_IP and v2's names
  std::vector<ComputeEnvironment> environments;
  std::vector<JobQueue> queues;  ///< the first is the default
  std::vector<SharedDirectory> shared;
  std::string os_user;  ///< user name of Image.Os: "ec2-user"
  InstanceType head_node;
  int history_days = 7;        ///< how long jobs are kept that have ended (AWS Batch: at least 7)
  bool containers = true;      ///< images run in podman; false: they are ignored
  int log_retention_days = 0;  ///< what logs hold goes then; 0: with the job, or the cluster
  /// Of environments whose nodes are lent; those of the others stay for as long as they are wanted.
  std::map<ComputeEnvironmentName, Lending> lent = {};
  /// By the environment of the nodes; the empty name: the head node.
  std::map<ComputeEnvironmentName, NodeScripts> scripts = {};

  friend bool operator==(const ClusterSettings&, const ClusterSettings&) = default;
};

enum class NodeStatus : std::uint8_t {
  pending,      ///< asked of the provider, its agent has not said hello yet
  up,           ///< its agent is connected: jobs may be placed
  silent,       ///< its agent was connected and is not now; its jobs go on until it is lost
  terminating,  ///< being given back
  unfit,        ///< its agent is connected and tells of a fault: its jobs go on, no other comes
};

/// A machine (or a part of one) whose agent runs attempts.
struct Node {
  NodeId id;
  int ordinal = 0;  ///< small, unique among live nodes; providers derive addresses from it
  ComputeEnvironmentName environment;  ///< empty: the head node, which runs no jobs
  std::string instance_type;
  int vcpus = 0;
  MiB memory;
  std::string address;   ///< IPv4 of its eth0
  std::string hostname;  ///< "ip-10-0-0-12"
  NodeStatus status = NodeStatus::pending;
  Millis launched_at;
  Millis idle_since;   ///< when its last job left; launched_at before the first
  std::string reason;  ///< why it is not up, where it is not
  /// Of a lent node: those with the same come, and are given back, together.
  std::string allocation = {};
  int lent_s = 0;          ///< for how long it was asked for; 0: it is not lent
  Millis lent_until = {};  ///< when it will be taken away; not set: not known

  friend bool operator==(const Node&, const Node&) = default;
};

[[nodiscard]] const char* to_string(NodeStatus status);

}  // namespace cox
