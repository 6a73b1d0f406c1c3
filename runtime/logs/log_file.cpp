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

/// Room is given back by so much at a time.
constexpr std::uint64_t kForgottenBytes = 4u << 20;

/// A text of fewer bytes is copied to its record's others; a longer one is written from where it
/// is.
constexpr std::size_t kCopiedBytes = 4u << 10;

}  // namespace

/// Records, and what is known of the log once they are written.
struct LogFile::Addition {
  void add(const RecordView& record, std::uint64_t end) {
    if (record.text.size() < kCopiedBytes) {
      append_record(bytes.own(), record);
    } else {
      append_record_head(bytes.own(), record);
      bytes.add(record.text);
      append_record_tail(bytes.own(), record);
    }
    block.add(record.sequence, record.at, record.bytes());
    lines += end - last;
    last = end;
    last_at = record.at;
    if (block.end - block.begin < kBlockBytes) return;
    append_checkpoint(bytes.own(), block, last, last_at);
    closed.push_back(block);
    block = {};
    block.begin = block.end = closed.back().end + kCheckpointBytes;
  }

  Gathered bytes;
  Block block;
  std::vector<Block> closed;
  std::uint64_t last = 0;
  Millis last_at;
  std::size_t lines = 0;
};

Result<LogFile> LogFile::open(std::shared_ptr<File> file) {
  LogFile log(std::move(file));
  if (auto loaded = log.load(); !loaded) return fail(loaded.error());
  return log;
}

Result<LogFile> LogFile::open_foreign(std::shared_ptr<File> file) {
  LogFile log(std::move(file));
  log.foreign_ = true;
  if (auto loaded = log.load(); !loaded) return fail(loaded.error());
  return log;
}

LogFile LogFile::begin_foreign(std::shared_ptr<File> file) {
  LogFile log(std::move(file));
  log.foreign_ = log.behind_ = true;
  return log;
}

Result<void> LogFile::cut_to(std::uint64_t bytes) {
  // What another process is just writing looks as if it was cut short.
  if (!foreign_ && ::ftruncate(file_->fd(), static_cast<off_t>(bytes)) != 0) {
    return fail(file_error(errno, "ftruncate of a log"));
  }
  size_ = bytes;
  return {};
}

