#pragma once

#include <string>
#include <vector>

#include "launcher/cli/submission.hpp"
#include "runtime/mpi/direct_plan.hpp"

/// What awsbsub sends beside the request: the job's files, and the command that uses them.
namespace cox::cli {

struct Upload {
  std::string name;
  std::string bytes;
  unsigned mode = 0600;
};

struct Payload {
  std::vector<std::string> command;
  std::vector<Upload> files;
  std::map<std::string, std::string> environment{};  ///< of --mpi: its ranks need no script
  mpi::Linkage linkage{};                            ///< of --mpi
  std::map<std::string, std::string> staging{};      ///< variables that name what is staged
};

/// Line ends of CR LF, as scripts from other systems have them, made LF: the CR would become part
/// of every last word. True when there were any; what holds a NUL is no text and stays. Pure.
bool mend_line_ends(std::string& script);

/// Reads the script, from stdin where there is no command, and the input files; compiles for
/// --mpi. `name` is the job's. Complaints that do not stop it go to streams.err.
/// Errors: invalid_argument, not_found.
[[nodiscard]] Result<Payload> make_payload(const SubmitOptions& options, const std::string& name,
                                           const std::string& env_blacklist, Streams streams);

}  // namespace cox::cli
