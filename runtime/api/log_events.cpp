#include <algorithm>
#include <boost/json.hpp>
#include <limits>
#include <span>

#include "runtime/api/shape_rules.hpp"
#include "runtime/api/shapes.hpp"
#include "runtime/base/text.hpp"

/// CloudWatch Logs' GetLogEvents. A token is "f/<n>" or "b/<n>": go on behind, or before, record n.
namespace cox::api {

namespace json = boost::json;

namespace {

constexpr const char* kLogGroup = "/aws/batch/job";
constexpr std::int64_t kEventsMax = 10'000;
constexpr std::int64_t kTimeMax = std::numeric_limits<std::int64_t>::max();
constexpr std::size_t kAnswerBytes = 1 << 20;  // without a limit
constexpr std::size_t kEventBytes = 26;        // as CloudWatch counts an event beside its message

/// Reads a token of our own into what is asked for. False: it is none.
bool read_token(ReadLog& read) {
  const auto& token = read.token;
  if (token.empty()) return true;
  const auto number = token.size() > 2 && token[1] == '/'
                          ? to_int(std::string_view(token).substr(2))
                          : std::nullopt;
  if (!number || *number < 0 || (token[0] != 'f' && token[0] != 'b')) return false;
  read.after_sequence = static_cast<std::uint64_t>(*number);
  read.backward = token[0] == 'b';
  return true;
}

/// The part of the events that one answer holds: of those read from their end the last ones.
std::span<const LogEvent> fitting(const ReadLog& asked, std::span<const LogEvent> events) {
  if (asked.limited) return events;
  const bool from_end = asked.token.empty() ? !asked.from_head : asked.backward;
  std::size_t count = 0;
  std::size_t bytes = 0;
  for (; count < events.size(); ++count) {
    const auto& next = events[from_end ? events.size() - 1 - count : count];
    bytes += next.message.size() + kEventBytes;
    if (bytes > kAnswerBytes && count > 0) break;
  }
  return from_end ? events.last(count) : events.first(count);
}

bool is_group_name(std::string_view name) {
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("._-/#").find(c) != std::string_view::npos;
  });
}

}  // namespace

void check_log_names(std::string_view group, const std::vector<std::string>& streams,
                     std::optional<Error>& complaint) {
  if (!is_group_name(group)) {
    complain(complaint, "logGroupName must be of letters, digits and . _ - / #");
  }
  for (const auto& stream : streams) {
    if (stream.find_first_of(":*") == std::string::npos) continue;
    complain(complaint, "The name of a log stream can't have a : or a * in it");
  }
}

Answer logs_error(std::string_view type, std::string_view message) {
  return {400, json::serialize(json::object{{"__type", type}, {"message", message}}),
          std::string(type)};
}

Outcome get_log_events(const json::object& object) {
  static const Shape shape{required(text("logGroupName", 1, 512)),
                           required(text("logStreamName", 1, 512)),
                           integer("startTime", 0, kTimeMax),
                           integer("endTime", 0, kTimeMax),
                           text("nextToken"),
                           integer("limit", 1, kEventsMax),
                           boolean("startFromHead")};
  std::optional<Error> complaint;
  const auto body = checked(object, shape, "", complaint);
  const auto group = text_in(body, "logGroupName");
  ReadLog read;
  read.stream = text_in(body, "logStreamName");
  read.start_ms = time_in(body, "startTime");
  read.end_ms = time_in(body, "endTime");
  if (const auto* head = body.if_contains("startFromHead")) read.from_head = head->as_bool();
  read.token = text_in(body, "nextToken");
  read.limited = body.contains("limit");
  read.limit = static_cast<std::size_t>(integer_in(body, "limit", kEventsMax));
  if (!read_token(read)) complain(complaint, "The specified nextToken is invalid.");
  check_log_names(group, {read.stream}, complaint);
  if (complaint) return logs_error("InvalidParameterException", complaint->message);
  if (group != kLogGroup) {
    return logs_error("ResourceNotFoundException", "The specified log group does not exist.");
  }
  return read;
}

Answer render_log_events(const ReadLog& asked, const std::vector<LogEvent>& events) {
  json::array list;
  const auto shown = fitting(asked, events);
  for (const auto& event : shown) {
    list.push_back(json::object{
        {"timestamp", event.at_ms}, {"message", event.message}, {"ingestionTime", event.at_ms}});
  }
  // At the end of a stream the token that was sent comes back, and later finds what is new; the
  // one of the other direction leads back.
  const auto place = asked.after_sequence.value_or(0);
  auto forward = fmt::format("f/{}", asked.backward && place > 0 ? place - 1 : place);
  auto backward = fmt::format("b/{}", asked.backward || place == 0 ? place : place + 1);
  if (!shown.empty()) {
    forward = fmt::format("f/{}", shown.back().sequence);
    backward = fmt::format("b/{}", shown.front().sequence);
  }
  return json_answer({{"events", std::move(list)},
                      {"nextForwardToken", forward},
                      {"nextBackwardToken", backward}});
}

Answer render_no_such_log(const ReadLog&) {
  return logs_error("ResourceNotFoundException", "The specified log stream does not exist.");
}

}  // namespace cox::api
