#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "runtime/base/result.hpp"

/// What awsbsub makes of its command line, apart from talking to the cluster.
namespace cox::cli {

/// The command line, as typed.
struct SubmitOptions {
  std::string cluster;
  std::string job_name;
  std::string job_queue;
  bool command_file = false;
  std::string working_dir;
  std::string parent_working_dir;
  std::vector<std::string> input_files;
  int vcpus = 1;
  bool vcpus_given = false;
  int memory = 128;
  std::string env;
  std::string env_blacklist;
  int retry_attempts = 1;
  std::optional<int> timeout;
  std::optional<int> nodes;
  std::optional<int> array_size;
  std::string depends_on;
  bool json = false;
  bool wait = false;
  bool mpi = false;
  bool dry_run = false;
  int ranks_per_node = 0;
  std::string map_by;
  std::string bind_to;
  std::string mpi_launch = "auto";
  std::vector<std::string> command;  ///< the command and its arguments
};

/// The checks that the original makes before it asks the service, in its order.
/// Errors: invalid_argument with the whole message. `stdin_is_terminal`: whether stdin is. Pure but
/// for looking whether the command file exists.
[[nodiscard]] Result<void> check(const SubmitOptions& options, bool stdin_is_terminal);

/// -jn; else STDIN where stdin is a script; else the command's base name with runs of other
/// characters turned to '_'. Pure.
[[nodiscard]] std::string job_name(const SubmitOptions& options, bool stdin_is_terminal);

struct DependsOn {
  std::string job_id;
  std::string type;
  friend bool operator==(const DependsOn&, const DependsOn&) = default;
};
/// `jobId=A,jobId=B;type=N_TO_N`: a real list. A type goes with the job id next to it, or stands
/// alone. Errors: invalid_argument for another syntax. Pure.
[[nodiscard]] Result<std::vector<DependsOn>> parse_depends_on(const std::string& text);

/// The env file: `export NAME=<quoted>;` a line. `list` is -e's; blacklist as in the facts. Pure.
[[nodiscard]] std::string env_file(const std::string& list, const std::string& blacklist,
                                   const std::map<std::string, std::string>& environment);

/// The command that a node runs for a script, or for words with -w, -pw, -e or -if: one && chain
/// for bash. `script`: its file's name, or empty with `words`. Pure.
[[nodiscard]] std::string command_chain(const SubmitOptions& options,
                                        const std::string& env_file_name, const std::string& script,
                                        const std::vector<std::string>& words);

}  // namespace cox::cli
