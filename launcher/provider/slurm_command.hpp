#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "launcher/provider/slurm_plan.hpp"
#include "runtime/base/result.hpp"

/// The words of Slurm's commands, and what they say. Pure.
namespace cox::provider {

/// A pilot job: an allocation with an agent on each of its nodes.
struct PilotShape {
  std::string id;  ///< "p0123abcd": ours, told to Slurm in the job's comment
  int nodes = 1;
  int vcpus = 1;                ///< of each node
  std::int64_t memory_mib = 0;  ///< of each node
  int seconds = 3600;           ///< walltime
};

/// sbatch's argv; the script comes on stdin. What the file adds comes after what we ask for, so
/// that it wins, and before what the pilots are found by.
[[nodiscard]] std::vector<std::string> sbatch_argv(const SlurmPlan& plan, const PilotShape& shape);
/// The same, but nothing is submitted: Slurm only says whether it would take it.
[[nodiscard]] std::vector<std::string> sbatch_test_argv(const SlurmPlan& plan,
                                                        const PilotShape& shape);

/// The same, submitted but held: where a test alone takes nodes that are down now for none at all.
[[nodiscard]] std::vector<std::string> sbatch_held_argv(const SlurmPlan& plan,
                                                        const PilotShape& shape);

/// Where the agent of this content is, and where a pilot's files are.
[[nodiscard]] std::string staged_agent(const SlurmPlan& plan, const std::string& hash);
[[nodiscard]] std::string pilot_stage(const SlurmPlan& plan, const std::string& pilot);
/// On a node all that the pilot has is below these.
[[nodiscard]] std::string pilot_base(const SlurmPlan& plan, const std::string& pilot);
[[nodiscard]] std::string pilot_shared_memory(const SlurmPlan& plan, const std::string& pilot);

/// The batch script: an agent on each node, by srun.
[[nodiscard]] std::string pilot_script(const SlurmPlan& plan, const std::string& pilot,
                                       const std::string& hash);

/// The job's number in what sbatch --parsable says. Errors: unavailable.
[[nodiscard]] Result<std::string> submitted_job(const std::string& said);

/// A pilot as Slurm has it.
struct PilotState {
  std::string job;
  std::string state;                ///< "PENDING"
  std::string reason;               ///< "Resources"
  std::string pilot;                ///< its id; of this cluster's alone
  std::optional<int> limit_s = {};  ///< how long it may run, in all
  std::optional<int> left_s = {};   ///< and from now on

  friend bool operator==(const PilotState&, const PilotState&) = default;
};

/// This user's jobs, also those that ended a while ago.
[[nodiscard]] std::vector<std::string> squeue_argv();
/// Those of this cluster.
[[nodiscard]] std::vector<PilotState> parse_squeue(const SlurmPlan& plan, const std::string& said);

[[nodiscard]] bool is_waiting(const PilotState& state);
[[nodiscard]] bool is_over(const PilotState& state);
/// "Slurm job 12 waits: Resources".
[[nodiscard]] std::string why_it_waits(const PilotState& state);
/// "Slurm ended job 12: TIMEOUT, its time limit was reached".
[[nodiscard]] std::string why_it_ended(const PilotState& state);

/// Why one of Slurm's commands failed: one sentence, with Slurm's own words. Errc unavailable.
[[nodiscard]] Error explain_slurm_failure(const std::string& program, int exit_code,
                                          const std::string& err);

}  // namespace cox::provider
