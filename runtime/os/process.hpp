#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/base/result.hpp"
#include "runtime/os/fd.hpp"

namespace cox::os {

/// A program to start.
struct SpawnSpec {
  std::vector<std::string> argv;  ///< argv[0] is a path, or is looked up in PATH
  std::optional<std::vector<std::string>> environment;  ///< "NAME=value"; unset: inherited
  std::string directory;                                ///< empty: inherited
  /// {descriptor here, descriptor there}; all others are closed in the child.
  std::vector<std::pair<int, int>> descriptors;
  bool new_session = false;
  bool die_with_parent = false;  ///< SIGKILL when the parent ends
};

/// Starts a program. That it could not be executed is an error here (told through a
/// close-on-exec pipe), never an exit status later.
/// Errors: not_found when the program does not exist; invalid_argument when it may not be
///         executed; internal otherwise. Nothing is left running then.
[[nodiscard]] Result<pid_t> spawn(const SpawnSpec& spec);

/// Runs a program to its end with output captured; for short system tools.
struct RunResult {
  int exit_code = 0;  ///< 128 + signal for a signal
  std::string out;
  std::string err;
};
[[nodiscard]] Result<RunResult> run(const std::vector<std::string>& argv,
                                    const std::string& input = {});

/// A wait status as AWS Batch reports it: the exit code, or 128 + the signal.
[[nodiscard]] int exit_code_of(int wait_status);

}  // namespace cox::os