Result<void> LogFile::load() {
  struct stat status {};
  if (::fstat(file_->fd(), &status) != 0) return fail(file_error(errno, "fstat of a log"));
  size_ = static_cast<std::uint64_t>(status.st_size);
  std::string magic(std::min<std::size_t>(size_, kFileMagic.size()), '\0');
  if (auto read = read_at(file_->fd(), 0, magic); !read) return fail(read.error());
  const bool unwritten = magic.find_first_not_of('\0') == std::string::npos;
  const auto begins = [&](std::string_view whole) {
    return size_ < whole.size() && whole.starts_with(magic);
  };
  if (unwritten || begins(kFileMagic) || begins(kFileMagicBefore)) {
    open_block_.begin = open_block_.end = kFileMagic.size();
    return cut_to(0);
  }
  is_before_ = magic == kFileMagicBefore;
  if (!is_before_ && magic != kFileMagic) {
    return fail(Errc::internal, "not a log of this version");
  }

  const auto sound = walk_tail();
  if (!sound) return fail(sound.error());
  if (*sound) return {};
  const auto kept = sound_bytes();
  if (!kept) return fail(kept.error());
  if (auto cut = cut_to(*kept); !cut) return cut;
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

LogFile::Addition LogFile::begin_addition() const {
  Addition addition;
  if (size_ == 0) addition.bytes.own() = kFileMagic;
  addition.block = open_block_;
  addition.last = last_sequence_;
  addition.last_at = last_at_;
  return addition;
}

Result<void> LogFile::write(Addition& addition) {
  if (auto written = write_at(file_->fd(), size_, addition.bytes.pieces()); !written) {
    // What was written of it must not be found again. Should this fail too, the next opening of
    // the log takes the whole records among it for good, and the sender's repeats are passed over.
    if (::ftruncate(file_->fd(), static_cast<off_t>(size_)) != 0) {
      return fail(within("and it could not be cut back", written.error()));
    }
    return fail(written.error());
  }
  size_ += addition.bytes.size();
  open_block_ = addition.block;
  closed_.insert(closed_.begin(), addition.closed.rbegin(), addition.closed.rend());
  last_sequence_ = addition.last;
  last_at_ = addition.last_at;
  return {};
}

Result<std::size_t> LogFile::append(std::span<const OutputLine> lines, std::vector<Run>* runs) {
  if (foreign_) return fail(Errc::conflict, "its lines are written by another process");
  auto addition = begin_addition();
  for (const auto& line : lines) {
    const auto end = line.sequence + line.lines - 1;
    if (end <= addition.last) continue;
    if (line.sequence > addition.last + 1) {
      return fail(Errc::conflict, "line {} cannot follow line {}", line.sequence, addition.last);
    }
    if (line.text.size() > kTextBytesMax) {
      return fail(Errc::invalid_argument, "line {} has {} bytes, more than {}", line.sequence,
                  line.text.size(), kTextBytesMax);
    }
    const auto stream = static_cast<std::uint8_t>(line.stream == StreamKind::err ? 1 : 0);
    RecordView record{stream, line.at, line.sequence, line.text};
    // Of a run that was sent again, its first lines may be there.
    for (; record.sequence <= addition.last; ++record.sequence) {
      record.text.remove_prefix(record.text.find('\n') + 1);
    }
    if (runs != nullptr) {
      runs->push_back({record.sequence, line.at, line.stream,
                       static_cast<std::uint32_t>(end - record.sequence + 1), addition.block.end,
                       static_cast<std::uint32_t>(record.bytes())});
    }
    addition.add(record, end);
  }
  if (addition.lines == 0) return 0;
  if (auto written = write(addition); !written) return fail(written.error());
  return addition.lines;
}

/// By whole blocks, up to a checkpoint; that and the first record stay. An opening of the log looks
/// at its magic, and from its end back to a checkpoint that is kVerifiedBytes away.
void LogFile::forget(std::uint64_t sequence) {
  if (foreign_ || size_ < kVerifiedBytes + kForgottenBytes + forgotten_) return;
  const auto most = size_ - kVerifiedBytes - kBlockBytes;
  auto newer = open_block_.first_sequence != 0 ? open_block_.first_sequence : last_sequence_ + 1;
  std::uint64_t end = 0;
  for (const auto& block : closed_) {
    if (newer <= sequence + 1 && block.end <= most) {
      end = block.end;
      break;
    }
    newer = block.first_sequence;
  }
  if (end < forgotten_ + kForgottenBytes) return;
  if (forgotten_ == 0) {
    RecordWalk walk(file_->fd(), kFileMagic.size(), size_);
    walk.go_to(kFileMagic.size());
    if (!walk.next() || walk.place() >= end) return;
    forgotten_ = walk.place();
  }
  struct stat status {};
  if (::fstat(file_->fd(), &status) != 0 || status.st_nlink != 1) return;
  // What holds the file may refuse: then it only takes more room.
  ::fallocate(file_->fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
              static_cast<off_t>(forgotten_), static_cast<off_t>(end - forgotten_));
  forgotten_ = end;
}

/// A file of the version before is one of this from its first name of another log on.
Result<void> LogFile::mark_version() {
  if (!is_before_) return {};
  std::string magic(kFileMagic);
  if (auto marked = write_at(file_->fd(), 0, {{magic.data(), magic.size()}}); !marked) {
    return marked;
  }
  is_before_ = false;
  return {};
}

Result<std::uint64_t> LogFile::known_of(const std::string& log) {
  if (!known_) {
    std::map<std::string, std::uint64_t> known;
    RecordWalk walk(file_->fd(), kFileMagic.size(), size_);
    walk.go_to(kFileMagic.size());
    for (;;) {
      const auto record = walk.next();
      if (!record) return fail(record.error());
      if (!*record) break;
      if (!(*record)->is_elsewhere()) continue;
      const auto there = parse_elsewhere(**record);
      known[std::string(there.log)] = there.run.last();
    }
    known_ = std::move(known);
  }
  const auto found = known_->find(log);
  return found == known_->end() ? 0 : found->second;
}

Result<std::size_t> LogFile::append_elsewhere(const std::string& log, std::span<const Run> runs) {
  auto known = known_of(log);
  if (!known) return fail(known.error());
  auto addition = begin_addition();
  std::string text;
  for (auto run : runs) {
    if (run.last() <= *known) continue;
    if (run.sequence > *known + 1) {
      return fail(Errc::conflict, "line {} of {} cannot follow its line {}", run.sequence, log,
                  *known);
    }
    run.lines = static_cast<std::uint32_t>(run.last() - *known);
    run.sequence = *known + 1;
    text.clear();
    const auto record = elsewhere_record(text, addition.last + 1, {log, run});
    addition.add(record, addition.last + run.lines);
    *known = run.last();
  }
  if (addition.lines == 0) return 0;
  if (auto marked = mark_version(); !marked) return fail(marked.error());
  if (auto written = write(addition); !written) return fail(written.error());
  (*known_)[log] = *known;
  return addition.lines;
}

Result<bool> LogFile::extend(std::span<const Run> runs) {
  if (!foreign_) return fail(Errc::conflict, "its lines are written here");
  const auto& newest = runs.back();
  const auto end = newest.offset + newest.bytes;
  if (newest.last() <= last_sequence_ || end <= size_) return false;
  struct stat status {};
  if (::fstat(file_->fd(), &status) != 0) return fail(file_error(errno, "fstat of a log"));
  if (newest.lines == 0 || end < newest.offset ||
      end > static_cast<std::uint64_t>(status.st_size)) {
    return fail(Errc::conflict, "it is shorter than was told");
  }
  size_ = end;
  last_sequence_ = newest.last();
  last_at_ = newest.at;
  behind_ = true;
  return true;
}

}  // namespace cox::logs
