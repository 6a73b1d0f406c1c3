#include "runtime/logs/log_store.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <list>
#include <map>
#include <mutex>
#include <set>
#include <unordered_map>
#include <utility>

#include "runtime/logs/file.hpp"
#include "runtime/logs/log_file.hpp"

namespace cox::logs {
namespace {

namespace fs = std::filesystem;

/// A log "a/b" is the file "a/b.log", so that a log "a/b/c" can stand beside it.
constexpr std::string_view kSuffix = ".log";
constexpr std::size_t kPartBytesMax = 200;
constexpr std::size_t kOpenLogsMax = 128;
/// Of a log's end, which is what those who follow it read.
constexpr off_t kCachedBytes = 1 << 20;

bool is_name_part(std::string_view part) {
  return !part.empty() && part != "." && part != ".." && part.size() <= kPartBytesMax &&
         !part.ends_with(kSuffix) && part.find('\0') == std::string_view::npos;
}

Result<void> check_name(std::string_view log) {
  for (std::string_view rest = log;;) {
    const auto slash = rest.find('/');
    if (!is_name_part(rest.substr(0, slash))) {
      return fail(Errc::invalid_argument, "'{}' is no name of a log", log);
    }
    if (slash == std::string_view::npos) return {};
    rest.remove_prefix(slash + 1);
  }
}

/// What was written and is not known to be durable.
struct Unsynced {
  /// By path. Without the open file where it had to be closed meanwhile.
  std::map<std::string, std::shared_ptr<File>> files;
  std::set<std::string> directories;  ///< have got new entries
};

/// Waits until a file or directory is durable. One that is gone meanwhile needs nothing.
Result<void> sync_one(const std::string& path, const File* open, bool directory) {
  std::optional<File> reopened;
  if (open == nullptr) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT) return {};
    if (fd < 0) return fail(file_error(errno, path));
    open = &reopened.emplace(fd);
  }
  struct stat before {};
  ::fstat(open->fd(), &before);
  const int status = directory ? ::fsync(open->fd()) : ::fdatasync(open->fd());
  if (status != 0) return fail(file_error(errno, fmt::format("fsync of {}", path)));
  // Little of it is read again soon: its memory serves the next lines, and jobs' files.
  if (S_ISREG(before.st_mode) && before.st_size > kCachedBytes) {
    ::posix_fadvise(open->fd(), 0, before.st_size - kCachedBytes, POSIX_FADV_DONTNEED);
  }
  return {};
}

/// Handlers by log. Outlives the store while a token of it is held.
struct Followers {
  std::uint64_t next_id = 0;
  std::unordered_map<LogName, std::map<std::uint64_t, std::function<void()>>> by_log;
};

class FollowToken {
 public:
  FollowToken(const std::shared_ptr<Followers>& followers, LogName log, std::uint64_t id)
      : followers_(followers), log_(std::move(log)), id_(id) {}
  ~FollowToken() {
    const auto followers = followers_.lock();
    if (!followers) return;
    const auto found = followers->by_log.find(log_);
    if (found == followers->by_log.end()) return;
    found->second.erase(id_);
    if (found->second.empty()) followers->by_log.erase(found);
  }
  FollowToken(const FollowToken&) = delete;
  FollowToken& operator=(const FollowToken&) = delete;

 private:
  std::weak_ptr<Followers> followers_;
  LogName log_;
  std::uint64_t id_;
};

class DirectoryLogStore final : public LogStore {
 public:
  DirectoryLogStore(std::string root, Linked linked) : root_(std::move(root)), linked_(linked) {}

  Result<void> append(const LogName& log, std::span<const OutputLine> lines,
                      std::vector<Run>* runs) override;
  void forget(const LogName& log, std::uint64_t sequence) override;
  Result<std::vector<Run>> runs(const LogName& log, std::uint64_t after,
                                std::size_t most) const override;
  Result<void> merge(const LogName& log, const LogName& source,
                     std::span<const Run> newest) override;
  Result<void> adopt(const LogName& log, int fd) override;
  Result<void> extend(const LogName& log, std::span<const Run> runs) override;
  Result<std::vector<OutputLine>> read(const LogName& log, const ReadSpec& what) const override;
  Result<LogInfo> info(const LogName& log) const override;
  std::vector<LogName> list(std::string_view prefix) const override;
  Result<void> sync() override;
  std::shared_ptr<void> follow(const LogName& log, std::function<void()> handler) override;
  Result<void> remove(std::string_view prefix) override;

