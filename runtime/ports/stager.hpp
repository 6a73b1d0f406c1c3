#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/base/ids.hpp"
#include "runtime/base/result.hpp"

namespace cox {

/// Paths in one staged directory, which every machine has at the same place.
struct StagedSet {
  std::string directory;           ///< absolute
  std::vector<std::string> paths;  ///< relative to it, sorted; "." is all of it

  friend auto operator<=>(const StagedSet&, const StagedSet&) = default;
  friend bool operator==(const StagedSet&, const StagedSet&) = default;
};

/// What a copy had to move: only what differed.
struct StagedBytes {
  std::int64_t files = 0;
  std::int64_t bytes = 0;
  std::vector<std::string> missing{};  ///< of a fetch: paths that are not on the node
};

/// Copies by content between this machine and nodes that share no file system with it. Calls return
/// at once; the answers come on the head's event loop, never from inside the call.
class Stager {
 public:
  /// A copy under way. Dropping it gives it up, and nothing of it is told any more.
  class Run {
   public:
    virtual ~Run() = default;
  };
  using Progress = std::function<void(int percent)>;
  using Done = std::function<void(Result<StagedBytes>)>;

  virtual ~Stager() = default;

  /// Whether the node has its staged directories for itself.
  [[nodiscard]] virtual bool serves(const NodeId& node) const = 0;

  /// Brings the set to a node: from this machine, or from a node that was brought it before.
  /// Errors: not_found when something of it is not there, invalid_argument when it leads out of its
  ///         directory, unavailable for what is the node's or the way's fault.
  [[nodiscard]] virtual std::unique_ptr<Run> bring(const StagedSet& set,
                                                   const std::optional<NodeId>& from,
                                                   const NodeId& to, Progress progress,
                                                   Done done) = 0;

  /// Brings what there is of the set from a node to this machine. Errors: as bring(), but for what
  /// is not there.
  [[nodiscard]] virtual std::unique_ptr<Run> fetch(const StagedSet& set, const NodeId& from,
                                                   Done done) = 0;
};

}  // namespace cox
