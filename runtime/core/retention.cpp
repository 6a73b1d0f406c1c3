#include "runtime/core/retention.hpp"

#include <cstdint>

namespace cox::core {

std::optional<Millis> logs_kept_from(int retention_days, Millis now) {
  constexpr std::int64_t kDayMs = 24LL * 3600 * 1000;
  if (retention_days <= 0) return std::nullopt;
  return now + -kDayMs * retention_days;
}

}  // namespace cox::core
