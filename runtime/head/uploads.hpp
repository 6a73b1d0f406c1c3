#pragma once

#include <map>
#include <string>
#include <vector>

#include "runtime/base/result.hpp"
#include "runtime/base/units.hpp"
#include "runtime/model/job.hpp"

namespace cox::head {

/// Files that clients put by S3's PutObject for a job that they will submit. Their bytes are in the
/// blob store; here is which user put which under what name, on disk, for an
/// hour.
///
/// The original awsbsub puts a script and its companions into a folder of the cluster's bucket, and
/// the job that it submits names the folder in PCLUSTER_JOB_S3_URL.
class Uploads {
 public:
  explicit Uploads(std::string directory) : directory_(std::move(directory)) {}

  /// Reads what is there; forgets what is older than an hour. Errors: of reading the directory.
  [[nodiscard]] Result<void> load(Millis now);
  /// Durable when it returns. A file of the same name gives way.
  /// `url`: "s3://BUCKET/FOLDER/NAME". Errors: conflict when the user has put too much within the
  /// hour; of writing.
  [[nodiscard]] Result<void> keep(const JobUser& user, const std::string& url, JobFile file,
                                  Millis now);
  /// The user's files directly in the folder ("s3://BUCKET/FOLDER/"), by name.
  [[nodiscard]] std::vector<JobFile> in_folder(const JobUser& user,
                                               const std::string& folder) const;

 private:
  struct Upload {
    std::string url;
    JobFile file;
    Millis at;
  };
  void forget_old(Millis now);
  [[nodiscard]] Result<void> check_room(const JobUser& user, const std::string& url,
                                        std::int64_t size) const;
  [[nodiscard]] std::string path_of(std::uint32_t uid, const std::string& url) const;

  std::string directory_;
  std::map<std::pair<std::uint32_t, std::string>, Upload> uploads_;  ///< by user and url
};

}  // namespace cox::head
