#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "runtime/base/result.hpp"
#include "runtime/model/cluster.hpp"
#include "runtime/model/job.hpp"
#include "runtime/ports/stager.hpp"
#include "runtime/wire/message.hpp"

/// Which job needs what where, and which copies run for it. Pure.
namespace cox::head {

/// The variables of a job's environment that name what is staged for it: absolute paths with ':'
/// between them, as PATH has them.
inline constexpr const char* kInputsVariable = "COXSWAIN_INPUTS";
inline constexpr const char* kOutputsVariable = "COXSWAIN_OUTPUTS";
/// A single path that is an input where it is in a staged directory, and means nothing elsewhere.
inline constexpr const char* kWorkingDirVariable = "COXSWAIN_WORKING_DIR";

/// What a job has declared, by directory.
struct StagingNeeds {
  std::vector<StagedSet> inputs;
  std::vector<StagedSet> outputs;
};

/// Errors: invalid_argument, naming the path: it is not absolute, has "..", or lies in no staged
///         directory of the cluster. A cluster without such stages nothing.
[[nodiscard]] Result<StagingNeeds> staging_needs(const JobSpec& spec,
                                                 const ClusterSettings& cluster);

/// Copies that are wanted, run and are waited for. A part that wants a set gets a copy that began
/// after it asked, so that it sees what was there then; parts that want the same on the same node
/// at one time share one. Of a set that goes to more nodes than kHeadWidth, nodes that have it
/// serve the next ones.
class StagingPlan {
 public:
  static constexpr int kHeadWidth = 8;  ///< copies that this machine serves at once
  static constexpr int kNodeWidth = 2;  ///< copies that a node serves at once

  struct Copy {
    int number = 0;
    StagedSet set;
    std::optional<NodeId> from;  ///< nothing: this machine
    NodeId to;
  };
  struct Ended {
    std::vector<wire::PartKey> ready;   ///< have all that they want
    std::vector<wire::PartKey> failed;  ///< will not get it
    bool was_relay = false;             ///< a node failed to serve: it is asked no more
  };

  /// The part wants these on the node.
  void want(const wire::PartKey& part, const NodeId& node, const std::vector<StagedSet>& sets);
  /// The job wants nothing any more. Returns copies that nobody waits for: they are over.
  [[nodiscard]] std::vector<int> forget(const JobId& job);
  /// Copies to start now; they run from then on.
  [[nodiscard]] std::vector<Copy> next();
  [[nodiscard]] Ended ended(int number, bool good);
  [[nodiscard]] const Copy* find(int number) const;
  /// Of the job: parts that wait, by node, and the copies that run for them.
  [[nodiscard]] std::vector<int> copies_for(const JobId& job) const;
  [[nodiscard]] std::vector<JobId> jobs_of(int number) const;
  [[nodiscard]] bool is_idle() const { return groups_.empty() && copies_.empty(); }

 private:
  struct Target {
    std::set<wire::PartKey> waiting;  ///< for a copy that has not begun
    std::set<wire::PartKey> served;   ///< by the one that runs
    int asked = 0;                    ///< when the last of those that wait asked
    int running = 0;                  ///< number of the copy; 0: none
    bool only_head = false;
  };
  /// All that is wanted of one set, until nobody waits for it.
  struct Group {
    std::map<NodeId, Target> targets;
    std::map<NodeId, int> has;  ///< nodes that were brought it → when that began
  };

  [[nodiscard]] std::optional<Copy> start(const StagedSet& set, Group& group, const NodeId& to);
  void drop_part(const wire::PartKey& part);
  void drop_empty();
  [[nodiscard]] int serving(const std::optional<NodeId>& from) const;

  std::map<StagedSet, Group> groups_;
  std::map<int, Copy> copies_;         ///< that run
  std::map<wire::PartKey, int> left_;  ///< sets that the part still waits for
  std::set<NodeId> no_relays_;         ///< nodes that could not serve others
  int clock_ = 0;                      ///< counts wants and copies
};

}  // namespace cox::head
