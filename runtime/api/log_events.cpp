#include <boost/json.hpp>

#include "runtime/api/shape_rules.hpp"
#include "runtime/api/shapes.hpp"
#include "runtime/base/text.hpp"

/// CloudWatch Logs' GetLogEvents. A token is "f/<n>" or "b/<n>": go on behind, or before, record n.
namespace cox::api {

namespace json = boost::json;

namespace {

constexpr const char* kLogGroup = "/aws/batch/job";
constexpr std::int64_t kEventsMax = 10'000;

}  // namespace

Answer logs_error(std::string_view type, std::string_view message) {
  return {400, json::serialize(json::object{{"__type", type}, {"message", message}}),
          std::string(type)};
}

Outcome get_log_events(const json::object& object) {
  std::optional<Error> complaint;
  const Members body(object, "", complaint);
  const auto group = body.required_text("logGroupName");
  ReadLog read;
  read.stream = body.required_text("logStreamName");
  read.start_ms = body.integer("startTime");
  read.end_ms = body.integer("endTime");
  read.from_head = body.boolean("startFromHead").value_or(false);
  read.token = body.text("nextToken").value_or("");
  const auto limit = body.integer("limit").value_or(kEventsMax);
  if (limit < 1 || limit > kEventsMax) {
    body.complain(fmt::format("limit must be from 1 to {}", kEventsMax));
  }
  if (!read.token.empty()) {
    const auto number = read.token.size() > 2 && read.token[1] == '/'
                            ? to_int(std::string_view(read.token).substr(2))
                            : std::nullopt;
    if (!number || *number < 0 || (read.token[0] != 'f' && read.token[0] != 'b')) {
      body.complain("The specified nextToken is invalid.");
    } else {
      read.after_sequence = static_cast<std::uint64_t>(*number);
      read.backward = read.token[0] == 'b';
    }
  }
  if (complaint) return logs_error("InvalidParameterException", complaint->message);
  if (group != kLogGroup) {
    return logs_error("ResourceNotFoundException", "The specified log group does not exist.");
  }
  read.limit = static_cast<std::size_t>(limit);
  return read;
}

Answer render_log_events(const ReadLog& asked, const std::vector<LogEvent>& events) {
  json::array list;
  for (const auto& event : events) {
    list.push_back(json::object{
        {"timestamp", event.at_ms}, {"message", event.message}, {"ingestionTime", event.at_ms}});
  }
  // At the end of a stream the token that was sent comes back, and later finds what is new.
  std::string forward = asked.token;
  std::string backward = asked.token;
  if (!events.empty()) {
    forward = fmt::format("f/{}", events.back().sequence);
    backward = fmt::format("b/{}", events.front().sequence);
  } else if (asked.token.empty()) {
    forward = "f/0";
    backward = "b/0";
  }
  return json_answer({{"events", std::move(list)},
                      {"nextForwardToken", forward},
                      {"nextBackwardToken", backward}});
}

Answer render_no_such_log(const ReadLog&) {
  return logs_error("ResourceNotFoundException", "The specified log stream does not exist.");
}

}  // namespace cox::api
