#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/result.hpp"
#include "runtime/os/fd.hpp"

namespace cox::os {

/// errno as an Error: ENOENT not_found; EEXIST conflict; EAGAIN and the like unavailable; else
/// internal. Message: "<what>: <strerror>".
[[nodiscard]] Error errno_error(int error_number, std::string_view what);

/// The whole content. Errors: not_found, invalid_argument when larger than `bytes_max`, internal.
[[nodiscard]] Result<std::string> read_file(const std::string& path,
                                            std::size_t bytes_max = 64u << 20);

/// What is left to read of an open descriptor; errors as read_file(), naming it `shown`.
[[nodiscard]] Result<std::string> read_all(int fd, std::string_view shown,
                                           std::size_t bytes_max = 64u << 20);

/// Replaces the file at once: temporary file beside it, fsync, rename, fsync of the directory.
[[nodiscard]] Result<void> write_file_atomic(const std::string& path, std::string_view content,
                                             unsigned mode = 0600);

/// Makes the directory and its parents. An existing one is fine.
[[nodiscard]] Result<void> make_directories(const std::string& path, unsigned mode = 0755);

/// Removes a tree without following links and without crossing into other file systems.
/// A path that does not exist is fine.
[[nodiscard]] Result<void> remove_tree(const std::string& path);

/// The same of what an open directory has under this name (no '/' in it), wherever the directory
/// has gone meanwhile: for places whose paths a job's user can turn elsewhere.
[[nodiscard]] Result<void> remove_beneath(int directory_fd, const std::string& name);

/// Opens `relative` beneath the directory; no component may be a link or lead outside
/// (openat2 with RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS).
[[nodiscard]] Result<Fd> open_beneath(int directory_fd, const std::string& relative, int flags,
                                      unsigned mode = 0600);

/// Writes all bytes, through EINTR and short writes.
[[nodiscard]] Result<void> write_all(int fd, std::string_view bytes);

/// The directory of the running program's file, where the other programs of the product are.
[[nodiscard]] std::string program_directory();

}  // namespace cox::os
