#include "launcher/cli/client_log.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <utility>

#include "runtime/base/text.hpp"
#include "runtime/os/fd.hpp"
#include "runtime/os/files.hpp"

namespace cox::cli {

namespace {

constexpr off_t kSizeMax = 5 << 20;

struct ClientLog {
  os::Fd file;
  LogLevel least = LogLevel::error;
};

ClientLog& current() {
  static ClientLog log;
  return log;
}

constexpr std::array<std::pair<std::string_view, LogLevel>, 8> kLevels{
    {{"DEBUG", LogLevel::debug},
     {"INFO", LogLevel::info},
     {"WARNING", LogLevel::warning},
     {"ERROR", LogLevel::error},
     {"CRITICAL", LogLevel::critical},
     {"NOTSET", LogLevel::debug},
     {"WARN", LogLevel::warning},
     {"FATAL", LogLevel::critical}}};

}  // namespace

std::optional<LogLevel> log_level_from(std::string_view word) {
  const auto upper = to_upper(word);
  for (const auto& [name, level] : kLevels) {
    if (name == upper) return level;
  }
  return std::nullopt;
}

std::string render_log_line(std::int64_t now_ms, LogLevel level, std::string_view place,
                            std::string_view text) {
  std::string_view name;
  for (const auto& [candidate, value] : kLevels) {
    if (value == level && name.empty()) name = candidate;
  }
  const std::time_t seconds = now_ms / 1000;
  std::tm parts{};
  ::localtime_r(&seconds, &parts);
  std::array<char, 32> date{};
  std::strftime(date.data(), date.size(), "%Y-%m-%d %H:%M:%S", &parts);
  return fmt::format("{},{:03} {} [{}] {}\n", date.data(), now_ms % 1000, name, place,
                     join(split(text, '\n'), "\\n"));
}

namespace {

/// ~/.parallelcluster, made; nothing where that cannot be.
std::string log_directory() {
  const char* home = std::getenv("HOME");
  if (home == nullptr || *home == '\0') return "";
  auto directory = std::string(home) + "/.parallelcluster";
  return os::make_directories(directory, 0755) ? directory : "";
}

void open_log(const std::string& path, LogLevel least) {
  struct stat seen {};
  if (::stat(path.c_str(), &seen) == 0 && seen.st_size > kSizeMax) {
    std::rename(path.c_str(), (path + ".1").c_str());
  }
  current().file = os::Fd(::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644));
  current().least = least;
}

}  // namespace

void open_client_log(LogLevel least) {
  if (const auto directory = log_directory(); !directory.empty()) {
    open_log(directory + "/awsbatch-cli.log", least);
  }
}

void open_pcluster_log() {
  const char* named = std::getenv("PCLUSTER_LOG_FILE");
  if (named != nullptr && *named != '\0') return open_log(named, LogLevel::info);
  if (const auto directory = log_directory(); !directory.empty()) {
    open_log(directory + "/pcluster-cli.log", LogLevel::info);
  }
}

void client_log(LogLevel level, std::string_view place, std::string_view text) {
  auto& log = current();
  if (!log.file || level < log.least) return;
  const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::system_clock::now().time_since_epoch());
  const auto written =
      os::write_all(log.file.get(), render_log_line(now.count(), level, place, text));
  if (!written) log.file = os::Fd();
}

}  // namespace cox::cli
