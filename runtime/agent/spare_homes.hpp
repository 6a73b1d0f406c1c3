#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/base/result.hpp"
#include "runtime/model/job.hpp"

namespace cox::agent {

/// Empty homes of parts that are over, for those that come. A file system takes longest over making
/// and freeing directories (where it discards what it frees, milliseconds), and renaming costs
/// nothing. Only what is as a new one would be is kept: its user's, with the rights and attributes
/// that it was made with.
class SpareHomes {
 public:
  /// `scratch`: where homes are.
  explicit SpareHomes(std::string scratch);

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

  std::string place_;
  std::vector<Spare> spares_;
  std::uint64_t made_ = 0;
};

}  // namespace cox::agent
