#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>

#include "launcher/provider/local_provider.hpp"
#include "launcher/provider/mount_run.hpp"
#include "launcher/provider/network.hpp"
#include "launcher/provider/node_description.hpp"
#include "launcher/provider/node_files.hpp"
#include "runtime/os/failpoint.hpp"
#include "runtime/os/files.hpp"

namespace cox::provider {
namespace {

constexpr int kDescription = 3;  ///< here; for the agent: its options
constexpr int kAnswer = 4;
constexpr int kBridgeNetwork = 5;
constexpr const char* kAgent = "/run/coxswain/bin/cox-agent";

class Stopwatch {
 public:
  void lap(const char* step) {
    const auto now = std::chrono::steady_clock::now();
    const std::chrono::duration<double, std::milli> took = now - last_;
    laps_ += fmt::format("{}{} {:.1f} ms", laps_.empty() ? "" : ", ", step, took.count());
    last_ = now;
  }
  [[nodiscard]] const std::string& laps() const { return laps_; }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
  std::string laps_;
};

struct Pipe {
  os::Fd read;
  os::Fd write;
};

Result<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail(os::errno_error(errno, "pipe"));
  return Pipe{os::Fd(ends[0]), os::Fd(ends[1])};
}

std::string read_to_end(int fd) {
  std::string text;
  std::array<char, 4096> buffer{};
  while (true) {
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
}

/// What the agent starts with; made before the old root goes.
struct AgentDescriptors {
  os::Fd options;
  os::Fd log;
  os::Fd null;
};

Result<AgentDescriptors> open_agent_descriptors(const NodeDescription& node) {
  AgentDescriptors made;
  made.options.reset(::memfd_create("agent-options", MFD_CLOEXEC));
  if (!made.options) return fail(os::errno_error(errno, "memfd"));
  if (const auto written = os::write_all(made.options.get(), node.agent_options); !written) {
    return fail(written.error());
  }
  (void)::lseek(made.options.get(), 0, SEEK_SET);
  const std::string log = node.directory + "/agent.log";
  made.log.reset(::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640));
  if (!made.log) return fail(os::errno_error(errno, log));
  made.null.reset(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!made.null) return fail(os::errno_error(errno, "/dev/null"));
  return made;
}

void reset_signals() {
  for (int signal = 1; signal < NSIG; ++signal) (void)::signal(signal, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  (void)::sigprocmask(SIG_SETMASK, &none, nullptr);
}

/// Becomes the agent; returns only when that failed.
Error become_agent(const AgentDescriptors& descriptors) {
  (void)::setsid();
  reset_signals();
  (void)::dup2(descriptors.null.get(), STDIN_FILENO);
  (void)::dup2(descriptors.log.get(), STDOUT_FILENO);
  (void)::dup2(descriptors.log.get(), STDERR_FILENO);
  (void)::dup2(descriptors.options.get(), kDescription);
  (void)::close(kAnswer);
  (void)::close_range(kBridgeNetwork + 1, ~0u, CLOSE_RANGE_CLOEXEC);
  // Until here the node went with its maker; from here it lives on.
  (void)::prctl(PR_SET_PDEATHSIG, 0);
  std::string path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  std::string language = "LANG=C.UTF-8";
  std::string program = "cox-agent";
  char* argv[] = {program.data(), nullptr};
  char* environment[] = {path.data(), language.data(), nullptr};
  (void)::execve(kAgent, argv, environment);
  return os::errno_error(errno, kAgent);
}

/// The first process of the node. Waits for the word to go, so that its mark is on disk first.
[[noreturn]] void be_first_process(const NodeDescription& node, const AgentDescriptors& descriptors,
                                   const os::Fd& go, const os::Fd& report) {
  (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
  char word = 0;
  if (::read(go.get(), &word, 1) != 1) ::_exit(1);
  Stopwatch watch;
  const auto entered =
      os::failpoint("node/root")
          .and_then([&] { return plan_mounts(node.root, RealHostTree()); })
          .and_then([&](const auto& steps) { return enter_root(steps, node.directory + "/root"); });
  watch.lap("root");
  Error error = entered ? Error{} : entered.error();
  if (entered) {
    (void)os::write_all(report.get(), watch.laps());
    error = become_agent(descriptors);
  }
  (void)os::write_all(report.get(), "error " + error.message);
  ::_exit(1);
}

Result<void> enter_namespaces(const NodeDescription& node, Stopwatch& watch) {
  os::Fd bridge(kBridgeNetwork);
  const auto network = enter_node_network(bridge, node.link);
  (void)bridge.release();
  watch.lap("network");
  if (!network) return network;
  if (auto on = os::failpoint("node/network"); !on) return on;
  if (::unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID) != 0) {
    return fail(os::errno_error(errno, "cannot make the node's namespaces"));
  }
  if (::sethostname(node.hostname.data(), node.hostname.size()) != 0) {
    return fail(os::errno_error(errno, "cannot set the host name"));
  }
  watch.lap("namespaces");
  return os::failpoint("node/namespaces");
}

Result<std::string> await_agent(pid_t pid, const NodeDescription& node, const os::Fd& go,
                                const os::Fd& report) {
  const auto mark = mark_of(pid);
  if (!mark) return fail(mark.error());
  const auto kept = write_note(node.directory + "/pid", render_mark(*mark));
  if (!kept) return fail(kept.error());
  if (auto on = os::failpoint("node/marked"); !on) return fail(on.error());
  if (const auto told = os::write_all(go.get(), "g"); !told) return fail(told.error());
  const std::string text = read_to_end(report.get());
  const auto error = text.find("error ");
  if (error != std::string::npos) {
    return fail(Errc::unavailable, "{}", text.substr(error + 6));
  }
  if (text.empty()) return fail(Errc::unavailable, "the node's first process ended");
  return text;
}

Result<BringUpOutcome> start_node(const NodeDescription& node, Stopwatch& watch) {
  if (const auto entered = enter_namespaces(node, watch); !entered) return fail(entered.error());
  auto descriptors = open_agent_descriptors(node);
  if (!descriptors) return fail(descriptors.error());
  auto go = make_pipe();
  auto report = make_pipe();
  if (!go || !report) return fail(go ? report.error() : go.error());
  const pid_t pid = ::fork();
  if (pid < 0) return fail(os::errno_error(errno, "fork"));
  if (pid == 0) {
    go->write.reset();
    report->read.reset();
    be_first_process(node, *descriptors, go->read, report->write);
  }
  go->read.reset();
  report->write.reset();
  const auto steps = await_agent(pid, node, go->write, report->read);
  if (!steps) {
    (void)::kill(pid, SIGKILL);
    (void)::waitpid(pid, nullptr, 0);
    return fail(steps.error());
  }
  watch.lap("first process");
  return BringUpOutcome{pid, fmt::format("{} (of it {})", watch.laps(), *steps)};
}

}  // namespace

int bring_up_node() {
  (void)::umask(022);
  Stopwatch watch;
  const auto outcome =
      parse_description(read_to_end(kDescription)).and_then([&watch](const NodeDescription& node) {
        return start_node(node, watch).map_error([&node](Error error) {
          return within("node " + node.id.value, std::move(error));
        });
      });
  const auto told = os::write_all(kAnswer, render_outcome(outcome));
  return outcome && told ? 0 : 1;
}

}  // namespace cox::provider
