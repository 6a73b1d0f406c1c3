#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "launcher/provider/ssh_plan.hpp"

/// The words by which hosts mount what an NFS server exports, and what they say of it. Pure.
namespace cox::provider {

/// How long a server may take to answer a mount, in seconds.
inline constexpr int kMountSeconds = 20;

/// Mounts each at its directory, where it is not yet, and tells of each (see read_mounts). What was
/// mounted, and which directories were made for it, stands in the cluster's own directory there.
[[nodiscard]] std::string mount_script(const std::string& tag, const std::vector<NfsMount>& mounts);

/// What a host tells of one mount.
struct MountSaid {
  enum class State { mounted, others, used, not_root, no_client, silent, failed, untold };
  State state = State::untold;
  std::string text{};  ///< of others: what is mounted there; of failed: mount's own words

  friend bool operator==(const MountSaid&, const MountSaid&) = default;
};
[[nodiscard]] std::vector<MountSaid> read_mounts(const std::string& said, std::size_t mounts);

/// Why it is not mounted, and what to do; empty texts where it is.
struct MountFault {
  std::string text;
  std::string mend;
};
[[nodiscard]] MountFault explain_mount(const NfsMount& mount, const MountSaid& said);

/// Lines of a script that unmount all that the cluster of the base directory "$b" has mounted.
extern const std::string_view kUnmountLines;

}  // namespace cox::provider
