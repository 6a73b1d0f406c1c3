#include "launcher/config/key_rule.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "runtime/base/text.hpp"

namespace cox::config {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || is_digit(c); }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); }

template <class Allowed>
bool holds_only(std::string_view text, Allowed allowed) {
  return std::all_of(text.begin(), text.end(), allowed);
}

/// The parts of an id's rule: "fc-/x8-18" is the prefix "fc-" and 8 to 18 hexadecimal digits.
struct IdRule {
  std::string prefix;
  bool hex = false;
  std::size_t least = 8;
  std::size_t most = 17;
  bool only_ends = true;  ///< nothing between least and most
};

constexpr std::size_t kAnyLength = 1000;

IdRule id_rule(std::string_view rule) {
  IdRule parsed;
  const auto slash = rule.find('/');
  parsed.prefix = std::string(rule.substr(0, slash));
  if (slash == std::string_view::npos) return parsed;
  auto digits = rule.substr(slash + 1);
  parsed.hex = digits.starts_with("x");
  if (parsed.hex) digits.remove_prefix(1);
  const auto dash = digits.find('-');
  const auto number = [](std::string_view word, std::size_t absent) {
    const auto value = to_int(word);
    return value ? static_cast<std::size_t>(*value) : absent;
  };
  parsed.least = number(digits.substr(0, dash), 0);
  parsed.most =
      dash == std::string_view::npos ? parsed.least : number(digits.substr(dash + 1), kAnyLength);
  parsed.only_ends = dash == std::string_view::npos;
  return parsed;
}

bool is_id_rule(std::string_view rule) {
  return rule.substr(0, rule.find('/')).ends_with("-") && !rule.starts_with("#");
}

bool is_id(const std::string& word, const IdRule& rule) {
  if (!word.starts_with(rule.prefix)) return false;
  const auto rest = std::string_view(word).substr(rule.prefix.size());
  const bool fits = rule.only_ends ? rest.size() == rule.least || rest.size() == rule.most
                                   : rest.size() >= rule.least && rest.size() <= rule.most;
  return fits && (rule.hex ? holds_only(rest, is_hex) : holds_only(rest, is_lower_or_digit));
}

std::string id_pattern(const IdRule& rule) {
  const auto set = rule.hex ? "[0-9a-f]" : "[0-9a-z]";
  if (!rule.only_ends) {
    return fmt::format("^{}{}{{{},{}}}$", rule.prefix, set, rule.least,
                       rule.most == kAnyLength ? "" : std::to_string(rule.most));
  }
  if (rule.least == rule.most) return fmt::format("^{}{}{{{}}}$", rule.prefix, set, rule.most);
  return fmt::format("^{0}{1}{{{2}}}$|^{0}{1}{{{3}}}$", rule.prefix, set, rule.least, rule.most);
}

/// Decimal digits only, from 0 to `most`.
bool is_number_to(std::string_view text, std::int64_t most) {
  const auto value = text.size() <= 3 && holds_only(text, is_digit) ? to_int(text) : std::nullopt;
  return value && *value <= most;
}

bool is_ipv4(std::string_view word) {
  const auto bytes = split(word, '.');
  return bytes.size() == 4 && std::all_of(bytes.begin(), bytes.end(), [](const std::string& byte) {
           return is_number_to(byte, 255);
         });
}

bool is_cidr(const std::string& word) {
  const auto slash = word.find('/');
  return slash != std::string::npos && is_number_to(word.substr(slash + 1), 32) &&
         is_ipv4(word.substr(0, slash));
}

bool is_time(std::string_view word) {
  return word.size() == 5 && word[2] == ':' && is_number_to(word.substr(0, 2), 23) &&
         is_number_to(word.substr(3), 59);
}

bool is_plain_path(const std::string& word) {
  const auto path = word.starts_with("/") ? word.substr(1) : word;
  const auto parts = split(path, '/');
  return std::all_of(parts.begin(), parts.end(), [](const std::string& part) {
    return !part.empty() && part[0] != '.' && part.find('\\') == std::string::npos &&
           std::none_of(part.begin(), part.end(),
                        [](char c) { return static_cast<unsigned char>(c) < 0x20; });
  });
}

