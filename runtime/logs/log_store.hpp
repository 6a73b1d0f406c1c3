#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/result.hpp"
#include "runtime/ports/log_sink.hpp"

/// Output of jobs as data: one append-only file a log, framed records, found again by number, by
/// time and from the end.
namespace cox::logs {

/// Names a log: a relative path without "..", e.g. "<job id>/1/0/main" or "<job id>/1/rank-3".
using LogName = std::string;

/// What to read of a log.
struct ReadSpec {
  std::optional<std::uint64_t> after_sequence;  ///< only records with a larger number
  std::optional<Millis> from;                   ///< at or after
  std::optional<Millis> before;                 ///< earlier than
  std::optional<std::size_t> first;             ///< at most so many, from the start
  std::optional<std::size_t> last;              ///< at most so many, the newest; in time order
  std::optional<StreamKind> stream;             ///< only of this stream
};

struct LogInfo {
  std::uint64_t last_sequence = 0;  ///< 0: empty
  Millis first_at;
  Millis last_at;
  std::uint64_t bytes = 0;
};

/// Not thread-safe but for sync(). Reads see every append at once; sync() makes them durable.
class LogStore {
 public:
  virtual ~LogStore() = default;

  /// Appends lines whose numbers go on from the last one. Lines that are already there (resent by
  /// an agent) are passed over. Errors: conflict when a number would be skipped; internal when the
  /// disk refuses, then nothing of the call is kept.
  [[nodiscard]] virtual Result<void> append(const LogName& log,
                                            std::span<const OutputLine> lines) = 0;

  /// `last` costs what is read, not what is there (the file is read from its end).
  /// Errors: not_found when there is no such log.
  [[nodiscard]] virtual Result<std::vector<OutputLine>> read(const LogName& log,
                                                             const ReadSpec& what) const = 0;

  [[nodiscard]] virtual Result<LogInfo> info(const LogName& log) const = 0;

  /// Names of all logs that begin with the prefix, sorted.
  [[nodiscard]] virtual std::vector<LogName> list(std::string_view prefix) const = 0;

  /// fdatasync of every log appended since the last call. May run on another thread than the
  /// rest, one call at a time. Appends that were made before it was called are durable after.
  [[nodiscard]] virtual Result<void> sync() = 0;

  /// Calls the handler after each append to the log, until the returned token is dropped.
  [[nodiscard]] virtual std::shared_ptr<void> follow(const LogName& log,
                                                     std::function<void()> handler) = 0;

  /// Removes all logs that begin with the prefix.
  [[nodiscard]] virtual Result<void> remove(std::string_view prefix) = 0;
};

/// Opens (and makes) the directory. A record cut short by a crash at the end of a file is dropped.
[[nodiscard]] Result<std::unique_ptr<LogStore>> open_log_store(const std::string& directory);

}  // namespace cox::logs
