#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "runtime/base/result.hpp"

/// Workloads of real machines, as the Parallel Workloads Archive publishes them.
/// Source: the archive's "The Standard Workload Format", version 2.2.
namespace cox::core {

/// How a job of a trace ended (field 11).
enum class TraceEnd : std::uint8_t {
  succeeded,  ///< 1; also where it is not known (-1)
  failed,     ///< 0
  cancelled,  ///< 5: while it waited, or while it ran
  part,       ///< 2, 3, 4: a piece of a job that has a line for the whole, too
};

/// What a line says of a job, as far as a scheduler or a replay looks at it.
struct TraceJob {
  std::size_t line = 0;                     ///< in the file, from 1
  std::int64_t number = 0;                  ///< field 1
  std::int64_t submit_s = 0;                ///< field 2, after the trace's start
  std::optional<std::int64_t> run_s;        ///< field 4
  std::optional<std::int64_t> processors;   ///< field 8, asked for; else field 5, given to it
  std::optional<std::int64_t> requested_s;  ///< field 9, the run time asked for
  TraceEnd end = TraceEnd::succeeded;
  std::optional<std::int64_t> user = {};  ///< field 12

  friend bool operator==(const TraceJob&, const TraceJob&) = default;
};

/// Reads lines of 18 fields, in the file's order; what follows a ';' at a line's beginning is
/// comment, and -1 stands for what is not known.
///
/// Errors: invalid_argument as "<name>:<line>: …" for a line with another number of fields, a field
///         that is no number, and times or counts that cannot be. Pure.
[[nodiscard]] Result<std::vector<TraceJob>> read_swf(std::string_view text, std::string_view name);

}  // namespace cox::core