bool is_arn_of(const std::string& word, std::string_view kind) {
  if (!word.starts_with("arn:")) return false;
  const auto has = [&](std::string_view part) { return word.find(part) != std::string::npos; };
  if (kind == "password") {
    return (has(":secretsmanager:") && has(":secret:")) || (has(":ssm:") && has(":parameter/"));
  }
  if (kind == "secret") return has(":secret");
  return has(fmt::format(":{}/", kind));
}

bool is_source(const std::string& word) {
  const auto colon = word.find(":/");
  return word == "existing" || word == "staged" ||
         (colon != std::string::npos && colon > 0 && colon + 2 < word.size());
}

bool is_word(const std::string& word) {
  return !word.empty() && word.size() <= 64 &&
         holds_only(word, [](char c) { return is_lower_or_digit(c) || c == '_'; });
}

bool is_line(const std::string& word) {
  return !word.empty() && word.size() <= 4096 &&
         holds_only(word, [](char c) { return c != '\n' && c != '\r' && c != '\0'; });
}

bool is_bucket(const std::string& word) {
  return !word.empty() && holds_only(word, [](char c) {
    return is_lower_or_digit(c) || c == '*' || c == '-' || c == '.';
  });
}

/// A form that a whole text must have.
struct Form {
  const char* rule;
  bool (*holds)(const std::string&);
  const char* is_not;     ///< behind the text itself
  const char* described;  ///< for people
  const char* pattern;
};

constexpr Form kForms[] = {
    {"bucket", is_bucket, "is not the name of a bucket.", "the name of a bucket",
     R"(^[*a-z0-9.-]+$)"},
    {"cidr",
     [](const std::string& word) { return is_cidr(word) || is_id(word, id_rule("pl-/8-17")); },
     "is neither a range of IPv4 addresses such as 10.0.0.0/8 nor the id of a prefix list.",
     "a range of IPv4 addresses such as 10.0.0.0/8, or the id of a prefix list",
     R"(^([0-9]{1,3}\.){3}[0-9]{1,3}/[0-9]{1,2}$|^pl-[0-9a-z]{8,17}$)"},
    {"ipv4", [](const std::string& word) { return is_ipv4(word); },
     "is not an IPv4 address such as 127.0.0.1.", "an IPv4 address",
     R"(^([0-9]{1,3}\.){3}[0-9]{1,3}$)"},
    {"mount", is_plain_path, "is not a plain path: no part of it may be empty or begin with a dot",
     "a plain path", R"(^/?[^/.\\][^/\\]*(/[^/.\\][^/]*)*$)"},
    {"source", is_source, "is none of existing, staged and SERVER:/EXPORT.",
     "existing, staged or SERVER:/EXPORT", R"(^(existing|staged|.+:/.+)$)"},
    {"time", [](const std::string& word) { return is_time(word); },
     "is not a time of day such as 05:00.", "a time of day such as 05:00",
     R"(^([01]\d|2[0-3]):([0-5]\d)$)"},
    {"week-time",
     [](const std::string& word) {
       return word.size() == 7 && word[0] >= '1' && word[0] <= '7' && word[1] == ':' &&
              is_time(std::string_view(word).substr(2));
     },
     "is not a day of the week and a time such as 1:05:00.",
     "a day of the week (1 to 7) and a time: 1:05:00", R"(^[1-7]:([01]\d|2[0-3]):([0-5]\d)$)"},
    {"word", is_word, "may hold lower-case letters, digits and _ only, 64 at most.",
     "1 to 64 lower-case letters, digits and _", R"(^[0-9a-z_]{1,64}$)"},
    {"line", is_line, "is not one line of 1 to 4096 characters.", "a line of 1 to 4096 characters",
     R"(^[^\r\n]{1,4096}$)"},
    {"arn:policy", [](const std::string& word) { return is_arn_of(word, "policy"); },
     "is not an ARN such as arn:aws:iam::123456789012:policy/NAME.", "the ARN of a policy",
     "^arn:.*:policy/"},
    {"arn:role", [](const std::string& word) { return is_arn_of(word, "role"); },
     "is not an ARN such as arn:aws:iam::123456789012:role/NAME.", "the ARN of a role",
     "^arn:.*:role/"},
    {"arn:instance-profile",
     [](const std::string& word) { return is_arn_of(word, "instance-profile"); },
     "is not an ARN such as arn:aws:iam::123456789012:instance-profile/NAME.",
     "the ARN of an instance profile", "^arn:.*:instance-profile/"},
    {"arn:s3",
     [](const std::string& word) {
       return word == "*" || (word.starts_with("arn:") && word.find(":s3:::") != std::string::npos);
     },
     "is not an ARN such as arn:aws:s3:::BUCKET/*.", "the ARN of a bucket or of what is in it",
     "^arn:.*:s3:::"},
    {"arn:secret", [](const std::string& word) { return is_arn_of(word, "secret"); },
     "is not an ARN such as arn:aws:secretsmanager:us-east-1:123456789012:secret:NAME.",
     "the ARN of a secret", "^arn:.*:secret"},
    {"arn:password", [](const std::string& word) { return is_arn_of(word, "password"); },
     "is not the ARN of a secret or of a parameter, such as "
     "arn:aws:secretsmanager:us-east-1:123456789012:secret:NAME.",
     "the ARN of a secret or of a parameter",
     "^arn:.*:(secretsmanager:.*:.*:secret:|ssm:.*:.*:parameter/).*$"},
};

