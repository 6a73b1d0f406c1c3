#include <algorithm>
#include <boost/json.hpp>

#include "runtime/api/shape_rules.hpp"
#include "runtime/api/shapes.hpp"
#include "runtime/base/text.hpp"

/// CloudWatch Logs' lists and search: one log group, and a stream for each node's part in each
/// attempt. Limits: CloudWatch Logs API reference.
namespace cox::api {

namespace json = boost::json;

namespace {

constexpr const char* kLogGroup = "/aws/batch/job";
constexpr std::int64_t kListMax = 50;
constexpr std::int64_t kEventsMax = 10'000;
constexpr std::int64_t kTimeMax = std::numeric_limits<std::int64_t>::max();

std::string group_arn(const View& view, const Request& request) {
  const auto arns = arns_for(view, request);
  return fmt::format("{}:{}", arns.logs(), kLogGroup);
}

void add_streams(const Job& job, std::vector<LogStream>& list) {
  for (const auto& attempt : job.attempts) {
    for (std::size_t i = 0; i < attempt.nodes.size(); ++i) {
      const auto& run = attempt.nodes[i];
      const int index = static_cast<int>(i);
      const auto created = run.started_at.set() ? run.started_at : job.created_at;
      list.push_back({log_stream_name(job, attempt.number, index), job.id, attempt.number, index,
                      created.value, std::nullopt, std::nullopt});
    }
  }
}

/// All streams that the user may see and whose names begin with the prefix, by name.
std::vector<LogStream> streams_of(const View& view, const Request& request,
                                  const std::string& prefix) {
  std::vector<LogStream> list;
  for (const auto* job : view.all_jobs()) {
    if (may_see(*job, request.user)) add_streams(*job, list);
  }
  std::erase_if(list, [&](const LogStream& each) { return !each.name.starts_with(prefix); });
  std::sort(list.begin(), list.end(),
            [](const LogStream& a, const LogStream& b) { return a.name < b.name; });
  return list;
}

/// The faults of a request about the one group, or nothing. The complaint goes first.
std::optional<Answer> refuse_group(const json::object& body,
                                   const std::optional<Error>& complaint) {
  if (complaint) return logs_error("InvalidParameterException", complaint->message);
  if (text_in(body, "logGroupName") == kLogGroup) return std::nullopt;
  return logs_error("ResourceNotFoundException", "The specified log group does not exist.");
}

/// A pattern of words: each must be there; with '?' before them one of them must; with '-', none.
/// A text in double quotes is one word.
void read_pattern(std::string_view pattern, SearchLogs& search, std::optional<Error>& complaint) {
  const auto trimmed = trim(pattern);
  if (trimmed.starts_with('{') || trimmed.starts_with('[') || trimmed.starts_with('%')) {
    return complain(complaint,
                    "filterPattern: only words are searched for here, not JSON, "
                    "columns or regular expressions");
  }
  for (std::size_t i = 0; i < trimmed.size();) {
    if (trimmed[i] == ' ') {
      ++i;
      continue;
    }
    auto* list = &search.all_of;
    if (trimmed[i] == '?') list = &search.any_of;
    if (trimmed[i] == '-') list = &search.none_of;
    if (list != &search.all_of) ++i;
    const bool quoted = i < trimmed.size() && trimmed[i] == '"';
    if (quoted) ++i;
    const auto end = trimmed.find(quoted ? '"' : ' ', i);
    if (quoted && end == std::string_view::npos) {
      return complain(complaint, "filterPattern: a quotation mark is not closed");
    }
    const auto word = trimmed.substr(i, end == std::string_view::npos ? end : end - i);
    if (!word.empty()) list->emplace_back(word);
    if (end == std::string_view::npos) return;
    i = end + 1;
  }
}

/// A token is "<record> <stream>", as pages have it.
void read_position(const std::string& token, SearchLogs& search, std::optional<Error>& complaint) {
  if (token.empty()) return;
  const auto key = read_page(json::object{{"nextToken", token}}, complaint).after;
  const auto blank = key.find(' ');
  const auto sequence = to_int(key.substr(0, blank));
  if (blank == std::string::npos || !sequence || *sequence < 0) {
    return complain(complaint, "The specified nextToken is invalid.");
  }
  search.after_sequence = static_cast<std::uint64_t>(*sequence);
  search.after_stream = key.substr(blank + 1);
}

}  // namespace

Outcome describe_log_streams(const View& view, const Request& request, const json::object& asked) {
  static const Shape shape{required(text("logGroupName", 1, 512)),
                           text("logStreamNamePrefix", 1, 512),
                           word("orderBy", {"LogStreamName", "LastEventTime"}),
                           boolean("descending"),
                           text("nextToken"),
                           integer("limit", 1, kListMax)};
  std::optional<Error> complaint;
  const auto body = checked(asked, shape, "", complaint);
  ListStreams list;
  list.by_last_event = text_in(body, "orderBy") == "LastEventTime";
  if (list.by_last_event && body.contains("logStreamNamePrefix")) {
    complain(complaint, "Cannot order by LastEventTime with a logStreamNamePrefix.");
  }
  if (const auto* descending = body.if_contains("descending")) {
    list.descending = descending->as_bool();
  }
  list.limit = static_cast<std::size_t>(integer_in(body, "limit", kListMax));
  check_log_names(text_in(body, "logGroupName"), {text_in(body, "logStreamNamePrefix")}, complaint);
  json::object page{{"nextToken", text_in(body, "nextToken")}};
  list.after = read_page(page, complaint).after;
  if (auto refused = refuse_group(body, complaint)) return *refused;
  list.streams = streams_of(view, request, text_in(body, "logStreamNamePrefix"));
  return list;
}

Answer render_streams(const View& view, const Request& request, const ListStreams& asked) {
  std::vector<const LogStream*> order;
  for (const auto& stream : asked.streams) order.push_back(&stream);
  if (asked.by_last_event) {
    std::stable_sort(order.begin(), order.end(), [](const LogStream* a, const LogStream* b) {
      return a->last_ms.value_or(0) < b->last_ms.value_or(0);
    });
  }
  if (asked.descending) std::reverse(order.begin(), order.end());
  auto begin = order.begin();
  if (!asked.after.empty()) {
    const auto last = std::find_if(order.begin(), order.end(), [&](const LogStream* each) {
      return each->name == asked.after;
    });
    begin = last == order.end() ? last : last + 1;
  }
  json::array list;
  for (; begin != order.end() && list.size() < asked.limit; ++begin) {
    const auto& stream = **begin;
    json::object shown{
        {"logStreamName", stream.name},
        {"creationTime", stream.created_ms},
        {"arn", fmt::format("{}:log-stream:{}", group_arn(view, request), stream.name)},
        {"storedBytes", 0}};
    if (stream.first_ms) shown["firstEventTimestamp"] = *stream.first_ms;
    if (stream.last_ms) {
      shown["lastEventTimestamp"] = *stream.last_ms;
      shown["lastIngestionTime"] = *stream.last_ms;
    }
    list.push_back(std::move(shown));
  }
  json::object body;
  if (begin != order.end() && begin != order.begin()) {
    body["nextToken"] = token_for((*(begin - 1))->name);
  }
  body["logStreams"] = std::move(list);
  return json_answer(body);
}

Answer describe_log_groups(const View& view, const Request& request, const json::object& asked) {
  static const Shape shape{text("logGroupNamePrefix", 1, 512), text("logGroupNamePattern", 0, 512),
                           text("nextToken"), integer("limit", 1, kListMax)};
  std::optional<Error> complaint;
  const auto body = checked(asked, shape, "", complaint);
  if (body.contains("logGroupNamePrefix") && body.contains("logGroupNamePattern")) {
    complain(complaint, "logGroupNamePrefix and logGroupNamePattern exclude each other");
  }
  if (!text_in(body, "nextToken").empty()) complain(complaint, "nextToken is not valid");
  for (const char* member : {"logGroupNamePrefix", "logGroupNamePattern"}) {
    check_log_names(text_in(body, member), {}, complaint);
  }
  if (complaint) return logs_error("InvalidParameterException", complaint->message);
  json::array groups;
  const std::string group = kLogGroup;
  const auto pattern = to_lower(text_in(body, "logGroupNamePattern"));
  if (group.starts_with(text_in(body, "logGroupNamePrefix")) &&
      group.find(pattern) != std::string::npos) {
    const auto arn = group_arn(view, request);
    json::object shown{{"logGroupName", group},
                       {"creationTime", 0},
                       {"metricFilterCount", 0},
                       {"arn", arn + ":*"},
                       {"storedBytes", 0}};
    // Without it CloudWatch keeps what is logged for good.
    if (const int days = view.cluster().log_retention_days; days > 0) {
      shown["retentionInDays"] = days;
    }
    groups.push_back(std::move(shown));
  }
  return json_answer({{"logGroups", std::move(groups)}});
}

Outcome filter_log_events(const View& view, const Request& request, const json::object& asked) {
  static const Shape shape{required(text("logGroupName", 1, 512)),
                           texts("logStreamNames", 1, 100),
                           text("logStreamNamePrefix", 1, 512),
                           integer("startTime", 0, kTimeMax),
                           integer("endTime", 0, kTimeMax),
                           text("filterPattern", 0, 1024),
                           text("nextToken"),
                           integer("limit", 1, kEventsMax),
                           boolean("interleaved")};
  std::optional<Error> complaint;
  const auto body = checked(asked, shape, "", complaint);
  SearchLogs search;
  search.start_ms = time_in(body, "startTime");
  search.end_ms = time_in(body, "endTime");
  search.limit = static_cast<std::size_t>(integer_in(body, "limit", kEventsMax));
  read_pattern(text_in(body, "filterPattern"), search, complaint);
  const auto names = texts_in(body, "logStreamNames");
  if (!names.empty() && body.contains("logStreamNamePrefix")) {
    complain(complaint, "logStreamNames and logStreamNamePrefix exclude each other");
  }
  read_position(text_in(body, "nextToken"), search, complaint);
  check_log_names(text_in(body, "logGroupName"), names, complaint);
  check_log_names("", {text_in(body, "logStreamNamePrefix")}, complaint);
  if (auto refused = refuse_group(body, complaint)) return *refused;
  search.streams = streams_of(view, request, text_in(body, "logStreamNamePrefix"));
  if (!names.empty()) {
    std::erase_if(search.streams, [&](const LogStream& each) {
      return std::find(names.begin(), names.end(), each.name) == names.end();
    });
    if (search.streams.empty()) {
      return logs_error("ResourceNotFoundException", "The specified log stream does not exist.");
    }
  }
  return search;
}

bool is_sought(const SearchLogs& asked, std::string_view line) {
  const auto has = [&](const std::string& word) { return line.find(word) != std::string::npos; };
  return std::all_of(asked.all_of.begin(), asked.all_of.end(), has) &&
         std::none_of(asked.none_of.begin(), asked.none_of.end(), has) &&
         (asked.any_of.empty() || std::any_of(asked.any_of.begin(), asked.any_of.end(), has));
}

Answer render_found(FoundPage page) {
  std::stable_sort(
      page.events.begin(), page.events.end(),
      [](const FoundEvent& a, const FoundEvent& b) { return a.event.at_ms < b.event.at_ms; });
  json::array list;
  for (const auto& [stream, event] : page.events) {
    list.push_back(json::object{{"logStreamName", stream->name},
                                {"timestamp", event.at_ms},
                                {"message", event.message},
                                {"ingestionTime", event.at_ms},
                                {"eventId", fmt::format("{}/{}/{}/{}", stream->job, stream->attempt,
                                                        stream->node_index, event.sequence)}});
  }
  json::object body;
  if (page.next_stream != nullptr) {
    body["nextToken"] = token_for(fmt::format("{} {}", page.next_sequence, page.next_stream->name));
  }
  body["events"] = std::move(list);
  body["searchedLogStreams"] = json::array{};
  return json_answer(body);
}

}  // namespace cox::api
