#include "runtime/agent/host_node.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <vector>

#include "runtime/agent/agent.hpp"
#include "runtime/agent/host_place.hpp"
#include "runtime/agent/hub_link.hpp"
#include "runtime/agent/mpi_programs.hpp"
#include "runtime/agent/step.hpp"
#include "runtime/base/text.hpp"
#include "runtime/os/files.hpp"
#include "runtime/os/log.hpp"

namespace cox::agent {

namespace {

namespace json = boost::json;
using Clock = std::chrono::steady_clock;

constexpr int kOptionsDescriptor = 3;
constexpr auto kReachTime = std::chrono::milliseconds(1500);
constexpr auto kEndTime = std::chrono::seconds(8);
constexpr auto kShortLife = std::chrono::seconds(2);
constexpr auto kLongestPause = std::chrono::milliseconds(5000);
constexpr int kKillRounds = 2500;  // of 2 ms

int answer(const json::object& said, int status) {
  std::puts(json::serialize(said).c_str());
  (void)std::fflush(stdout);
  return status;
}

int refuse(const std::string& why) { return answer({{"error", why}}, 1); }

void pause(std::chrono::milliseconds time) { ::poll(nullptr, 0, static_cast<int>(time.count())); }

/// "PID START-TIME": tells a process from a later one with its number. Empty: there is none.
std::string mark_of(pid_t pid) {
  const auto stat = os::read_file(fmt::format("/proc/{}/stat", pid), 4096);
  const auto end = stat ? stat->rfind(") ") : std::string::npos;
  if (end == std::string::npos) return {};
  const auto fields = split(std::string_view(*stat).substr(end + 2), ' ');
  if (fields.size() < 20 || fields[0] == "Z" || fields[0] == "X") return {};
  return fmt::format("{} {}", pid, fields[19]);
}

/// The guard of the node in `directory`, if it is alive.
std::optional<pid_t> living_guard(const std::string& directory) {
  const auto text = os::read_file(directory + "/pid", 256);
  if (!text) return std::nullopt;
  const auto pid = to_int(split(trim(*text), ' ').front());
  if (!pid || *pid <= 0 || mark_of(static_cast<pid_t>(*pid)) != trim(*text)) return std::nullopt;
  return static_cast<pid_t>(*pid);
}

/// A directory of this user's that nobody else can write; made if it is not there. One of somebody
/// else's by that name, or a link, is refused.
Result<void> own_directory(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
    return fail(os::errno_error(errno, path));
  struct stat seen {};
  if (::lstat(path.c_str(), &seen) != 0) return fail(os::errno_error(errno, path));
  const bool own = S_ISDIR(seen.st_mode) && seen.st_uid == ::geteuid() && (seen.st_mode & 022) == 0;
  if (own) return {};
  return fail(Errc::conflict, "{} is there and is not a directory of this user's alone", path);
}

/// The first address that takes a TCP connection; all are tried at once.
std::string reachable(const std::vector<std::string>& addresses, int port) {
  std::vector<os::Fd> sockets;
  std::vector<pollfd> watched;
  for (const auto& address : addresses) {
    auto socket = begin_connect(address, port);
    sockets.push_back(socket ? std::move(*socket) : os::Fd());
    watched.push_back({sockets.back().get(), POLLOUT, 0});
  }
  const auto end = Clock::now() + kReachTime;
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now()).count();
    const bool any = std::any_of(watched.begin(), watched.end(),
                                 [](const pollfd& each) { return each.fd >= 0; });
    if (left <= 0 || !any) return {};
    if (::poll(watched.data(), watched.size(), static_cast<int>(left)) <= 0) continue;
    for (std::size_t i = 0; i < watched.size(); ++i) {
      if (watched[i].fd < 0 || watched[i].revents == 0) continue;
      int error = 0;
      socklen_t size = sizeof error;
      (void)::getsockopt(watched[i].fd, SOL_SOCKET, SO_ERROR, &error, &size);
      if (error == 0) return addresses[i];
      watched[i].fd = -1;
    }
  }
}

