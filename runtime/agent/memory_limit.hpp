#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "runtime/os/event_loop.hpp"

namespace cox::agent {

/// Keeps what runs below a step within its memory: by a cgroup where the node has one (version 1 or
/// 2), else by looking at the processes while they run: every 20 ms in the first second and while
/// they grow towards the limit, every 200 ms otherwise.
class MemoryLimit {
 public:
  virtual ~MemoryLimit() = default;
  /// True once something was killed, or has to be, for its memory.
  [[nodiscard]] virtual bool exceeded() const = 0;
  /// This process and what it starts from now on count too.
  virtual void include(pid_t process) = 0;
};

inline constexpr const char* kOutOfMemory =
    "OutOfMemoryError: Container killed due to memory usage";

/// A cgroup of a node's own. Dropping it gives it back.
class MemoryCgroup : public MemoryLimit {
 public:
  [[nodiscard]] virtual bool limit(std::int64_t memory_mib) = 0;
  /// It may become another part's, with the process that waits in it. False: something was killed
  /// for its memory, or what the last part has left is charged to it.
  [[nodiscard]] virtual bool is_as_new() const = 0;
  /// The file that takes the number of a process.
  [[nodiscard]] virtual std::string processes_file() const = 0;
};

/// A node's cgroups, each for one part at a time. One that is empty, and charged with next to
/// nothing, is used again.
class MemoryCgroups {
 public:
  virtual ~MemoryCgroups() = default;
  /// The node has some, even where one could not be had just now.
  [[nodiscard]] virtual bool are_there() const = 0;
  /// Without a limit. Null: there is none to be had.
  [[nodiscard]] virtual std::unique_ptr<MemoryCgroup> take() = 0;
};

/// `directory`: the node's, or empty.
[[nodiscard]] std::unique_ptr<MemoryCgroups> make_memory_cgroups(const std::string& directory);

/// `root`: the process whose descendants are meant; `with_root`: it too. `over` is called where
/// processes have to be killed by the caller.
[[nodiscard]] std::unique_ptr<MemoryLimit> limit_memory(os::EventLoop& loop, MemoryCgroups& cgroups,
                                                        pid_t root, std::int64_t memory_mib,
                                                        std::function<void()> over,
                                                        bool with_root = false);

}  // namespace cox::agent
