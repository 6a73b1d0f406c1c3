#include "launcher/cli/history.hpp"

#include <unistd.h>

#include <boost/json.hpp>
#include <chrono>
#include <ctime>
#include <ostream>

#include "launcher/cli/commands.hpp"
#include "launcher/cli/connection.hpp"
#include "launcher/cli/exit_codes.hpp"
#include "launcher/cli/output.hpp"
#include "launcher/cli/program.hpp"
#include "runtime/base/text.hpp"

/// `cox history`: the jobs that have ended and are still kept.
namespace cox::cli {

namespace json = boost::json;

namespace {

struct HistoryWords {
  CommonOptions common;
  std::string user;
  std::string queue;
  std::string status;
  std::string since;
  std::string until;
  int limit = 100;
};

std::int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

/// "30m" and its like, in milliseconds; nothing where it is none.
std::optional<std::int64_t> read_span(const std::string& text) {
  constexpr std::int64_t kSecond = 1000;
  constexpr std::int64_t kMost = 1'000'000'000;  // keeps the product within 64 bits
  if (text.size() < 2) return std::nullopt;
  const auto number = to_int(std::string_view(text).substr(0, text.size() - 1));
  if (!number || *number < 0 || *number > kMost) return std::nullopt;
  switch (text.back()) {
    case 's':
      return *number * kSecond;
    case 'm':
      return *number * 60 * kSecond;
    case 'h':
      return *number * 3600 * kSecond;
    case 'd':
      return *number * 24 * 3600 * kSecond;
    case 'w':
      return *number * 7 * 24 * 3600 * kSecond;
    default:
      return std::nullopt;
  }
}

/// A date that is one: the 30th of February is not, and mktime would make another day of it.
std::optional<std::int64_t> read_date(std::string text) {
  const bool is_utc = text.ends_with('Z');
  if (is_utc) text.pop_back();
  for (const char* format : {"%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"}) {
    std::tm parts{};
    const char* end = ::strptime(text.c_str(), format, &parts);
    if (end == nullptr || *end != '\0') continue;
    parts.tm_isdst = -1;
    const int day = parts.tm_mday;
    const auto seconds = is_utc ? ::timegm(&parts) : std::mktime(&parts);
    if (parts.tm_mday != day) return std::nullopt;
    return std::int64_t{1000} * seconds;
  }
  return std::nullopt;
}

Result<std::string> route_of(const HistoryWords& words) {
  auto route = fmt::format("history?limit={}", words.limit);
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) route += fmt::format("&{}={}", name, encoded(value));
  };
  add("user", words.user);
  add("queue", words.queue);
  add("status", to_upper(words.status));
  for (const auto& [name, text] : {std::pair("since", words.since), {"until", words.until}}) {
    if (text.empty()) continue;
    const auto moment = read_moment(text, now_ms());
    if (!moment) return fail(within(fmt::format("--{}", name), moment.error()));
    add(name, std::to_string(*moment));
  }
  return route;
}

std::string duration_in(const json::object& job, const char* name) {
  return render_duration(job.contains(name) ? int_of(job, name) : -1);
}

std::vector<std::string> row_of(const json::object& job) {
  auto id = text_of(job, "jobId");
  if (job.contains("arraySize")) id += fmt::format(" [{}]", int_of(job, "arraySize"));
  if (job.contains("nodes")) id += fmt::format(" *{}", int_of(job, "nodes"));
  return {id,
          text_of(job, "jobName"),
          text_of(job, "user"),
          text_of(job, "jobQueue"),
          text_of(job, "status"),
          job.contains("exitCode") ? std::to_string(int_of(job, "exitCode")) : "-",
          duration_in(job, "waitMs"),
          duration_in(job, "runMs"),
          render_date(int_of(job, "stoppedAt"))};
}

int show(const json::object& history, const HistoryWords& words, Streams streams) {
  const auto& jobs = history.at("jobs").as_array();
  if (words.common.json) {
    streams.out << json::serialize(jobs) << '\n';
  } else {
    std::vector<std::vector<std::string>> rows;
    for (const auto& job : jobs) rows.push_back(row_of(job.as_object()));
    streams.out << render_table({{"jobId"},
                                 {"jobName"},
                                 {"user"},
                                 {"queue"},
                                 {.name = "status", .is_status = true},
                                 {.name = "exitCode", .may_be_numeric = true},
                                 {"waited"},
                                 {"ran"},
                                 {"stoppedAt"}},
                                rows, shows_colour(STDOUT_FILENO));
  }
  if (const auto more = int_of(history, "more"); more > 0) {
    streams.err << fmt::format("cox history: {} more, which ended before these (--limit)\n", more);
  }
  return kDone;
}

}  // namespace

Result<std::int64_t> read_moment(const std::string& text, std::int64_t now) {
  if (const auto span = read_span(text)) return now - *span;
  if (const auto date = read_date(text)) return *date;
  return fail(Errc::invalid_argument,
              "{} is no time: say how long ago, as 90s, 30m, 12h, 7d or 2w, or a date, as "
              "2026-11-26 or 2026-11-26T14:30",
              text);
}

std::string render_duration(std::int64_t ms) {
  if (ms < 0) return "-";
  if (ms < 10'000) return fmt::format("{:.2f} s", static_cast<double>(ms) / 1000);
  if (ms < 60'000) return fmt::format("{:.1f} s", static_cast<double>(ms / 100) / 10);
  const auto seconds = ms / 1000;
  if (seconds < 3600) return fmt::format("{}:{:02}", seconds / 60, seconds % 60);
  return fmt::format("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
}

int run_history(const std::vector<std::string>& args, Streams streams) {
  HistoryWords words;
  Program program("cox history",
                  "Shows the jobs that have ended and are still kept, the last first.",
                  words.common);
  const auto plain = [](const char* name) {
    return OptionNames{.name = name, .shorts = {}, .added = false};
  };
  program.option(plain("--user"), "USER", words.user, "jobs of this user; all that you may see");
  program.option(plain("--queue"), "QUEUE", words.queue, "jobs of this queue");
  program.option(plain("--status"), "STATUS", words.status, "SUCCEEDED or FAILED");
  program.option(plain("--since"), "TIME", words.since,
                 "ended at TIME or later: how long ago (90s 30m 12h 7d 2w) or a date\n"
                 "(2026-11-26, 2026-11-26T14:30, in UTC with a Z behind it)");
  program.option(plain("--until"), "TIME", words.until, "ended before TIME");
  program.option(plain("--limit"), "JOBS", words.limit, "as many at most; 100 if omitted");
  program.examples(
      "  cox history                              the last hundred\n"
      "  cox history --status failed --since 1d   what failed since yesterday\n"
      "  cox history --user ann --json            for a program\n");
  if (const int status = program.parse(args, streams); status >= 0) return status;
  const auto refuse = [&](int status, const std::string& text) {
    streams.err << "cox history: error: " << text << '\n';
    return status;
  };
  if (words.limit < 1) return refuse(kMisused, "--limit must be 1 or more");
  const auto route = route_of(words);
  if (!route) return refuse(kMisused, route.error().message);
  auto connection = Connection::open_complete(words.common.cluster);
  if (!connection) return refuse(kFailed, connection.error().message);
  const auto history = connection->get(*route);
  if (!history) return refuse(kFailed, history.error().message);
  return show(history->as_object(), words, streams);
}

}  // namespace cox::cli
