#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace cox::cli {

/// A column of a table. Cells that are all numbers stand to the right, where that is allowed: names
/// that look like numbers stay what they are.
struct Column {
  std::string name;
  bool may_be_numeric = false;
};

/// tabulate's "simple" layout: a header, dashes, rows; two blanks between columns, none at a line's
/// end. A column is as wide as its longest cell, and at least two wider than its name. Pure.
[[nodiscard]] std::string render_table(const std::vector<Column>& columns,
                                       const std::vector<std::vector<std::string>>& rows);

using Details = std::vector<std::pair<std::string, std::string>>;

/// One `key : value` a line, the key padded to 25, and 25 dashes after every item. No items: a
/// line that says so. Pure.
[[nodiscard]] std::string render_details(const std::vector<Details>& items);

/// 2018-11-29T17:14:34+00:00 in the local time zone; "-" for 0.
[[nodiscard]] std::string render_date(std::int64_t ms);

/// 2021-07-15T01:22:02.655Z.
[[nodiscard]] std::string render_utc(std::int64_t ms);

}  // namespace cox::cli
