#include "runtime/logs/file.hpp"

#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>

namespace cox::logs {
namespace {

constexpr std::uint64_t kReadBytes = 256u << 10;

}  // namespace

File::~File() { ::close(fd_); }

Error file_error(int error_number, std::string_view what) {
  return {error_number == ENOENT ? Errc::not_found : Errc::internal,
          fmt::format("{}: {}", what, std::strerror(error_number))};
}

void Gathered::add(std::string_view elsewhere) {
  elsewhere_.push_back({own_.size(), elsewhere});
  elsewhere_bytes_ += elsewhere.size();
}

std::vector<iovec> Gathered::pieces() const {
  std::vector<iovec> all;
  const auto take = [&all](std::string_view piece) {
    if (!piece.empty()) all.push_back({const_cast<char*>(piece.data()), piece.size()});
  };
  const std::string_view own(own_);
  std::size_t taken = 0;
  for (const auto& piece : elsewhere_) {
    take(own.substr(taken, piece.own_until - taken));
    take(piece.elsewhere);
    taken = piece.own_until;
  }
  take(own.substr(taken));
  return all;
}

Result<void> write_at(int fd, std::uint64_t offset, std::vector<iovec> pieces) {
  for (std::size_t done = 0; done < pieces.size();) {
    const auto count = std::min<std::size_t>(pieces.size() - done, IOV_MAX);
    auto written =
        ::pwritev(fd, &pieces[done], static_cast<int>(count), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return fail(file_error(errno, "write to a log"));
    offset += static_cast<std::uint64_t>(written);
    for (; written > 0; ++done) {
      auto& piece = pieces[done];
      const auto of_it = std::min(piece.iov_len, static_cast<std::size_t>(written));
      written -= static_cast<ssize_t>(of_it);
      piece.iov_len -= of_it;
      piece.iov_base = static_cast<char*>(piece.iov_base) + of_it;
      if (piece.iov_len > 0) break;
    }
  }
  return {};
}

Result<void> read_at(int fd, std::uint64_t offset, std::span<char> bytes) {
  while (!bytes.empty()) {
    const auto got = ::pread(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return fail(file_error(got < 0 ? errno : EIO, "read of a log"));
    bytes = bytes.subspan(static_cast<std::size_t>(got));
    offset += static_cast<std::uint64_t>(got);
  }
  return {};
}

Result<std::string_view> RecordWalk::bytes(std::uint64_t from, std::uint64_t to,
                                           std::uint64_t wanted_from, std::uint64_t wanted_to) {
  if (from < buffer_begin_ || to > buffer_begin_ + buffer_.size()) {
    buffer_begin_ = std::max(wanted_from, begin_);
    buffer_.resize(std::min(wanted_to, end_) - buffer_begin_);
    if (auto read = read_at(fd_, buffer_begin_, buffer_); !read) {
      buffer_.clear();
      return fail(read.error());
    }
  }
  return std::string_view(buffer_).substr(from - buffer_begin_, to - from);
}

Result<std::optional<RecordView>> RecordWalk::damage() {
  damaged_ = true;
  return fail(Errc::internal, "a log is damaged at byte {}", place_);
}

Result<std::optional<RecordView>> RecordWalk::next() {
  if (place_ >= end_) return std::nullopt;
  const auto left = end_ - place_;
  if (left < kFrameBytes) return damage();
  const auto ahead = place_ + kReadBytes;
  const auto head = bytes(place_, place_ + kLengthBytes, place_, ahead);
  if (!head) return fail(head.error());
  const auto length = text_length(*head);
  if (length > kTextBytesMax || length + kFrameBytes > left) return damage();
  const auto end = place_ + length + kFrameBytes;
  const auto whole = bytes(place_, end, place_, std::max(ahead, end));
  if (!whole) return fail(whole.error());
  const auto record = parse_record(*whole);
  if (!record) return damage();
  place_ = end;
  return record;
}

Result<std::optional<RecordView>> RecordWalk::previous() {
  if (place_ <= begin_) return std::nullopt;
  const auto left = place_ - begin_;
  if (left < kFrameBytes) return damage();
  const auto back = place_ - std::min(left, kReadBytes);
  const auto tail = bytes(place_ - kLengthBytes, place_, back, place_);
  if (!tail) return fail(tail.error());
  const auto length = text_length(*tail);
  if (length > kTextBytesMax || length + kFrameBytes > left) return damage();
  const auto begin = place_ - length - kFrameBytes;
  const auto whole = bytes(begin, place_, std::min(back, begin), place_);
  if (!whole) return fail(whole.error());
  const auto record = parse_record(*whole);
  if (!record) return damage();
  place_ = begin;
  return record;
}

}  // namespace cox::logs
