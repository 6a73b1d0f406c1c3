#pragma once

#include <string>

#include "runtime/base/result.hpp"

/// Open MPI's programs on a host.
namespace cox::agent {

/// The path of one of them; empty where there is none. Debian keeps each as NAME.openmpi beside
/// those of other MPIs.
[[nodiscard]] std::string find_mpi_program(const std::string& name);

/// Makes `directory`/openmpi/bin with a link to each program that is found, and
/// `directory`/node-bin with cox-rsh by the name of ssh. The first of these paths, which is then
/// the same on all hosts wherever their Open MPI is, so that mpirun finds orted by its own prefix.
[[nodiscard]] Result<std::string> link_mpi_programs(const std::string& directory);

}  // namespace cox::agent
