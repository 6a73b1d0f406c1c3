#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cox {

/// The pieces of `text` between `separator`s, empty ones included; {""} for an empty text. Pure.
[[nodiscard]] std::vector<std::string> split(std::string_view text, char separator);

/// `text` without blanks, tabs and line ends at both ends. Pure.
[[nodiscard]] std::string_view trim(std::string_view text);

/// `parts` with `separator` between them. Pure.
[[nodiscard]] std::string join(const std::vector<std::string>& parts, std::string_view separator);

/// The whole of `text` as a decimal integer; nothing when any other character is in it. Pure.
[[nodiscard]] std::optional<std::int64_t> to_int(std::string_view text);

/// ASCII letters lowered or raised. Pure.
[[nodiscard]] std::string to_lower(std::string_view text);
[[nodiscard]] std::string to_upper(std::string_view text);

/// `word` as one word of a POSIX shell, quoted only where it must be: `it's` → `'it'"'"'s'`
/// (the form of Python's shlex.quote). Pure.
[[nodiscard]] std::string shell_quote(std::string_view word);

/// `words` quoted one by one and joined by blanks. Pure.
[[nodiscard]] std::string shell_quote(const std::vector<std::string>& words);

/// The candidate nearest to `word` by edit distance, when it is near enough to be a misspelling
/// of it (at most a third of its length, at least one letter). Pure.
[[nodiscard]] std::optional<std::string> nearest(std::string_view word,
                                                 const std::vector<std::string>& candidates);

}  // namespace cox
