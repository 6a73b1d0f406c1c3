#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/base/result.hpp"
#include "runtime/model/cluster.hpp"

/// The hosts of a cluster that are reached by ssh: who they are and what was found there. Pure but
/// for load and save.
namespace cox::provider {

/// How ssh gets to a host. Empty texts and port 0: what the user's ssh configuration says.
struct SshTarget {
  std::string host{};
  std::string user{};
  int port = 0;
  std::string identity_file{};
  std::string known_hosts_file{};
  std::string proxy_jump{};

  friend bool operator==(const SshTarget&, const SshTarget&) = default;
};

/// An IPv4 interface of a host.
struct HostInterface {
  std::string name;
  std::string address;
  int prefix = 0;

  friend bool operator==(const HostInterface&, const HostInterface&) = default;
};

/// What cox-agent --describe tells of a host.
struct HostFacts {
  std::string hostname;
  std::string user;
  int vcpus = 1;
  std::int64_t memory_mib = 0;
  std::int64_t clock_ms = 0;
  double load = 0;
  std::string machine;  ///< equal for two names of one machine
  std::vector<HostInterface> interfaces;
  std::string server_address;  ///< by which ssh came to it
  std::string mpirun;
  std::string orted;
  std::string open_mpi;  ///< version
  std::int64_t shm_mib = 0;
  std::int64_t scratch_mib = 0;
  std::int64_t open_files = -1;  ///< -1: no limit
  std::int64_t processes = -1;
  int port = 0;                     ///< where it takes connections, while it is looked at
  std::vector<std::string> shared;  ///< by shared directory: why nothing can be written; empty: can

  friend bool operator==(const HostFacts&, const HostFacts&) = default;
};

/// A host as it is used.
struct PlannedHost {
  SshTarget target;
  std::string environment;  ///< name of its compute environment
  int vcpus = 0;            ///< 0, until it was looked at, where the file does not say
  std::int64_t memory_mib = 0;
  std::string address;   ///< by which other nodes reach it
  std::string hostname;  ///< its own word

  friend bool operator==(const PlannedHost&, const PlannedHost&) = default;
};

/// A directory that hosts mount by NFS.
struct NfsMount {
  std::string directory;
  std::string source;  ///< "server:/export"

  friend bool operator==(const NfsMount&, const NfsMount&) = default;
};

struct SshPlan {
  std::string tag;       ///< names the cluster's directories on hosts; nobody can guess it
  bool alone = true;     ///< no compute environment is of this machine
  std::string networks;  ///< "10.0.0.0/24", comma-separated: what Open MPI is to use
  std::vector<PlannedHost> hosts;
  std::vector<NfsMount> mounts = {};  ///< at each host, while it has a node

  friend bool operator==(const SshPlan&, const SshPlan&) = default;
};

/// JSON and back. Errors: invalid_argument.
[[nodiscard]] std::string render_plan(const SshPlan& plan);
[[nodiscard]] Result<SshPlan> parse_plan(const std::string& text);
[[nodiscard]] Result<HostFacts> parse_facts(const std::string& text);

/// <cluster directory>/ssh/plan.json. Nothing when the cluster has no such hosts.
[[nodiscard]] Result<std::optional<SshPlan>> load_plan(const std::string& cluster_directory);
[[nodiscard]] Result<void> save_plan(const std::string& cluster_directory, const SshPlan& plan);

/// "alice@10.0.0.12:2222": a host for people.
[[nodiscard]] std::string shown(const SshTarget& target);

/// The address by which other nodes reach the host: the one by which ssh did, unless that leads
/// nowhere but to itself; else its first interface's.
[[nodiscard]] std::string choose_address(const HostFacts& facts);

/// The network of the interface with this address: "10.0.0.0/24". Empty where there is none.
[[nodiscard]] std::string network_of(const HostFacts& facts, const std::string& address);

/// Fills in what was found, and the networks. `facts` and the addresses in the order of the hosts.
void apply_facts(SshPlan& plan, const std::vector<HostFacts>& facts,
                 const std::vector<std::string>& addresses);

/// Gives the compute environments of hosts their types, one a shape, and a limit: no more vCPUs
/// than there are.
void apply_plan(const SshPlan& plan, ClusterSettings& settings);

}  // namespace cox::provider
