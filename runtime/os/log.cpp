#include "runtime/os/log.hpp"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>

namespace cox::os {

namespace {

constexpr const char* kPattern = "%Y-%m-%dT%H:%M:%S.%e%z %l %v";

std::shared_ptr<spdlog::logger>& logger() {
  static std::shared_ptr<spdlog::logger> instance = [] {
    auto made =
        std::make_shared<spdlog::logger>("cox", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern(kPattern);
    return made;
  }();
  return instance;
}

}  // namespace

Result<void> open_log(const std::string& path) {
  try {
    auto made = std::make_shared<spdlog::logger>(
        "cox", std::make_shared<spdlog::sinks::basic_file_sink_mt>(path));
    made->set_pattern(kPattern);
    made->flush_on(spdlog::level::info);
    logger() = std::move(made);
  } catch (const spdlog::spdlog_ex& error) {
    return fail(Errc::internal, "{}: {}", path, error.what());
  }
  return {};
}

void log_line(LogLevel level, const std::string& text) {
  switch (level) {
    case LogLevel::info:
      logger()->info(text);
      return;
    case LogLevel::warning:
      logger()->warn(text);
      return;
    case LogLevel::error:
      logger()->error(text);
      return;
  }
}

}  // namespace cox::os
