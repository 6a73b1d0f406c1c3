#include "launcher/provider/node_end.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <thread>
#include <utility>

#include "launcher/provider/memory_cgroup.hpp"
#include "runtime/base/text.hpp"
#include "runtime/os/fd.hpp"
#include "runtime/os/files.hpp"

namespace cox::provider {
namespace {

using namespace std::chrono_literals;

constexpr int kCgroupTries = 100;
constexpr auto kCgroupPause = 20ms;

class Watch : public ProcessWatch {
 public:
  Watch(os::EventLoop& loop, os::Fd process, std::function<void()> ended)
      : process_(std::move(process)), ended_(std::move(ended)) {
    readable_ = loop.when_readable(process_.get(), [this] {
      // A loop may call without need; only the kernel knows.
      pollfd state{.fd = process_.get(), .events = POLLIN, .revents = 0};
      if (::poll(&state, 1, 0) != 1) return;
      if (const auto call = std::exchange(ended_, nullptr)) {
        // It stays readable; the handler may drop this object.
        readable_.reset();
        call();
      }
    });
  }
  void kill() override {
    (void)::syscall(SYS_pidfd_send_signal, process_.get(), SIGKILL, nullptr, 0);
  }

 private:
  os::Fd process_;
  std::function<void()> ended_;
  os::SubscriptionPtr readable_;
};

class Removal : public NodeRemoval {
 public:
  Removal(os::EventLoop& loop, std::string cluster_directory, std::string cluster_name, NodeId id,
          std::function<void(Result<void>)> done)
      : loop_(loop),
        cluster_directory_(std::move(cluster_directory)),
        cluster_name_(std::move(cluster_name)),
        id_(std::move(id)),
        done_(std::move(done)) {}
  ~Removal() override {
    *alive_ = false;
    if (disk_.joinable()) disk_.join();
  }
  Removal(const Removal&) = delete;
  Removal& operator=(const Removal&) = delete;

  void start() {
    const auto mark = living_first_process(cluster_directory_, id_);
    auto watch = mark.and_then([this](const ProcessMark& at) {
      return watch_process(loop_, at, [this] { remove_cgroup(); });
    });
    if (!watch) {
      loop_.post([this, alive = alive_] {
        if (*alive) remove_cgroup();
      });
      return;
    }
    watch_ = std::move(*watch);
    watch_->kill();
  }

 private:
  /// The last process may be on its way out still.
  void remove_cgroup() {
    const auto removed = remove_memory_cgroup(cluster_name_, id_.value);
    if (!removed && ++tries_ < kCgroupTries) {
      timer_ = loop_.after(kCgroupPause, [this] { remove_cgroup(); });
      return;
    }
    remove_files(removed);
  }

  /// What jobs left can be much; that is no work for the loop's thread.
  void remove_files(const Result<void>& before) {
    disk_ =
        std::thread([this, before, alive = alive_, path = node_directory(cluster_directory_, id_)] {
          const auto removed = os::remove_tree(path);
          loop_.post([this, alive, result = before ? removed : before] {
            if (*alive) done_(result);
          });
        });
  }

  os::EventLoop& loop_;
  std::string cluster_directory_;
  std::string cluster_name_;
  NodeId id_;
  std::function<void(Result<void>)> done_;
  std::unique_ptr<ProcessWatch> watch_;
  os::SubscriptionPtr timer_;
  int tries_ = 0;
  std::thread disk_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  ///< read and set on the loop only
};

std::string last_line_of(const std::string& path) {
  const auto text = os::read_file(path);
  if (!text) return {};
  const auto whole = trim(*text);
  const auto from = whole.rfind('\n');
  return std::string(from == std::string_view::npos ? whole : whole.substr(from + 1));
}

}  // namespace

Result<std::unique_ptr<ProcessWatch>> watch_process(os::EventLoop& loop, const ProcessMark& mark,
                                                    std::function<void()> ended) {
  os::Fd process(static_cast<int>(::syscall(SYS_pidfd_open, mark.pid, 0)));
  if (!process) return fail(Errc::not_found, "process {} does not exist", mark.pid);
  // Its number may have gone to another process before the descriptor held it.
  const auto now = mark_of(mark.pid);
  if (!now || *now != mark) return fail(Errc::not_found, "process {} has ended", mark.pid);
  return std::make_unique<Watch>(loop, std::move(process), std::move(ended));
}

std::string describe_end(std::optional<int> wait_status, const std::string& agent_log) {
  if (!wait_status) return "its agent ended";
  if (WIFSIGNALED(*wait_status)) {
    return fmt::format("its agent was killed by signal {}", WTERMSIG(*wait_status));
  }
  const std::string last = last_line_of(agent_log);
  return fmt::format("its agent ended with exit code {}{}{}", WEXITSTATUS(*wait_status),
                     last.empty() ? "" : ": ", last);
}

std::unique_ptr<NodeRemoval> remove_node(os::EventLoop& loop, const std::string& cluster_directory,
                                         const std::string& cluster_name, const NodeId& id,
                                         std::function<void(Result<void>)> done) {
  auto removal =
      std::make_unique<Removal>(loop, cluster_directory, cluster_name, id, std::move(done));
  removal->start();
  return removal;
}

}  // namespace cox::provider
