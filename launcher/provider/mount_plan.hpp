#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/base/result.hpp"

namespace cox::provider {

enum class EntryKind : std::uint8_t { directory, file, link, other };

struct HostEntry {
  std::string name;
  EntryKind kind = EntryKind::directory;
  std::string link_target;  ///< of a link

  friend bool operator==(const HostEntry&, const HostEntry&) = default;
};

/// This machine's files, as far as a plan must know them. Links are not followed.
class HostTree {
 public:
  virtual ~HostTree() = default;
  /// Sorted by name; empty when the directory cannot be read.
  [[nodiscard]] virtual std::vector<HostEntry> list(const std::string& directory) const = 0;
  /// Nothing when there is no such path.
  [[nodiscard]] virtual std::optional<HostEntry> look(const std::string& path) const = 0;
};

/// The tree of the running machine.
class RealHostTree : public HostTree {
 public:
  [[nodiscard]] std::vector<HostEntry> list(const std::string& directory) const override;
  [[nodiscard]] std::optional<HostEntry> look(const std::string& path) const override;
};

/// What a node's root is made of. Paths are on this machine unless said otherwise.
struct NodeRoot {
  std::string home_directory;
  std::string os_user;
  std::string api_directory;
  std::string bin_directory;
  std::string hosts_file;
  std::string hostname_file;
  std::string scratch_directory;
  std::string cgroup_directory;                             ///< empty: none
  std::vector<std::pair<std::string, std::string>> shared;  ///< {directory here, path in the node}
};

/// One step; targets are paths in the node, sources on this machine. Steps are done in order.
struct MountStep {
  enum class Kind : std::uint8_t {
    directory,  ///< make it (mode); one that is there is fine
    link,       ///< make a link; source: where it points
    file,       ///< make an empty file to bind on
    bind,       ///< source, with everything below it, over the target
    tmpfs,      ///< an empty one over the target (mode)
    proc,
    sysfs,
    mqueue,
    seal,  ///< make the mount at the target read-only, that one alone
  };
  Kind kind = Kind::directory;
  std::string target{};
  std::string source{};
  unsigned mode = 0755;
  bool read_only = false;  ///< of a bind: with all below it
  bool optional = false;   ///< what cannot be done is left out

  friend bool operator==(const MountStep&, const MountStep&) = default;
};

/// The steps that make a node's root on an empty tmpfs: this machine's top-level directories bound,
/// the system's read-only; /proc, /sys, /tmp, /run and /dev/shm its own; what is the cluster's put
/// in place. A directory that lacks a name the node needs (/usr/lib64 of Debian) becomes a tmpfs
/// with its old entries made again. Nothing on this machine is changed, except that a shared
/// directory within another is made there.
/// Errors: invalid_argument for a path in the node that is not absolute, or lies where the node has
/// its own (/proc, /sys, /dev, /run, /tmp).
/// Pure, but for what `host` reads.
[[nodiscard]] Result<std::vector<MountStep>> plan_mounts(const NodeRoot& root,
                                                         const HostTree& host);

}  // namespace cox::provider
