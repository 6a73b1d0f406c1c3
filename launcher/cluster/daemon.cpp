#include "launcher/cluster/daemon.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>

#include "launcher/cluster/lifecycle.hpp"
#include "launcher/cluster/processes.hpp"
#include "runtime/base/text.hpp"
#include "runtime/os/files.hpp"
#include "runtime/os/frame_link.hpp"
#include "runtime/os/process.hpp"

namespace cox::cluster {

namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kStartTime = std::chrono::seconds(90);  // it may pack the agent for hosts

/// coxd says one line when it serves, or why it does not. The line, or what its silence means.
Result<void> read_ready_line(const os::Fd& pipe) {
  std::string line;
  const auto end = Clock::now() + kStartTime;
  std::array<char, 1024> piece{};
  while (line.find('\n') == std::string::npos) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now());
    pollfd watched{pipe.get(), POLLIN, 0};
    const int seen = left.count() <= 0 ? 0 : ::poll(&watched, 1, static_cast<int>(left.count()));
    if (seen < 0 && errno == EINTR) continue;
    if (seen <= 0)
      return fail(Errc::unavailable, "the cluster's daemon did not start within {} s",
                  kStartTime.count());
    const auto got = ::read(pipe.get(), piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return fail(Errc::unavailable, "the cluster's daemon ended without a word");
    line.append(piece.data(), static_cast<std::size_t>(got));
  }
  const auto said = line.substr(0, line.find('\n'));
  if (said == "ok") return {};
  return fail(Errc::unavailable, "{}", said);
}

}  // namespace

std::string socket_of(const std::string& directory) { return directory + "/api/api.sock"; }

bool is_there(const std::string& path) {
  struct stat seen {};
  return ::lstat(path.c_str(), &seen) == 0;
}

Result<os::Fd> lock_directory(const std::string& path, bool wait) {
  os::Fd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return fail(os::errno_error(errno, path));
  while (::flock(directory.get(), LOCK_EX | (wait ? 0 : LOCK_NB)) != 0) {
    if (errno != EINTR) return fail(Errc::unavailable, "{} is being changed", path);
  }
  return directory;
}

bool is_attended(const std::string& directory) {
  return !lock_directory(directory, false) || !daemons_of(directory).empty();
}

Result<void> start_daemon(const std::string& directory) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail(os::errno_error(errno, "pipe"));
  const os::Fd ready(ends[0]);
  os::Fd told(ends[1]);
  const os::Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  os::SpawnSpec spec;
  spec.argv = {os::program_directory() + "/coxd", "--cluster-dir", directory, "--ready-fd", "3"};
  spec.descriptors = {{null.get(), 0}, {null.get(), 1}, {null.get(), 2}, {told.get(), 3}};
  spec.new_session = true;
  const auto pid = os::spawn(spec);
  if (!pid) return fail(within("the cluster's daemon", pid.error()));
  told.reset();
  return read_ready_line(ready);
}

Result<void> check_name(const std::string& name) {
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  const bool good =
      name.size() >= 2 && is_letter(name[0]) && std::all_of(name.begin(), name.end(), [&](char c) {
        return is_letter(c) || (c >= '0' && c <= '9') || c == '-';
      });
  if (!good) {
    return fail(
        Errc::invalid_argument,
        "'{}' does not match '^[a-zA-Z][a-zA-Z0-9-]+$': a letter, then letters, digits and hyphens",
        name);
  }
  if (name.size() > 60) {
    return fail(Errc::invalid_argument, "'{}' is longer than 60 characters", name);
  }
  return {};
}

Result<void> ensure_running(const std::string& name) {
  const auto directory = directory_of(name);
  const auto record = current_record(name);
  if (!record) return fail(record.error());
  if (os::connect_unix(socket_of(directory))) return {};
  if (!is_made(record->status)) {
    return fail(Errc::unavailable, "cluster {} is {}{}{}", name, record->status,
                record->status_reason.empty() ? "" : ": ", record->status_reason);
  }
  auto started = start_daemon(directory);
  // Somebody else may have started it at the same moment; theirs may need a while to serve.
  const auto end = Clock::now() + kStartTime;
  while (!started && !daemons_of(directory).empty() && Clock::now() < end) {
    if (os::connect_unix(socket_of(directory))) return {};
    ::poll(nullptr, 0, 20);
  }
  if (!started && os::connect_unix(socket_of(directory))) return {};
  return started;
}

Result<os::Fd> connect(const std::string& name) {
  const auto directory = directory_of(name);
  auto socket = os::connect_unix(socket_of(directory));
  if (socket) return socket;
  if (auto running = ensure_running(name); !running) return fail(running.error());
  return os::connect_unix(socket_of(directory));
}

Result<Record> settle(const std::string& name) {
  auto record = current_record(name);
  if (!record || record->status != "UPDATE_IN_PROGRESS") return record;
  if (!daemons_of(directory_of(name)).empty()) return record;
  if (auto running = ensure_running(name); !running) return fail(running.error());
  return current_record(name);
}

bool exists(const std::string& name) { return check_name(name) && is_there(directory_of(name)); }

Result<Record> current_record(const std::string& name) {
  if (!check_name(name)) return fail(Errc::not_found, "cluster {} does not exist", name);
  const auto directory = directory_of(name);
  auto record = load_record(directory);
  if (!record && record.error().code == Errc::not_found) {
    return fail(Errc::not_found, "cluster {} does not exist", name);
  }
  const auto has_ended = [&record] {
    // An update that a crash cut short is finished by the next daemon: settle().
    return !record || !record->status.ends_with("_IN_PROGRESS") || is_made(record->status);
  };
  if (has_ended() || is_attended(directory)) return record;
  // It may have come to its end between the two looks.
  record = load_record(directory);
  if (has_ended()) return record;
  const bool making = record->status == "CREATE_IN_PROGRESS";
  record->status = making ? "CREATE_FAILED" : "DELETE_FAILED";
  record->status_reason = making ? "the daemon ended while the cluster was made"
                                 : "the deletion was interrupted: delete the cluster again";
  return record;
}

}  // namespace cox::cluster
