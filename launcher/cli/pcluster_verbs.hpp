#pragma once

#include <string>
#include <vector>

#include "launcher/cli/pcluster_words.hpp"

/// The verbs of pcluster, by family.
namespace cox::cli {

using RunVerb = int (*)(const Words& words, Streams streams);
struct VerbEntry {
  Verb verb;
  RunVerb run;
};

[[nodiscard]] const std::vector<VerbEntry>& version2_verbs();
[[nodiscard]] const std::vector<VerbEntry>& version3_verbs();

// Verbs of version 3 that have a file of their own.
[[nodiscard]] VerbEntry configure_verb();
[[nodiscard]] VerbEntry export_logs_verb();
[[nodiscard]] VerbEntry log_streams_verb();
[[nodiscard]] VerbEntry log_events_verb();
[[nodiscard]] VerbEntry stack_events_verb();
[[nodiscard]] VerbEntry update_cluster_verb();

/// `ssh`, of both families: `ssh NAME [ssh's words] [COMMAND ...]`, `ssh -n NAME ...`.
int run_pcluster_ssh(const std::vector<std::string>& args, Streams streams);

}  // namespace cox::cli
