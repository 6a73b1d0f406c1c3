#include "runtime/os/log.hpp"

#include <fcntl.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <cstdio>
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

/// One line, whatever names and messages of others are in it.
std::string one_line(const std::string& text) {
  std::string line;
  line.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      line += fmt::format("\\x{:02x}", byte);
    } else {
      line += c;
    }
  }
  return line;
}

}  // namespace

Result<void> open_log(const std::string& path) {
  spdlog::file_event_handlers events;
  // Programs of jobs are started from daemons: none may inherit the log.
  events.after_open = [](const spdlog::filename_t&, std::FILE* file) {
    ::fcntl(::fileno(file), F_SETFD, FD_CLOEXEC);
  };
  try {
    auto made = std::make_shared<spdlog::logger>(
        "cox", std::make_shared<spdlog::sinks::basic_file_sink_mt>(path, false, events));
    made->set_pattern(kPattern);
    made->flush_on(spdlog::level::info);
    logger() = std::move(made);
  } catch (const spdlog::spdlog_ex& error) {
    return fail(Errc::internal, "{}: {}", path, error.what());
  }
  return {};
}

void log_line(LogLevel level, const std::string& text) {
  const auto line = one_line(text);
  switch (level) {
    case LogLevel::info:
      logger()->info(line);
      return;
    case LogLevel::warning:
      logger()->warn(line);
      return;
    case LogLevel::error:
      logger()->error(line);
      return;
  }
}

}  // namespace cox::os