const Form* find_form(std::string_view rule) {
  const auto* found = std::find_if(std::begin(kForms), std::end(kForms),
                                   [&](const Form& form) { return rule == form.rule; });
  return found == std::end(kForms) ? nullptr : found;
}

bool is_range(std::string_view rule) {
  return rule.starts_with(">=") ||
         (rule.find("..") != std::string_view::npos && !rule.starts_with("#"));
}

bool is_list_of_choices(std::string_view rule) {
  return !rule.empty() && rule[0] != '#' && rule[0] != '~' && !is_range(rule) &&
         !is_id_rule(rule) && find_form(rule) == nullptr;
}

std::string not_one_of(const std::string& word, const std::vector<std::string>& allowed) {
  const auto near = nearest_word(word, allowed);
  return fmt::format("Must be one of: {}.{}", join(allowed, ", "),
                     near ? fmt::format(" Did you mean {}?", *near) : "");
}

std::vector<std::string> words_of(std::string_view rules) {
  auto words = split(rules, ' ');
  std::erase(words, "");
  return words;
}

std::optional<std::string> one_text_fault(const std::string& rule, const std::string& word) {
  if (rule[0] == '#') return std::nullopt;
  if (rule[0] == '~') {
    const auto most = most_characters_of(rule).value_or(0);
    const auto is_first_byte = [](char c) {
      return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
    };
    const auto characters = std::count_if(word.begin(), word.end(), is_first_byte);
    if (static_cast<std::size_t>(characters) <= most) return std::nullopt;
    return fmt::format("Longer than maximum length {}.", most);
  }
  if (const auto* form = find_form(rule)) {
    if (form->holds(word)) return std::nullopt;
    const bool quoted = rule == "mount" || word.empty();
    const auto shown = quoted ? fmt::format("'{}'", word) : word;
    return fmt::format("{} {}", shown, form->is_not);
  }
  if (is_id_rule(rule)) {
    const auto id = id_rule(rule);
    if (is_id(word, id)) return std::nullopt;
    return fmt::format("{} is not an id such as {}0123456789abcdef0.", word, id.prefix);
  }
  const auto allowed = split(rule, '|');
  if (std::find(allowed.begin(), allowed.end(), word) != allowed.end()) return std::nullopt;
  return not_one_of(word, allowed);
}

}  // namespace

std::optional<std::string> text_fault(std::string_view rules, const std::string& word) {
  for (const auto& rule : words_of(rules)) {
    if (auto fault = one_text_fault(rule, word)) return fault;
  }
  return std::nullopt;
}

std::optional<std::string> nearest_word(const std::string& word,
                                        const std::vector<std::string>& allowed) {
  return to_int(word) ? std::nullopt : nearest(word, allowed);
}

std::optional<std::string> integer_fault(std::string_view rule, std::int64_t value) {
  if (const auto allowed = choices_of(rule); !allowed.empty()) {
    const auto word = std::to_string(value);
    if (std::find(allowed.begin(), allowed.end(), word) != allowed.end()) return std::nullopt;
    return not_one_of(word, allowed);
  }
  const auto range = range_of(rule);
  if (!range) return std::nullopt;
  if (!range->most && value < range->least) {
    return fmt::format("Must be greater than or equal to {}.", range->least);
  }
  if (range->most && (value < range->least || value > *range->most)) {
    return fmt::format("Must be from {} to {}.", range->least, *range->most);
  }
  return std::nullopt;
}

