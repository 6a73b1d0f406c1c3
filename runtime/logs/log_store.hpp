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
#include "runtime/logs/run.hpp"
#include "runtime/ports/log_sink.hpp"

/// Output of jobs as data: one append-only file a log, framed records, found again by number, by
/// time and from the end.
namespace cox::logs {

/// Names a log: a relative path without "..", e.g. "<job id>/1/0/main" or "<job id>/1/rank-3".
/// No part of it is empty, longer than 200 bytes, "." or "..", or ends in ".log".
using LogName = std::string;

/// What to read of a log: lines that pass every filter. With both counts, the newest `last` of the
/// oldest `first`.
struct ReadSpec {
  std::optional<std::uint64_t> after_sequence = {};  ///< only records with a larger number
  std::optional<Millis> from = {};                   ///< at or after
  std::optional<Millis> before = {};                 ///< earlier than
  std::optional<std::size_t> first = {};             ///< at most so many, from the start
  std::optional<std::size_t> last = {};              ///< at most so many, the newest; in time order
  std::optional<StreamKind> stream = {};             ///< only of this stream
  /// Lines that were read together come as one run. Counts are of lines all the same; not for
  /// `last`.
  bool in_runs = false;
};

struct LogInfo {
  std::uint64_t last_sequence = 0;  ///< 0: empty
  Millis first_at;
  Millis last_at;
  std::uint64_t bytes = 0;  ///< on disk
};

/// Not thread-safe but for sync(). Reads see every append at once; sync() makes them durable.
class LogStore {
 public:
  virtual ~LogStore() = default;

  /// Appends lines whose numbers go on from the last one. Lines that are already there (resent by
  /// an agent) are passed over. The first line of a new log has number 1.
  /// Errors: conflict when a number would be skipped, invalid_argument for a bad name or a line
  ///         above 64 MiB, internal when the disk refuses; then nothing of the call is kept.
  /// `runs`, where given, gets what was written and where.
  [[nodiscard]] virtual Result<void> append(const LogName& log, std::span<const OutputLine> lines,
                                            std::vector<Run>* runs = nullptr) = 0;

  /// Lines up to this number will not be asked for again: the disk's and the memory's room for them
  /// may be given back, all but the first and the newest some MB. Before anybody adopts the log:
  /// one that has been adopted stays whole. Does nothing where the log is not open just now.
  virtual void forget(const LogName& log, std::uint64_t sequence) = 0;

  /// Runs of a log behind this number, `most` of them at most.
  /// Errors: as read.
  [[nodiscard]] virtual Result<std::vector<Run>> runs(const LogName& log, std::uint64_t after,
                                                      std::size_t most) const = 0;

  /// Brings the lines of `source` that are not in `log` yet into it, as its next ones; their bytes
  /// stay where they are. `newest`: the runs of `source` that came last, as append() told of them
  /// or extend() was told; older ones that are missing (the process ended in between) are looked
  /// up. Errors: as append.
  [[nodiscard]] virtual Result<void> merge(const LogName& log, const LogName& source,
                                           std::span<const Run> newest) = 0;

  /// Makes another process's log one of this store's too: its file gets a further name here. Only
  /// that process writes it from then on; once its own name is gone, nobody.
  /// Errors: conflict when there is another log of this name; internal where the file is on another
  ///         file system, or may not be linked.
  [[nodiscard]] virtual Result<void> adopt(const LogName& log, int fd) = 0;

  /// The other process has written these runs, and all before them: they can be read, and sync()
  /// makes them durable.
  /// Errors: not_found or conflict when the log was not adopted, or has not so much.
  [[nodiscard]] virtual Result<void> extend(const LogName& log, std::span<const Run> runs) = 0;

  /// `last` costs what is read, not what is there (the file is read from its end).
  /// Errors: not_found when there is no such log; internal where its bytes are damaged.
  [[nodiscard]] virtual Result<std::vector<OutputLine>> read(const LogName& log,
                                                             const ReadSpec& what) const = 0;

  [[nodiscard]] virtual Result<LogInfo> info(const LogName& log) const = 0;

  /// Names of all logs that begin with the prefix, sorted.
  [[nodiscard]] virtual std::vector<LogName> list(std::string_view prefix) const = 0;

  /// fdatasync of every log appended since the last call. May run on another thread than the
  /// rest, one call at a time. Appends that were made before it was called are durable after.
  /// After an error nothing since the last success is known to be durable.
  [[nodiscard]] virtual Result<void> sync() = 0;

  /// Calls the handler after each append that added to the log, until the returned token is
  /// dropped. The log need not exist yet. A handler may read, and drop tokens, its own too.
  [[nodiscard]] virtual std::shared_ptr<void> follow(const LogName& log,
                                                     std::function<void()> handler) = 0;

  /// Removes all logs whose names begin with the prefix, and the directories this leaves empty.
  /// To remove a job's, end the prefix in '/': else jobs with longer names match too.
  [[nodiscard]] virtual Result<void> remove(std::string_view prefix) = 0;
};

/// Who writes a file that has names elsewhere too: this store, others having adopted it; or another
/// one, which this store adopted it from.
enum class Linked : std::uint8_t { written_here, adopted };

/// Opens (and makes) the directory. A record cut short by a crash at the end of a file is dropped.
[[nodiscard]] Result<std::unique_ptr<LogStore>> open_log_store(
    const std::string& directory, Linked linked = Linked::written_here);

}  // namespace cox::logs
