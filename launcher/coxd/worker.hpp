#pragma once

#include <string>

namespace cox::coxd {

/// The head of a cluster, in a process that may die and be started again by the keeper. See
/// worker_contract.hpp for its descriptors and exit statuses. Returns the exit status.
int run_worker(const std::string& cluster_directory);

}  // namespace cox::coxd
