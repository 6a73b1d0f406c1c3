#include "runtime/logs/log_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace cox::logs {
namespace {

/// How much of the end is verified when a log is opened: what a crash of the machine can have
/// damaged was written shortly before it.
constexpr std::uint64_t kVerifiedBytes = 4u << 20;

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
         (!what.stream || record.stream == static_cast<std::uint8_t>(*what.stream)) &&
         (!what.after_sequence || record.last() > *what.after_sequence);
}

OutputLine line_of(const RecordView& record, std::uint64_t sequence, std::string_view text) {
  return {sequence, record.at, record.stream == 0 ? StreamKind::out : StreamKind::err,
          std::string(text)};
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

}  // namespace

Result<LogFile> LogFile::open(std::shared_ptr<File> file) {
  LogFile log(std::move(file));
  if (auto loaded = log.load(); !loaded) return fail(loaded.error());
  return log;
}

Result<void> LogFile::load() {
  struct stat status {};
  if (::fstat(file_->fd(), &status) != 0) return fail(file_error(errno, "fstat of a log"));
  size_ = static_cast<std::uint64_t>(status.st_size);
  std::string magic(std::min<std::size_t>(size_, kFileMagic.size()), '\0');
  const auto got = ::pread(file_->fd(), magic.data(), magic.size(), 0);
  if (got != static_cast<ssize_t>(magic.size())) return fail(file_error(EIO, "read of a log"));
  const bool unwritten = magic.find_first_not_of('\0') == std::string::npos;
  const bool cut = size_ < kFileMagic.size() && kFileMagic.substr(0, magic.size()) == magic;
  if (unwritten || cut) {
    if (::ftruncate(file_->fd(), 0) != 0) return fail(file_error(errno, "ftruncate of a log"));
    size_ = 0;
    open_block_.begin = open_block_.end = kFileMagic.size();
    return {};
  }
  if (magic != kFileMagic) return fail(Errc::internal, "not a log of this version");

  const auto sound = walk_tail();
  if (!sound) return fail(sound.error());
  if (*sound) return {};
  const auto kept = sound_bytes();
  if (!kept) return fail(kept.error());
  if (::ftruncate(file_->fd(), static_cast<off_t>(*kept)) != 0) {
    return fail(file_error(errno, "ftruncate of a log"));
  }
  size_ = *kept;
  const auto walked = walk_tail();
  if (!walked) return fail(walked.error());
  if (!*walked) return fail(Errc::internal, "a log is damaged before its end");
  return {};
}

/// Reads backwards from the end: learns the last record and the open block, and verifies the end.
/// False when it is damaged.
Result<bool> LogFile::walk_tail() {
  last_sequence_ = 0;
  last_at_ = {};
  closed_.clear();
  open_block_ = {};
  open_block_.begin = kFileMagic.size();
  RecordWalk walk(file_->fd(), kFileMagic.size(), size_);
  walk.go_to(size_);
  for (bool in_open_block = true;;) {
    const auto record = walk.previous();
    if (!record) {
      if (walk.is_damage()) return false;
      return fail(record.error());
    }
    if (!*record) break;
    if (last_sequence_ == 0) {
      last_sequence_ = (*record)->last();
      last_at_ = (*record)->at;
    }
    if ((*record)->is_checkpoint()) {
      const auto block = parse_checkpoint(**record, walk.place());
      if (!block) return false;
      if (in_open_block) open_block_.begin = walk.place() + kCheckpointBytes;
      in_open_block = false;
      if (size_ - walk.place() >= kVerifiedBytes) break;
    } else if (in_open_block) {
      open_block_.add((*record)->sequence, (*record)->at, 0);
      open_block_.first_sequence = (*record)->sequence;
    }
  }
  open_block_.end = size_;
  return true;
}

/// How far the file is a sequence of whole records. Reads all of it: only after a crash.
Result<std::uint64_t> LogFile::sound_bytes() const {
  RecordWalk walk(file_->fd(), kFileMagic.size(), size_);
  walk.go_to(kFileMagic.size());
  for (;;) {
    const auto before = walk.place();
    const auto record = walk.next();
    if (!record && !walk.is_damage()) return fail(record.error());
    if (!record || !*record) return before;
    if ((*record)->is_checkpoint() && !parse_checkpoint(**record, before)) return before;
  }
}

