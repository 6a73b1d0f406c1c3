#include "runtime/base/percent.hpp"

#include <algorithm>

#include "runtime/base/text.hpp"

namespace cox {

std::string percent_decoded(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      const auto high = kDigits.find(to_lower(text.substr(i + 1, 1)));
      const auto low = kDigits.find(to_lower(text.substr(i + 2, 1)));
      if (high != std::string_view::npos && low != std::string_view::npos) {
        decoded += static_cast<char>(high * 16 + low);
        i += 2;
        continue;
      }
    }
    decoded += text[i];
  }
  return decoded;
}

std::string form_decoded(std::string_view text) {
  std::string blanks(text);
  std::replace(blanks.begin(), blanks.end(), '+', ' ');
  return percent_decoded(blanks);
}

}  // namespace cox
