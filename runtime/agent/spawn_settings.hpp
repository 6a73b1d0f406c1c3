#pragma once

#include <signal.h>
#include <spawn.h>
#include <sys/types.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <vector>

namespace cox::agent {

/// How a step's child becomes another program: with these descriptors and in a group of its own.
class SpawnSettings {
 public:
  SpawnSettings(int in, int out, int err, const sigset_t& signals) {
    ::posix_spawn_file_actions_init(&actions_);
    ::posix_spawnattr_init(&attributes_);
    const std::array<int, 3> given{in, out, err};
    for (int i = 0; i < 3; ++i) {
      ::posix_spawn_file_actions_adddup2(&actions_, given[static_cast<std::size_t>(i)], i);
    }
    ::posix_spawn_file_actions_addclosefrom_np(&actions_, 3);
    ::posix_spawnattr_setsigmask(&attributes_, &signals);
    ::posix_spawnattr_setpgroup(&attributes_, 0);
    ::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;
  ~SpawnSettings() {
    ::posix_spawn_file_actions_destroy(&actions_);
    ::posix_spawnattr_destroy(&attributes_);
  }

  /// 0 or errno.
  [[nodiscard]] int spawn(pid_t& pid, const char* path, const std::vector<char*>& words,
                          const std::vector<char*>& variables) const {
    // Most directories of a PATH have no such program: that is no reason to make a process.
    if (::access(path, F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR)) return errno;
    return ::posix_spawn(&pid, path, &actions_, &attributes_, words.data(), variables.data());
  }

 private:
  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
};

}  // namespace cox::agent