std::optional<std::string> number_fault(std::string_view rule, double value) {
  const auto range = range_of(rule);
  if (!range) return std::nullopt;
  const bool low = !(value >= static_cast<double>(range->least));
  if (!range->most) {
    return low ? std::optional(fmt::format("Must be greater than or equal to {}.", range->least))
               : std::nullopt;
  }
  if (!low && value <= static_cast<double>(*range->most)) return std::nullopt;
  return fmt::format("Must be from {} to {}.", range->least, *range->most);
}

std::optional<std::string> length_fault(std::string_view rules, std::size_t size) {
  const auto lengths = lengths_of(rules);
  if (!lengths) return std::nullopt;
  if (lengths->least == lengths->most && size != lengths->most) {
    return fmt::format("Length must be {}.", lengths->most);
  }
  if (size > lengths->most) return fmt::format("Longer than maximum length {}.", lengths->most);
  if (size < lengths->least) return fmt::format("Shorter than minimum length {}.", lengths->least);
  return std::nullopt;
}

std::optional<Lengths> lengths_of(std::string_view rules) {
  for (const auto& rule : words_of(rules)) {
    if (rule[0] != '#') continue;
    auto number = rule.substr(1);
    const auto dots = number.find("..");
    const auto value = [](const std::string& digits) {
      return static_cast<std::size_t>(to_int(digits).value_or(0));
    };
    if (dots != std::string::npos) {
      return Lengths{value(number.substr(0, dots)), value(number.substr(dots + 2))};
    }
    const bool exactly = number.ends_with("!");
    if (exactly) number.pop_back();
    return Lengths{exactly ? value(number) : 0, value(number)};
  }
  return std::nullopt;
}

std::optional<Range> range_of(std::string_view rules) {
  for (const auto& rule : words_of(rules)) {
    if (rule.starts_with(">=")) return Range{to_int(rule.substr(2)).value_or(0), std::nullopt};
    if (!is_range(rule)) continue;
    const auto dots = rule.find("..");
    return Range{to_int(rule.substr(0, dots)).value_or(0), to_int(rule.substr(dots + 2))};
  }
  return std::nullopt;
}

std::vector<std::string> choices_of(std::string_view rules) {
  for (const auto& rule : words_of(rules)) {
    if (is_list_of_choices(rule)) return split(rule, '|');
  }
  return {};
}

std::string pattern_of(std::string_view rules) {
  for (const auto& rule : words_of(rules)) {
    if (const auto* form = find_form(rule)) return form->pattern;
    if (is_id_rule(rule)) return id_pattern(id_rule(rule));
  }
  return {};
}

std::optional<std::size_t> most_characters_of(std::string_view rules) {
  for (const auto& rule : words_of(rules)) {
    if (rule[0] == '~') return static_cast<std::size_t>(to_int(rule.substr(1)).value_or(0));
  }
  return std::nullopt;
}

std::string describe_rules(std::string_view rules) {
  std::vector<std::string> said;
  if (const auto lengths = lengths_of(rules)) {
    if (lengths->least == lengths->most) {
      said.push_back(fmt::format("exactly {} items", lengths->most));
    } else if (lengths->least == 0) {
      said.push_back(fmt::format("at most {} items", lengths->most));
    } else {
      said.push_back(fmt::format("{} to {} items", lengths->least, lengths->most));
    }
  }
  for (const auto& rule : words_of(rules)) {
    if (rule[0] == '~') {
      said.push_back(fmt::format("at most {} characters", rule.substr(1)));
    } else if (const auto* form = find_form(rule)) {
      said.emplace_back(form->described);
    } else if (is_id_rule(rule)) {
      said.push_back(fmt::format("an id {}…", id_rule(rule).prefix));
    } else if (is_list_of_choices(rule)) {
      said.push_back("one of " + join(split(rule, '|'), ", "));
    }
  }
  if (const auto range = range_of(rules)) {
    said.push_back(range->most ? fmt::format("{} to {}", range->least, *range->most)
                               : fmt::format("at least {}", range->least));
  }
  return join(said, "; ");
}

}  // namespace cox::config
