#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <vector>

#include "runtime/agent/memory_limit.hpp"
#include "runtime/agent/step.hpp"
#include "runtime/os/event_loop.hpp"

namespace cox::agent {

struct LimitedStep {
  std::unique_ptr<Step> step;
  std::unique_ptr<MemoryLimit> memory;  ///< null: the node has no cgroups
};

/// Keeps processes ready for the next steps, each within a cgroup of its own where the node has
/// such. To move a process there takes the kernel a grace period, which is milliseconds: longer
/// than all else of a small job. They are forked by a process that does nothing else: a fork of the
/// agent copies more, and makes it fault on what it writes afterwards. There are none before the
/// first step.
class SpareSteps {
 public:
  virtual ~SpareSteps() = default;

  /// The step with its limit; with `ends` it is launched, and they are gone. None: there is no
  /// process that is ready, or the plan needs one that knows more than it can be told. Others are
  /// made ready afterwards.
  [[nodiscard]] virtual std::optional<LimitedStep> take(const StepPlan& plan,
                                                        std::int64_t memory_mib, StepEvents& events,
                                                        OutputEnds& ends) = 0;
  /// The step of a part that is over, with its limit: another part of the same user's may have it,
  /// which saves a fork and an end of a process. Where it cannot be, it is killed.
  virtual void give(std::unique_ptr<Step> step, std::unique_ptr<MemoryLimit> memory,
                    const JobUser& user) = 0;
  /// Of any child of the agent.
  virtual void child_ended(pid_t pid) = 0;
  /// What has no plan, yet or any more, and what forks it.
  [[nodiscard]] virtual std::vector<pid_t> processes() const = 0;
};

[[nodiscard]] std::unique_ptr<SpareSteps> make_spare_steps(os::EventLoop& loop,
                                                           MemoryCgroups& cgroups);

}  // namespace cox::agent
