#include "runtime/agent/spare_homes.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <functional>
#include <utility>

#include "runtime/base/text.hpp"
#include "runtime/os/fd.hpp"
#include "runtime/os/files.hpp"
#include "runtime/os/log.hpp"

namespace cox::agent {

namespace {

constexpr std::size_t kSparesMax = 16;
/// A directory that has held many files stays long, and slow to read, on most file systems.
constexpr off_t kBytesMax = 4096;
constexpr const char* kSsh = ".ssh";

/// As it was made: for its user alone, without attributes of any kind, on the device named.
bool is_as_made(int directory, const JobUser& user, dev_t device) {
  struct stat status {};
  return ::fstat(directory, &status) == 0 && status.st_uid == user.uid &&
         status.st_gid == user.gid && (status.st_mode & 07777) == 0700 &&
         status.st_size <= kBytesMax && status.st_dev == device &&
         ::flistxattr(directory, nullptr, 0) == 0;
}

/// Removes all that a directory, which nobody has read from, has but what is to be kept. False: it
/// cannot be told, or done.
bool remove_but(int directory, const std::function<bool(const std::string&)>& is_kept) {
  alignas(dirent64) std::array<char, kBytesMax> entries;
  ssize_t got = 0;
  while ((got = ::getdents64(directory, entries.data(), entries.size())) > 0) {
    for (ssize_t at = 0; at < got;) {
      const auto* const entry = reinterpret_cast<const dirent64*>(entries.data() + at);
      const std::string name(entry->d_name);
      const bool own = name == "." || name == "..";
      if (!own && !is_kept(name) && !os::remove_beneath(directory, name)) return false;
      at += entry->d_reclen;
    }
  }
  return got == 0;
}

}  // namespace

SpareHomes::SpareHomes(os::EventLoop& loop, std::string scratch)
    : loop_(loop), place_(std::move(scratch) + "/.spare") {}

SpareHomes::~SpareHomes() {
  *alive_ = false;
  put_away();
}

bool SpareHomes::take(const std::string& path, const JobUser& user, const std::string& directory) {
  const auto found = std::find_if(spares_.rbegin(), spares_.rend(), [&](const Spare& spare) {
    return spare.uid == user.uid && spare.gid == user.gid;
  });
  if (found == spares_.rend() || directory.empty()) return false;
  const auto at = static_cast<std::size_t>(spares_.rend() - found) - 1;
  const auto spare = std::move(*found);
  spares_.erase(spares_.begin() + static_cast<std::ptrdiff_t>(at));
  if (at < put_away_) --put_away_;
  const auto inner = spare.path + "/";
  if (::rename((inner + spare.directory).c_str(), (inner + directory).c_str()) == 0 &&
      ::rename(spare.path.c_str(), path.c_str()) == 0) {
    return true;
  }
  if (auto removed = os::remove_tree(spare.path); !removed) {
    os::log_warn("{}", removed.error().message);
  }
  return false;
}

bool SpareHomes::empty(const std::string& path, const JobUser& user, const std::string& directory) {
  const os::Fd home(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat status {};
  if (!home || ::fstat(home.get(), &status) != 0) return false;
  // Another job of the user's may turn paths in here elsewhere at any time: nothing goes by one.
  const auto is_kept = [&](const std::string& name) { return name == kSsh || name == directory; };
  if (!is_as_made(home.get(), user, status.st_dev) || !remove_but(home.get(), is_kept))
    return false;
  for (const auto& name : {std::string(kSsh), directory}) {
    const auto inner = os::open_beneath(home.get(), name, O_RDONLY | O_DIRECTORY);
    const auto none = [](const std::string&) { return false; };
    if (!inner || !is_as_made(inner->get(), user, status.st_dev)) return false;
    if (!remove_but(inner->get(), none)) return false;
  }
  return true;
}

Result<void> SpareHomes::give(const std::string& path, const JobUser& user,
                              const std::string& directory) {
  const bool wanted = !directory.empty() && directory.find('/') == std::string::npos &&
                      spares_.size() < kSparesMax && empty(path, user, directory);
  if (!wanted) return os::remove_tree(path);
  spares_.push_back({path, user.uid, user.gid, directory});
  if (!posted_) {
    posted_ = true;
    loop_.post([this, alive = alive_] {
      if (*alive) put_away();
    });
  }
  return {};
}

/// Whoever could write to them is gone; where they go, nobody but the agent comes.
void SpareHomes::put_away() {
  posted_ = false;
  while (put_away_ < spares_.size()) {
    auto& spare = spares_[put_away_];
    auto place = fmt::format("{}/{}", place_, ++made_);
    if ((made_ > 1 || ::mkdir(place_.c_str(), 0700) == 0 || errno == EEXIST) &&
        ::rename(spare.path.c_str(), place.c_str()) == 0) {
      spare.path = std::move(place);
      ++put_away_;
      continue;
    }
    if (auto removed = os::remove_tree(spare.path); !removed) {
      os::log_warn("{}", removed.error().message);
    }
    spares_.erase(spares_.begin() + static_cast<std::ptrdiff_t>(put_away_));
  }
}

}  // namespace cox::agent
