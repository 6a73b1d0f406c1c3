#pragma once

#include <string>
#include <vector>

#include "launcher/provider/slurm_provider.hpp"

/// A pilot's files where the site's nodes see them.
namespace cox::provider {

/// Writes the options of each agent: the pilot's first node takes 0.json. They hold keys: 0600.
[[nodiscard]] Result<void> stage_pilot(const SlurmProviderOptions& options,
                                       const std::string& pilot,
                                       const std::vector<NodeRequest>& requests);

/// The last line of what the pilot's agents have written; not srun's own.
[[nodiscard]] std::string last_words(const SlurmPlan& plan, const std::string& pilot);

/// What a node of the pilot said that could not start; empty: none did.
[[nodiscard]] std::string start_failure(const SlurmPlan& plan, const std::string& pilot);

}  // namespace cox::provider
