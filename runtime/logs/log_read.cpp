#include <algorithm>
#include <utility>

#include "runtime/logs/log_file.hpp"

/// How lines of a log are found.
namespace cox::logs {
namespace {

bool in_time(const ReadSpec& what, Millis at) {
  return (!what.from || at >= *what.from) && (!what.before || at < *what.before);
}

/// False when no record of the block can be in the time asked for.
bool may_hold_time(const ReadSpec& what, const Block& block) {
  return (!what.from || block.max_at >= *what.from) &&
         (!what.before || block.min_at < *what.before);
}

/// True where a line of the record may be one that was asked for.
bool matches(const ReadSpec& what, const RecordView& record) {
  return !record.is_checkpoint() && in_time(what, record.at) &&
         (!what.stream || record.kind() == *what.stream) &&
         (!what.after_sequence || record.last() > *what.after_sequence);
}

OutputLine line_of(const RecordView& record, std::uint64_t sequence, std::string_view text) {
  return {sequence, record.at, record.kind(), std::string(text)};
}

/// The record's lines behind `after`, `most` of them at most.
void take_first(const RecordView& record, std::uint64_t after, std::size_t most,
                std::vector<OutputLine>& lines) {
  auto rest = record.text;
  for (auto sequence = record.sequence; most > 0; ++sequence) {
    const auto end = rest.find('\n');
    if (sequence > after) {
      lines.push_back(line_of(record, sequence, rest.substr(0, end)));
      --most;
    }
    if (end == std::string_view::npos) return;
    rest.remove_prefix(end + 1);
  }
}

/// The same lines as one run. Returns how many they are.
std::size_t take_run(const RecordView& record, std::uint64_t after, std::size_t most,
                     std::vector<OutputLine>& lines) {
  auto rest = record.text;
  auto sequence = record.sequence;
  for (; sequence <= after; ++sequence) {
    const auto end = rest.find('\n');
    if (end == std::string_view::npos) return 0;
    rest.remove_prefix(end + 1);
  }
  auto count = static_cast<std::size_t>(lines_in(rest));
  for (; count > most; --count) rest = rest.substr(0, rest.rfind('\n'));
  lines.push_back(line_of(record, sequence, rest));
  lines.back().lines = static_cast<std::uint32_t>(count);
  return count;
}

/// The same from the record's end, the last line first.
void take_last(const RecordView& record, std::uint64_t after, std::size_t most,
               std::vector<OutputLine>& lines) {
  auto rest = record.text;
  for (auto sequence = record.last(); most > 0 && sequence > after; --sequence, --most) {
    const auto before = rest.rfind('\n');
    if (before == std::string_view::npos) {
      lines.push_back(line_of(record, sequence, rest));
      return;
    }
    lines.push_back(line_of(record, sequence, rest.substr(before + 1)));
    rest = rest.substr(0, before);
  }
}

std::string joined(std::vector<OutputLine> lines) {
  std::string text = std::move(lines.front().text);
  for (std::size_t i = 1; i < lines.size(); ++i) text.append("\n").append(lines[i].text);
  return text;
}

/// The record with its lines for a text, wherever they stand; nothing when they are not there.
Result<std::optional<RecordView>> with_text(const RecordView& record,
                                            const TextElsewhere& elsewhere, std::string& kept) {
  if (!record.is_elsewhere()) return record;
  if (!elsewhere) return std::nullopt;
  auto text = elsewhere(parse_elsewhere(record));
  if (!text) return fail(text.error());
  if (!*text) return std::nullopt;
  kept = std::move(**text);
  return RecordView{static_cast<std::uint8_t>(record.kind()), record.at, record.sequence, kept};
}

}  // namespace

/// The block that the checkpoint before this place sums up.
Result<Block> LogFile::block_before(std::uint64_t begin) const {
  if (begin < kFileMagic.size() + kCheckpointBytes) {
    return fail(Errc::internal, "a log is damaged at byte {}", begin);
  }
  RecordWalk walk(file_->fd(), begin - kCheckpointBytes, begin);
  walk.go_to(begin - kCheckpointBytes);
  const auto record = walk.next();
  if (!record) return fail(record.error());
  const auto block = parse_checkpoint(**record, begin - kCheckpointBytes);
  if (!block) return fail(Errc::internal, "a log is damaged at byte {}", begin);
  return *block;
}

/// Learns the blocks of what extend() told of.
Result<void> LogFile::catch_up() {
  if (!behind_) return {};
  Block open;
  open.begin = kFileMagic.size();
  RecordWalk walk(file_->fd(), kFileMagic.size(), size_);
  walk.go_to(size_);
  for (;;) {
    const auto record = walk.previous();
    if (!record) return fail(record.error());
    if (!*record) break;
    if ((*record)->is_checkpoint()) {
      open.begin = walk.place() + kCheckpointBytes;
      break;
    }
    open.add((*record)->sequence, (*record)->at, 0);
    open.first_sequence = (*record)->sequence;
  }
  open.end = size_;
  std::vector<Block> newer;
  // Where nothing was known, older blocks are looked for when they are needed.
  const auto known_from = open_block_.begin == 0 ? open.begin : open_block_.begin;
  for (auto begin = open.begin; begin > known_from; begin = newer.back().begin) {
    const auto block = block_before(begin);
    if (!block) return fail(block.error());
    newer.push_back(*block);
  }
  closed_.insert(closed_.begin(), newer.begin(), newer.end());
  open_block_ = open;
  behind_ = false;
  return {};
}

/// Reads the checkpoint before the oldest known block. False when that block is the first.
Result<bool> LogFile::know_one_more_block() {
  const auto& oldest = closed_.empty() ? open_block_ : closed_.back();
  if (oldest.begin <= kFileMagic.size()) return false;
  const auto block = block_before(oldest.begin);
  if (!block) return fail(block.error());
  closed_.push_back(*block);
  return true;
}

/// The parts of the file where something can be found, oldest first.
Result<std::vector<LogFile::Range>> LogFile::ranges(const ReadSpec& what) {
  const auto after = what.after_sequence.value_or(0);
  const bool by_time = what.from || what.before;
  if (!by_time && after == 0) return std::vector{Range{kFileMagic.size(), size_}};
  for (;;) {
    const auto& oldest = closed_.empty() ? open_block_ : closed_.back();
    if (oldest.first_sequence != 0 && oldest.first_sequence <= after + 1) break;
    const auto more = know_one_more_block();
    if (!more) return fail(more.error());
    if (!*more) break;
  }
  std::vector<Range> found;
  for (auto block = closed_.rbegin(); block != closed_.rend(); ++block) {
    const auto& newer = std::next(block) == closed_.rend() ? open_block_ : *std::next(block);
    if (newer.first_sequence != 0 && newer.first_sequence <= after + 1) continue;
    if (may_hold_time(what, *block)) found.push_back({block->begin, block->end});
  }
  if (open_block_.first_sequence != 0 && may_hold_time(what, open_block_)) {
    found.push_back({open_block_.begin, open_block_.end});
  }
  return found;
}

Result<std::vector<OutputLine>> LogFile::read_forward(const ReadSpec& what,
                                                      const TextElsewhere& elsewhere) {
  const auto where = ranges(what);
  if (!where) return fail(where.error());
  std::vector<OutputLine> lines;
  std::string kept;
  const auto after = what.after_sequence.value_or(0);
  auto most = what.first.value_or(std::string_view::npos);
  for (const auto& range : *where) {
    RecordWalk walk(file_->fd(), range.begin, range.end);
    walk.go_to(range.begin);
    while (most > 0) {
      const auto record = walk.next();
      if (!record) return fail(record.error());
      if (!*record) break;
      if (!matches(what, **record)) continue;
      const auto here = with_text(**record, elsewhere, kept);
      if (!here) return fail(here.error());
      if (!*here) continue;
      if (what.in_runs) {
        most -= take_run(**here, after, most, lines);
      } else {
        const auto before = lines.size();
        take_first(**here, after, most, lines);
        most -= lines.size() - before;
      }
    }
  }
  return lines;
}

Result<std::vector<OutputLine>> LogFile::read_backward(const ReadSpec& what,
                                                       const TextElsewhere& elsewhere) const {
  std::vector<OutputLine> lines;
  std::string kept;
  RecordWalk walk(file_->fd(), kFileMagic.size(), size_);
  walk.go_to(may_hold_time(what, open_block_) ? size_ : open_block_.begin);
  const auto after = what.after_sequence.value_or(0);
  while (lines.size() < *what.last) {
    const auto record = walk.previous();
    if (!record) return fail(record.error());
    if (!*record || (*record)->last() <= after) break;
    if ((*record)->is_checkpoint()) {
      const auto block = parse_checkpoint(**record, walk.place());
      if (!block) return fail(Errc::internal, "a log is damaged at byte {}", walk.place());
      if (!may_hold_time(what, *block)) walk.go_to(block->begin);
    } else if (matches(what, **record)) {
      const auto here = with_text(**record, elsewhere, kept);
      if (!here) return fail(here.error());
      if (*here) take_last(**here, after, *what.last - lines.size(), lines);
    }
  }
  std::reverse(lines.begin(), lines.end());
  return lines;
}

Result<std::vector<OutputLine>> LogFile::read(const ReadSpec& what,
                                              const TextElsewhere& elsewhere) {
  if (auto caught = catch_up(); !caught) return fail(caught.error());
  if (size_ == 0 || what.after_sequence.value_or(0) >= last_sequence_) {
    return std::vector<OutputLine>{};
  }
  if (what.last && !what.first) return read_backward(what, elsewhere);
  auto lines = read_forward(what, elsewhere);
  if (lines && what.last && lines->size() > *what.last) {
    lines->erase(lines->begin(), lines->end() - static_cast<std::ptrdiff_t>(*what.last));
  }
  return lines;
}

Result<std::vector<Run>> LogFile::runs(std::uint64_t after, std::size_t most) {
  if (auto caught = catch_up(); !caught) return fail(caught.error());
  std::vector<Run> found;
  if (size_ == 0 || after >= last_sequence_) return found;
  ReadSpec what;
  what.after_sequence = after;
  const auto where = ranges(what);
  if (!where) return fail(where.error());
  for (const auto& range : *where) {
    RecordWalk walk(file_->fd(), range.begin, range.end);
    walk.go_to(range.begin);
    while (found.size() < most) {
      const auto offset = walk.place();
      const auto record = walk.next();
      if (!record) return fail(record.error());
      if (!*record) break;
      if (!matches(what, **record)) continue;
      const auto first = std::max((*record)->sequence, after + 1);
      found.push_back({first, (*record)->at, (*record)->kind(),
                       static_cast<std::uint32_t>((*record)->last() - first + 1), offset,
                       static_cast<std::uint32_t>((*record)->bytes())});
    }
  }
  return found;
}

std::optional<std::string> text_at(int fd, const Run& run) {
  if (run.bytes < kFrameBytes || run.bytes > kTextBytesMax + kFrameBytes) return std::nullopt;
  std::string bytes(run.bytes, '\0');
  if (const auto read = read_at(fd, run.offset, bytes); !read) return std::nullopt;
  const auto record = parse_record(bytes);
  if (!record || record->is_checkpoint() || record->is_elsewhere()) return std::nullopt;
  if (record->sequence > run.sequence || record->last() < run.last()) return std::nullopt;
  if (record->sequence == run.sequence && record->last() == run.last()) {
    return bytes.substr(kHeaderBytes, record->text.size());
  }
  std::vector<OutputLine> lines;
  take_first(*record, run.sequence - 1, run.lines, lines);
  return joined(std::move(lines));
}

Result<std::optional<std::string>> LogFile::text(const Run& run) {
  if (auto found = text_at(file_->fd(), run)) return found;
  // After a crash of the machine the lines may stand elsewhere in it than they did.
  ReadSpec what;
  what.after_sequence = run.sequence - 1;
  what.first = run.lines;
  auto lines = read(what, {});
  if (!lines) return fail(lines.error());
  if (lines->empty()) return std::nullopt;
  return joined(std::move(*lines));
}

Result<LogInfo> LogFile::info() const {
  LogInfo info{last_sequence_, {}, last_at_, size_};
  if (last_sequence_ == 0) return info;
  RecordWalk walk(file_->fd(), kFileMagic.size(), size_);
  walk.go_to(kFileMagic.size());
  const auto first = walk.next();
  if (!first) return fail(first.error());
  info.first_at = (*first)->at;
  return info;
}

}  // namespace cox::logs
