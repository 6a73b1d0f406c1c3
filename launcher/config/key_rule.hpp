#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// What a key's value must keep, in one word each. A key may have several, separated by blanks.
///
///   a|b|c         one of these
///   >=0  1..100   a range of numbers
///   #1..50        so many items of a list; #5: at most; #1!: exactly
///   ~128          at most so many characters
///   subnet-       an id: the prefix and 8 or 17 letters and digits; "fsap-/17" 17 of them,
///                 "fc-/x8-18" 8 to 18 hexadecimal ones, "backup-/x8-" 8 or more
///   arn:role      an ARN with ":role/" (of arn:secret: ":secret"); arn:password, of a secret or of
///                 a parameter
///   bucket  cidr  ipv4  mount  source  time  week-time  word  line    see key_rule.cpp
namespace cox::config {

/// Why a text does not keep the rules; nothing when it does. Pure.
[[nodiscard]] std::optional<std::string> text_fault(std::string_view rules,
                                                    const std::string& word);

/// What a misspelt word may mean; nothing for a number, which is not near another one.
[[nodiscard]] std::optional<std::string> nearest_word(const std::string& word,
                                                      const std::vector<std::string>& allowed);

[[nodiscard]] std::optional<std::string> integer_fault(std::string_view rule, std::int64_t value);
[[nodiscard]] std::optional<std::string> number_fault(std::string_view rule, double value);

/// How many items a list may have; other rules are passed over. Pure.
[[nodiscard]] std::optional<std::string> length_fault(std::string_view rules, std::size_t size);

/// Least and most of "#1..50", "#5", "#1!"; nothing where no rule is about the number of items.
struct Lengths {
  std::size_t least = 0;
  std::size_t most = 0;
};
[[nodiscard]] std::optional<Lengths> lengths_of(std::string_view rules);

/// Least and most of ">=0" and "1..100".
struct Range {
  std::int64_t least = 0;
  std::optional<std::int64_t> most;
};
[[nodiscard]] std::optional<Range> range_of(std::string_view rules);

/// The words of "a|b|c"; none where no rule lists them.
[[nodiscard]] std::vector<std::string> choices_of(std::string_view rules);

/// The regular expression (of ECMAScript) that a text's rule means; empty where there is none.
[[nodiscard]] std::string pattern_of(std::string_view rules);

/// At most so many characters; nothing where no rule says.
[[nodiscard]] std::optional<std::size_t> most_characters_of(std::string_view rules);

/// The rules in words, for people; empty where there is none.
[[nodiscard]] std::string describe_rules(std::string_view rules);

}  // namespace cox::config
