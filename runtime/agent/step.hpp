#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/result.hpp"
#include "runtime/model/job.hpp"
#include "runtime/os/event_loop.hpp"
#include "runtime/os/fd.hpp"

/// A step: the process below which everything of one part runs, as the job's user. The agent forks
/// it, it touches what a job can write, and starts the job's command and what cox-rsh asks for. It
/// adopts orphans, so that nothing of the part is ever elsewhere.
namespace cox::agent {

struct StepFile {
  std::string name;
  std::uint32_t mode = 0600;
  std::string bytes;
};

/// What a step needs before it runs anything.
struct StepPlan {
  JobUser user;
  bool change_user = false;     ///< the agent is root: become the user
  std::string home;             ///< exists, belongs to the user
  std::string directory;        ///< below home; empty: home itself
  std::string hostfile;         ///< text; empty: none
  std::vector<StepFile> files;  ///< put into the working directory
  std::vector<std::string> command;
  std::vector<std::string> environment;  ///< "NAME=value"
};

/// What a step tells.
struct StepEvents {
  std::function<void(Result<void>)> prepared;
  std::function<void()> started;
  /// The command could not be executed: exit code (126, 127) and a sentence.
  std::function<void(int, std::string)> not_started;
  /// The command ended (wait status); `empty`: nothing else is left below the step.
  std::function<void(int wait_status, bool empty)> command_ended;
  std::function<void(std::uint64_t id, int wait_status)> remote_ended;
  /// Nothing is left below the step any more.
  std::function<void()> emptied;
};

/// The agent's end of a step.
class Step {
 public:
  /// Forks the step. It waits for begin() before it does anything, so that it can be put into its
  /// cgroup first. Errors: unavailable when there is no process to be had.
  [[nodiscard]] static Result<std::unique_ptr<Step>> fork(os::EventLoop& loop, StepPlan plan,
                                                          StepEvents events);
  virtual ~Step() = default;

  [[nodiscard]] virtual pid_t pid() const = 0;
  virtual void begin() = 0;
  /// Starts the command with these as its stdout and stderr.
  virtual void launch(os::Fd out, os::Fd err) = 0;
  /// Starts `/bin/sh -c command` with the part's environment.
  virtual void run_remote(std::uint64_t id, const std::string& command, os::Fd in, os::Fd out,
                          os::Fd err) = 0;
};

/// The body of the step process; never returns.
[[noreturn]] void be_step(const StepPlan& plan, int control);

/// Processes below `root`, found by their parents' numbers in /proc, the deepest last. Without it.
[[nodiscard]] std::vector<pid_t> processes_below(pid_t root);

}  // namespace cox::agent