void kill_below(pid_t root) {
  for (int round = 0; round < kKillRounds; ++round) {
    const auto left = processes_below(root);
    if (left.empty()) return;
    for (const auto pid : left) (void)::kill(pid, SIGKILL);
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    pause(std::chrono::milliseconds(2));
  }
}

/// Processes that were started as part of the node and belong to nobody any more: where the guard
/// itself was killed.
std::vector<pid_t> strays_of(const std::string& directory) {
  const std::string mark = fmt::format("COX_AGENT={}/", directory);
  std::vector<pid_t> found;
  DIR* const proc = ::opendir("/proc");
  if (proc == nullptr) return found;
  while (const dirent* entry = ::readdir(proc)) {
    const auto pid = to_int(entry->d_name);
    if (!pid || *pid == ::getpid()) continue;
    const auto environment = os::read_file(fmt::format("/proc/{}/environ", *pid), 4u << 20);
    if (environment && environment->find(mark) != std::string::npos) {
      found.push_back(static_cast<pid_t>(*pid));
    }
  }
  ::closedir(proc);
  return found;
}

/// What the guard needs of the agent's options.
struct NodePlaces {
  std::string directory;
  std::string scratch;
  std::string shared_memory;
  std::string options;  ///< JSON, for the agent
};

class Guard {
 public:
  explicit Guard(NodePlaces places) : places_(std::move(places)) {
    sigemptyset(&awaited_);
    for (const int signal : {SIGCHLD, SIGTERM, SIGINT}) sigaddset(&awaited_, signal);
    (void)::sigprocmask(SIG_BLOCK, &awaited_, nullptr);
    (void)::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    (void)::prctl(PR_SET_NAME, "cox-guard", 0, 0, 0);
  }

  [[noreturn]] void run() {
    for (;;) {
      const auto begun = Clock::now();
      const int status = live_with_agent();
      kill_below(::getpid());
      if (stopped_ || status == kTurnedAway) clear_and_leave();
      os::log_warn("the agent ended with {}; it is started again", status);
      const bool short_life = Clock::now() - begun < kShortLife;
      pause_ = short_life ? std::min(pause_ * 2 + std::chrono::milliseconds(100), kLongestPause)
                          : std::chrono::milliseconds(0);
      wait_out(pause_);
    }
  }

 private:
  /// Starts an agent and waits for its end, or for the word to stop. Its exit code.
  int live_with_agent() {
    (void)os::remove_tree(places_.scratch);
    const auto made = own_directory(places_.shared_memory);
    if (!made) os::log_error("{}", made.error().message);
    const pid_t guard = ::getpid();
    const pid_t agent = ::fork();
    if (agent == 0) become_agent(guard);
    if (agent < 0) return 1;
    for (;;) {
      const int signal = ::sigwaitinfo(&awaited_, nullptr);
      if (signal == SIGTERM || signal == SIGINT) {
        stopped_ = true;
        return 0;
      }
      int status = 0;
      for (pid_t pid = ::waitpid(-1, &status, WNOHANG); pid > 0;
           pid = ::waitpid(-1, &status, WNOHANG)) {
        if (pid != agent) continue;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
      }
    }
  }

  [[noreturn]] void become_agent(pid_t guard) {
    (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != guard) ::_exit(1);  // it was killed before it could be agreed on
    sigset_t none;
    sigemptyset(&none);
    (void)::sigprocmask(SIG_SETMASK, &none, nullptr);
    // What loses its parent below the agent is the agent's, as on a node with its own process tree.
    (void)::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    const int options = ::memfd_create("agent-options", 0);
    if (options < 0 || !os::write_all(options, places_.options)) ::_exit(1);
    (void)::lseek(options, 0, SEEK_SET);
    if (options != kOptionsDescriptor) (void)::dup2(options, kOptionsDescriptor);
    (void)::syscall(SYS_close_range, kOptionsDescriptor + 1U, ~0U, CLOSE_RANGE_CLOEXEC);
    const auto path = os::program_directory() + "/cox-agent";
    std::string program = "cox-agent";
    std::string search = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    std::string language = "LANG=C.UTF-8";
    char* argv[] = {program.data(), nullptr};
    char* environment[] = {search.data(), language.data(), nullptr};
    (void)::execve(path.c_str(), argv, environment);
    os::log_error("{}", os::errno_error(errno, path).message);
    ::_exit(1);
  }

