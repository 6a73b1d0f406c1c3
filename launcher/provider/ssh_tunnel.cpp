#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "launcher/provider/ssh_command.hpp"
#include "launcher/provider/ssh_host.hpp"
#include "runtime/os/files.hpp"
#include "runtime/os/log.hpp"

namespace cox::provider {
namespace {

constexpr std::chrono::milliseconds kFirstPause{200};
constexpr std::chrono::milliseconds kLastPause{5000};
constexpr std::size_t kKeptBytes = 8192;

class Tunnel : public HostTask {
 public:
  Tunnel(HostAccess access, SshTarget target, int port, NodeId id)
      : access_(std::move(access)), target_(std::move(target)), port_(port), id_(std::move(id)) {
    open();
  }
  ~Tunnel() override { close(); }
  Tunnel(const Tunnel&) = delete;
  Tunnel& operator=(const Tunnel&) = delete;

 private:
  void open() {
    std::array<int, 2> in{};
    std::array<int, 2> err{};
    if (::pipe2(in.data(), O_CLOEXEC) != 0) return open_later("no pipe to be had");
    const os::Fd theirs_in(in[0]);
    input_.reset(in[1]);
    if (::pipe2(err.data(), O_CLOEXEC) != 0) return open_later("no pipe to be had");
    errors_.reset(err[0]);
    const os::Fd theirs_err(err[1]);
    const os::Fd null(::open("/dev/null", O_WRONLY | O_CLOEXEC));
    os::SpawnSpec spec;
    spec.argv = tunnel_argv(target_, port_, head_file_script(access_.tag, id_));
    spec.directory = "/";
    spec.descriptors = {{theirs_in.get(), 0}, {null.get(), 1}, {theirs_err.get(), 2}};
    spec.die_with_parent = true;
    const auto pid = os::spawn(spec);
    if (!pid) return open_later(pid.error().message);
    pid_ = *pid;
    said_.clear();
    (void)::fcntl(errors_.get(), F_SETFL, O_NONBLOCK);
    readable_ = access_.loop.when_readable(errors_.get(), [this] { read(); });
  }

  void read() {
    std::array<char, 4096> buffer{};
    const ssize_t got = ::read(errors_.get(), buffer.data(), buffer.size());
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) return ended();
    said_.append(buffer.data(), static_cast<std::size_t>(got));
    for (auto end = said_.find('\n'); end != std::string::npos; end = said_.find('\n')) {
      heard(said_.substr(0, end));
      said_.erase(0, end + 1);
    }
    if (said_.size() > kKeptBytes) said_.clear();
  }

  void heard(const std::string& line) {
    last_ = line;
    const auto port = allocated_port(line);
    if (!port) return;
    os::log_info("node {}: the way to the head is a tunnel through ssh to {}", id_, shown(target_));
    pause_ = kFirstPause;
    (void)os::write_all(input_.get(), fmt::format("127.0.0.1 {}\n", *port));
  }

  void ended() {
    const auto why = last_;
    close();
    open_later(why);
  }

  void open_later(const std::string& why) {
    os::log_warn("node {}: the tunnel through ssh to {} is down: {}", id_, shown(target_), why);
    timer_ = access_.loop.after(pause_, [this] { open(); });
    pause_ = std::min(pause_ * 2, kLastPause);
  }

  void close() {
    readable_.reset();
    input_.reset();
    errors_.reset();
    if (pid_ == 0) return;
    (void)::kill(pid_, SIGKILL);
    (void)::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }

  HostAccess access_;
  SshTarget target_;
  int port_;
  NodeId id_;
  pid_t pid_ = 0;
  os::Fd input_;
  os::Fd errors_;
  os::SubscriptionPtr readable_;
  os::SubscriptionPtr timer_;
  std::string said_;
  std::string last_;
  std::chrono::milliseconds pause_ = kFirstPause;
};

}  // namespace

std::unique_ptr<HostTask> keep_tunnel(const HostAccess& access, const SshTarget& target, int port,
                                      const NodeId& id) {
  return std::make_unique<Tunnel>(access, target, port, id);
}

}  // namespace cox::provider
