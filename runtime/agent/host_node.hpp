#pragma once

#include <string>
#include <vector>

/// A node that is a host itself, reached by somebody else's hands (ssh, an allocation): it has no
/// namespaces whose end ends everything, so a guard stands above the agent.
///
///   cox-agent --start ─► guard (detached; adopts orphans) ─► cox-agent ─► steps and jobs
///
/// The guard outlives the connection that started it. When the agent dies, the guard ends all that
/// was below it and starts it anew: a job is never left without its agent. Ended itself by SIGTERM
/// it takes everything with it and removes what the node had.
///
/// All of a cluster on a host is below one directory of the user's (0700), and one in /dev/shm.
namespace cox::agent {

/// What the host is like, as one line of JSON on stdout:
/// {"hostname","user","vcpus","memory_mib","clock_ms","load","machine",
///  "interfaces":[{"name","address","prefix"}],"server_address","client_address",
///  "mpirun","orted","open_mpi","shm_mib","open_files","processes","scratch_mib",
///  "port","shared":[{"directory","error"}]}
/// Until its stdin ends it takes connections at that port, and a file with `nonce` is in each of
/// the shared directories, so that other hosts can look for both. Returns the exit status.
int describe_host(const std::string& nonce, const std::vector<std::string>& shared);

/// What other hosts look like from here. stdin: {"peers":[{"addresses":[…],"port"}],
/// "files":[{"path","content"}]}; stdout: {"reached":[[address, …] by peer],"seen":[true, … by
/// file]}. Returns the exit status.
int reach_hosts();

/// Makes the node in `directory`, from the agent's options on stdin (one JSON object, with
/// "candidates": addresses of the head that may be reached from here). Answers on stdout by one
/// line of JSON: {"head": the address that took a connection, or ""} or {"error"}. A node that is
/// there already is left alone. Returns the exit status.
int start_host_node(const std::string& directory);

/// Makes the node in `directory` as start_host_node() does and is its guard itself: for where a
/// process that goes away takes all that it has started with it, as in an allocation of Slurm's.
/// What only the host knows and the options leave empty is filled in: "address" and "network" are
/// those of the interface that leads to the head, "whole_machine" by SLURM_CPUS_ON_NODE. Does not
/// return but when the node could not be made: 1, and kNoHead where no address of the head takes a
/// connection; the reason is on stderr.
inline constexpr int kNoHead = 68;
int hold_host_node(const std::string& directory);

/// Ends the node in `directory` with all its processes, and removes it and the other directories
/// that it had. One that does not exist is fine. Returns the exit status.
int clear_host_node(const std::string& directory, const std::vector<std::string>& others);

}  // namespace cox::agent
