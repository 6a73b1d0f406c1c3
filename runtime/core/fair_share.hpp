#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "runtime/core/scheduler.hpp"
#include "runtime/model/catalog.hpp"
#include "runtime/model/job.hpp"

/// Fair share: in which order the jobs of a queue that has a scheduling policy are served.
///
/// A share's use is what its jobs hold now, in vCPUs, and with shareDecaySeconds D above 0 also the
/// vCPUs that they held on average before: what was t seconds ago counts 2^(-t/D). The share whose
/// use times weightFactor is lowest is served next, and what is served counts at once; so shares
/// come to hold vCPUs in the ratio of 1/weightFactor. Within a share the job of the highest
/// schedulingPriority is first, then the one that was submitted first.
/// Source: AWS Batch user guide, "Fair-share scheduling policies"; API reference, FairsharePolicy.
namespace cox::core {

/// The weight of jobs with this identifier: of the entry that is it or is a prefix ("A*") of it;
/// 1.0 where the policy has none. Pure.
[[nodiscard]] double weight_of(const SchedulingPolicy& policy, const std::string& share);

/// vCPUs that the attempt had on average, as they count at `now`; 0 while it has not started, and
/// with a decay of 0. Pure.
[[nodiscard]] double past_use(const Job& job, const Attempt& attempt, int decay_s, Millis now);

/// The use of attempts that have ended, of every share: a sum that decays, so that a look costs
/// nothing for each of them. Follows from the jobs that are kept, and from nothing else.
class ShareUse {
 public:
  /// An attempt of the job has ended.
  void add(const Job& job, const Attempt& attempt, int decay_s);
  /// The job is no longer kept.
  void remove(const Job& job, int decay_s);
  void clear() { shares_.clear(); }
  /// By share, as it counts at `now`.
  [[nodiscard]] std::map<std::string, double> of(const QueueName& queue, int decay_s,
                                                 Millis now) const;

 private:
  struct Sum {
    double vcpus = 0;  ///< as they count at `at`
    Millis at;
  };
  void change(const Job& job, const Attempt& attempt, int decay_s, int sign);

  std::map<std::pair<QueueName, std::string>, Sum> shares_;
};

/// Puts the waiting jobs of each queue with a policy into the order in which they are to be served,
/// on the places that the queue's jobs have in the list. Pure.
void order_by_share(Snapshot& snapshot);

/// Shares of the queue that have jobs which wait or run. Pure.
[[nodiscard]] std::vector<std::string> active_shares(const Snapshot& snapshot,
                                                     const QueueName& queue);

}  // namespace cox::core
