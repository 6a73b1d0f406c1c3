#pragma once

#include <string>
#include <vector>

#include "runtime/base/result.hpp"

/// The programs that our mpirun starts, and the mpirun that it stands in front of.
namespace cox::agent {

/// The file of a program that a rank starting in `directory` means by `word`, as mpirun looks for
/// it. Errors: not_found.
[[nodiscard]] Result<std::string> find_program(const std::string& word,
                                               const std::string& directory);

/// Whether ranks of the program can be launched directly: it is linked to the system's Open MPI, or
/// is one of the small tools that are no MPI programs and start none. Errors: why not.
[[nodiscard]] Result<void> is_known_to_work(const std::string& path);

/// Open MPI's program that the name we are called by stands for: the next one of that name in PATH,
/// or where Open MPI is usually found. Empty: none.
[[nodiscard]] std::string real_mpirun(const std::string& called);

/// True when it is Open MPI's of version 3 or 4.
[[nodiscard]] bool is_open_mpi(const std::string& real);

/// Cores of this machine that are online.
[[nodiscard]] int count_cores();

}  // namespace cox::agent
