#include <algorithm>

#include "launcher/config/config.hpp"
#include "runtime/base/text.hpp"

namespace cox::config {

namespace {

// A longer line is shown from near the fault on: a file may be one line of a megabyte.
constexpr std::size_t kWidth = 120;
constexpr std::size_t kLead = 40;

/// The line with a caret below the column, both indented; columns count bytes, as yaml-cpp does,
/// but a character of several bytes takes one place in the caret's line.
std::string line_and_caret(Place place, std::string_view text) {
  const auto lines = split(text, '\n');
  const auto index = static_cast<std::size_t>(place.line) - 1;
  if (place.line <= 0 || index >= lines.size()) return {};
  auto line = lines[index];
  if (line.ends_with('\r')) line.pop_back();
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  auto column = std::min(static_cast<std::size_t>(std::max(place.column, 1)) - 1, line.size());
  std::string lead;
  const auto is_first_byte = [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; };
  // Cuts stand between characters, not within one.
  const auto cut_at = [&](std::size_t at) {
    while (at > 0 && !is_first_byte(line[at])) --at;
    return at;
  };
  if (line.size() > kWidth && column > kLead) {
    const auto begin = cut_at(column - kLead);
    line = line.substr(begin);
    column -= begin;
    lead = "...";
  }
  if (line.size() > kWidth) line = line.substr(0, cut_at(kWidth)) + "...";
  const auto blanks =
      lead.size() +
      static_cast<std::size_t>(std::count_if(
          line.begin(), line.begin() + static_cast<std::ptrdiff_t>(column), is_first_byte));
  return fmt::format("  {}{}\n  {}^\n", lead, line, std::string(blanks, ' '));
}

std::string where(Place place, std::string_view file_name) {
  if (place.line <= 0) return std::string(file_name);
  return fmt::format("{}:{}:{}", file_name, place.line, std::max(place.column, 1));
}

}  // namespace

const char* to_string(Level level) {
  switch (level) {
    case Level::info:
      return "INFO";
    case Level::warning:
      return "WARNING";
    case Level::error:
      return "ERROR";
  }
  return "ERROR";
}

std::string render(const Finding& finding, std::string_view file_name, std::string_view text) {
  auto what =
      finding.path.empty() ? finding.text : fmt::format("{}: {}", finding.path, finding.text);
  if (!finding.rule.empty()) what += fmt::format(" [{}]", finding.rule);
  return fmt::format("{}: {}: {}\n{}", where(finding.place, file_name),
                     to_lower(to_string(finding.level)), what, line_and_caret(finding.place, text));
}

std::string render_place(const Finding& finding, std::string_view file_name,
                         std::string_view text) {
  if (finding.place.line <= 0) return {};
  return fmt::format("  {}\n{}", where(finding.place, file_name),
                     line_and_caret(finding.place, text));
}

bool looks_like_ini(std::string_view text) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  for (const auto& raw : split(text, '\n')) {
    const auto line = trim(raw);
    if (line.empty() || line.front() == '#' || line.front() == ';') continue;
    // A YAML list in brackets has commas, or quotes, or nothing but a word without a key below.
    return line.front() == '[' && line.find(']') != std::string_view::npos &&
           line.find(',') == std::string_view::npos;
  }
  return false;
}

}  // namespace cox::config
