#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runtime/core/scheduler.hpp"

/// What managed scaling is doing with each compute environment, and why: counted by scale() itself
/// while it decides, and told in words.
namespace cox::core {

/// One compute environment, as scale() sees it. vCPUs are of nodes.
struct ScaleAccount {
  ComputeEnvironmentName environment;
  bool enabled = true;
  int min_vcpus = 0;
  int max_vcpus = 0;
  int up_vcpus = 0;       ///< there, though an agent may be silent
  int coming_vcpus = 0;   ///< asked for and not up yet
  int wanted_vcpus = 0;   ///< what scale() would ask for now
  int leaving_vcpus = 0;  ///< being given back
  int served_jobs = 0;    ///< that wait for nodes that come, or are wanted
  int served_vcpus = 0;   ///< that those jobs need
  int held_jobs = 0;      ///< that wait though no node comes for them: MaxvCpus is too near
  int held_vcpus = 0;
  int idle_nodes = 0;     ///< that nobody needs, beyond MinvCpus
  NodeId idle_node = {};  ///< the one that goes first
  std::int64_t idle_ms = 0;
  std::int64_t idle_limit_ms = 0;  ///< negative: idle nodes stay
  NodeId leaving_node = {};        ///< one of those that go
  std::string coming_note = {};    ///< what is known of one that comes: a node's reason

  friend bool operator==(const ScaleAccount&, const ScaleAccount&) = default;
};

/// Nodes of an environment that could not be started.
struct LaunchTrouble {
  std::string why;
  int failures = 1;  ///< in a row
  std::int64_t next_try_ms = 0;
};

/// By environment, in the cluster's order: what scale() decides over this snapshot, and what is on
/// its way already. Pure.
[[nodiscard]] std::vector<ScaleAccount> account_of_scaling(const Snapshot& snapshot);

/// "growing", "held", "failing", "shrinking", "idle", "steady" or "disabled": the first of what
/// to_sentence() tells. Pure.
[[nodiscard]] const char* state_of(const ScaleAccount& account,
                                   const std::optional<LaunchTrouble>& trouble);

/// "growing from 2 to 6 vCPUs: 4 jobs wait for 4 vCPUs", "at MaxvCpus (6): 2 jobs wait for 4
/// vCPUs", "idle for 40 s of 600 s before giving back node i-0123", "failed to start a node: WHY;
/// next try in 8 s", several joined by "; ". Pure.
[[nodiscard]] std::string to_sentence(const ScaleAccount& account,
                                      const std::optional<LaunchTrouble>& trouble);

}  // namespace cox::core
