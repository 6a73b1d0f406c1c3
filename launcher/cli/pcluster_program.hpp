#pragma once

#include <string>
#include <vector>

#include "launcher/cli/program.hpp"

namespace cox::cli {

/// The `pcluster` program: ParallelCluster's version 3 verbs (create-cluster, …: JSON) and its
/// version 2 verbs (create NAME, …: text) in one. `args` are the words after the program's name.
/// Returns the exit status.
int run_pcluster(const std::vector<std::string>& args, Streams streams);

}  // namespace cox::cli
