#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/model/cluster.hpp"
#include "runtime/model/job.hpp"
#include "runtime/wire/message.hpp"

/// The scripts that a node runs while it comes up (CustomActions of the cluster's file). To the
/// agent each is a part like any other, of an attempt of no job: so its processes are reaped, its
/// output comes whole, and its end is told again until it was heard. Pure.
namespace cox::head {

/// The part that the script at this place of the list is. No job has such an id.
[[nodiscard]] wire::PartKey script_part(const NodeScripts& scripts, std::size_t at);
[[nodiscard]] bool is_script(const wire::PartKey& part);

/// "OnNodeConfigured: install.sh (2 of 3)": what the node does meanwhile.
[[nodiscard]] std::string script_progress(const NodeScripts& scripts, std::size_t at);

/// "ip-10-0-0-2.i-0123.OnNodeConfigured", with "-2" behind it from the second of an action on.
[[nodiscard]] std::string script_log_name(const Node& node, const wire::PartKey& part);

/// The script's own name, fit for a file: "install.sh" of "https://example.com/a/install.sh?x=1".
[[nodiscard]] std::string script_file_name(std::string_view script);

/// What a script is run with.
struct ScriptRun {
  const ClusterSettings* cluster = nullptr;
  const Node* node = nullptr;
  JobUser user;              ///< the node's own
  bool brings_file = false;  ///< its text was sent along, as script_file_name()
  std::string head_address;
};
/// How the agent is to run it.
[[nodiscard]] wire::Prepare prepare_script(const NodeScripts& scripts, std::size_t at,
                                           const ScriptRun& run);

/// "OnNodeStart of the head node: /a.sh exited with code 3: "the last | lines""; `what` is the
/// clause after the script's name, `lines` its last output. describe-cluster's failure code is
/// found by these words (failure_code() of the command line).
[[nodiscard]] std::string script_failure(const Node& node, const NodeScript& script,
                                         std::string_view what,
                                         const std::vector<std::string>& lines);

/// A line of a script's log: "2026-01-31T12:00:00.123Z text".
[[nodiscard]] std::string script_log_line(Millis at, std::string_view text);

/// The last lines of a script's log, without their times.
[[nodiscard]] std::vector<std::string> last_lines(std::string_view log, std::size_t count);

}  // namespace cox::head
