#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "runtime/base/result.hpp"
#include "runtime/os/event_loop.hpp"
#include "runtime/os/process.hpp"

namespace cox::provider {

/// A program that runs beside the loop. Dropping it kills the program, and `done` is not called.
class ProgramRun {
 public:
  virtual ~ProgramRun() = default;
};

struct ProgramSpec {
  std::vector<std::string> argv;
  std::string input;  ///< its stdin, whole
  std::chrono::milliseconds limit{60'000};
  bool hold_input = false;  ///< its stdin ends only when the run is dropped
  /// Hears stdout each time there is more of it, all of it so far.
  std::function<void(const std::string&)> on_output = {};
};

/// Starts a program; `done` is called once, on the loop, with its output (at most 1 MiB of each
/// stream is kept). One that is over its limit is killed: exit code 137, as for any signal.
/// Errors: as os::spawn().
[[nodiscard]] Result<std::unique_ptr<ProgramRun>> run_program(
    os::EventLoop& loop, const ProgramSpec& spec, std::function<void(os::RunResult)> done);

}  // namespace cox::provider