  void wait_out(std::chrono::milliseconds time) {
    const timespec patience{time.count() / 1000, time.count() % 1000 * 1'000'000};
    const int signal = ::sigtimedwait(&awaited_, nullptr, &patience);
    if (signal == SIGTERM || signal == SIGINT) clear_and_leave();
  }

  [[noreturn]] void clear_and_leave() const {
    kill_below(::getpid());
    (void)os::remove_tree(places_.shared_memory);
    (void)os::remove_tree(places_.scratch);
    (void)os::remove_tree(places_.directory);
    ::_exit(0);
  }

  NodePlaces places_;
  sigset_t awaited_{};
  bool stopped_ = false;
  std::chrono::milliseconds pause_{0};
};

/// Nothing of what started it stays open, or ssh would wait for it. `told` hears that it is there;
/// negative: nobody waits for that.
[[noreturn]] void be_guard(const NodePlaces& places, int told) {
  (void)::umask(022);
  (void)!::chdir("/");
  const auto log = places.directory + "/agent.log";
  const os::Fd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const os::Fd file(::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!null || !file) ::_exit(1);
  (void)::dup2(null.get(), STDIN_FILENO);
  (void)::dup2(file.get(), STDOUT_FILENO);
  (void)::dup2(file.get(), STDERR_FILENO);
  const auto mark = mark_of(::getpid()) + "\n";
  if (!os::write_file_atomic(places.directory + "/pid", mark)) ::_exit(1);
  if (told >= 0) (void)!::write(told, "g", 1);
  (void)::syscall(SYS_close_range, 3U, ~0U, 0U);
  Guard(places).run();
}

Result<void> start_guard(const NodePlaces& places) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail(os::errno_error(errno, "pipe"));
  const os::Fd heard(ends[0]);
  os::Fd told(ends[1]);
  const pid_t pid = ::fork();
  if (pid < 0) return fail(os::errno_error(errno, "fork"));
  if (pid == 0) {
    (void)::setsid();
    be_guard(places, told.get());
  }
  told.reset();
  char word = 0;
  ssize_t got = 0;
  while ((got = ::read(heard.get(), &word, 1)) < 0 && errno == EINTR) {
  }
  if (got == 1) return {};
  return fail(Errc::unavailable, "the node could not be started in {}", places.directory);
}

std::vector<std::string> take_candidates(json::object& options) {
  std::vector<std::string> addresses;
  const auto* list = options.if_contains("candidates");
  if (list != nullptr && list->is_array()) {
    for (const auto& each : list->get_array()) {
      if (each.is_string()) addresses.emplace_back(each.get_string());
    }
  }
  options.erase("candidates");
  // Who has come by ssh is likely to be on the head's machine, or to be seen from here as it.
  const char* connection = std::getenv("SSH_CONNECTION");
  if (connection != nullptr) addresses.insert(addresses.begin(), split(connection, ' ').front());
  return addresses;
}

struct MadeNode {
  std::string head;  ///< the address of the head that took a connection; empty: none did
  NodePlaces places;
};

/// What the options leave empty and the way to the head tells.
void fill_in_place(json::object& options, const std::string& head, int port) {
  const auto* address = options.if_contains("address");
  if (address == nullptr || !address->is_string() || !address->get_string().empty()) return;
  const auto place = place_towards(head, port);
  options["address"] = place.address;
  options["network"] = place.network;
  options["hostname"] = own_hostname();
  const char* cpus = std::getenv("SLURM_CPUS_ON_NODE");
  const auto given = to_int(cpus == nullptr ? "" : cpus);
  options["whole_machine"] = given && *given >= ::sysconf(_SC_NPROCESSORS_ONLN);
}

