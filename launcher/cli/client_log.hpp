#pragma once

#include <optional>
#include <string>
#include <string_view>

/// The logs of the commands in ~/.parallelcluster, awsbatch-cli.log and pcluster-cli.log: the
/// originals', which people are used to send along. Whoever cannot write one works without.
namespace cox::cli {

/// Python's levels.
enum class LogLevel { debug = 10, info = 20, warning = 30, error = 40, critical = 50 };

/// "error" or "ERROR" → error; WARN and FATAL are other names, NOTSET is debug. Nothing for a word
/// that is no level. Pure.
[[nodiscard]] std::optional<LogLevel> log_level_from(std::string_view word);

/// "2018-11-29 17:14:34,055 ERROR [awsbsub:submit] text", with line ends in the text as "\n". Pure
/// but for the local time zone.
[[nodiscard]] std::string render_log_line(std::int64_t now_ms, LogLevel level,
                                          std::string_view place, std::string_view text);

/// Makes the directory and the file, which is put aside as .log.1 when it is larger than 5 MiB;
/// keeps lines from this level up.
void open_client_log(LogLevel least);
/// pcluster's, or the file that PCLUSTER_LOG_FILE names.
void open_pcluster_log();

/// `place`: "module:function".
void client_log(LogLevel level, std::string_view place, std::string_view text);

}  // namespace cox::cli