 private:
  enum class IfAbsent { fail, create };
  struct OpenLog {
    LogName name;
    LogFile file;
  };

  [[nodiscard]] std::string path_of(std::string_view log) const {
    return fmt::format("{}/{}{}", root_, log, kSuffix);
  }
  [[nodiscard]] Result<LogFile*> open(const LogName& log, IfAbsent if_absent) const;
  [[nodiscard]] Result<std::shared_ptr<File>> create(const LogName& log) const;
  [[nodiscard]] Result<void> make_directories(const LogName& log) const;
  [[nodiscard]] Result<LogFile> load(std::shared_ptr<File> file) const;
  [[nodiscard]] Result<LogFile*> open_adopted(const LogName& log) const;
  LogFile* keep_open(const LogName& log, LogFile file) const;
  void written(const LogName& log, const LogFile& file) const;
  [[nodiscard]] Result<void> added_to(const LogName& log, const LogFile& file,
                                      const Result<std::size_t>& added) const;
  [[nodiscard]] Result<std::optional<std::string>> text_of(const Elsewhere& there) const;
  void close(const LogName& log) const;
  void tell_followers(const LogName& log) const;

  std::string root_;
  Linked linked_;
  // Reading opens logs too: what is open is a cache, not state. The front was used last.
  mutable std::list<OpenLog> open_;
  mutable std::unordered_map<LogName, std::list<OpenLog>::iterator> open_by_name_;
  mutable std::mutex mutex_;
  mutable Unsynced unsynced_;  ///< guarded by mutex_
  std::shared_ptr<Followers> followers_ = std::make_shared<Followers>();
};

