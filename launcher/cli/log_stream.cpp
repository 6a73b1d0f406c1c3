#include "launcher/cli/log_stream.hpp"

#include <algorithm>
#include <chrono>

#include "runtime/base/text.hpp"

namespace cox::cli {

namespace {

/// Takes figures off the front of a text.
class Figures {
 public:
  explicit Figures(std::string_view text) : rest_(text) {}

  /// Exactly `count` figures. Not good any more where they are missing.
  int take(std::size_t count) {
    int value = 0;
    for (std::size_t i = 0; i < count; ++i) {
      if (i >= rest_.size() || rest_[i] < '0' || rest_[i] > '9') return fault();
      value = value * 10 + (rest_[i] - '0');
    }
    rest_.remove_prefix(count);
    return value;
  }
  bool skip(char wanted) {
    if (rest_.empty() || rest_.front() != wanted) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void need(char wanted) {
    if (!skip(wanted)) fault();
  }
  /// ".123456" in milliseconds.
  int fraction() {
    int value = 0;
    int weight = 100;
    while (!rest_.empty() && rest_.front() >= '0' && rest_.front() <= '9') {
      value += weight * (rest_.front() - '0');
      weight /= 10;
      rest_.remove_prefix(1);
    }
    return value;
  }
  [[nodiscard]] bool good() const { return good_; }
  [[nodiscard]] bool at_end() const { return rest_.empty(); }

 private:
  int fault() {
    good_ = false;
    return 0;
  }
  std::string_view rest_;
  bool good_ = true;
};

/// "Z", "+01:00", "-0130" or nothing, in minutes east of Greenwich.
int zone_minutes(Figures& figures) {
  if (figures.at_end() || figures.skip('Z')) return 0;
  const int sign = figures.skip('-') ? -1 : 1;
  if (sign > 0) figures.need('+');
  const int hours = figures.take(2);
  figures.skip(':');
  return sign * (hours * 60 + figures.take(2));
}

/// The place that a token names, if it is one.
std::optional<std::size_t> place_of(std::string_view token) {
  if (!token.starts_with("f/") && !token.starts_with("b/")) return std::nullopt;
  const auto line = to_int(token.substr(2));
  if (!line || *line < 0) return std::nullopt;
  return static_cast<std::size_t>(*line);
}

}  // namespace

std::optional<std::int64_t> parse_iso_time(std::string_view text) {
  using namespace std::chrono;
  Figures figures(text);
  const int years = figures.take(4);
  figures.need('-');
  const auto months = static_cast<unsigned>(figures.take(2));
  figures.need('-');
  const auto days = static_cast<unsigned>(figures.take(2));
  milliseconds since_midnight{0};
  if (!figures.at_end()) {
    if (!figures.skip(' ')) figures.need('T');
    const int hour = figures.take(2);
    figures.need(':');
    const int minute = figures.take(2);
    figures.need(':');
    const int second = figures.take(2);
    const int fraction = figures.skip('.') ? figures.fraction() : 0;
    if (hour > 23 || minute > 59 || second > 60) return std::nullopt;
    since_midnight = hours(hour) + minutes(minute) + seconds(second) + milliseconds(fraction);
    since_midnight -= minutes(zone_minutes(figures));
  }
  const year_month_day date{year(years), month(months), day(days)};
  if (!figures.good() || !figures.at_end() || !date.ok()) return std::nullopt;
  return milliseconds(sys_days(date).time_since_epoch() + since_midnight).count();
}

std::vector<LogEntry> parse_log(std::string_view text, std::int64_t fallback_ms) {
  std::vector<LogEntry> entries;
  while (!text.empty()) {
    const auto end = text.find('\n');
    const auto line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    const auto blank = line.find(' ');
    const auto time =
        blank == std::string_view::npos ? std::nullopt : parse_iso_time(line.substr(0, blank));
    const auto before = entries.empty() ? fallback_ms : entries.back().at_ms;
    entries.push_back({time.value_or(before), std::string(time ? line.substr(blank + 1) : line)});
  }
  return entries;
}

Result<LogPage> select_page(const std::vector<LogEntry>& entries, const LogQuery& query) {
  const bool backward = query.token.empty() ? !query.from_head : query.token.starts_with("b/");
  std::size_t place = backward ? entries.size() : 0;
  if (!query.token.empty()) {
    const auto asked = place_of(query.token);
    if (!asked) return fail(Errc::invalid_argument, "the next token {} is not valid", query.token);
    place = *asked;
  }
  LogPage page;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const auto at = entries[i].at_ms;
    const bool in_time =
        (!query.start_ms || at >= *query.start_ms) && (!query.end_ms || at < *query.end_ms);
    if (in_time && (backward ? i < place : i >= place)) page.shown.push_back(i);
  }
  if (page.shown.size() > query.limit) {
    const auto excess = static_cast<std::ptrdiff_t>(page.shown.size() - query.limit);
    const auto begin = backward ? page.shown.begin() : page.shown.end() - excess;
    page.shown.erase(begin, begin + excess);
  }
  const auto next = page.shown.empty() ? place : page.shown.back() + 1;
  const auto previous = page.shown.empty() ? place : page.shown.front();
  page.next_token = fmt::format("f/{}", next);
  page.prev_token = fmt::format("b/{}", previous);
  return page;
}

}  // namespace cox::cli
