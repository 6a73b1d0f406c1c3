#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "runtime/base/units.hpp"

/// Text of jobs, made fit to be shown, and words about nodes. Pure.
namespace cox::head {

/// The text with every byte that is no UTF-8 replaced by U+FFFD: one of them would make the whole
/// JSON around it unreadable.
[[nodiscard]] std::string as_utf8(std::string_view text);

/// The text on one line of UTF-8: control characters (of Latin-1's upper half too) are blanks, and
/// of more than `bytes_max` only the end is kept, behind "…".
[[nodiscard]] std::string on_one_line(std::string_view text, std::size_t bytes_max);

/// "its clock is 90 s behind", for a node that has told its time; empty where it is right as far as
/// one can tell: the message may have been on its way for a while. Pure.
[[nodiscard]] std::string clock_problem(Millis theirs, Millis now);
/// "a c4.large could not be started: WHY (failed 3 times in a row; the next try is in 8 s)".
/// `failures`: from 1.
[[nodiscard]] std::string launch_trouble(std::string_view type, std::string_view why, int failures,
                                         std::int64_t next_try_ms);

}  // namespace cox::head
