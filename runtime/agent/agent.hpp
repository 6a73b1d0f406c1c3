#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "runtime/base/ids.hpp"
#include "runtime/base/result.hpp"
#include "runtime/os/event_loop.hpp"
#include "runtime/os/frame_link.hpp"

namespace cox::agent {

/// What an agent is told at its start, as JSON on descriptor 3 (never in argv: it holds a key):
/// {"node","cluster","head_address","head_port","certificate","private_key","ca_certificate",
///  "address","hostname","instance_type","region","scratch","socket","bin_dir","mpi_bin_dir",
///  "cgroup","vcpus","memory_mib","first_process","metadata","os_home","head_file","node_bin_dir",
///  "shared_memory","network","topology_file","leave_after_s","own_user","whole_machine",
///  "ended_together"}
struct AgentOptions {
  NodeId node;
  std::string cluster;
  std::string head_address;
  int head_port = 0;
  os::TlsIdentity identity;
  std::string address;  ///< IPv4 of this node's eth0
  std::string hostname;
  std::string instance_type;
  std::string region;
  std::string scratch;      ///< attempts' directories and the spool are made here
  std::string socket;       ///< unix socket for cox-rank and cox-rsh: "/run/coxswain/agent.sock"
  std::string bin_dir;      ///< "/run/coxswain/bin"
  std::string mpi_bin_dir;  ///< "/usr/lib64/openmpi/bin"
  std::string cgroup;       ///< directory of a cgroup for this node; empty: watch processes
  int vcpus = 1;
  std::int64_t memory_mib = 0;
  bool first_process = false;  ///< it is process 1 of its node: reaps everything
  bool metadata = false;       ///< serve 169.254.169.254:80
  std::string os_home;         ///< shared home of the cluster: "/home/ec2-user"
  // Of a node that is a host itself (host_node.hpp).
  std::string head_file;      ///< "ADDRESS PORT" of the head, read anew at each dial; empty: fixed
  std::string node_bin_dir;   ///< first in PATH: its ssh is cox-rsh; "/run/coxswain/node-bin"
  std::string shared_memory;  ///< directory for what ranks share; made and removed around the agent
  std::string network;        ///< "10.0.0.0/24": what Open MPI is to use; empty: its own choice
  std::string topology_file;  ///< hwloc's XML for jobs; empty: none
  int leave_after_s = 0;      ///< without a head for so long, and without a job: it goes; 0: never
  bool own_user = false;      ///< jobs run as the agent's user, whoever submitted them
  bool whole_machine = false;  ///< no other node shares its cores
  /// Who ends its jobs from outside ends it at the same moment, as Slurm does with an allocation: a
  /// failure is told a moment later, so that such an end is not taken for the jobs' own.
  bool ended_together = false;
};

[[nodiscard]] Result<AgentOptions> parse_options(const std::string& json);

/// How an agent's process ends when the head has told it that the node is not of the cluster.
inline constexpr int kTurnedAway = 42;

class Agent {
 public:
  virtual ~Agent() = default;
  /// True when the head does not know the node any more, or has not been heard of for very long;
  /// the loop has stopped then. Only where the node outlives the provider's sight of it: on hosts.
  [[nodiscard]] virtual bool was_turned_away() const = 0;
  /// Opens the socket, dials the head (again and again), serves. Runs on the loop.
  [[nodiscard]] virtual Result<void> start() = 0;
};

[[nodiscard]] std::unique_ptr<Agent> make_agent(os::EventLoop& loop, AgentOptions options);

}  // namespace cox::agent
