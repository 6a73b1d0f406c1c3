#pragma once

#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "runtime/base/result.hpp"
#include "runtime/model/job.hpp"

/// A job's life. State changes only through after(); what is owed follows from the state alone.
///
///   SUBMITTED ──► PENDING ──► RUNNABLE ──► STARTING ──► RUNNING ──► SUCCEEDED
///       │  (no dependencies)     ▲             │            │
///       └────────────────────────┤             └────────────┤
///                                └── attempts left ◄────────┴──► FAILED
///
/// Any state before an end may go to FAILED by a kill; PENDING by a dependency that is not met.
namespace cox::core {

// Events: what happened, in the past tense. `at` is when, by the head's clock.

/// What an array's children from one index to another wait for.
struct ChildrenWait {
  int first = 0;
  int last = 0;                   ///< included
  std::vector<JobId> jobs;        ///< the same for all of them
  std::vector<JobId> same_index;  ///< other arrays: the child that has their index
  bool previous = false;          ///< the child before them

  friend bool operator==(const ChildrenWait&, const ChildrenWait&) = default;
};

/// The job was accepted. Only ever the first event of a job. With dependencies it waits PENDING
/// (an array's parent always shows PENDING until its children have ended), else it is RUNNABLE.
struct Submitted {
  Millis at;
  Shared<JobSpec> spec;
  std::optional<int> array_index;  ///< of an array's child
  std::vector<JobId> waits_for;    ///< jobs that must end first, each as depends_on says
  /// Of an array, all of its children in order: they are submitted with it (array_children.hpp).
  /// Empty: they come by events of their own, as older heads have stored them.
  std::vector<ChildrenWait> children = {};
};

/// A job that this one waited for has ended.
struct DependencyEnded {
  Millis at;
  JobId job;
  bool succeeded = false;
};

/// Nodes were chosen: a new attempt begins and holds them. The first is the main node.
struct Placed {
  Millis at;
  int attempt = 0;
  std::vector<NodeRun> nodes;
  std::string launch;
};

/// A node has everything it needs to start its part.
struct NodeReady {
  Millis at;
  int attempt = 0;
  int node_index = 0;
};

/// A node's process runs.
struct NodeStarted {
  Millis at;
  int attempt = 0;
  int node_index = 0;
};

/// A node's process has ended, and all its output was stored before this event.
/// Also for a node that could not prepare or start (then with a reason).
struct NodeExited {
  Millis at;
  int attempt = 0;
  int node_index = 0;
  int exit_code = 0;   ///< 128 + signal for a signal
  std::string reason;  ///< empty at a normal end
};

/// A node is gone for good, with whatever ran there.
struct NodeLost {
  Millis at;
  NodeId node;
  std::string reason;  ///< a clause: "agent exited with signal 9"
};

/// A user asked to cancel or terminate. Ends a waiting job at once, a running one by a stop.
struct KillAsked {
  Millis at;
  std::string reason;
  bool cancel = false;  ///< CancelJob: meant for waiting jobs only
};

/// The current attempt has run longer than its timeout.
struct TimedOut {
  Millis at;
  int attempt = 0;
};

/// The job has these tags now, and no others.
struct Tagged {
  Millis at;
  std::map<std::string, std::string> tags;
};

/// For an array's parent: a child has changed its state.
struct ChildChanged {
  Millis at;
  JobStatus from = JobStatus::submitted;
  JobStatus to = JobStatus::submitted;
};

using JobEvent = std::variant<Submitted, DependencyEnded, Placed, NodeReady, NodeStarted,
                              NodeExited, NodeLost, KillAsked, TimedOut, ChildChanged, Tagged>;

// Effects: what the head must now have done, in the imperative. Doing one twice is harmless:
// they are keyed by job, attempt and node.

/// Tell these nodes (indexes into the attempt's nodes) to prepare.
struct PrepareNode {
  JobId job;
  int attempt = 0;
  int node_index = 0;
};
/// All nodes are ready: tell each to start.
struct LaunchNode {
  JobId job;
  int attempt = 0;
  int node_index = 0;
};
/// Tell the node to end its part: SIGTERM, and SIGKILL after 30 s (kStopGrace).
struct StopNode {
  JobId job;
  int attempt = 0;
  int node_index = 0;
};
using Effect = std::variant<PrepareNode, LaunchNode, StopNode>;

inline constexpr int kStopGraceSeconds = 30;  ///< AWS Batch: SIGTERM, SIGKILL 30 s later

/// The job after the event. The head calls this on live events and, on restart, on stored ones:
/// a job's whole life is a fold over this function. A new job is `after(Job{.id = id}, Submitted)`.
///
/// A main node's exit decides the attempt: exit code 0 succeeds; else the job is RUNNABLE again
/// while attempts are left, and FAILED after that. A killed or timed-out attempt is not retried.
/// The end of another node, or its loss, changes nothing but that node's record.
/// Loss of the main node ends the attempt with a reason that names the node.
///
/// Errors: conflict when the event cannot happen in this state, in particular when it names an
///         attempt that is not the current one (a late node's report).
/// Pure:   no clock, no I/O, no global.
[[nodiscard]] Result<Job> after(Job job, const JobEvent& event);

/// What the head owes the job now. Derived from the state alone, so that nothing is lost when
/// the head dies between storing an event and acting on it. Pure.
[[nodiscard]] std::vector<Effect> due(const Job& job);

/// True while a node of the job's current attempt has not ended: the node's resources are held,
/// even when the job's outcome is decided. Pure.
[[nodiscard]] bool holds_node(const Job& job, const NodeId& node);
[[nodiscard]] bool holds_nodes(const Job& job);

/// Whether the other job's end is what this one waits for: of an array's child `index` is given. A
/// job that depends on the other in several ways wants all of them. Pure.
[[nodiscard]] bool is_met(const JobSpec& spec, std::optional<int> index, const JobId& other,
                          bool succeeded);

/// When the current attempt runs out of time, if it can. Pure.
[[nodiscard]] std::optional<Millis> deadline(const Job& job);

/// AWS Batch's words at a normal end, of success and of failure.
inline constexpr const char* kNormalEndReason = "Essential container in task exited";
/// Ours, of a job that was to run only if another failed.
inline constexpr const char* kDependentSucceededReason =
    "Dependent Job succeeded: this one was to run only if it failed (after-not-ok)";
inline constexpr const char* kArrayChildFailedReason = "Array Child Job failed";

}  // namespace cox::core
