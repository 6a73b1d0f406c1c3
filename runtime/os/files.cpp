#include "runtime/os/files.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstring>
#include <memory>

namespace cox::os {

Error errno_error(int error_number, std::string_view what) {
  Errc code = Errc::internal;
  switch (error_number) {
    case ENOENT:
    case ENOTDIR:
      code = Errc::not_found;
      break;
    case EEXIST:
      code = Errc::conflict;
      break;
    case EAGAIN:
    case EINTR:
    case ECONNREFUSED:
    case ECONNRESET:
    case EPIPE:
    case ETIMEDOUT:
      code = Errc::unavailable;
      break;
    default:
      break;
  }
  return Error{code, fmt::format("{}: {}", what, std::strerror(error_number))};
}

Result<std::string> read_file(const std::string& path, std::size_t bytes_max) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return fail(errno_error(errno, path));
  std::string content;
  std::array<char, 65536> piece{};
  for (;;) {
    const auto got = ::read(file.get(), piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(errno_error(errno, path));
    if (got == 0) return content;
    content.append(piece.data(), static_cast<std::size_t>(got));
    if (content.size() > bytes_max) {
      return fail(Errc::invalid_argument, "{}: larger than {} bytes", path, bytes_max);
    }
  }
}

Result<void> write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto wrote = ::write(fd, bytes.data(), bytes.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return fail(errno_error(errno, "write"));
    bytes.remove_prefix(static_cast<std::size_t>(wrote));
  }
  return {};
}

namespace {

std::string directory_part(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Result<void> sync_directory(const std::string& path) {
  const Fd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory || ::fsync(directory.get()) != 0) return fail(errno_error(errno, path));
  return {};
}

}  // namespace

Result<void> write_file_atomic(const std::string& path, std::string_view content, unsigned mode) {
  const auto temporary = fmt::format("{}.new-{}", path, ::getpid());
  Fd file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode));
  if (!file) return fail(errno_error(errno, temporary));
  const auto give_up = [&](Error error) -> Result<void> {
    ::unlink(temporary.c_str());
    return fail(within(path, std::move(error)));
  };
  if (::fchmod(file.get(), mode) != 0) return give_up(errno_error(errno, "chmod"));
  if (auto written = write_all(file.get(), content); !written) return give_up(written.error());
  if (::fsync(file.get()) != 0) return give_up(errno_error(errno, "fsync"));
  file.reset();
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    return give_up(errno_error(errno, "rename"));
  }
  return sync_directory(directory_part(path));
}

Result<void> make_directories(const std::string& path, unsigned mode) {
  for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    const auto part = path.substr(0, end);
    if (!part.empty() && ::mkdir(part.c_str(), mode) != 0 && errno != EEXIST) {
      // A parent that may not be written but exists (EROFS, EACCES) is as good.
      struct stat status {};
      if (::stat(part.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) {
        return fail(errno_error(errno, part));
      }
    }
    if (end == std::string::npos) break;
  }
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return fail(errno_error(errno, path));
  if (!S_ISDIR(status.st_mode)) return fail(Errc::conflict, "{}: is not a directory", path);
  return {};
}

namespace {

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

/// Empties the directory, never following a link and never leaving its file system.
Result<void> empty_directory(Fd directory_fd, dev_t device, const std::string& shown) {
  const int fd = directory_fd.release();
  const std::unique_ptr<DIR, CloseDirectory> directory(::fdopendir(fd));
  if (!directory) {
    const auto error = errno_error(errno, shown);
    ::close(fd);
    return fail(error);
  }
  for (errno = 0; const dirent* entry = ::readdir(directory.get()); errno = 0) {
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    const auto path = shown + "/" + name;
    if (::unlinkat(fd, name.c_str(), 0) == 0 || errno == ENOENT) continue;
    if (errno != EISDIR && errno != EPERM) return fail(errno_error(errno, path));
    // A job may have taken away its own right to list or write the directory.
    ::fchmodat(fd, name.c_str(), 0700, 0);
    Fd below(::openat(fd, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!below) return fail(errno_error(errno, path));
    struct stat status {};
    if (::fstat(below.get(), &status) != 0) return fail(errno_error(errno, path));
    if (status.st_dev != device) {
      return fail(Errc::conflict, "{}: another file system is mounted there", path);
    }
    if (auto emptied = empty_directory(std::move(below), device, path); !emptied) return emptied;
    if (::unlinkat(fd, name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT) {
      return fail(errno_error(errno, path));
    }
  }
  return {};
}

}  // namespace

Result<void> remove_tree(const std::string& path) {
  if (::unlink(path.c_str()) == 0 || errno == ENOENT || errno == ENOTDIR) return {};
  Fd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!directory && errno == EACCES && ::chmod(path.c_str(), 0700) == 0) {
    directory.reset(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  }
  if (!directory) return fail(errno_error(errno, path));
  struct stat status {};
  if (::fstat(directory.get(), &status) != 0) return fail(errno_error(errno, path));
  if (auto emptied = empty_directory(std::move(directory), status.st_dev, path); !emptied) {
    return emptied;
  }
  if (::rmdir(path.c_str()) != 0 && errno != ENOENT) return fail(errno_error(errno, path));
  return {};
}

Result<Fd> open_beneath(int directory_fd, const std::string& relative, int flags, unsigned mode) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
  // O_TMPFILE has O_DIRECTORY's bit in it; a mode without need is refused.
  const bool makes = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
  how.mode = makes ? mode : 0;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  const long fd = ::syscall(SYS_openat2, directory_fd, relative.c_str(), &how, sizeof how);
  if (fd < 0 && (errno == EXDEV || errno == ELOOP)) {
    return fail(Errc::invalid_argument, "{}: leads outside its directory", relative);
  }
  if (fd < 0) return fail(errno_error(errno, relative));
  return Fd(static_cast<int>(fd));
}

std::string program_directory() {
  std::array<char, PATH_MAX> path{};
  const auto length = ::readlink("/proc/self/exe", path.data(), path.size() - 1);
  if (length <= 0) return ".";
  return directory_part(std::string(path.data(), static_cast<std::size_t>(length)));
}

}  // namespace cox::os
