#pragma once

#include <deque>
#include <map>
#include <string>
#include <unordered_map>
#include <utility>

#include "runtime/base/result.hpp"
#include "runtime/base/units.hpp"
#include "runtime/model/job.hpp"

namespace cox::head {

/// A pair as AWS clients carry it, and whose jobs are made with it.
struct AccessKey {
  std::string id;      ///< "AKIA" and 16 letters and digits
  std::string secret;  ///< 40 characters
  JobUser user;
};

/// The users' keys, one each, in a file that only the head's user can read.
class AccessKeys {
 public:
  explicit AccessKeys(std::string path) : path_(std::move(path)) {}

  /// Reads the file, where there is one. Errors: as os::read_file; invalid_argument when broken.
  [[nodiscard]] Result<void> load();
  /// The user's key, made and stored when asked for the first time. Blocks for the disk then.
  [[nodiscard]] Result<AccessKey> of(const JobUser& user);
  [[nodiscard]] const AccessKey* find(const std::string& id) const;

 private:
  [[nodiscard]] Result<void> save() const;

  std::string path_;
  std::map<std::string, AccessKey> by_id_;
  std::map<std::uint32_t, std::string> id_of_;  ///< by uid
};

/// Signatures that were seen. Clients sign to the second: two like requests of one second have one
/// signature, and both must count. So a signature holds good for kSameMs from its first arrival,
/// and whoever recorded it comes too late. What was signed before the window was opened is late as
/// well: nobody knows any more whether it was seen.
class ReplayWindow {
 public:
  static constexpr std::int64_t kSameMs = 2'000;

  explicit ReplayWindow(Millis opened) : opened_(opened) {}

  /// False: refuse it. `until` is when its date alone refuses it.
  [[nodiscard]] bool admit(const std::string& signature, Millis signed_at, Millis now,
                           Millis until);

 private:
  Millis opened_;
  std::unordered_map<std::string, Millis> first_seen_;
  std::deque<std::pair<Millis, std::string>> expiries_;  ///< in order of arrival
};

}  // namespace cox::head
