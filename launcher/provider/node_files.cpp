#include "launcher/provider/node_files.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "runtime/base/text.hpp"
#include "runtime/os/files.hpp"

namespace cox::provider {

std::string node_directory(const std::string& cluster_directory, const NodeId& id) {
  return fmt::format("{}/nodes/{}", cluster_directory, id);
}

Result<ProcessMark> mark_of(int pid) {
  const auto stat = os::read_file(fmt::format("/proc/{}/stat", pid), 4096);
  if (!stat) return fail(Errc::not_found, "process {} does not exist", pid);
  // The program's name, in brackets, may hold blanks and brackets itself.
  const auto bracket = stat->rfind(") ");
  if (bracket == std::string::npos) return fail(Errc::not_found, "process {} is odd", pid);
  const auto fields = split(stat->substr(bracket + 2), ' ');
  constexpr std::size_t kState = 0;
  constexpr std::size_t kStartTime = 19;
  if (fields.size() <= kStartTime || fields[kState] == "Z" || fields[kState] == "X") {
    return fail(Errc::not_found, "process {} has ended", pid);
  }
  const auto start_time = to_int(fields[kStartTime]).value_or(0);
  return ProcessMark{pid, static_cast<unsigned long long>(start_time)};
}

std::string render_mark(const ProcessMark& mark) {
  return fmt::format("{} {}\n", mark.pid, mark.start_time);
}

Result<ProcessMark> parse_mark(const std::string& text) {
  const auto parts = split(trim(text), ' ');
  const auto pid = parts.size() == 2 ? to_int(parts[0]) : std::nullopt;
  const auto start_time = parts.size() == 2 ? to_int(parts[1]) : std::nullopt;
  if (!pid || !start_time || *pid <= 0 || *pid > 0x7fffffff) {
    return fail(Errc::not_found, "'{}' does not name a process", trim(text));
  }
  return ProcessMark{static_cast<int>(*pid), static_cast<unsigned long long>(*start_time)};
}

Result<ProcessMark> living_first_process(const std::string& cluster_directory, const NodeId& id) {
  const auto text = os::read_file(node_directory(cluster_directory, id) + "/pid", 256);
  if (!text) return fail(Errc::not_found, "node {} does not exist", id);
  const auto mark = parse_mark(*text);
  if (!mark) return fail(within("node " + id.value, mark.error()));
  const auto now = mark_of(mark->pid);
  if (!now || *now != *mark) return fail(Errc::not_found, "node {} has ended", id);
  return mark;
}

Result<void> write_note(const std::string& path, const std::string& text) {
  const os::Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!file) return fail(os::errno_error(errno, path));
  return os::write_all(file.get(), text);
}

std::vector<NodeId> nodes_on_disk(const std::string& cluster_directory) {
  std::vector<NodeId> ids;
  std::error_code error;
  for (const auto& entry :
       std::filesystem::directory_iterator(cluster_directory + "/nodes", error)) {
    ids.emplace_back(entry.path().filename().string());
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

}  // namespace cox::provider
