#include "launcher/provider/hosts_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <vector>

#include "runtime/base/text.hpp"
#include "runtime/os/fd.hpp"
#include "runtime/os/files.hpp"

namespace cox::provider {
namespace {

std::vector<std::int64_t> numbers_of(const std::string& address) {
  std::vector<std::int64_t> numbers;
  for (const std::string& part : split(address, '.')) numbers.push_back(to_int(part).value_or(0));
  return numbers;
}

}  // namespace

std::string render_hosts(const std::map<NodeId, HostLine>& nodes) {
  std::vector<HostLine> lines;
  for (const auto& [id, line] : nodes) lines.push_back(line);
  std::sort(lines.begin(), lines.end(), [](const HostLine& a, const HostLine& b) {
    return numbers_of(a.address) < numbers_of(b.address);
  });
  std::string text = "127.0.0.1 localhost\n";
  for (const HostLine& line : lines) text += fmt::format("{} {}\n", line.address, line.hostname);
  return text;
}

Result<void> write_hosts(const std::string& path, const std::map<NodeId, HostLine>& nodes) {
  const std::string text = render_hosts(nodes);
  const os::Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!file || ::flock(file.get(), LOCK_EX) != 0) return fail(os::errno_error(errno, path));
  const ssize_t written = ::pwrite(file.get(), text.data(), text.size(), 0);
  if (written != static_cast<ssize_t>(text.size())) return fail(os::errno_error(errno, path));
  if (::ftruncate(file.get(), static_cast<off_t>(text.size())) != 0) {
    return fail(os::errno_error(errno, path));
  }
  return {};
}

}  // namespace cox::provider
