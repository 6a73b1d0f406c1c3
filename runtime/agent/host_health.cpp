#include "runtime/agent/host_health.hpp"

#include <fmt/format.h>
#include <sys/statvfs.h>

#include <chrono>
#include <cstdlib>

#include "runtime/base/text.hpp"
#include "runtime/os/files.hpp"

namespace cox::agent {

namespace {

constexpr std::chrono::seconds kEvery{5};
constexpr std::int64_t kClockJumpMs = 1000;
constexpr std::int64_t kDiskMiB = 64;
constexpr std::int64_t kMemoryMiB = 64;
constexpr std::int64_t kMoreMiB = 32;

std::int64_t clock_offset_ms() {
  const auto going = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::steady_clock::now().time_since_epoch());
  return os::SystemClock().now().value - going.count();
}

/// "MemAvailable:   123456 kB"; a machine that does not say has enough.
std::int64_t available_memory_mib() {
  constexpr std::int64_t kEnough = 1 << 20;
  const auto text = os::read_file("/proc/meminfo", 64 * 1024);
  if (!text) return kEnough;
  for (const auto& line : split(*text, '\n')) {
    if (!line.starts_with("MemAvailable:")) continue;
    const auto words = trim(std::string_view(line).substr(13));
    const auto kib = to_int(words.substr(0, words.find(' ')));
    return kib ? *kib / 1024 : kEnough;
  }
  return kEnough;
}

HostRoom room_of(const std::string& directory) {
  HostRoom room;
  struct statvfs seen {};
  if (::statvfs(directory.c_str(), &seen) == 0) {
    room.disk_mib = static_cast<std::int64_t>(seen.f_bavail) *
                    static_cast<std::int64_t>(seen.f_frsize) / (1 << 20);
  }
  room.memory_mib = available_memory_mib();
  return room;
}

}  // namespace

std::string problem_of(const HostRoom& room, bool told) {
  const std::int64_t more = told ? kMoreMiB : 0;
  if (room.disk_mib < kDiskMiB + more) {
    return fmt::format("its disk is full: {} MiB are left for jobs' directories", room.disk_mib);
  }
  if (room.memory_mib < kMemoryMiB + more) {
    return fmt::format("it is out of memory: {} MiB are left", room.memory_mib);
  }
  return {};
}

void HostHealth::watch() {
  problem_ = problem_of(room_of(directory_), false);
  clock_offset_ms_ = clock_offset_ms();
  look_later();
}

void HostHealth::look_later() {
  timer_ = loop_.after(kEvery, [this] {
    look();
    look_later();
  });
}

void HostHealth::look() {
  auto problem = problem_of(room_of(directory_), !problem_.empty());
  const auto offset = clock_offset_ms();
  const bool jumped = std::abs(offset - clock_offset_ms_) > kClockJumpMs;
  // How much is left changes all the time; that it is too little is the news.
  if (problem.empty() == problem_.empty() && !jumped) return;
  problem_ = std::move(problem);
  clock_offset_ms_ = offset;
  tell_again();
}

void HostHealth::tell_again() {
  if (timer_) tell_({os::SystemClock().now().value, problem_});
}

}  // namespace cox::agent
