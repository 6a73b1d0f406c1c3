#include "runtime/os/files.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <system_error>

namespace cox::os {

Error errno_error(int error_number, std::string_view what) {
  Errc code = Errc::internal;
  switch (error_number) {
    case ENOENT:
    case ENOTDIR:
      code = Errc::not_found;
      break;
    case EEXIST:
    case EADDRINUSE:
      code = Errc::conflict;
      break;
    case EAGAIN:
    case EINTR:
    case ECONNREFUSED:
    case ECONNRESET:
    case EPIPE:
    case ETIMEDOUT:
    case ENETUNREACH:
    case EHOSTUNREACH:
      code = Errc::unavailable;
      break;
    default:
      break;
  }
  return Error{code, fmt::format("{}: {}", what, std::generic_category().message(error_number))};
}

Result<std::string> read_file(const std::string& path, std::size_t bytes_max) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return fail(errno_error(errno, path));
  return read_all(file.get(), path, bytes_max);
}

Result<std::string> read_all(int fd, std::string_view shown, std::size_t bytes_max) {
  std::string content;
  std::array<char, 65536> piece{};
  for (;;) {
    const auto got = ::read(fd, piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(errno_error(errno, shown));
    if (got == 0) return content;
    content.append(piece.data(), static_cast<std::size_t>(got));
    if (content.size() > bytes_max) {
      return fail(Errc::invalid_argument, "{}: larger than {} bytes", shown, bytes_max);
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
  // Not the process's number: processes of several nodes may share one directory and one number.
  std::uint64_t random = 0;
  if (::getrandom(&random, sizeof random, 0) != static_cast<ssize_t>(sizeof random)) {
    return fail(errno_error(errno, "getrandom"));
  }
  const auto temporary = fmt::format("{}.new-{:016x}", path, random);
  Fd file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
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

/// The new descriptor, or the errno negated.
int open_at(int directory_fd, const std::string& name, int flags, std::uint64_t resolve,
            unsigned mode = 0) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
  how.mode = mode;
  how.resolve = resolve;
  // The kernel gives up with EAGAIN when something on the way is renamed at the same moment.
  constexpr int kTries = 16;
  for (int tried = 0;; ++tried) {
    const long fd = ::syscall(SYS_openat2, directory_fd, name.c_str(), &how, sizeof how);
    if (fd >= 0) return static_cast<int>(fd);
    if (errno != EINTR && (errno != EAGAIN || tried == kTries)) return -errno;
  }
}

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};
using Directory = std::unique_ptr<DIR, CloseDirectory>;

/// Removes one tree. Everything is named relative to an open directory, so that nobody who can
/// write in the tree can turn a step towards another place by a link or a rename.
class TreeRemoval {
 public:
  /// Removes what the directory has under this name. `shown` is its path, for messages.
  Result<void> remove(int parent_fd, const std::string& name, const std::string& shown) {
    if (::unlinkat(parent_fd, name.c_str(), 0) == 0) return {};
    const int why = errno;
    if (why == ENOENT || why == ENOTDIR) return {};
    if (why != EISDIR && why != EPERM) return fail(errno_error(why, shown));
    const int opened = open(parent_fd, name);
    switch (opened) {
      case -ENOENT:
        return {};
      case -ENOTDIR:
      case -ELOOP:  // nothing to enter: what the first attempt said is the reason
        return fail(errno_error(why, shown));
      case -EXDEV:
        return fail(Errc::conflict, "{}: something is mounted there", shown);
      default:
        break;
    }
    if (opened < 0) return fail(errno_error(-opened, shown));
    Fd directory(opened);
    if (depth_ >= kDepthMax) return lift(parent_fd, name, shown);
    return remove_directory(parent_fd, name, std::move(directory), shown);
  }

 private:
  static constexpr int kDepthMax = 64;
  static constexpr int kPassesMax = 8;

  /// The directory with all rights of its owner; or the errno negated.
  static int open(int parent_fd, const std::string& name) {
    constexpr std::uint64_t kResolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV;
    int opened = open_at(parent_fd, name, O_RDONLY | O_DIRECTORY, kResolve);
    if (opened == -EACCES) {
      // A job may have taken away its own right to list the directory.
      const int place = open_at(parent_fd, name, O_PATH | O_DIRECTORY, kResolve);
      if (place < 0) return place;
      const Fd held(place);
      if (::chmod(fmt::format("/proc/self/fd/{}", place).c_str(), S_IRWXU) != 0) return -errno;
      opened = open_at(place, ".", O_RDONLY | O_DIRECTORY, kResolve);
    }
    struct stat status {};
    if (opened >= 0 && ::fstat(opened, &status) == 0 && (status.st_mode & S_IRWXU) != S_IRWXU) {
      ::fchmod(opened, S_IRWXU);  // when it fails, the removal of what is in it tells why
    }
    return opened;
  }

  Result<void> remove_directory(int parent_fd, const std::string& name, Fd opened,
                                const std::string& shown) {
    const Directory held(::fdopendir(opened.get()));
    if (!held) return fail(errno_error(errno, shown));
    [[maybe_unused]] const int owned_by_held = opened.release();
    DIR* const directory = held.get();
    const bool is_top = !top_;
    if (is_top) top_ = ::dirfd(directory);
    ++depth_;
    Result<void> result;
    // More than one pass when something was put in meanwhile, by lift() or by another process.
    for (int passes = 1;; ++passes) {
      const auto lifted_before = lifted_;
      result = empty(directory, shown);
      if (!result || ::unlinkat(parent_fd, name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) {
        break;
      }
      const bool again =
          errno == ENOTEMPTY && (passes < kPassesMax || (is_top && lifted_ > lifted_before));
      if (!again) {
        result = fail(errno_error(errno, shown));
        break;
      }
      ::rewinddir(directory);
    }
    --depth_;
    return result;
  }

  /// Goes on after what cannot be removed; the first such is the result.
  Result<void> empty(DIR* directory, const std::string& shown) {
    Result<void> result;
    for (errno = 0; const dirent* entry = ::readdir(directory); errno = 0) {
      const std::string name = entry->d_name;
      if (name == "." || name == "..") continue;
      auto removed = remove(::dirfd(directory), name, shown + "/" + name);
      if (!removed && result) result = std::move(removed);
    }
    return result;
  }

  /// Moves a directory that lies very deep up to the top, so that neither descriptors nor the
  /// stack limit how deep a job may nest.
  Result<void> lift(int parent_fd, const std::string& name, const std::string& shown) {
    for (;;) {
      const auto new_name = fmt::format(".lifted-{}", lifted_++);
      if (::renameat2(parent_fd, name.c_str(), *top_, new_name.c_str(), RENAME_NOREPLACE) == 0 ||
          errno == ENOENT) {
        return {};
      }
      if (errno != EEXIST) return fail(errno_error(errno, shown));
    }
  }

  std::optional<int> top_;
  int depth_ = 0;
  std::uint64_t lifted_ = 0;
};

}  // namespace

Result<void> remove_tree(const std::string& path) {
  const auto end = path.find_last_not_of('/');
  const auto plain = end == std::string::npos ? std::string() : path.substr(0, end + 1);
  const auto name = plain.substr(plain.rfind('/') + 1);
  if (name.empty() || name == "." || name == "..") {
    return fail(Errc::invalid_argument, "'{}' names no tree to remove", path);
  }
  struct stat status {};
  if (::lstat(plain.c_str(), &status) != 0 && (errno == ENOENT || errno == ENOTDIR)) return {};
  const Fd parent(::open(directory_part(plain).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!parent) return fail(errno_error(errno, path));
  return TreeRemoval().remove(parent.get(), name, plain);
}

Result<void> remove_beneath(int directory_fd, const std::string& name) {
  if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos) {
    return fail(Errc::invalid_argument, "'{}' names no tree to remove", name);
  }
  return TreeRemoval().remove(directory_fd, name, name);
}

Result<Fd> open_beneath(int directory_fd, const std::string& relative, int flags, unsigned mode) {
  if (relative.find('\0') != std::string::npos) {
    return fail(Errc::invalid_argument, "{}: a file's name holds no NUL", relative.c_str());
  }
  // A mode that is not needed is refused. O_TMPFILE has O_DIRECTORY's bit in it.
  const bool makes = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
  const int opened =
      open_at(directory_fd, relative, flags,
              RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS, makes ? mode : 0);
  if (opened == -EXDEV || opened == -ELOOP) {
    return fail(Errc::invalid_argument, "{}: leads outside its directory", relative);
  }
  if (opened < 0) return fail(errno_error(-opened, relative));
  return Fd(opened);
}

std::string program_directory() {
  std::array<char, PATH_MAX> path{};
  const auto length = ::readlink("/proc/self/exe", path.data(), path.size() - 1);
  if (length <= 0) return ".";
  return directory_part(std::string(path.data(), static_cast<std::size_t>(length)));
}

}  // namespace cox::os
