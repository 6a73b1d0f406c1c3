#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/result.hpp"
#include "runtime/logs/record.hpp"

namespace cox::logs {

/// An open file, closed at the end. Shared between the thread that appends and the one that syncs.
class File {
 public:
  explicit File(int fd) : fd_(fd) {}
  ~File();
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_;
};

/// errno as an Error: not_found for ENOENT, else internal. Message: "<what>: <strerror>".
[[nodiscard]] Error file_error(int error_number, std::string_view what);

/// Bytes of two kinds on their way to a file: small ones that are gathered, and large ones that
/// stay where they are until they are written.
class Gathered {
 public:
  /// Where small ones go.
  [[nodiscard]] std::string& own() { return own_; }
  /// What lies elsewhere and follows on what own() has now.
  void add(std::string_view elsewhere);
  [[nodiscard]] std::uint64_t size() const { return own_.size() + elsewhere_bytes_; }
  /// The pieces in order; valid until something is added.
  [[nodiscard]] std::vector<iovec> pieces() const;

 private:
  struct Piece {
    std::size_t own_until = 0;
    std::string_view elsewhere;
  };
  std::string own_;
  std::vector<Piece> elsewhere_;
  std::uint64_t elsewhere_bytes_ = 0;
};

/// Writes all pieces at the offset.
[[nodiscard]] Result<void> write_at(int fd, std::uint64_t offset, std::vector<iovec> pieces);

/// Reads so many bytes. Errors: internal when the disk refuses or the file is shorter.
[[nodiscard]] Result<void> read_at(int fd, std::uint64_t offset, std::span<char> bytes);

/// Walks over the records of [begin, end) of a file in either direction, with few reads.
/// A view is valid until the next call. Errors: internal when the disk refuses, or where the bytes
/// are no record (then is_damage() tells).
class RecordWalk {
 public:
  RecordWalk(int fd, std::uint64_t begin, std::uint64_t end) : fd_(fd), begin_(begin), end_(end) {}

  /// The record behind the place, or nothing at the end; the place moves behind it.
  [[nodiscard]] Result<std::optional<RecordView>> next();
  /// The record before the place, or nothing at the begin; the place moves before it.
  [[nodiscard]] Result<std::optional<RecordView>> previous();

  [[nodiscard]] std::uint64_t place() const { return place_; }
  void go_to(std::uint64_t place) { place_ = place; }
  [[nodiscard]] bool is_damage() const { return damaged_; }

 private:
  [[nodiscard]] Result<std::string_view> bytes(std::uint64_t from, std::uint64_t to,
                                               std::uint64_t wanted_from, std::uint64_t wanted_to);
  [[nodiscard]] Result<std::optional<RecordView>> damage();

  int fd_;
  std::uint64_t begin_;
  std::uint64_t end_;
  std::uint64_t place_ = 0;
  bool damaged_ = false;
  std::string buffer_;
  std::uint64_t buffer_begin_ = 0;
};

}  // namespace cox::logs
