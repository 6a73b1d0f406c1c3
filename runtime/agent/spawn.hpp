#pragma once

#include <signal.h>
#include <sys/types.h>

#include <vector>

namespace cox::agent {

/// How a step's child becomes another program: with these descriptors as 0, 1 and 2 and no other,
/// in a process group of its own.
struct Spawn {
  int in = -1;
  int out = -1;
  int err = -1;
  sigset_t signals{};  ///< its signal mask
};

/// Starts the program of a path; `words` and `variables` end with null. 0 or errno. It is not
/// posix_spawn, which maps a stack for the child and asks for each signal's handler; a step has
/// none.
[[nodiscard]] int spawn(const Spawn& how, pid_t& pid, const char* path,
                        const std::vector<char*>& words, const std::vector<char*>& variables);

}  // namespace cox::agent
