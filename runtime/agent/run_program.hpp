#pragma once

#include <signal.h>
#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "runtime/base/result.hpp"

/// Programs that a step runs for itself, one after the other, and reaps by itself.
namespace cox::agent {

inline constexpr const char* kProgramPath =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Where the machine has the program; empty: nowhere.
[[nodiscard]] std::string program_path(const std::string& program);

struct ProgramWords {
  const std::vector<std::string>& words;        ///< the first is looked up in kProgramPath
  const std::vector<std::string>& environment;  ///< "NAME=value"
  const sigset_t& unblocked;                    ///< its signal mask
};

/// A child with these descriptors, and nothing else open. Errors: not_found, internal.
[[nodiscard]] Result<pid_t> fork_program(const ProgramWords& program, int in, int out, int err);

struct RanProgram {
  int status = 0;   ///< wait status
  std::string out;  ///< the first MiB of it
  std::string err;
};

/// Runs a program to its end. `line` gets what it writes to its error output, as it comes.
[[nodiscard]] Result<RanProgram> run_program(const ProgramWords& program,
                                             const std::function<void(const std::string&)>& line);

}  // namespace cox::agent
