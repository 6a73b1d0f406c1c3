#include "launcher/coxd/keeper.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <optional>
#include <utility>

#include "launcher/coxd/worker_contract.hpp"
#include "launcher/provider/local_provider.hpp"
#include "launcher/provider/ssh_plan.hpp"
#include "runtime/base/result.hpp"
#include "runtime/base/text.hpp"
#include "runtime/os/failpoint.hpp"
#include "runtime/os/fd.hpp"
#include "runtime/os/files.hpp"
#include "runtime/os/frame_link.hpp"
#include "runtime/os/log.hpp"
#include "runtime/os/process.hpp"

namespace cox::coxd {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kFirstPause{100};
constexpr milliseconds kLongestPause{5'000};
constexpr milliseconds kSettled{10'000};  ///< a worker that lived so long had started well
constexpr milliseconds kStopPatience{5'000};

/// What the keeper holds for its workers.
struct Belongings {
  os::Fd api_listener;
  os::Fd agent_listener;  ///< in the bridge's network, where nodes are of this machine
  os::Fd host_listener;   ///< for agents on other hosts, where nodes are such
  os::Fd bridge_network;
  os::Fd reports_read;
  os::Fd reports_write;
};

/// Nothing of the caller's stays open: not its terminal, not its pipes.
Result<void> detach(const std::string& log, int ready_fd) {
  (void)::setsid();
  (void)::umask(022);
  if (::chdir("/") != 0) return fail(os::errno_error(errno, "/"));
  const os::Fd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const os::Fd file(::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640));
  if (!null || !file) return fail(os::errno_error(errno, log));
  (void)::dup2(null.get(), STDIN_FILENO);
  (void)::dup2(file.get(), STDOUT_FILENO);
  (void)::dup2(file.get(), STDERR_FILENO);
  const auto ready = static_cast<unsigned>(std::max(ready_fd, STDERR_FILENO));
  if (ready > 3) (void)::close_range(3, ready - 1, CLOSE_RANGE_CLOEXEC);
  (void)::close_range(ready + 1, ~0u, CLOSE_RANGE_CLOEXEC);
  if (ready_fd >= 0) (void)::fcntl(ready_fd, F_SETFD, FD_CLOEXEC);
  return {};
}

Result<os::Fd> lock(const std::string& cluster_directory) {
  const std::string path = cluster_directory + "/coxd.lock";
  os::Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) return fail(os::errno_error(errno, path));
  if (::flock(file.get(), LOCK_EX | LOCK_NB) == 0) return file;
  return fail(Errc::conflict, "coxd already runs for {}", cluster_directory);
}

/// A socket for agents on other hosts; each side shows its certificate. The port stays the same for
/// the cluster's life: the agents have been told it.
Result<os::Fd> listen_to_hosts(const std::string& cluster_directory) {
  const auto path = cluster_directory + "/ssh/port";
  const auto kept = os::read_file(path, 16);
  const auto port = kept ? to_int(trim(*kept)).value_or(0) : 0;
  auto listener = os::listen_tcp("0.0.0.0", static_cast<int>(port));
  if (!listener) return listener;
  const auto text = fmt::format("{}\n", os::local_port(*listener));
  if (auto saved = os::write_file_atomic(path, text, 0600); !saved) return fail(saved.error());
  return listener;
}

Result<Belongings> make_belongings(const std::string& cluster_directory) {
  Belongings made;
  const auto plan = provider::load_plan(cluster_directory);
  if (!plan) return fail(plan.error());
  if (*plan) {
    auto hosts = listen_to_hosts(cluster_directory);
    if (!hosts) return fail(hosts.error());
    made.host_listener = std::move(*hosts);
  }
  if (!*plan || !(*plan)->alone) {
    auto network = provider::enter_cluster_namespaces(cluster_directory);
    if (!network) return fail(network.error());
    made.bridge_network = std::move(*network);
    if (auto on = os::failpoint("keeper/namespaces"); !on) return fail(on.error());
    auto agents = provider::listen_in_network(made.bridge_network);
    if (!agents) return fail(agents.error());
    made.agent_listener = std::move(*agents);
  }
  const std::string api = cluster_directory + "/api";
  if (const auto there = os::make_directories(api); !there) return fail(there.error());
  // Everybody may knock: who it is, the kernel tells. But on hosts all jobs run as the one user
  // whose ssh it is.
  auto clients = os::listen_unix(api + "/api.sock", *plan ? 0600 : 0666);
  if (!clients) return fail(clients.error());
  made.api_listener = std::move(*clients);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return fail(os::errno_error(errno, "pipe"));
  made.reports_read.reset(ends[0]);
  made.reports_write.reset(ends[1]);
  if (auto on = os::failpoint("keeper/listening"); !on) return fail(on.error());
  return made;
}

class Keeper {
 public:
  Keeper(std::string cluster_directory, Belongings belongings, os::Fd ready)
      : directory_(std::move(cluster_directory)),
        belongings_(std::move(belongings)),
        ready_(std::move(ready)) {
    sigemptyset(&awaited_);
    for (const int signal : {SIGCHLD, SIGTERM, SIGINT, SIGHUP}) sigaddset(&awaited_, signal);
    (void)::sigprocmask(SIG_BLOCK, &awaited_, nullptr);
  }

  int run() {
    start_worker();
    while (!exit_status_) {
      const int signal = wait_for_signal();
      if (signal == SIGTERM || signal == SIGINT) stop();
      reap();
      if (!exit_status_ && worker_ == 0 && Clock::now() >= start_at_) start_worker();
      if (stop_by_ && Clock::now() >= *stop_by_ && worker_ > 0) (void)::kill(worker_, SIGKILL);
    }
    return *exit_status_;
  }

 private:
  void start_worker() {
    os::SpawnSpec spec;
    spec.argv = {os::program_directory() + "/coxd", "--head", "--cluster-dir", directory_};
    spec.descriptors = {{belongings_.api_listener.get(), kApiListener},
                        {belongings_.reports_read.get(), kChildReports}};
    const auto pass_on = [&spec](const os::Fd& fd, int there) {
      if (fd) spec.descriptors.emplace_back(fd.get(), there);
    };
    pass_on(belongings_.agent_listener, kAgentListener);
    pass_on(belongings_.bridge_network, kBridgeNetwork);
    pass_on(belongings_.host_listener, kHostListener);
    if (ready_) spec.descriptors.emplace_back(ready_.get(), kReady);
    spec.die_with_parent = true;
    started_at_ = Clock::now();
    const auto pid = os::spawn(spec);
    ready_.reset();
    if (pid) {
      worker_ = *pid;
      (void)os::failpoint("keeper/worker");
    } else {
      os::log_error("cannot start the head: {}", pid.error().message);
      plan_restart();
    }
  }

  int wait_for_signal() {
    timespec patience{};
    auto until = worker_ == 0 ? start_at_ : Clock::time_point::max();
    if (stop_by_) until = std::min(until, *stop_by_);
    if (until == Clock::time_point::max()) return ::sigwaitinfo(&awaited_, nullptr);
    const auto left = std::max(until - Clock::now(), Clock::duration(milliseconds(1)));
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
    patience.tv_sec = seconds.count();
    patience.tv_nsec = std::chrono::nanoseconds(left - seconds).count();
    return ::sigtimedwait(&awaited_, nullptr, &patience);
  }

  void reap() {
    int status = 0;
    for (pid_t pid = ::waitpid(-1, &status, WNOHANG); pid > 0;
         pid = ::waitpid(-1, &status, WNOHANG)) {
      if (pid == worker_) {
        worker_ended(status);
      } else {
        const provider::ChildReport report{pid, status};
        // A full pipe means that no worker reads; then nobody asks how that node ended.
        (void)!::write(belongings_.reports_write.get(), &report, sizeof report);
      }
    }
  }

  void worker_ended(int status) {
    worker_ = 0;
    const bool exited = WIFEXITED(status);
    if (exited && WEXITSTATUS(status) == kClusterEnded) {
      exit_status_ = 0;
    } else if (stop_by_) {
      exit_status_ = 0;
    } else if (exited && WEXITSTATUS(status) == kCannotStart) {
      exit_status_ = 1;
    } else {
      os::log_warn("the head ended by itself ({}); it is started again",
                   exited ? fmt::format("exit status {}", WEXITSTATUS(status))
                          : fmt::format("signal {}", WTERMSIG(status)));
      plan_restart();
    }
  }

  void plan_restart() {
    const bool settled = Clock::now() - started_at_ >= kSettled;
    pause_ = settled ? milliseconds(0) : std::min(std::max(pause_ * 2, kFirstPause), kLongestPause);
    start_at_ = Clock::now() + pause_;
  }

  /// The nodes and their jobs go on; the next coxd finds them.
  void stop() {
    stop_by_ = Clock::now() + kStopPatience;
    if (worker_ > 0) {
      (void)::kill(worker_, SIGTERM);
    } else {
      exit_status_ = 0;
    }
  }

  std::string directory_;
  Belongings belongings_;
  os::Fd ready_;
  sigset_t awaited_{};
  pid_t worker_ = 0;
  Clock::time_point started_at_;
  Clock::time_point start_at_;
  milliseconds pause_{0};
  std::optional<Clock::time_point> stop_by_;
  std::optional<int> exit_status_;
};

int refuse(const os::Fd& ready, const Error& error) {
  os::log_error("{}", error.message);
  if (ready) (void)os::write_all(ready.get(), error.message + "\n");
  return 1;
}

}  // namespace

int run_keeper(const std::string& cluster_directory, int ready_fd) {
  os::Fd ready(ready_fd);
  const std::string log = cluster_directory + "/coxd.log";
  const auto detached = detach(log, ready_fd).and_then([&log] { return os::open_log(log); });
  if (!detached) return refuse(ready, detached.error());
  const auto held =
      os::failpoint("keeper/detached").and_then([&] { return lock(cluster_directory); });
  if (!held) return refuse(ready, held.error());
  if (auto on = os::failpoint("keeper/locked"); !on) return refuse(ready, on.error());
  auto belongings = make_belongings(cluster_directory);
  if (!belongings) return refuse(ready, belongings.error());
  return Keeper(cluster_directory, std::move(*belongings), std::move(ready)).run();
}

}  // namespace cox::coxd
