#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "launcher/cli/program.hpp"
#include "runtime/base/result.hpp"

/// What awsbsub makes of its command line, apart from talking to the cluster.
namespace cox::cli {

/// The command line, as typed.
struct SubmitOptions {
  CommonOptions common;
  std::string job_name;
  std::string job_queue;
  bool command_file = false;
  std::string working_dir;
  std::string parent_working_dir;
  std::vector<std::string> input_files;
  std::optional<int> vcpus;
  int memory = 128;
  std::string env;
  std::string env_blacklist;
  int retry_attempts = 1;
  std::optional<int> timeout;
  std::optional<int> nodes;
  std::optional<int> array_size;
  std::string depends_on;
  std::string share;            ///< shareIdentifier
  std::optional<int> priority;  ///< schedulingPriorityOverride
  std::string client_token;
  std::vector<std::string> inputs;  ///< in directories that are staged
  std::vector<std::string> outputs;
  bool awscli = false;
  bool wait = false;
  bool mpi = false;
  bool dry_run = false;
  int ranks_per_node = 0;
  std::string map_by;
  std::string bind_to;
  std::string mpi_launch = "auto";
  std::vector<std::string> command;  ///< the command and its arguments

  [[nodiscard]] bool is_multi_node() const { return nodes.value_or(1) > 1; }
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
/// alone. Ours: `afterok:A`, `afterany:A`, `afternotok:A`, as other schedulers have it. Errors:
/// invalid_argument for another syntax. Pure.
[[nodiscard]] Result<std::vector<DependsOn>> parse_depends_on(const std::string& text);

/// The variables that -e names, or all, but for those hidden or never exported (the facts of the
/// original), and those whose name no shell takes. `list` is -e's; `blacklist` empty: the built-in
/// one. Pure.
[[nodiscard]] std::map<std::string, std::string> exported(
    const std::string& list, const std::string& blacklist,
    const std::map<std::string, std::string>& environment);

/// The env file: `export NAME=<quoted>;` a line. Pure.
[[nodiscard]] std::string env_file(const std::map<std::string, std::string>& variables);

/// Paths as the head wants them: absolute, from `directory`, without "." and "..", with ':'
/// between. Errors: invalid_argument for a path with a ':' in it. Pure.
[[nodiscard]] Result<std::string> staged_list(const std::vector<std::string>& paths,
                                              const std::string& directory);

/// What the command that goes to the nodes is made of.
struct JobFiles {
  std::string script;              ///< file that is run with `words`; empty: the words are run
  std::string env;                 ///< file that is sourced first; empty: none
  std::vector<std::string> all{};  ///< all files of the job, those two too
};

/// The command that a node runs for a script, or for words with -w, -pw, -e or -if: one && chain
/// for bash. The files are where it starts, and are put into another working directory whole: nodes
/// that share it may run them meanwhile. Pure.
[[nodiscard]] std::string command_chain(const SubmitOptions& options, const JobFiles& files,
                                        const std::vector<std::string>& words);

}  // namespace cox::cli
