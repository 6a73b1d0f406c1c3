#pragma once

#include <cstdint>
#include <string>

#include "runtime/base/result.hpp"

/// What `cox history` makes of words and figures.
namespace cox::cli {

/// A moment: "90s", "30m", "12h", "7d" or "2w" before `now_ms`; "2026-11-26", with "T14:30" or
/// "T14:30:05" behind it, in the local time zone, or in UTC with a Z at its end. Milliseconds since
/// 1970. Errors: invalid_argument for anything else. Pure but for the time zone.
[[nodiscard]] Result<std::int64_t> read_moment(const std::string& text, std::int64_t now_ms);

/// "0.25 s", "59.9 s", "4:05" (minutes), "26:03:09" (hours); "-" below 0. Pure.
[[nodiscard]] std::string render_duration(std::int64_t ms);

}  // namespace cox::cli
