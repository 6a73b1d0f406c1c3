#pragma once

#include <fmt/format.h>

#include <string>
#include <utility>

#include "runtime/base/result.hpp"

/// The log of a daemon: one line an event, with time and level.
namespace cox::os {

enum class LogLevel { info, warning, error };

/// Sends what follows to this file (appended) in place of stderr.
[[nodiscard]] Result<void> open_log(const std::string& path);

/// Control characters are written as \x0a, so that an event stays one line.
void log_line(LogLevel level, const std::string& text);

template <class... Args>
void log_info(fmt::format_string<Args...> text, Args&&... args) {
  log_line(LogLevel::info, fmt::format(text, std::forward<Args>(args)...));
}
template <class... Args>
void log_warn(fmt::format_string<Args...> text, Args&&... args) {
  log_line(LogLevel::warning, fmt::format(text, std::forward<Args>(args)...));
}
template <class... Args>
void log_error(fmt::format_string<Args...> text, Args&&... args) {
  log_line(LogLevel::error, fmt::format(text, std::forward<Args>(args)...));
}

}  // namespace cox::os
