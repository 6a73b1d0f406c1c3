#include "launcher/cluster/processes.hpp"

#include <dirent.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "launcher/provider/node_files.hpp"
#include "runtime/base/text.hpp"
#include "runtime/os/files.hpp"

namespace cox::cluster {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kCommandLineMax = 1u << 16;

os::Fd open_process(int pid) { return os::Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))); }

std::string command_line_of(int pid) {
  return os::read_file(fmt::format("/proc/{}/cmdline", pid), kCommandLineMax).value_or("");
}

std::vector<int> all_processes() {
  std::vector<int> pids;
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir("/proc"), ::closedir);
  if (!directory) return pids;
  while (const dirent* entry = ::readdir(directory.get())) {
    if (const auto pid = to_int(entry->d_name)) pids.push_back(static_cast<int>(*pid));
  }
  return pids;
}

/// The same directory, however it is spelled.
bool is_same(const std::string& one, const std::string& other) {
  struct stat first {};
  struct stat second {};
  return !one.empty() &&
         (one == other ||
          (::stat(one.c_str(), &first) == 0 && ::stat(other.c_str(), &second) == 0 &&
           first.st_dev == second.st_dev && first.st_ino == second.st_ino));
}

bool serves(int pid, const std::string& cluster_directory) {
  return is_same(served_directory(command_line_of(pid)), cluster_directory);
}

}  // namespace

std::string served_directory(const std::string& command_line) {
  const auto words = split(command_line, '\0');
  const auto program = words[0].substr(words[0].rfind('/') + 1);
  const auto option = std::find(words.begin(), words.end(), "--cluster-dir");
  if (program != "coxd" || option == words.end() || option + 1 == words.end()) return {};
  return *(option + 1);
}

std::vector<HeldProcess> daemons_of(const std::string& cluster_directory) {
  std::vector<HeldProcess> found;
  for (const int pid : all_processes()) {
    if (!serves(pid, cluster_directory)) continue;
    // Held first, then looked at again: the number may have gone to another process between.
    auto handle = open_process(pid);
    if (handle && serves(pid, cluster_directory)) found.push_back({pid, std::move(handle)});
  }
  return found;
}

std::vector<HeldProcess> nodes_of(const std::string& cluster_directory) {
  std::vector<HeldProcess> found;
  for (const auto& node : provider::nodes_on_disk(cluster_directory)) {
    const auto mark = provider::living_first_process(cluster_directory, node);
    if (!mark) continue;
    auto handle = open_process(mark->pid);
    const auto now = provider::mark_of(mark->pid);
    if (handle && now && *now == *mark) found.push_back({mark->pid, std::move(handle)});
  }
  return found;
}

bool wait_for_end(const HeldProcess& process, std::chrono::milliseconds time) {
  const auto end = Clock::now() + time;
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now());
    pollfd watched{process.handle.get(), POLLIN, 0};
    const int seen = ::poll(&watched, 1, static_cast<int>(std::max<std::int64_t>(0, left.count())));
    if (seen > 0) return true;
    if (seen == 0 || errno != EINTR) return false;
  }
}

Result<void> kill_all(const std::vector<HeldProcess>& processes, std::chrono::milliseconds time) {
  for (const auto& process : processes) {
    const auto done = ::syscall(SYS_pidfd_send_signal, process.handle.get(), SIGKILL, nullptr, 0);
    if (done != 0 && errno != ESRCH) {
      return fail(Errc::unavailable, "process {} cannot be ended: {}", process.pid,
                  os::errno_error(errno, "kill").message);
    }
  }
  for (const auto& process : processes) {
    if (!wait_for_end(process, time)) {
      return fail(Errc::unavailable, "process {} does not end", process.pid);
    }
  }
  return {};
}

}  // namespace cox::cluster
