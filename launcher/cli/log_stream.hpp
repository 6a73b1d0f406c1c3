#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/result.hpp"

/// The product's own log files as streams of events, with CloudWatch's pages.
namespace cox::cli {

struct LogEntry {
  std::int64_t at_ms = 0;
  std::string text;  ///< without its time

  friend bool operator==(const LogEntry&, const LogEntry&) = default;
};

/// A time of ISO 8601: a date, or date and time with seconds, a fraction or not, and "Z", "+01:00",
/// "+0100" or nothing for UTC. Milliseconds since 1970. Nothing for what is none. Pure.
[[nodiscard]] std::optional<std::int64_t> parse_iso_time(std::string_view text);

/// The lines of a log file. A line that does not begin with a time has the one of the line before,
/// and `fallback_ms` where there is none. Pure.
[[nodiscard]] std::vector<LogEntry> parse_log(std::string_view text, std::int64_t fallback_ms);

/// Which events of a stream to show.
struct LogQuery {
  std::optional<std::int64_t> start_ms;  ///< events from then on
  std::optional<std::int64_t> end_ms;    ///< and before then
  std::size_t limit = 10000;
  bool from_head = false;  ///< the first ones instead of the last
  std::string token{};     ///< of a page before; empty: none
};

/// A page of a stream: indices of entries, in their order, and the tokens of the pages after and
/// before it. A token stands for a place between two lines of the file, which only grows, so it
/// goes on being right. At a stream's end the next token is the one that was given.
struct LogPage {
  std::vector<std::size_t> shown;
  std::string next_token;  ///< "f/<line>"
  std::string prev_token;  ///< "b/<line>"

  friend bool operator==(const LogPage&, const LogPage&) = default;
};

/// Errors: invalid_argument when the token is none. Pure.
[[nodiscard]] Result<LogPage> select_page(const std::vector<LogEntry>& entries,
                                          const LogQuery& query);

}  // namespace cox::cli
