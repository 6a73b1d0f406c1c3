#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/base/units.hpp"
#include "runtime/logs/run.hpp"
#include "runtime/ports/log_sink.hpp"

/// The bytes of a log's file: kFileMagic, then records, each
///
///   u32 length | u8 stream | i64 time | u64 sequence | u32 crc32c | text | u32 length
///
/// little-endian; the checksum is over all that stands before it and the text. The text is a line,
/// or several that were read together with '\n' between them; the number is then the first's. The
/// second length lets the file be read from its end. Lines may stand in another log and only be
/// named here: a record whose stream has kElsewhere in it, and whose text is
///
///   u32 lines | u32 bytes of that record | u64 its offset | u64 the first line there | its log's
///   name
///
/// A file that has none may be of the version before (kFileMagicBefore). After each kBlockBytes of
/// records stands a checkpoint: a record of a stream of its own that sums up the block before it,
/// so that a reader skips blocks.
namespace cox::logs {

inline constexpr std::string_view kFileMagic = "COXLOG2\n";
inline constexpr std::string_view kFileMagicBefore = "COXLOG1\n";
inline constexpr std::size_t kLengthBytes = 4;
inline constexpr std::size_t kHeaderBytes = 4 + 1 + 8 + 8 + 4;
inline constexpr std::size_t kFrameBytes = kHeaderBytes + kLengthBytes;  ///< all but the text
inline constexpr std::size_t kTextBytesMax = 64u << 20;
inline constexpr std::uint64_t kBlockBytes = 256u << 10;
inline constexpr std::uint8_t kCheckpointStream = 0xff;
inline constexpr std::uint8_t kElsewhere = 0x10;

/// A record as it lies in a buffer; `text` is valid as long as the buffer is.
struct RecordView {
  std::uint8_t stream = 0;
  Millis at;
  std::uint64_t sequence = 0;
  std::string_view text;

  [[nodiscard]] bool is_checkpoint() const { return stream == kCheckpointStream; }
  /// Its lines stand in another log.
  [[nodiscard]] bool is_elsewhere() const { return !is_checkpoint() && (stream & kElsewhere) != 0; }
  [[nodiscard]] StreamKind kind() const {
    return (stream & ~kElsewhere) == 0 ? StreamKind::out : StreamKind::err;
  }
  [[nodiscard]] std::size_t bytes() const { return kFrameBytes + text.size(); }
  /// The number of its last line.
  [[nodiscard]] std::uint64_t last() const;
};

/// A run of another log.
struct Elsewhere {
  std::string_view log;
  Run run;
};

/// A run of records between two checkpoints.
struct Block {
  std::uint64_t begin = 0;           ///< offset of its first record
  std::uint64_t end = 0;             ///< offset behind its last one
  std::uint64_t first_sequence = 0;  ///< 0: no record
  Millis min_at;
  Millis max_at;

  /// Takes a further record into the account.
  void add(std::uint64_t sequence, Millis at, std::size_t bytes);
};

inline constexpr std::size_t kCheckpointBytes = kFrameBytes + 4 * 8;

void append_record(std::string& out, const RecordView& record);
/// `last_sequence` and `last_at` are those of the block's last record.
void append_checkpoint(std::string& out, const Block& block, std::uint64_t last_sequence,
                       Millis last_at);

/// The record that stands for lines of another log, from `sequence` on. Its text goes to `text`.
[[nodiscard]] RecordView elsewhere_record(std::string& text, std::uint64_t sequence,
                                          const Elsewhere& there);
/// What a record says whose lines stand in another log. Expects that is_elsewhere(). Pure.
[[nodiscard]] Elsewhere parse_elsewhere(const RecordView& record);

/// What stands before and behind a record's text, for who writes that from where it is.
void append_record_head(std::string& out, const RecordView& record);
void append_record_tail(std::string& out, const RecordView& record);

/// The text's length from the first (or last) four bytes of a record. Expects four bytes.
[[nodiscard]] std::size_t text_length(std::string_view four_bytes);

/// The record that is exactly these bytes; nothing when they are not one. Pure.
[[nodiscard]] std::optional<RecordView> parse_record(std::string_view bytes);

/// What a checkpoint at `offset` says; nothing when it contradicts itself. Pure.
[[nodiscard]] std::optional<Block> parse_checkpoint(const RecordView& record, std::uint64_t offset);

}  // namespace cox::logs
