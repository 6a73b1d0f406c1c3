#include "launcher/cluster/kept_storage.hpp"

#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <ctime>
#include <filesystem>

#include "launcher/cluster/registry.hpp"
#include "launcher/config/config.hpp"
#include "runtime/os/files.hpp"

namespace cox::cluster {

namespace {

std::string time_of_day() {
  const auto now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  std::array<char, 32> text{};
  const auto size = std::strftime(text.data(), text.size(), "%Y%m%d%H%M%S", &parts);
  return {text.data(), size};
}

bool holds_something(const std::string& directory) {
  struct stat seen {};
  if (::lstat(directory.c_str(), &seen) != 0 || !S_ISDIR(seen.st_mode)) return false;
  std::error_code error;
  // What cannot be looked into is kept, too.
  return !std::filesystem::is_empty(directory, error) || error;
}

/// A directory of that name, or with a number behind it where it is there.
Result<std::string> move_to(const std::string& from, const std::string& wanted) {
  struct stat seen {};
  auto to = wanted;
  for (int number = 2; ::lstat(to.c_str(), &seen) == 0; ++number) {
    to = fmt::format("{}-{}", wanted, number);
  }
  if (std::rename(from.c_str(), to.c_str()) != 0) return fail(os::errno_error(errno, to));
  return to;
}

}  // namespace

Result<void> keep_storage(const std::string& directory, const std::string& name,
                          const std::function<void(const std::string&)>& progress) {
  const auto record = load_record(directory);
  const auto text = os::read_file(directory + "/config");
  // Without them no storage was made.
  if (!record || !text || record->v2) return {};
  const auto loaded = config::load_yaml(
      *text, {.region = record->region, .environment_region = {}, .cluster_template = {}});
  if (!loaded.config) return {};
  const auto root = directory.substr(0, directory.rfind('/')) + "/kept_storage";
  for (const auto& storage : loaded.config->shared) {
    const auto here = directory + "/shared/" + storage.name;
    if (!storage.stays || !holds_something(here)) continue;
    if (auto made = os::make_directories(root, 0755); !made) return made;
    const auto moved =
        move_to(here, fmt::format("{}/{}-{}-{}", root, name, storage.name, time_of_day()));
    if (!moved) return fail(moved.error());
    progress(fmt::format("what was in {} is kept in {}", storage.mount_dir, *moved));
  }
  return {};
}

}  // namespace cox::cluster
