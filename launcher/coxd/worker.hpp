#pragma once

#include <string>

namespace cox::coxd {

/// The head of a cluster, in a process that may die and be started again by the keeper. See
/// worker_contract.hpp for its descriptors and exit statuses. Returns the exit status.
int run_worker(const std::string& cluster_directory);

/// Cancels all that the cluster has at a Slurm site and removes what is staged there; waits for it.
/// What could not be done is on stdout, a line each. Returns the exit status.
int clear_site_of(const std::string& cluster_directory);

}  // namespace cox::coxd
