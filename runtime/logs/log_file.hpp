#pragma once

#include <cstddef>
#include <cstdint>
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

/// One open log. Knows its end; learns of older blocks from the checkpoints only when asked to
/// find something in them, and remembers where they are.
class LogFile {
 public:
  /// Takes over an open file (read and write). A last record that was cut short, or whatever else
  /// a crash left at the end, is cut off. Errors: internal when it is no log or cannot be read.
  [[nodiscard]] static Result<LogFile> open(std::shared_ptr<File> file);

  /// As LogStore::append. Returns how many lines were added.
  [[nodiscard]] Result<std::size_t> append(std::span<const OutputLine> lines);
  [[nodiscard]] Result<std::vector<OutputLine>> read(const ReadSpec& what);
  [[nodiscard]] Result<LogInfo> info() const;
  [[nodiscard]] std::uint64_t last_sequence() const { return last_sequence_; }
  [[nodiscard]] const std::shared_ptr<File>& file() const { return file_; }

 private:
  struct Range {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
  };

  explicit LogFile(std::shared_ptr<File> file) : file_(std::move(file)) {}

  [[nodiscard]] Result<void> load();
  [[nodiscard]] Result<bool> walk_tail();
  [[nodiscard]] Result<std::uint64_t> sound_bytes() const;
  [[nodiscard]] Result<bool> know_one_more_block();
  [[nodiscard]] Result<std::vector<Range>> ranges(const ReadSpec& what);
  [[nodiscard]] Result<std::vector<OutputLine>> read_forward(const ReadSpec& what);
  [[nodiscard]] Result<std::vector<OutputLine>> read_backward(const ReadSpec& what) const;

  std::shared_ptr<File> file_;
  std::uint64_t size_ = 0;
  std::uint64_t last_sequence_ = 0;
  Millis last_at_;
  Block open_block_;           ///< the records behind the last checkpoint
  std::vector<Block> closed_;  ///< blocks that are known, the newest first, without gaps
};

}  // namespace cox::logs
