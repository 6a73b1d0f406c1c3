#include "launcher/provider/memory_cgroup.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <vector>

#include "runtime/base/text.hpp"
#include "runtime/os/fd.hpp"
#include "runtime/os/files.hpp"

namespace cox::provider {
namespace {

bool write_setting(const std::string& path, const std::string& text) {
  const os::Fd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  return file && ::write(file.get(), text.data(), text.size()) > 0;
}

std::optional<MemoryHierarchy> machine_hierarchy() {
  const auto mounts = os::read_file("/proc/self/mountinfo");
  return mounts ? find_memory_hierarchy(*mounts) : std::nullopt;
}

/// From the top: the product's, the cluster's, the node's.
std::array<std::string, 3> levels(const MemoryHierarchy& at, const std::string& cluster,
                                  const std::string& node) {
  const std::string top = at.mount_point + "/coxswain";
  return {top, top + "/" + cluster, top + "/" + cluster + "/" + node};
}

bool make_levels(const MemoryHierarchy& at, const std::array<std::string, 3>& groups) {
  const auto hand_down = [&at](const std::string& group) {
    if (at.unified) (void)write_setting(group + "/cgroup.subtree_control", "+memory");
  };
  hand_down(at.mount_point);
  for (const std::string& group : groups) {
    if (::mkdir(group.c_str(), 0755) != 0 && errno != EEXIST) return false;
    hand_down(group);
  }
  return true;
}

Result<void> remove_tree_of_groups(const std::string& directory) {
  std::vector<std::string> groups;
  std::error_code error;
  for (auto at = std::filesystem::recursive_directory_iterator(directory, error);
       !error && at != std::filesystem::recursive_directory_iterator(); at.increment(error)) {
    if (at->is_directory(error)) groups.push_back(at->path().string());
  }
  std::reverse(groups.begin(), groups.end());  // what is below comes first
  groups.push_back(directory);
  for (const std::string& group : groups) {
    if (::rmdir(group.c_str()) == 0 || errno == ENOENT) continue;
    return fail(Errc::unavailable, "{}: processes are left in it", group);
  }
  return {};
}

}  // namespace

std::optional<MemoryHierarchy> find_memory_hierarchy(const std::string& mountinfo) {
  std::optional<MemoryHierarchy> unified;
  for (const std::string& line : split(mountinfo, '\n')) {
    const auto separator = line.find(" - ");
    if (separator == std::string::npos) continue;
    const auto mount = split(line.substr(0, separator), ' ');
    const auto source = split(line.substr(separator + 3), ' ');
    if (mount.size() < 5 || source.size() < 3) continue;
    if (source[0] == "cgroup") {
      const auto controllers = split(source[2], ',');
      if (std::count(controllers.begin(), controllers.end(), "memory") != 0) {
        return MemoryHierarchy{mount[4], false};
      }
    }
    if (source[0] == "cgroup2" && !unified) unified = MemoryHierarchy{mount[4], true};
  }
  return unified;
}

std::string make_memory_cgroup(const std::string& cluster, const std::string& node, MiB limit) {
  if (::geteuid() != 0) return {};
  const auto at = machine_hierarchy();
  if (!at) return {};
  const auto groups = levels(*at, cluster, node);
  // Another cluster's last node may take the upper levels away in between.
  bool made = false;
  for (int tries = 0; tries < 3 && !made; ++tries) made = make_levels(*at, groups);
  if (!made) return {};
  const std::string bytes = std::to_string(limit.value * 1024 * 1024);
  const char* file = at->unified ? "/memory.max" : "/memory.limit_in_bytes";
  if (write_setting(groups.back() + file, bytes)) return groups.back();
  (void)remove_memory_cgroup(cluster, node);
  return {};
}

Result<void> remove_memory_cgroup(const std::string& cluster, const std::string& node) {
  if (::geteuid() != 0) return {};
  const auto at = machine_hierarchy();
  if (!at) return {};
  const auto groups = levels(*at, cluster, node);
  if (const auto removed = remove_tree_of_groups(groups[2]); !removed) return removed;
  // Others' nodes may be in these.
  (void)::rmdir(groups[1].c_str());
  (void)::rmdir(groups[0].c_str());
  return {};
}

}  // namespace cox::provider
