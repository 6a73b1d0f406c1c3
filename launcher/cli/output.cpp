#include "launcher/cli/output.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <ctime>
#include <ostream>

#include "launcher/cli/client_log.hpp"
#include "launcher/cli/exit_codes.hpp"

namespace cox::cli {

namespace {

constexpr std::size_t kHeaderMargin = 2;
constexpr std::size_t kKeyWidth = 25;

bool is_number(const std::string& cell) {
  const auto digits = cell.starts_with('-') ? cell.substr(1) : cell;
  return !digits.empty() && digits.find_first_not_of("0123456789.") == std::string::npos &&
         digits != ".";
}

constexpr const char* kPlain = "\033[0m";

std::string painted(const char* colour, const std::string& text) {
  return std::string("\033[") + colour + "m" + text + kPlain;
}

/// A table's columns as they are laid out.
struct Layout {
  std::vector<std::size_t> widths;
  std::vector<bool> right;
  std::vector<bool> painted;
};

void append_row(std::string& text, const std::vector<std::string>& cells, const Layout& layout) {
  std::string line;
  std::string gap;  // held back: none stands at the end of a line
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const auto width = layout.widths[i];
    const std::string padding(width - std::min(width, cells[i].size()), ' ');
    if (i > 0) gap += "  ";
    if (layout.right[i]) gap += padding;
    if (!cells[i].empty()) {
      line += gap + (layout.painted[i] ? coloured_status(cells[i], cells[i]) : cells[i]);
      gap.clear();
    }
    if (!layout.right[i]) gap += padding;
  }
  text += line + '\n';
}

}  // namespace

int complain(Streams streams, std::string_view place, std::string_view text) {
  streams.err << text << '\n';
  client_log(LogLevel::error, place, text);
  return kFailed;
}

bool shows_colour(int fd) {
  const char* no_colour = std::getenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  const bool wanted = no_colour == nullptr || *no_colour == '\0';
  const bool able = terminal != nullptr && std::string_view(terminal) != "dumb";
  return wanted && able && ::isatty(fd) == 1;
}

std::string coloured_status(const std::string& status, const std::string& text) {
  if (status == "SUCCEEDED" || status == "ACTIVE" || status == "VALID") return painted("32", text);
  if (status == "FAILED" || status == "INVALID" || status == "lost") return painted("31", text);
  if (status == "RUNNING" || status == "STARTING") return painted("36", text);
  return painted("33", text);
}

std::string coloured_rank(std::int64_t rank, const std::string& text) {
  constexpr std::array<const char*, 6> kColours{"36", "32", "33", "35", "34", "31"};
  return painted(kColours[static_cast<std::size_t>(rank) % kColours.size()], text);
}

std::string render_table(const std::vector<Column>& columns,
                         const std::vector<std::vector<std::string>>& rows, bool colour) {
  std::vector<std::string> names;
  std::vector<std::string> dashes;
  Layout layout;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    std::size_t width = columns[i].name.size() + kHeaderMargin;
    bool numeric = columns[i].may_be_numeric && !rows.empty();
    for (const auto& row : rows) {
      width = std::max(width, row[i].size());
      numeric = numeric && is_number(row[i]);
    }
    names.push_back(columns[i].name);
    dashes.emplace_back(width, '-');
    layout.widths.push_back(width);
    layout.right.push_back(numeric);
    layout.painted.push_back(false);
  }
  std::string text;
  append_row(text, names, layout);
  append_row(text, dashes, layout);
  for (std::size_t i = 0; i < columns.size(); ++i) {
    layout.painted[i] = colour && columns[i].is_status;
  }
  for (const auto& row : rows) append_row(text, row, layout);
  return text;
}

std::string render_details(const std::vector<Details>& items, bool colour) {
  if (items.empty()) return "No items to show\n";
  std::string text;
  for (const auto& item : items) {
    for (const auto& [key, value] : item) {
      const bool paint = colour && key == "status" && !value.empty();
      text += fmt::format("{:<{}}: {}\n", key, kKeyWidth,
                          value.empty() ? "-"
                          : paint       ? coloured_status(value, value)
                                        : value);
    }
    text += std::string(kKeyWidth, '-') + '\n';
  }
  return text;
}

std::string render_date(std::int64_t ms) {
  if (ms == 0) return "-";
  const std::time_t seconds = ms / 1000;
  std::tm parts{};
  ::localtime_r(&seconds, &parts);
  char text[64];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S%z", &parts);
  std::string date = text;
  return date.insert(date.size() - 2, ":");
}

std::string render_utc(std::int64_t ms) {
  const std::time_t seconds = ms / 1000;
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[64];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  return fmt::format("{}.{:03}Z", text, ms % 1000);
}

}  // namespace cox::cli
