#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <memory>

#include "launcher/provider/mount_plan.hpp"

namespace cox::provider {
namespace {

std::optional<HostEntry> look_at(int directory, const std::string& path, std::string name) {
  struct stat status {};
  if (::fstatat(directory, path.c_str(), &status, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) != 0) {
    return std::nullopt;
  }
  HostEntry entry{.name = std::move(name), .kind = EntryKind::other, .link_target = {}};
  if (S_ISDIR(status.st_mode)) entry.kind = EntryKind::directory;
  if (S_ISREG(status.st_mode)) entry.kind = EntryKind::file;
  if (S_ISLNK(status.st_mode)) {
    char target[PATH_MAX];
    const ssize_t length = ::readlinkat(directory, path.c_str(), target, sizeof target);
    if (length <= 0) return std::nullopt;
    entry.kind = EntryKind::link;
    entry.link_target.assign(target, static_cast<std::size_t>(length));
  }
  return entry;
}

}  // namespace

std::vector<HostEntry> RealHostTree::list(const std::string& directory) const {
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::opendir(directory.c_str()), &::closedir);
  std::vector<HostEntry> entries;
  while (const dirent* at = stream ? ::readdir(stream.get()) : nullptr) {
    const std::string name = at->d_name;
    if (name == "." || name == "..") continue;
    if (auto entry = look_at(::dirfd(stream.get()), name, name)) {
      entries.push_back(std::move(*entry));
    }
  }
  std::sort(entries.begin(), entries.end(),
            [](const HostEntry& a, const HostEntry& b) { return a.name < b.name; });
  return entries;
}

std::optional<HostEntry> RealHostTree::look(const std::string& path) const {
  const auto slash = path.rfind('/');
  return look_at(AT_FDCWD, path, path.substr(slash == std::string::npos ? 0 : slash + 1));
}

}  // namespace cox::provider
