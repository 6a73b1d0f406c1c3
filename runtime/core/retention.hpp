#pragma once

#include <optional>

#include "runtime/base/units.hpp"

namespace cox::core {

/// What logs hold from before this moment is removed; nothing where they are kept for good (0
/// days). Pure.
[[nodiscard]] std::optional<Millis> logs_kept_from(int retention_days, Millis now);

}  // namespace cox::core
