#include "launcher/config/yaml_writer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "runtime/base/text.hpp"

namespace cox::config {

namespace {

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

std::string in_double_quotes(std::string_view word) {
  std::string quoted = "\"";
  for (const char c : word) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (is_control(c)) {
      quoted += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

std::string in_single_quotes(std::string_view word) {
  std::string quoted = "'";
  for (const char c : word) {
    quoted += c;
    if (c == '\'') quoted += c;
  }
  return quoted + '\'';
}

bool holds_only(std::string_view word, std::string_view characters) {
  return word.find_first_not_of(characters) == std::string_view::npos;
}

/// A number of YAML 1.1: 7, 0x1f, 1_000, .5, 1.5e+3 (but 1e3 is a text there).
bool is_number(std::string_view word) {
  constexpr std::string_view kDigits = "0123456789_";
  if (word.starts_with('+') || word.starts_with('-')) word.remove_prefix(1);
  if (word.starts_with("0x")) {
    return word.size() > 2 && holds_only(word.substr(2), "0123456789abcdefABCDEF_");
  }
  const auto point = word.find('.');
  if (point == std::string_view::npos) {
    return !word.empty() && word.front() != '_' && holds_only(word, kDigits);
  }
  auto fraction = word.substr(point + 1);
  const auto mark = fraction.find_first_of("eE");
  if (mark != std::string_view::npos) {
    const auto power = fraction.substr(mark + 1);
    if (power.size() < 2 || (power[0] != '+' && power[0] != '-')) return false;
    if (!holds_only(power.substr(1), kDigits)) return false;
    fraction = fraction.substr(0, mark);
  }
  return (point > 0 || !fraction.empty()) && holds_only(word.substr(0, point), kDigits) &&
         holds_only(fraction, kDigits);
}

/// True when the word means something to YAML that is no text of these letters.
bool needs_quotes(std::string_view word) {
  if (word.empty() || trim(word) != word || is_no_plain_text(word)) return true;
  // "-x" is a text; "- x" and "-" are not, and the rest are not either.
  if (word == "-" || word.starts_with("- ")) return true;
  if (std::string_view("?:,[]{}#&*!|>'\"%@`=<").find(word.front()) != std::string_view::npos) {
    return true;
  }
  // 1:05:00 and 2026-01-31 are a number and a date to YAML 1.1, 1e3 is a number to 1.2.
  if (holds_only(word, "0123456789:-.+_eE")) return true;
  return word.find(": ") != std::string_view::npos || word.find(" #") != std::string_view::npos ||
         word.back() == ':';
}

std::string quoted_where_needed(std::string_view word) {
  if (std::any_of(word.begin(), word.end(), is_control)) return in_double_quotes(word);
  return needs_quotes(word) ? in_single_quotes(word) : std::string(word);
}

}  // namespace

bool is_no_plain_text(std::string_view word) {
  constexpr std::array<std::string_view, 8> kWords{"true", "false", "yes",  "no",
                                                   "on",   "off",   "null", "~"};
  return is_number(word) || std::find(kWords.begin(), kWords.end(), to_lower(word)) != kWords.end();
}

YamlNode YamlNode::text(std::string_view word) { return plain(quoted_where_needed(word)); }

YamlNode YamlNode::plain(std::string_view word) {
  YamlNode node;
  node.scalar_ = std::string(word);
  return node;
}

YamlNode YamlNode::texts(const std::vector<std::string>& words) {
  YamlNode node;
  for (const auto& word : words) node.add(text(word));
  return node;
}

void YamlNode::set(std::string key, YamlNode value) {
  if (!value.is_empty()) children_.emplace_back(std::move(key), std::move(value));
}

void YamlNode::replace(const std::string& key, YamlNode value) {
  const auto there = std::find_if(children_.begin(), children_.end(),
                                  [&](const auto& child) { return child.first == key; });
  if (there == children_.end()) return set(key, std::move(value));
  there->second = std::move(value);
}

void YamlNode::add(YamlNode item) {
  is_list_ = true;
  children_.emplace_back("", std::move(item));
}

std::string YamlNode::render() const {
  std::string out;
  write(out, 0, false);
  return out;
}

/// `first_in_line`: behind a list's dash, where the first entry needs no indent.
void YamlNode::write(std::string& out, int indent, bool first_in_line) const {
  for (const auto& [key, child] : children_) {
    if (!first_in_line) out += std::string(static_cast<std::size_t>(indent), ' ');
    first_in_line = false;
    out += is_list_ ? "-" : quoted_where_needed(key) + ":";
    if (!child.scalar_.empty()) {
      out += " " + child.scalar_ + "\n";
    } else if (is_list_) {
      out += ' ';
      child.write(out, indent + 2, true);
    } else {
      out += '\n';
      child.write(out, indent + 2, false);
    }
  }
}

}  // namespace cox::config
