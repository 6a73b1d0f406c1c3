#include "launcher/config/ini_text.hpp"

#include <set>

#include "launcher/config/tree.hpp"
#include "runtime/base/text.hpp"

namespace cox::config {

const IniValue* IniSection::find(std::string_view key) const {
  for (const auto& value : values) {
    if (value.key == key) return &value;
  }
  return nullptr;
}

std::string IniSection::get(std::string_view key, std::string absent) const {
  const auto* value = find(key);
  return value != nullptr ? value->text : absent;
}

Place IniSection::place_of(std::string_view key) const {
  const auto* value = find(key);
  return value != nullptr ? value->place : place;
}

namespace {

class Reader {
 public:
  explicit Reader(std::vector<Finding>& findings) : findings_(findings) {}

  std::vector<IniSection> read(std::string_view text) {
    int number = 0;
    for (const auto& line : split(text, '\n')) read_line(line, ++number);
    return std::move(sections_);
  }

 private:
  void complain(Place place, std::string text) {
    findings_.push_back({Level::error, kIniRule, "", place, std::move(text)});
  }

  static std::string_view without_comment(std::string_view line) {
    for (std::size_t i = 0; i < line.size(); ++i) {
      const bool mark = line[i] == '#' || line[i] == ';';
      if (mark && (i == 0 || line[i - 1] == ' ' || line[i - 1] == '\t')) return line.substr(0, i);
    }
    return line;
  }

  void read_line(std::string_view raw, int number) {
    const auto line = trim(without_comment(raw));
    if (line.empty()) return;
    const auto indent = static_cast<int>(line.data() - raw.data());
    const Place place{number, indent + 1};
    if (value_ != nullptr && indent > value_->place.column - 1) {
      value_->text += value_->text.empty() ? "" : "\n";
      value_->text += line;
    } else if (line.front() == '[') {
      open_section(line, place);
    } else {
      add_value(line, place);
    }
  }

  void add_value(std::string_view line, Place place) {
    value_ = nullptr;
    const auto mark = line.find_first_of("=:");
    if (mark == std::string_view::npos || mark == 0) {
      return complain(place,
                      fmt::format("This line is neither a [section] nor key = value: {}", line));
    }
    if (is_lost_) return;
    if (sections_.empty()) return complain(place, "A key stands before the first [section]");
    auto& section = sections_.back();
    const auto key = to_lower(trim(line.substr(0, mark)));
    if (!keys_.insert(key).second) {
      return complain(
          place, fmt::format("The configuration parameter '{}' stands twice in the [{}] section",
                             key, section.title()));
    }
    section.values.push_back({key, std::string(trim(line.substr(mark + 1))), place});
    value_ = &section.values.back();
  }

  void open_section(std::string_view line, Place place) {
    value_ = nullptr;
    is_lost_ = true;
    const auto close = line.find(']');
    if (close == std::string_view::npos) {
      return complain(place, fmt::format("This section has no closing bracket: {}", line));
    }
    const auto title = trim(line.substr(1, close - 1));
    const auto blank = title.find_first_of(" \t");
    IniSection section;
    section.type = std::string(title.substr(0, blank));
    if (blank != std::string_view::npos) section.label = std::string(trim(title.substr(blank)));
    section.place = place;
    if (section.type.empty()) return complain(place, "This section has no name");
    if (!titles_.insert(section.title()).second) {
      return complain(place, fmt::format("The section [{}] stands twice", section.title()));
    }
    is_lost_ = false;
    keys_.clear();
    sections_.push_back(std::move(section));
  }

  std::vector<Finding>& findings_;
  std::vector<IniSection> sections_;
  std::set<std::string> titles_;
  std::set<std::string> keys_;  ///< of the last section
  IniValue* value_ = nullptr;   ///< the one that a deeper line goes on with
  bool is_lost_ = false;        ///< in a section that was refused: its keys are passed over
};

}  // namespace

std::vector<IniSection> parse_ini(std::string_view text, std::vector<Finding>& findings) {
  const auto refuse = [&](const char* why) {
    findings.push_back({Level::error, kTextRule, "", {}, why});
    return std::vector<IniSection>{};
  };
  if (text.size() > kTextBytesMax) return refuse("the file is larger than 1 MiB");
  if (text.find('\0') != std::string_view::npos) {
    return refuse("the file is no text: it holds a byte of value 0");
  }
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  return Reader(findings).read(text);
}

}  // namespace cox::config