/// Fills in what only the host knows, and finds the way to the head.
Result<MadeNode> make_node(json::object options, const std::string& directory) {
  const auto candidates = take_candidates(options);
  const auto* port = options.if_contains("head_port");
  const auto* memory = options.if_contains("shared_memory");
  if (port == nullptr || !port->is_int64() || memory == nullptr || !memory->is_string()) {
    return fail(Errc::invalid_argument, "the agent's options lack head_port or shared_memory");
  }
  // Copied: what is added to the options below moves them.
  const int head_port = static_cast<int>(port->get_int64());
  const std::string shared_memory(memory->get_string());
  const auto nodes = directory.substr(0, directory.rfind('/'));
  for (const auto& path : {nodes, directory, shared_memory}) {
    if (auto own = own_directory(path); !own) return fail(own.error());
  }
  const auto programs = os::program_directory();
  if (!options.contains("mpi_bin_dir")) {
    const auto mpi = link_mpi_programs(programs);
    if (!mpi) return fail(mpi.error());
    options["mpi_bin_dir"] = *mpi;
    options["node_bin_dir"] = programs + "/node-bin";
  }
  const auto head = reachable(candidates, head_port);
  const auto head_file = directory + "/head";
  if (!head.empty()) {
    auto kept = os::write_file_atomic(head_file, fmt::format("{} {}\n", head, head_port));
    if (!kept) return fail(kept.error());
  }
  fill_in_place(options, head, head_port);
  options["head_file"] = head_file;
  // The same on all hosts, where it is given: jobs name their programs by it on every node.
  if (!options.contains("scratch")) options["scratch"] = directory + "/scratch";
  options["socket"] = directory + "/agent.sock";
  options["bin_dir"] = programs;
  const auto* scratch = options.if_contains("scratch");
  if (!scratch->is_string()) return fail(Errc::invalid_argument, "scratch is no path");
  return MadeNode{
      head,
      {directory, std::string(scratch->get_string()), shared_memory, json::serialize(options)}};
}

Result<json::object> read_options() {
  const auto text = os::read_all(STDIN_FILENO, "the agent's options", 1u << 20);
  if (!text) return fail(text.error());
  boost::system::error_code error;
  auto parsed = json::parse(*text, error);
  if (!error && parsed.is_object()) return std::move(parsed.get_object());
  return fail(Errc::invalid_argument, "the agent's options are not a JSON object");
}

}  // namespace

int start_host_node(const std::string& directory) {
  const auto options = read_options();
  if (!options) return refuse(options.error().message);
  if (living_guard(directory)) {
    const auto kept = os::read_file(directory + "/head", 256);
    return answer({{"head", kept ? split(trim(*kept), ' ').front() : ""}}, 0);
  }
  const auto node = make_node(*options, directory);
  if (!node) return refuse(node.error().message);
  if (auto started = start_guard(node->places); !started) return refuse(started.error().message);
  return answer({{"head", node->head}}, 0);
}

int hold_host_node(const std::string& directory) {
  const auto options = read_options();
  const auto node = options ? make_node(*options, directory) : fail(options.error());
  if (!node) {
    (void)std::fprintf(stderr, "cox-agent: %s\n", node.error().message.c_str());
    return 1;
  }
  if (node->head.empty()) {
    (void)std::fprintf(stderr,
                       "cox-agent: no address of the cluster's head takes a TCP connection from "
                       "%s: a firewall between them?\n",
                       own_hostname().c_str());
    return kNoHead;
  }
  be_guard(node->places, -1);
}

int clear_host_node(const std::string& directory, const std::vector<std::string>& others) {
  const auto end = Clock::now() + kEndTime;
  if (const auto guard = living_guard(directory)) {
    (void)::kill(*guard, SIGTERM);
    while (living_guard(directory) && Clock::now() < end) pause(std::chrono::milliseconds(5));
    if (const auto stuck = living_guard(directory)) (void)::kill(*stuck, SIGKILL);
  }
  for (auto left = strays_of(directory); !left.empty() && Clock::now() < end;
       left = strays_of(directory)) {
    for (const auto pid : left) (void)::kill(pid, SIGKILL);
    pause(std::chrono::milliseconds(5));
  }
  auto all = others;
  all.push_back(directory);
  for (const auto& path : all) {
    if (const auto removed = os::remove_tree(path); !removed)
      return refuse(removed.error().message);
  }
  return 0;
}

}  // namespace cox::agent
