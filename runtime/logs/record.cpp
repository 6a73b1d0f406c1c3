#include "runtime/logs/record.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "runtime/logs/crc32c.hpp"

namespace cox::logs {
namespace {

template <class T>
void put(std::string& out, T value) {
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);  // little-endian machines only, as crc32c.cpp asserts
  out.append(bytes, sizeof value);
}

template <class T>
T get(std::string_view bytes, std::size_t offset) {
  T value{};
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

constexpr std::size_t kChecksumOffset = kHeaderBytes - 4;
constexpr std::size_t kElsewhereBytes = 4 + 4 + 8 + 8;  ///< before the log's name

}  // namespace

void Block::add(std::uint64_t sequence, Millis at, std::size_t bytes) {
  if (first_sequence == 0) {
    first_sequence = sequence;
    min_at = max_at = at;
  }
  min_at = std::min(min_at, at);
  max_at = std::max(max_at, at);
  end += bytes;
}

std::uint64_t RecordView::last() const {
  if (is_checkpoint()) return sequence;
  const auto lines = is_elsewhere() ? get<std::uint32_t>(text, 0) : lines_in(text);
  return sequence + lines - 1;
}

void append_record_head(std::string& out, const RecordView& record) {
  assert(record.text.size() <= kTextBytesMax);
  const auto begin = out.size();
  put(out, static_cast<std::uint32_t>(record.text.size()));
  put(out, record.stream);
  put(out, record.at.value);
  put(out, record.sequence);
  put(out, crc32c(record.text, crc32c(std::string_view(out).substr(begin))));
}

void append_record_tail(std::string& out, const RecordView& record) {
  put(out, static_cast<std::uint32_t>(record.text.size()));
}

void append_record(std::string& out, const RecordView& record) {
  append_record_head(out, record);
  out.append(record.text);
  append_record_tail(out, record);
}

RecordView elsewhere_record(std::string& text, std::uint64_t sequence, const Elsewhere& there) {
  put(text, there.run.lines);
  put(text, there.run.bytes);
  put(text, there.run.offset);
  put(text, there.run.sequence);
  text.append(there.log);
  const auto stream = static_cast<std::uint8_t>(there.run.stream == StreamKind::err ? 1 : 0);
  return {static_cast<std::uint8_t>(kElsewhere | stream), there.run.at, sequence, text};
}

Elsewhere parse_elsewhere(const RecordView& record) {
  const auto& text = record.text;
  return {text.substr(kElsewhereBytes),
          {get<std::uint64_t>(text, 16), record.at, record.kind(), get<std::uint32_t>(text, 0),
           get<std::uint64_t>(text, 8), get<std::uint32_t>(text, 4)}};
}

void append_checkpoint(std::string& out, const Block& block, std::uint64_t last_sequence,
                       Millis last_at) {
  std::string text;
  put(text, block.begin);
  put(text, block.first_sequence);
  put(text, block.min_at.value);
  put(text, block.max_at.value);
  append_record(out, {kCheckpointStream, last_at, last_sequence, text});
}

std::size_t text_length(std::string_view four_bytes) { return get<std::uint32_t>(four_bytes, 0); }

std::optional<RecordView> parse_record(std::string_view bytes) {
  if (bytes.size() < kFrameBytes) return std::nullopt;
  const auto length = bytes.size() - kFrameBytes;
  if (get<std::uint32_t>(bytes, 0) != length ||
      get<std::uint32_t>(bytes, bytes.size() - kLengthBytes) != length) {
    return std::nullopt;
  }
  const auto text = bytes.substr(kHeaderBytes, length);
  if (get<std::uint32_t>(bytes, kChecksumOffset) !=
      crc32c(text, crc32c(bytes.substr(0, kChecksumOffset)))) {
    return std::nullopt;
  }
  const RecordView record{get<std::uint8_t>(bytes, 4), Millis{get<std::int64_t>(bytes, 5)},
                          get<std::uint64_t>(bytes, 13), text};
  const bool names_nothing =
      record.is_elsewhere() && (text.size() <= kElsewhereBytes || get<std::uint32_t>(text, 0) == 0);
  if (names_nothing) return std::nullopt;
  return record;
}

std::optional<Block> parse_checkpoint(const RecordView& record, std::uint64_t offset) {
  if (!record.is_checkpoint() || record.bytes() != kCheckpointBytes) return std::nullopt;
  const Block block{get<std::uint64_t>(record.text, 0), offset, get<std::uint64_t>(record.text, 8),
                    Millis{get<std::int64_t>(record.text, 16)},
                    Millis{get<std::int64_t>(record.text, 24)}};
  // A block always holds records, so that whoever walks from checkpoint to checkpoint gets ahead.
  if (block.begin < kFileMagic.size() || block.begin >= offset || block.first_sequence == 0) {
    return std::nullopt;
  }
  return block;
}

}  // namespace cox::logs