Result<LogFile*> DirectoryLogStore::open(const LogName& log, IfAbsent if_absent) const {
  if (const auto found = open_by_name_.find(log); found != open_by_name_.end()) {
    open_.splice(open_.begin(), open_, found->second);
    return &found->second->file;
  }
  if (auto checked = check_name(log); !checked) return fail(checked.error());
  const int fd = ::open(path_of(log).c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  std::shared_ptr<File> file;
  if (fd >= 0) {
    file = std::make_shared<File>(fd);
  } else if (errno == ENOENT || errno == ENOTDIR) {
    if (if_absent == IfAbsent::fail) return fail(Errc::not_found, "there is no log {}", log);
    auto created = create(log);
    if (!created) return fail(created.error());
    file = std::move(*created);
  } else {
    return fail(file_error(errno, path_of(log)));
  }
  auto opened = load(std::move(file));
  if (!opened) return fail(within(path_of(log), opened.error()));
  return keep_open(log, std::move(*opened));
}

Result<LogFile> DirectoryLogStore::load(std::shared_ptr<File> file) const {
  struct stat status {};
  if (::fstat(file->fd(), &status) != 0) return fail(file_error(errno, "fstat of a log"));
  const bool foreign = linked_ == Linked::adopted && status.st_nlink > 1;
  return foreign ? LogFile::open_foreign(std::move(file)) : LogFile::open(std::move(file));
}

LogFile* DirectoryLogStore::keep_open(const LogName& log, LogFile file) const {
  if (open_.size() >= kOpenLogsMax) close(open_.back().name);
  open_.push_front({log, std::move(file)});
  open_by_name_[log] = open_.begin();
  return &open_.front().file;
}

/// What is to be synced, and told of, after something was added to a log.
void DirectoryLogStore::written(const LogName& log, const LogFile& file) const {
  {
    const std::lock_guard lock(mutex_);
    unsynced_.files[path_of(log)] = file.file();
  }
  tell_followers(log);
}

Result<void> DirectoryLogStore::make_directories(const LogName& log) const {
  std::set<std::string> changed;
  for (std::size_t slash = log.find('/'); slash != LogName::npos;
       slash = log.find('/', slash + 1)) {
    const auto directory = fmt::format("{}/{}", root_, std::string_view(log).substr(0, slash));
    if (::mkdir(directory.c_str(), 0700) == 0) {
      changed.insert(fs::path(directory).parent_path().string());
    } else if (errno != EEXIST) {
      return fail(file_error(errno, directory));
    }
  }
  changed.insert(fs::path(path_of(log)).parent_path().string());
  const std::lock_guard lock(mutex_);
  unsynced_.directories.merge(changed);
  return {};
}

Result<std::shared_ptr<File>> DirectoryLogStore::create(const LogName& log) const {
  if (auto made = make_directories(log); !made) return fail(made.error());
  const auto path = path_of(log);
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return fail(file_error(errno, path));
  return std::make_shared<File>(fd);
}

/// Forgets an open log. What is not durable yet is opened again by sync().
void DirectoryLogStore::close(const LogName& log) const {
  const auto found = open_by_name_.find(log);
  if (found == open_by_name_.end()) return;
  {
    const std::lock_guard lock(mutex_);
    const auto unsynced = unsynced_.files.find(path_of(log));
    if (unsynced != unsynced_.files.end()) unsynced->second.reset();
  }
  const auto position = found->second;
  open_by_name_.erase(found);  // first: `log` may be the name inside the entry
  open_.erase(position);
}

Result<void> DirectoryLogStore::append(const LogName& log, std::span<const OutputLine> lines,
                                       std::vector<Run>* runs) {
  if (lines.empty()) return check_name(log);
  auto found = open(log, IfAbsent::fail);
  if (!found && found.error().code == Errc::not_found) {
    if (lines.front().sequence > 1) {
      return fail(Errc::conflict, "{}: line {} cannot be the first", log, lines.front().sequence);
    }
    found = open(log, IfAbsent::create);
  }
  if (!found) return fail(found.error());
  return added_to(log, **found, (*found)->append(lines, runs));
}

Result<void> DirectoryLogStore::added_to(const LogName& log, const LogFile& file,
                                         const Result<std::size_t>& added) const {
  if (!added) {
    auto error = within(log, added.error());
    // The disk has refused: what is there is found out anew.
    if (error.code == Errc::internal) close(log);
    return fail(std::move(error));
  }
  if (*added > 0) written(log, file);
  return {};
}

void DirectoryLogStore::forget(const LogName& log, std::uint64_t sequence) {
  const auto found = open_by_name_.find(log);
  if (found != open_by_name_.end()) found->second->file.forget(sequence);
}

Result<std::vector<Run>> DirectoryLogStore::runs(const LogName& log, std::uint64_t after,
                                                 std::size_t most) const {
  const auto file = open(log, IfAbsent::fail);
  if (!file) return fail(file.error());
  auto found = (*file)->runs(after, most);
  if (!found) return fail(within(log, found.error()));
  return found;
}

Result<void> DirectoryLogStore::merge(const LogName& log, const LogName& source,
                                      std::span<const Run> newest) {
  const auto merged = open(log, IfAbsent::create);
  if (!merged) return fail(merged.error());
  const auto known = (*merged)->known_of(source);
  if (!known) return fail(within(log, known.error()));
  std::vector<Run> missing;
  if (newest.empty() || newest.front().sequence > *known + 1) {
    auto all = runs(source, *known, std::string_view::npos);
    if (!all) return fail(all.error());
    missing = std::move(*all);
    newest = missing;
  }
  return added_to(log, **merged, (*merged)->append_elsewhere(source, newest));
}

Result<void> DirectoryLogStore::adopt(const LogName& log, int fd) {
  if (auto checked = check_name(log); !checked) return checked;
  struct stat theirs {};
  if (::fstat(fd, &theirs) != 0) return fail(file_error(errno, "fstat of a log"));
  if (!S_ISREG(theirs.st_mode)) return fail(Errc::conflict, "what is to be {} is no file", log);
  const auto path = path_of(log);
  struct stat ours {};
  if (::lstat(path.c_str(), &ours) == 0) {
    if (ours.st_ino == theirs.st_ino && ours.st_dev == theirs.st_dev) return {};
    return fail(Errc::conflict, "there is another log {}", log);
  }
  if (auto made = make_directories(log); !made) return made;
  const auto opened = fmt::format("/proc/self/fd/{}", fd);
  if (::linkat(AT_FDCWD, opened.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) != 0) {
    return fail(Errc::internal, "{}: link: {}", log, std::strerror(errno));
  }
  const int own = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (own < 0) return fail(file_error(errno, path));
  keep_open(log, LogFile::begin_foreign(std::make_shared<File>(own)));
  return {};
}

/// Without a look into it: its writer tells what there is.
Result<LogFile*> DirectoryLogStore::open_adopted(const LogName& log) const {
  if (open_by_name_.contains(log)) return open(log, IfAbsent::fail);
  if (auto checked = check_name(log); !checked) return fail(checked.error());
  const int fd = ::open(path_of(log).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return fail(file_error(errno, path_of(log)));
  auto file = std::make_shared<File>(fd);
  struct stat status {};
  if (::fstat(fd, &status) != 0) return fail(file_error(errno, path_of(log)));
  if (status.st_nlink < 2) return fail(Errc::conflict, "{} is written here", log);
  return keep_open(log, LogFile::begin_foreign(std::move(file)));
}

Result<void> DirectoryLogStore::extend(const LogName& log, std::span<const Run> runs) {
  if (runs.empty()) return check_name(log);
  const auto file = open_adopted(log);
  if (!file) return fail(file.error());
  const auto added = (*file)->extend(runs);
  if (!added) return fail(within(log, added.error()));
  if (*added) written(log, **file);
  return {};
}

Result<std::vector<OutputLine>> DirectoryLogStore::read(const LogName& log,
                                                        const ReadSpec& what) const {
  const auto file = open(log, IfAbsent::fail);
  if (!file) return fail(file.error());
  auto lines = (*file)->read(what, [&](const Elsewhere& there) {
    static_cast<void>(open(log, IfAbsent::fail));  // in use: not the one to be closed for others
    return text_of(there);
  });
  if (!lines) return fail(within(log, lines.error()));
  return lines;
}

/// Nothing where the log is not there: what it had was never acknowledged.
Result<std::optional<std::string>> DirectoryLogStore::text_of(const Elsewhere& there) const {
  const LogName name(there.log);
  if (!open_by_name_.contains(name) && check_name(name)) {  // no need to look at more of it
    const int fd = ::open(path_of(name).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd >= 0) {
      const File file(fd);
      if (auto text = text_at(file.fd(), there.run)) return text;
    }
  }
  const auto file = open(name, IfAbsent::fail);
  if (!file && file.error().code == Errc::not_found) return std::nullopt;
  if (!file) return fail(file.error());
  auto text = (*file)->text(there.run);
  if (!text) return fail(within(name, text.error()));
  return text;
}

Result<LogInfo> DirectoryLogStore::info(const LogName& log) const {
  const auto file = open(log, IfAbsent::fail);
  if (!file) return fail(file.error());
  auto info = (*file)->info();
  if (!info) return fail(within(log, info.error()));
  return info;
}

std::vector<LogName> DirectoryLogStore::list(std::string_view prefix) const {
  // Only the directory that the prefix names is walked, not the whole store.
  const auto slash = prefix.rfind('/');
  const auto within_directory =
      slash == std::string_view::npos ? std::string() : std::string(prefix.substr(0, slash));
  if (!within_directory.empty() && !check_name(within_directory)) return {};
  if (within_directory.empty() && slash != std::string_view::npos) return {};
  std::vector<LogName> names;
  std::vector<std::string> pending{within_directory};
  while (!pending.empty()) {
    const auto directory = std::move(pending.back());
    pending.pop_back();
    std::error_code error;
    for (fs::directory_iterator entry(fs::path(root_) / directory, error), end;
         !error && entry != end; entry.increment(error)) {
      const auto file = entry->path().filename().string();
      auto name = directory.empty() ? file : fmt::format("{}/{}", directory, file);
      // A name that is shorter than the prefix may still be a directory on the way to it.
      const auto common = std::min(name.size(), prefix.size());
      if (name.compare(0, common, prefix, 0, common) != 0) continue;
      std::error_code gone;  // meanwhile: then it is neither
      if (entry->is_directory(gone) && !entry->is_symlink(gone)) {
        pending.push_back(std::move(name));
      } else if (name.ends_with(kSuffix)) {
        name.resize(name.size() - kSuffix.size());
        if (name.starts_with(prefix)) names.push_back(std::move(name));
      }
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

Result<void> DirectoryLogStore::sync() {
  Unsynced batch;
  {
    const std::lock_guard lock(mutex_);
    batch = std::exchange(unsynced_, {});
  }
  // All are on their way before the first is waited for: the disk takes them together, and one
  // commit of its journal does for several.
  for (const auto& [path, file] : batch.files) {
    if (file && batch.files.size() > 1) {
      ::sync_file_range(file->fd(), 0, 0, SYNC_FILE_RANGE_WRITE);  // sync_one() tells of failures
    }
  }
  Result<void> outcome;
  // Files first: that mostly makes their directory entries durable too, and the rest is cheap.
  for (const auto& [path, file] : batch.files) {
    outcome = sync_one(path, file.get(), false);
    if (!outcome) break;
  }
  for (const auto& path : batch.directories) {
    if (!outcome) break;
    outcome = sync_one(path, nullptr, true);
  }
  if (!outcome) {
    for (auto& [path, file] : batch.files) file.reset();
    const std::lock_guard lock(mutex_);
    unsynced_.files.merge(batch.files);
    unsynced_.directories.merge(batch.directories);
  }
  return outcome;
}

std::shared_ptr<void> DirectoryLogStore::follow(const LogName& log, std::function<void()> handler) {
  const auto id = ++followers_->next_id;
  followers_->by_log[log].emplace(id, std::move(handler));
  return std::make_shared<FollowToken>(followers_, log, id);
}

void DirectoryLogStore::tell_followers(const LogName& log) const {
  const auto found = followers_->by_log.find(log);
  if (found == followers_->by_log.end()) return;
  std::vector<std::uint64_t> ids;
  for (const auto& [id, handler] : found->second) ids.push_back(id);
  for (const auto id : ids) {  // looked up each time: a handler may end its own or another's wait
    const auto followed = followers_->by_log.find(log);
    if (followed == followers_->by_log.end()) return;
    const auto follower = followed->second.find(id);
    if (follower == followed->second.end()) continue;
    const auto handler = follower->second;
    handler();
  }
}

Result<void> DirectoryLogStore::remove(std::string_view prefix) {
  std::set<fs::path> directories;
  for (const auto& log : list(prefix)) {
    close(log);
    const auto path = path_of(log);
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return fail(file_error(errno, path));
    directories.insert(fs::path(path).parent_path());
    const std::lock_guard lock(mutex_);
    unsynced_.files.erase(path);
  }
  const fs::path root(root_);
  for (auto directory : directories) {
    for (; directory != root && ::rmdir(directory.c_str()) == 0;) {
      directory = directory.parent_path();
    }
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<LogStore>> open_log_store(const std::string& directory, Linked linked) {
  std::error_code error;
  auto root = fs::absolute(directory, error).lexically_normal();
  if (!root.has_filename()) root = root.parent_path();
  if (!error && !fs::is_directory(root, error)) {
    fs::create_directories(root, error);
    if (!error) fs::permissions(root, fs::perms::owner_all, error);
  }
  if (error) return fail(Errc::internal, "{}: {}", directory, error.message());
  if (::access(root.c_str(), R_OK | W_OK | X_OK) != 0) return fail(file_error(errno, directory));
  return std::make_unique<DirectoryLogStore>(root.string(), linked);
}

}  // namespace cox::logs
