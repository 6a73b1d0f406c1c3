#include "launcher/cluster/lifecycle.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>

#include "launcher/provider/memory_cgroup.hpp"
#include "launcher/provider/node_files.hpp"
#include "runtime/base/text.hpp"
#include "runtime/os/event_loop.hpp"
#include "runtime/os/files.hpp"
#include "runtime/os/frame_link.hpp"
#include "runtime/os/http.hpp"
#include "runtime/os/process.hpp"

namespace cox::cluster {

namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kStartTime = std::chrono::seconds(30);
constexpr auto kEndTime = std::chrono::seconds(20);

std::string socket_of(const std::string& directory) { return directory + "/api/api.sock"; }

/// Waits until the process has ended. False when it has not within the time.
bool wait_for_end(int pid, std::chrono::milliseconds time) {
  const os::Fd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!process) return errno == ESRCH;
  pollfd watched{process.get(), POLLIN, 0};
  return ::poll(&watched, 1, static_cast<int>(time.count())) > 0;
}

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
    if (seen <= 0) return fail(Errc::unavailable, "the cluster's daemon did not start within 30 s");
    const auto got = ::read(pipe.get(), piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return fail(Errc::unavailable, "the cluster's daemon ended without a word");
    line.append(piece.data(), static_cast<std::size_t>(got));
  }
  const auto said = line.substr(0, line.find('\n'));
  if (said == "ok") return {};
  return fail(Errc::unavailable, "{}", said);
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

/// Kills a process by its number, unless the number is somebody else's by now.
void kill_daemon(int pid, const std::string& directory) {
  if (pid <= 1) return;
  const auto line = os::read_file(fmt::format("/proc/{}/cmdline", pid), 65536);
  if (!line || line->find("coxd") == std::string::npos ||
      line->find(directory) == std::string::npos) {
    return;
  }
  ::kill(pid, SIGKILL);
  wait_for_end(pid, kEndTime);
}

/// The keeper and its worker, and every node's first process: what a crash may have left.
Result<void> kill_remains(const std::string& directory, const Record& record) {
  kill_daemon(record.keeper_pid, directory);
  for (const auto& node : provider::nodes_on_disk(directory)) {
    const auto mark = provider::living_first_process(directory, node);
    if (mark) ::kill(mark->pid, SIGKILL);
    if (mark && !wait_for_end(mark->pid, kEndTime)) {
      return fail(Errc::unavailable, "node {} (process {}) does not end", node, mark->pid);
    }
    const auto group = provider::remove_memory_cgroup(record.name, node.value);
    if (!group) return group;
  }
  return {};
}

/// Asks the daemon to end the cluster, and waits for its end. False: there is none to ask.
bool ask_to_end(const std::string& directory, int keeper) {
  auto socket = os::connect_unix(socket_of(directory));
  if (!socket) return false;
  os::HttpClient client(std::move(*socket));
  os::HttpRequest request;
  request.method = "POST";
  request.target = "/cox/v1/shutdown";
  const auto answer = client.call(request);
  if (!answer || answer->status != 200) return false;
  return keeper <= 1 || wait_for_end(keeper, kEndTime);
}

Result<void> write_files(const std::string& directory, const CreateRequest& request,
                         Record& record) {
  for (const auto* part : {"", "/api", "/home", "/shared", "/nodes"}) {
    if (auto made = os::make_directories(directory + part, 0755); !made) return made;
  }
  if (auto kept = os::write_file_atomic(directory + "/config", request.config_text, 0644); !kept)
    return kept;
  const auto now = os::SystemClock().now();
  record.name = request.name;
  record.status = "CREATE_IN_PROGRESS";
  record.version = kVersion;
  record.region = request.config.region;
  record.v2 = request.config.v2;
  record.config_file_name = request.config_file.substr(request.config_file.rfind('/') + 1);
  record.cluster_template = request.cluster_template;
  record.created_at = record.updated_at = now;
  return save_record(directory, record);
}

}  // namespace

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

Result<Record> create(const CreateRequest& request) {
  if (auto good = check_name(request.name); !good) return fail(good.error());
  const auto root = state_root();
  if (auto made = os::make_directories(root, 0755); !made) return fail(made.error());
  const auto directory = root + "/" + request.name;
  if (const auto existing = load_record(directory);
      existing && existing->status == "CREATE_FAILED") {
    if (auto removed = remove(request.name, [](const std::string&) {}); !removed)
      return fail(removed.error());
  }
  // Of two at once, the one that makes the directory goes on.
  if (::mkdir(directory.c_str(), 0755) != 0) {
    if (errno == EEXIST) return fail(Errc::conflict, "cluster {} already exists", request.name);
    return fail(os::errno_error(errno, directory));
  }
  Record record;
  auto done = write_files(directory, request, record);
  if (done) done = start_daemon(directory);
  if (!done) {
    const auto why = done.error();
    const auto made = load_record(directory).value_or(record);
    [[maybe_unused]] const auto ended = kill_remains(directory, made);
    if (auto removed = os::remove_tree(directory); !removed) {
      return fail(Errc::internal, "{}; and {} could not be removed: {}", why.message, directory,
                  removed.error().message);
    }
    return fail(why);
  }
  return load_record(directory);
}

Result<void> ensure_running(const std::string& name) {
  const auto directory = directory_of(name);
  const auto record = load_record(directory);
  if (!record) return fail(Errc::not_found, "cluster {} does not exist", name);
  if (os::connect_unix(socket_of(directory))) return {};
  if (record->status != "CREATE_COMPLETE") {
    return fail(Errc::unavailable, "cluster {} is {}{}{}", name, record->status,
                record->status_reason.empty() ? "" : ": ", record->status_reason);
  }
  auto started = start_daemon(directory);
  // Somebody else may have started it at the same moment.
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

Result<void> remove(const std::string& name,
                    const std::function<void(const std::string&)>& progress) {
  const auto directory = directory_of(name);
  if (::access(directory.c_str(), F_OK) != 0) return {};
  auto record = load_record(directory).value_or(Record{});
  if (!record.name.empty()) {
    record.status = "DELETE_IN_PROGRESS";
    record.updated_at = os::SystemClock().now();
    [[maybe_unused]] const auto saved = save_record(directory, record);
  }
  progress("ending the nodes");
  if (!ask_to_end(directory, record.keeper_pid)) progress("ending what is left of the daemon");
  if (auto ended = kill_remains(directory, record); !ended) return ended;
  progress("removing the cluster's files");
  if (auto removed = os::remove_tree(directory); !removed) return removed;
  // The state root goes with the last cluster, where it was made for them.
  ::rmdir(state_root().c_str());
  return {};
}

}  // namespace cox::cluster
