#pragma once

#include <string>
#include <string_view>

namespace cox {

/// `text` of a URL's path without its %XX; a '%' without two hex digits stays. Pure.
[[nodiscard]] std::string percent_decoded(std::string_view text);

/// The same of a URL's query or a form, where '+' is a blank. Pure.
[[nodiscard]] std::string form_decoded(std::string_view text);

}  // namespace cox
