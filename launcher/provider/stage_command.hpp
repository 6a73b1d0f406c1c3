#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "launcher/provider/ssh_plan.hpp"
#include "runtime/base/result.hpp"
#include "runtime/ports/stager.hpp"

/// The words of rsync, and of what hosts are asked about directories that are staged. Pure.
///
/// A staged directory is a directory of its own on each host, at the path that it has everywhere. A
/// cluster takes it while it is there: a host must not have it, or have it empty. A mark in it
/// tells other clusters; what was taken, and what was made for it, stands in the cluster's own
/// directory on the host, by which it is given back as it was.
namespace cox::provider {

/// In a staged directory on a host: the tag of the cluster that has taken it.
inline constexpr const char* kStageMark = ".coxswain-staged";

/// In the directory on this machine while hosts are looked at: a host that sees it shares the
/// directory with this machine already.
[[nodiscard]] std::string here_mark(const std::string& tag);

/// Takes the directories on a host, and tells of each (see read_claims). `known`: the tag of a
/// cluster whose directories may be looked at, or empty.
[[nodiscard]] std::string claim_script(const std::string& tag, const std::string& known,
                                       const std::vector<std::string>& directories);

/// What a host tells of one directory.
struct StageClaim {
  enum class State { taken, shared, others, used, no_directory, denied, untold };
  State state = State::untold;
  std::int64_t free_mib = 0;  ///< of taken ones

  friend bool operator==(const StageClaim&, const StageClaim&) = default;
};
struct StageClaims {
  bool rsync = false;
  std::vector<StageClaim> directories;

  friend bool operator==(const StageClaims&, const StageClaims&) = default;
};
[[nodiscard]] StageClaims read_claims(const std::string& said, std::size_t directories);

/// Lines of a script that give back all that the cluster of the base directory "$b" has taken.
extern const std::string_view kUnstageLines;

/// rsync's argv between a directory of this machine and the same one of a host; the paths come on
/// stdin with a NUL behind each. Only what differs moves.
[[nodiscard]] std::vector<std::string> bring_argv(const SshTarget& target,
                                                  const std::string& directory);
[[nodiscard]] std::vector<std::string> fetch_argv(const SshTarget& target,
                                                  const std::string& directory);
/// A script for a host that has them: brings them to another one, by that host's own ssh.
[[nodiscard]] std::string relay_script(const SshTarget& to, const std::string& address,
                                       const std::string& directory);
[[nodiscard]] std::string rsync_input(const StagedSet& set);

/// The last percentage that rsync has said; nothing while it has said none.
[[nodiscard]] std::optional<int> percent_of(std::string_view said);
[[nodiscard]] StagedBytes totals_of(std::string_view said);

/// Paths of the set that rsync said are not there, when that is all that it complains of.
[[nodiscard]] std::vector<std::string> missing_of(const StagedSet& set, int exit_code,
                                                  const std::string& err);

/// Why a copy failed: one sentence with what to do.
[[nodiscard]] Error explain_rsync_failure(const SshTarget& target, const std::string& directory,
                                          int exit_code, const std::string& err);

}  // namespace cox::provider
