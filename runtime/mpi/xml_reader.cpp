#include "runtime/mpi/xml_reader.hpp"

namespace cox::mpi {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-' || c == '.' || c == ':';
}

}  // namespace

std::optional<std::string_view> XmlElement::attribute(std::string_view wanted) const {
  for (const auto& [name_, value] : attributes) {
    if (name_ == wanted) return value;
  }
  return std::nullopt;
}

std::optional<XmlElement> XmlReader::next() {
  if (!skip_to_element()) return std::nullopt;
  const auto fault = rest_;  // what is left then is not empty: no good end
  XmlElement element;
  rest_.remove_prefix(1);
  if (rest_.starts_with('/')) {
    rest_.remove_prefix(1);
    element.kind = XmlElement::Kind::close;
  }
  element.name = take_name();
  if (element.name.empty() || !take_attributes(element) || !nest(element)) {
    rest_ = fault;
    return std::nullopt;
  }
  seen_ = true;
  return element;
}

/// Passes over text, comments and declarations.
bool XmlReader::skip_to_element() {
  for (;;) {
    const auto begin = rest_.find('<');
    if (begin == std::string_view::npos) {
      if (rest_.find_first_not_of(kBlanks) == std::string_view::npos) rest_ = {};
      return false;
    }
    rest_.remove_prefix(begin);
    if (rest_.starts_with("<?")) {
      if (!skip_past("?>")) return false;
    } else if (rest_.starts_with("<!--")) {
      if (!skip_past("-->")) return false;
    } else if (rest_.starts_with("<!")) {
      if (!skip_past(">")) return false;
    } else {
      return true;
    }
  }
}

bool XmlReader::skip_past(std::string_view end) {
  const auto found = rest_.find(end);
  if (found == std::string_view::npos) return false;
  rest_.remove_prefix(found + end.size());
  return true;
}

void XmlReader::skip_blanks() {
  const auto begin = rest_.find_first_not_of(kBlanks);
  rest_.remove_prefix(begin == std::string_view::npos ? rest_.size() : begin);
}

std::string_view XmlReader::take_name() {
  std::size_t size = 0;
  while (size < rest_.size() && is_name_character(rest_[size])) ++size;
  const auto name = rest_.substr(0, size);
  rest_.remove_prefix(size);
  return name;
}

/// Reads up to and with the closing bracket.
bool XmlReader::take_attributes(XmlElement& element) {
  for (;;) {
    skip_blanks();
    if (rest_.starts_with('>')) {
      rest_.remove_prefix(1);
      return true;
    }
    if (rest_.starts_with("/>") && element.kind == XmlElement::Kind::open) {
      element.kind = XmlElement::Kind::empty;
      rest_.remove_prefix(2);
      return true;
    }
    const auto name = take_name();
    if (name.empty() || element.kind == XmlElement::Kind::close || !rest_.starts_with("=\"")) {
      return false;
    }
    rest_.remove_prefix(2);
    const auto end = rest_.find_first_of("\"<");
    if (end == std::string_view::npos || rest_[end] != '"') return false;
    element.attributes.emplace_back(name, rest_.substr(0, end));
    rest_.remove_prefix(end + 1);
  }
}

bool XmlReader::nest(const XmlElement& element) {
  if (element.kind == XmlElement::Kind::close) {
    if (open_.empty() || open_.back() != element.name) return false;
    open_.pop_back();
    return true;
  }
  // One root, and no end to how deep a hostile text would go.
  if ((open_.empty() && seen_) || open_.size() >= kDepthMax) return false;
  if (element.kind == XmlElement::Kind::open) open_.push_back(element.name);
  return true;
}

}  // namespace cox::mpi
