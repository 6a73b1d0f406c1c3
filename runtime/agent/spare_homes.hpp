#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "runtime/base/result.hpp"
#include "runtime/model/job.hpp"
#include "runtime/os/event_loop.hpp"

namespace cox::agent {

/// Empty homes of parts that are over, for those that come. A file system takes longest over making
/// and freeing directories (where it discards what it frees, milliseconds), and renaming costs
/// little. Only what is as a new one would be is kept: its user's, with the rights and attributes
/// that it was made with. In the turn of the loop in which it was given one may be taken from where
/// it is; then it is put where nobody but the agent comes.
class SpareHomes {
 public:
  /// `scratch`: where homes are.
  SpareHomes(os::EventLoop& loop, std::string scratch);
  ~SpareHomes();
  SpareHomes(const SpareHomes&) = delete;
  SpareHomes& operator=(const SpareHomes&) = delete;

  /// Puts one of the user's at `path`, with `.ssh` and `directory` in it. False: there is none.
  [[nodiscard]] bool take(const std::string& path, const JobUser& user,
                          const std::string& directory);
  /// Empties the home, of which no process is left, and keeps it; or removes it.
  [[nodiscard]] Result<void> give(const std::string& path, const JobUser& user,
                                  const std::string& directory);

 private:
  struct Spare {
    std::string path;
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::string directory;  ///< the name of the one that it has beside .ssh
  };

  [[nodiscard]] static bool empty(const std::string& path, const JobUser& user,
                                  const std::string& directory);
  void put_away();

  os::EventLoop& loop_;
  std::string place_;
  std::vector<Spare> spares_;  ///< those that are not put away yet are the last
  std::size_t put_away_ = 0;   ///< so many are
  std::uint64_t made_ = 0;
  bool posted_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace cox::agent
