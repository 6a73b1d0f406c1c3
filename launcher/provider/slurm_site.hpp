#pragma once

#include <string>
#include <vector>

#include "launcher/provider/agent_bundle.hpp"
#include "launcher/provider/slurm_command.hpp"
#include "launcher/provider/slurm_plan.hpp"
#include "runtime/base/result.hpp"

/// What is done at a Slurm site while somebody waits for it.
namespace cox::provider {

/// Asks Slurm whether it would take such a pilot. Errors: unavailable, in Slurm's own words; where
/// the partition is unknown, with those that there are.
[[nodiscard]] Result<void> check_site(const SlurmPlan& plan, const PilotShape& shape);

/// How long a job may run in the plan's partition, in seconds; 0: no limit, or Slurm does not tell.
[[nodiscard]] int longest_time(const SlurmPlan& plan);

/// Puts the agent where the site's nodes see it, once for each content.
[[nodiscard]] Result<void> stage_agent(const SlurmPlan& plan, const AgentBundle& bundle);

/// Cancels all jobs of the cluster, waits until they are gone, and removes what is staged. Returns
/// a sentence for each thing that could not be done.
[[nodiscard]] std::vector<std::string> clear_site(const SlurmPlan& plan);

}  // namespace cox::provider
