#pragma once

#include <boost/json/fwd.hpp>
#include <string>
#include <vector>

#include "runtime/core/scaling_day.hpp"

/// The report of `cox simulate --scaling`.
namespace cox::cli {

/// What was asked for, with the types by their names.
struct DayWords {
  core::DayOptions options;
  std::vector<std::string> types{"optimal"};
};

[[nodiscard]] std::string day_text(const core::DayReport& report, const DayWords& words);
[[nodiscard]] boost::json::object day_json(const core::DayReport& report, const DayWords& words);

}  // namespace cox::cli
