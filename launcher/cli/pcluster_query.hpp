#pragma once

#include <string>

#include "runtime/base/result.hpp"

namespace cox::cli {

/// What a JMESPath expression (--query) selects of a JSON text, indented; empty where it selects
/// nothing, or what Python holds for false, as the original prints nothing then. By Python's
/// jmespath, which is the original's, or else the program jp. Errors: invalid_argument with the
/// library's words when the expression is none; unavailable, with what to install, when neither is
/// there.
[[nodiscard]] Result<std::string> select_by_query(const std::string& expression,
                                                  const std::string& text);

}  // namespace cox::cli
