#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "launcher/provider/program_run.hpp"
#include "runtime/base/result.hpp"
#include "runtime/os/event_loop.hpp"

namespace cox::coxd {

/// How a script is come by.
struct ScriptSource {
  std::string path{};               ///< a file of this machine, or else of the node; empty: none
  std::vector<std::string> argv{};  ///< a program that prints it; empty: none
};
/// `endpoint`: of S3, where it is not AWS's. Errors: invalid_argument for anything but an absolute
/// path and URLs of file, http, https and s3. Pure.
[[nodiscard]] Result<ScriptSource> source_of_script(const std::string& script,
                                                    const std::string& endpoint);

/// Fetches the scripts that nodes run when they come up, on this machine, whose network and
/// credentials are the user's: nodes need neither. http and https by curl, s3 by the aws program;
/// a path is this machine's file.
class ScriptFetcher {
 public:
  explicit ScriptFetcher(os::EventLoop& loop) : loop_(loop) {}
  ~ScriptFetcher() { *alive_ = false; }
  ScriptFetcher(const ScriptFetcher&) = delete;
  ScriptFetcher& operator=(const ScriptFetcher&) = delete;

  using Done = std::function<void(Result<std::optional<std::string>>)>;
  /// `done` gets the text, or nothing where there is no such file here: then it is the node's. It
  /// is called on the loop, never from inside the call.
  void fetch(const std::string& script, Done done);

 private:
  void run(const ScriptSource& source, Done done);

  os::EventLoop& loop_;
  std::map<int, std::unique_ptr<provider::ProgramRun>> runs_;
  int next_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace cox::coxd
