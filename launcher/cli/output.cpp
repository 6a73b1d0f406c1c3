#include "launcher/cli/output.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>

namespace cox::cli {

namespace {

constexpr std::size_t kHeaderMargin = 2;
constexpr std::size_t kKeyWidth = 25;

bool is_number(const std::string& cell) {
  if (cell.empty()) return false;
  const auto digits = cell[0] == '-' ? cell.substr(1) : cell;
  return !digits.empty() && digits.find_first_not_of("0123456789.") == std::string::npos;
}

void append_row(std::string& text, const std::vector<std::string>& cells,
                const std::vector<std::size_t>& widths, const std::vector<bool>& right) {
  std::string line;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const std::string gap(widths[i] - std::min(widths[i], cells[i].size()), ' ');
    if (i > 0) line += "  ";
    line += right[i] ? gap + cells[i] : cells[i] + gap;
  }
  line.erase(line.find_last_not_of(' ') + 1);
  text += line + '\n';
}

}  // namespace

std::string render_table(const std::vector<Column>& columns,
                         const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::string> names;
  std::vector<std::string> dashes;
  std::vector<std::size_t> widths;
  std::vector<bool> right;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    std::size_t width = columns[i].name.size() + kHeaderMargin;
    bool numeric = columns[i].may_be_numeric && !rows.empty();
    for (const auto& row : rows) {
      width = std::max(width, row[i].size());
      numeric = numeric && is_number(row[i]);
    }
    names.push_back(columns[i].name);
    widths.push_back(width);
    dashes.emplace_back(width, '-');
    right.push_back(numeric);
  }
  std::string text;
  append_row(text, names, widths, right);
  append_row(text, dashes, widths, right);
  for (const auto& row : rows) append_row(text, row, widths, right);
  return text;
}

std::string render_details(const std::vector<Details>& items) {
  if (items.empty()) return "No items to show\n";
  std::string text;
  for (const auto& item : items) {
    for (const auto& [key, value] : item) {
      text += fmt::format("{:<{}}: {}\n", key, kKeyWidth, value.empty() ? "-" : value);
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
