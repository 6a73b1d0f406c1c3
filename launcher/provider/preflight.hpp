#pragma once

#include <string>
#include <vector>

#include "launcher/provider/nfs_mount.hpp"
#include "launcher/provider/ssh_plan.hpp"
#include "launcher/provider/stage_command.hpp"
#include "runtime/base/result.hpp"

/// What stands between hosts and a cluster of them, with the mend for each. Pure.
namespace cox::provider {

/// What was found out about one host.
struct HostLook {
  Result<HostFacts> facts = HostFacts{};
  std::int64_t asked_ms = 0;  ///< by this machine's clock, around the look
  std::int64_t answered_ms = 0;
  /// By host in their order: those of its addresses that could be reached from this one.
  std::vector<std::vector<std::string>> reached;
  /// By shared directory, then by host: whether that one's file was seen from this one.
  std::vector<std::vector<bool>> seen;
  StageClaims claims = {};             ///< where directories are staged
  std::vector<MountSaid> mounts = {};  ///< in the plan's order
};

enum class Gravity : std::uint8_t { warning, error };
[[nodiscard]] const char* to_string(Gravity gravity);  ///< "WARNING", "ERROR"

/// Something to mend.
struct Trouble {
  Gravity gravity = Gravity::error;
  std::string check;  ///< "ssh", "open-mpi", "shared", "staged", "nfs", "name", "network", "cores",
                      ///< "memory", "clock", "shm", "limits", "disk"
  std::string host;   ///< as shown(); "a and b" for a pair
  std::string text;   ///< what is wrong
  std::string mend;   ///< what to do

  friend bool operator==(const Trouble&, const Trouble&) = default;
};

/// What is to be true of the hosts, besides the plan.
struct Demands {
  std::vector<std::string> shared;       ///< directories that all must share
  std::vector<std::string> staged = {};  ///< that each is to have for itself
  std::string known = {};  ///< tag of the cluster that is there already, whose they may be
};

/// By which address each host is reached by all others: ssh's where that leads everywhere, else
/// those of the first network that does, else ssh's again.
[[nodiscard]] std::vector<std::string> choose_addresses(const std::vector<HostLook>& looks);

/// All that is to be said, host by host, then pair by pair. `looks` in the order of the hosts.
[[nodiscard]] std::vector<Trouble> judge_hosts(const SshPlan& plan, const Demands& demands,
                                               const std::vector<HostLook>& looks);

[[nodiscard]] bool any_error(const std::vector<Trouble>& troubles);

/// "host a: text: mend" in one line. Pure.
[[nodiscard]] std::string render_trouble(const Trouble& trouble);

}  // namespace cox::provider
