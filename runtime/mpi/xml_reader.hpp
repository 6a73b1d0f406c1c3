#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace cox::mpi {

/// The begin or end of an XML element. Views into the text that was read; values are as written,
/// with entities as they are.
struct XmlElement {
  enum class Kind : std::uint8_t { open, close, empty };

  Kind kind = Kind::open;
  std::string_view name;
  std::vector<std::pair<std::string_view, std::string_view>> attributes;

  [[nodiscard]] std::optional<std::string_view> attribute(std::string_view wanted) const;
};

/// Reads the elements of a text one by one, as much of XML as programs write: no entities of one's
/// own, no CDATA. Elements must nest, at most kDepthMax deep. Text between them is passed over.
/// Pure; never reads outside the text.
class XmlReader {
 public:
  static constexpr std::size_t kDepthMax = 256;

  explicit XmlReader(std::string_view text) : rest_(text) {}

  /// The next element, or nothing at the end or at the first fault.
  [[nodiscard]] std::optional<XmlElement> next();
  /// After next() gave nothing: the text was read to its end, and all that was opened was closed.
  [[nodiscard]] bool at_good_end() const { return rest_.empty() && open_.empty() && seen_; }

 private:
  [[nodiscard]] bool skip_to_element();
  [[nodiscard]] bool skip_past(std::string_view end);
  [[nodiscard]] std::string_view take_name();
  [[nodiscard]] bool take_attributes(XmlElement& element);
  [[nodiscard]] bool nest(const XmlElement& element);
  void skip_blanks();

  std::string_view rest_;
  std::vector<std::string_view> open_;
  bool seen_ = false;
};

}  // namespace cox::mpi
