#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/base/result.hpp"
#include "runtime/logs/file.hpp"
#include "runtime/logs/log_store.hpp"
#include "runtime/logs/record.hpp"

namespace cox::logs {

/// The text of a run of another log; nothing where that log has it not (yet).
using TextElsewhere = std::function<Result<std::optional<std::string>>(const Elsewhere&)>;

/// The lines of a run of the log in this file, '\n' between them; nothing when they are not just
/// where it says.
[[nodiscard]] std::optional<std::string> text_at(int fd, const Run& run);

/// One open log. Knows its end; learns of older blocks from the checkpoints only when asked to
/// find something in them, and remembers where they are.
class LogFile {
 public:
  /// Takes over an open file (read and write). A last record that was cut short, or whatever else
  /// a crash left at the end, is cut off. Errors: internal when it is no log or cannot be read.
  [[nodiscard]] static Result<LogFile> open(std::shared_ptr<File> file);
  /// The same of a file that another process writes: it is left as it is.
  [[nodiscard]] static Result<LogFile> open_foreign(std::shared_ptr<File> file);
  /// Of such a file nothing is known yet: extend() tells.
  [[nodiscard]] static LogFile begin_foreign(std::shared_ptr<File> file);
  [[nodiscard]] bool is_foreign() const { return foreign_; }

  /// As LogStore::append. Returns how many lines were added.
  [[nodiscard]] Result<std::size_t> append(std::span<const OutputLine> lines,
                                           std::vector<Run>* runs);
  /// As LogStore::forget.
  void forget(std::uint64_t sequence);
  /// Lines that stand in another log, where they follow on what is known of that here. Returns how
  /// many were added.
  [[nodiscard]] Result<std::size_t> append_elsewhere(const std::string& log,
                                                     std::span<const Run> runs);
  /// The number up to which lines of another log are in this one.
  [[nodiscard]] Result<std::uint64_t> known_of(const std::string& log);
  /// Whoever writes the file has written these.
  [[nodiscard]] Result<bool> extend(std::span<const Run> runs);

  [[nodiscard]] Result<std::vector<OutputLine>> read(const ReadSpec& what,
                                                     const TextElsewhere& elsewhere);
  /// Runs behind `after`, `most` of them at most.
  [[nodiscard]] Result<std::vector<Run>> runs(std::uint64_t after, std::size_t most);
  /// The lines of a run, '\n' between them; nothing when they are not here.
  [[nodiscard]] Result<std::optional<std::string>> text(const Run& run);
  [[nodiscard]] Result<LogInfo> info() const;
  [[nodiscard]] std::uint64_t last_sequence() const { return last_sequence_; }
  [[nodiscard]] const std::shared_ptr<File>& file() const { return file_; }

 private:
  struct Range {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
  };

  /// Records on their way to the end of the file.
  struct Addition;

  explicit LogFile(std::shared_ptr<File> file) : file_(std::move(file)) {}

  [[nodiscard]] Result<void> load();
  [[nodiscard]] Result<void> cut_to(std::uint64_t bytes);
  [[nodiscard]] Addition begin_addition() const;
  [[nodiscard]] Result<void> write(Addition& addition);
  [[nodiscard]] Result<void> mark_version();
  [[nodiscard]] Result<void> catch_up();
  [[nodiscard]] Result<Block> block_before(std::uint64_t begin) const;
  [[nodiscard]] Result<bool> walk_tail();
  [[nodiscard]] Result<std::uint64_t> sound_bytes() const;
  [[nodiscard]] Result<bool> know_one_more_block();
  [[nodiscard]] Result<std::vector<Range>> ranges(const ReadSpec& what);
  [[nodiscard]] Result<std::vector<OutputLine>> read_forward(const ReadSpec& what,
                                                             const TextElsewhere& elsewhere);
  [[nodiscard]] Result<std::vector<OutputLine>> read_backward(const ReadSpec& what,
                                                              const TextElsewhere& elsewhere) const;

  std::shared_ptr<File> file_;
  std::uint64_t size_ = 0;
  std::uint64_t last_sequence_ = 0;
  Millis last_at_;
  Block open_block_;             ///< the records behind the last checkpoint
  std::vector<Block> closed_;    ///< blocks that are known, the newest first, without gaps
  std::uint64_t forgotten_ = 0;  ///< up to here, the first record apart, room was given back
  bool foreign_ = false;         ///< another process writes it
  bool behind_ = false;          ///< the blocks are not those of size_ yet
  bool is_before_ = false;       ///< of the version before, which names no other logs
  std::optional<std::map<std::string, std::uint64_t>> known_;  ///< as known_of, once it was asked
};

}  // namespace cox::logs
