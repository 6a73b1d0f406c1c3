#pragma once

#include <string_view>

#include "runtime/base/result.hpp"

namespace cox::os {

/// A named step at which a test may end this process or have the step fail, to see what is left.
/// The environment's COX_FAIL_FILE names a file that says kill:STEP or fail:STEP; it is removed by
/// whoever comes to that step first, so that one crash is one crash. Only programs that are built
/// with COX_FAILPOINTS look at it; in all others this is nothing.
/// Errors: unavailable "a test has this fail at STEP".
#ifdef COX_FAILPOINTS
[[nodiscard]] Result<void> failpoint(std::string_view step);
#else
[[nodiscard]] inline Result<void> failpoint(std::string_view) { return {}; }
#endif

}  // namespace cox::os
