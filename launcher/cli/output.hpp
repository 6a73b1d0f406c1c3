#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "launcher/cli/program.hpp"

namespace cox::cli {

/// Prints a line about what went wrong on err and keeps it in the log. Returns status 1.
/// `place`: "module:function".
int complain(Streams streams, std::string_view place, std::string_view text);

/// True when this stream shows colours: it is a terminal that can, and NO_COLOR is not set.
[[nodiscard]] bool shows_colour(int fd);

/// A job's or node's status in its colour, padded text and all. Pure.
[[nodiscard]] std::string coloured_status(const std::string& status, const std::string& text);

/// A colour for each rank, in turn. Pure.
[[nodiscard]] std::string coloured_rank(std::int64_t rank, const std::string& text);

/// A column of a table. Cells that are all numbers stand to the right, where that is allowed: names
/// that look like numbers stay what they are.
struct Column {
  std::string name;
  bool may_be_numeric = false;
  bool is_status = false;
};

/// tabulate's "simple" layout: a header, dashes, rows; two blanks between columns, none at a line's
/// end. A column is as wide as its longest cell, and at least two wider than its name.
/// `colour`: status columns in their colours. Pure.
[[nodiscard]] std::string render_table(const std::vector<Column>& columns,
                                       const std::vector<std::vector<std::string>>& rows,
                                       bool colour = false);

using Details = std::vector<std::pair<std::string, std::string>>;

/// One `key : value` a line, the key padded to 25, and 25 dashes after every item. No items: a
/// line that says so. `colour`: the key `status` in its colour. Pure.
[[nodiscard]] std::string render_details(const std::vector<Details>& items, bool colour = false);

/// 2018-11-29T17:14:34+00:00 in the local time zone; "-" for 0.
[[nodiscard]] std::string render_date(std::int64_t ms);

/// 2021-07-15T01:22:02.655Z.
[[nodiscard]] std::string render_utc(std::int64_t ms);

}  // namespace cox::cli