Result<std::size_t> LogFile::append(std::span<const OutputLine> lines) {
  std::string bytes;
  std::size_t expected = kFileMagic.size() + kCheckpointBytes;
  for (const auto& line : lines) expected += kFrameBytes + line.text.size();
  bytes.reserve(expected);
  if (size_ == 0) bytes = kFileMagic;
  auto block = open_block_;
  std::vector<Block> closed;
  auto last = last_sequence_;
  auto last_at = last_at_;
  std::size_t added = 0;
  for (const auto& line : lines) {
    const auto end = line.sequence + line.lines - 1;
    if (end <= last) continue;
    if (line.sequence > last + 1) {
      return fail(Errc::conflict, "line {} cannot follow line {}", line.sequence, last);
    }
    if (line.text.size() > kTextBytesMax) {
      return fail(Errc::invalid_argument, "line {} has {} bytes, more than {}", line.sequence,
                  line.text.size(), kTextBytesMax);
    }
    const auto stream = static_cast<std::uint8_t>(line.stream == StreamKind::err ? 1 : 0);
    RecordView record{stream, line.at, line.sequence, line.text};
    // Of a run that was sent again, its first lines may be there.
    for (; record.sequence <= last; ++record.sequence) {
      record.text.remove_prefix(record.text.find('\n') + 1);
    }
    append_record(bytes, record);
    block.add(record.sequence, line.at, record.bytes());
    last = end;
    last_at = line.at;
    added += end - record.sequence + 1;
    if (block.end - block.begin < kBlockBytes) continue;
    append_checkpoint(bytes, block, last, last_at);
    closed.push_back(block);
    block = {};
    block.begin = block.end = closed.back().end + kCheckpointBytes;
  }
  if (added == 0) return 0;
  if (auto written = write_at(file_->fd(), size_, bytes); !written) {
    // What was written of it must not be found again. Should this fail too, the next opening of
    // the log takes the whole records among it for good, and the sender's repeats are passed over.
    if (::ftruncate(file_->fd(), static_cast<off_t>(size_)) != 0) {
      return fail(within("and it could not be cut back", written.error()));
    }
    return fail(written.error());
  }
  size_ += bytes.size();
  open_block_ = block;
  closed_.insert(closed_.begin(), closed.rbegin(), closed.rend());
  last_sequence_ = last;
  last_at_ = last_at;
  return added;
}

/// Reads the checkpoint before the oldest known block. False when that block is the first.
Result<bool> LogFile::know_one_more_block() {
  const auto& oldest = closed_.empty() ? open_block_ : closed_.back();
  if (oldest.begin <= kFileMagic.size()) return false;
  RecordWalk walk(file_->fd(), oldest.begin - kCheckpointBytes, oldest.begin);
  walk.go_to(oldest.begin - kCheckpointBytes);
  const auto record = walk.next();
  if (!record) return fail(record.error());
  const auto block = parse_checkpoint(**record, oldest.begin - kCheckpointBytes);
  if (!block) return fail(Errc::internal, "a log is damaged at byte {}", oldest.begin);
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

Result<std::vector<OutputLine>> LogFile::read_forward(const ReadSpec& what) {
  const auto where = ranges(what);
  if (!where) return fail(where.error());
  std::vector<OutputLine> lines;
  for (const auto& range : *where) {
    RecordWalk walk(file_->fd(), range.begin, range.end);
    walk.go_to(range.begin);
    while (!what.first || lines.size() < *what.first) {
      const auto record = walk.next();
      if (!record) return fail(record.error());
      if (!*record) break;
      if (!matches(what, **record)) continue;
      const auto most = what.first ? *what.first - lines.size() : std::string_view::npos;
      take_first(**record, what.after_sequence.value_or(0), most, lines);
    }
  }
  return lines;
}

Result<std::vector<OutputLine>> LogFile::read_backward(const ReadSpec& what) const {
  std::vector<OutputLine> lines;
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
      take_last(**record, after, *what.last - lines.size(), lines);
    }
  }
  std::reverse(lines.begin(), lines.end());
  return lines;
}

Result<std::vector<OutputLine>> LogFile::read(const ReadSpec& what) {
  if (size_ == 0 || what.after_sequence.value_or(0) >= last_sequence_) {
    return std::vector<OutputLine>{};
  }
  if (what.last && !what.first) return read_backward(what);
  auto lines = read_forward(what);
  if (lines && what.last && lines->size() > *what.last) {
    lines->erase(lines->begin(), lines->end() - static_cast<std::ptrdiff_t>(*what.last));
  }
  return lines;
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
