#include "node_world.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <thread>

#include "launcher/provider/memory_cgroup.hpp"
#include "launcher/provider/node_files.hpp"
#include "runtime/base/text.hpp"
#include "runtime/os/files.hpp"
#include "runtime/os/process.hpp"

namespace cox::provider {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto kLongest = 30s;

[[noreturn]] void give_up(const std::string& why) {
  (void)std::fputs((why + "\n").c_str(), stderr);
  ::_exit(70);
}

/// Waits until there is something to read, an end too. False when the time has run out.
bool becomes_readable(int fd, Clock::time_point until) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now());
  pollfd waited{fd, POLLIN, 0};
  return ::poll(&waited, 1, static_cast<int>(std::max<std::int64_t>(0, left.count()))) > 0;
}

std::string read_to_end(int fd, Clock::time_point until) {
  std::string text;
  std::array<char, 4096> buffer{};
  (void)::fcntl(fd, F_SETFL, O_NONBLOCK);
  while (becomes_readable(fd, until)) {
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    // A terminal whose last program has ended gives EIO.
    if (got == 0 || (got < 0 && errno == EIO)) return text;
    if (got > 0) text.append(buffer.data(), static_cast<std::size_t>(got));
  }
  return text + " (and then nothing for too long)";
}

void become(unsigned uid) {
  if (::geteuid() == uid) return;
  if (::setresgid(uid, uid, uid) != 0 || ::setresuid(uid, uid, uid) != 0) give_up("setresuid");
  // Changing the user makes a process private to root, its /proc too; exec would undo it.
  (void)::prctl(PR_SET_DUMPABLE, 1);
}

struct Child {
  pid_t pid = 0;
  os::Fd output;
};

/// `body` gets the descriptor that the child's answer goes to.
Child start_child(const std::function<void(int)>& body) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
  const pid_t pid = ::fork();
  if (pid == 0) {
    (void)::close(ends[0]);
    body(ends[1]);
    ::_exit(0);
  }
  (void)::close(ends[1]);
  return {pid, os::Fd(ends[0])};
}

int wait_for(pid_t pid) {
  int status = 0;
  (void)::waitpid(pid, &status, 0);
  return os::exit_code_of(status);
}

std::string content_of(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

NodeWorld::NodeWorld(unsigned uid) : uid_(uid) {
  // Nodes whose keeper was killed come to this process, as they would come to init.
  (void)::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  const char* base = std::getenv("TMPDIR");
  directory_ = std::string(base == nullptr ? "/tmp" : base) + "/cox-provider-XXXXXX";
  if (::mkdtemp(directory_.data()) == nullptr) throw std::runtime_error("mkdtemp");
  for (const char* part : {"bin", "home", "api", "shared", "nodes"}) {
    fs::create_directory(directory_ + "/" + part);
  }
  fs::copy_file(COX_STAND_IN, directory_ + "/bin/coxd");
  fs::copy_file(COX_STAND_IN, directory_ + "/bin/cox-agent");
  for (const auto& entry : fs::recursive_directory_iterator(directory_)) {
    if (::lchown(entry.path().c_str(), uid, uid) != 0) throw std::runtime_error("lchown");
  }
  if (::chown(directory_.c_str(), uid, uid) != 0) throw std::runtime_error("chown");
}

NodeWorld::~NodeWorld() {
  kill_lasting();
  for (const NodeId& id : nodes_on_disk(directory_)) {
    if (const auto mark = living_first_process(directory_, id)) {
      (void)::kill(mark->pid, SIGKILL);
      (void)::waitpid(mark->pid, nullptr, 0);
    }
    (void)remove_memory_cgroup(plan().cluster_name, id.value);
  }
  std::error_code ignored;
  fs::remove_all(directory_, ignored);
}

LocalClusterPlan NodeWorld::plan() const {
  return {.cluster_name = fs::path(directory_).filename().string(),
          .directory = directory_,
          .home_directory = directory_ + "/home",
          .api_directory = directory_ + "/api",
          .bin_directory = directory_ + "/bin",
          .os_user = "ec2-user",
          .region = "us-east-1",
          .shared = {{directory_ + "/shared", "/shared"}}};
}

std::string NodeWorld::in_process(const std::function<std::string()>& body, bool lasting) {
  const Child child = start_child([&](int answer) {
    become(uid_);
    (void)os::write_all(answer, body());
    (void)::close(answer);
    while (lasting) (void)::pause();
  });
  const std::string text = read_to_end(child.output.get(), Clock::now() + 2 * kLongest);
  if (lasting) {
    lasting_ = child.pid;
    return text;
  }
  (void)::kill(child.pid, SIGKILL);
  (void)wait_for(child.pid);
  return text;
}

void NodeWorld::kill_lasting() {
  if (!lasting_) return;
  (void)::kill(*lasting_, SIGKILL);
  (void)wait_for(*lasting_);
  lasting_.reset();
}

std::string NodeWorld::in_node(const NodeId& id, const std::string& command) {
  const Child child = start_child([&](int answer) {
    become(uid_);
    (void)::dup2(answer, STDOUT_FILENO);
    (void)::dup2(answer, STDERR_FILENO);
    const auto entry = find_local_node(directory_, id);
    const auto code = entry.and_then(
        [&command](const NodeEntry& node) { return run_in_local_node(node, {command}); });
    (void)os::write_all(answer, code ? fmt::format(" -> {}", *code) : code.error().message);
  });
  const std::string text = read_to_end(child.output.get(), Clock::now() + kLongest);
  (void)::kill(child.pid, SIGKILL);
  (void)wait_for(child.pid);
  return text;
}

std::string NodeWorld::in_login_shell(const NodeId& id, const std::string& typed) {
  int terminal = -1;
  const pid_t pid = ::forkpty(&terminal, nullptr, nullptr, nullptr);
  if (pid < 0) throw std::runtime_error("forkpty");
  if (pid == 0) {
    become(uid_);
    const auto code = find_local_node(directory_, id).and_then([](const NodeEntry& node) {
      return run_in_local_node(node, {});
    });
    ::_exit(code.value_or(255));
  }
  const os::Fd ours(terminal);
  (void)os::write_all(terminal, typed);
  std::string text = read_to_end(terminal, Clock::now() + kLongest);
  text += fmt::format(" -> {}", wait_for_exit(pid));
  return text;
}

NodeWorld::Daemon NodeWorld::start_coxd() const {
  const std::string program = directory_ + "/bin/coxd";
  Child child = start_child([&](int answer) {
    become(uid_);
    constexpr int kReady = 9;
    (void)::dup2(answer, kReady);
    (void)::execl(program.c_str(), "coxd", "--cluster-dir", directory_.c_str(), "--ready-fd", "9",
                  nullptr);
    give_up("exec");
  });
  return {child.pid, std::move(child.output)};
}

std::string NodeWorld::read_all(const os::Fd& descriptor) {
  return read_to_end(descriptor.get(), Clock::now() + kLongest);
}

int NodeWorld::wait_for_exit(int pid) {
  const os::Fd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!process || !becomes_readable(process.get(), Clock::now() + kLongest)) return -1;
  int status = 0;
  if (::waitpid(pid, &status, 0) != pid) return -1;
  return os::exit_code_of(status);
}

std::vector<std::string> NodeWorld::leftovers_now() const {
  std::vector<std::string> left;
  std::error_code error;
  for (const auto& process : fs::directory_iterator("/proc", error)) {
    const auto pid = to_int(process.path().filename().string());
    if (!pid) continue;
    const std::string program = fs::read_symlink(process.path() / "exe", error).string();
    const bool ours =
        program.find(directory_) == 0 ||
        content_of(process.path() / "mountinfo").find(directory_) != std::string::npos;
    if (ours && (!lasting_ || *pid != *lasting_)) {
      left.push_back(fmt::format("process {} {}", *pid, program));
    }
  }
  for (const auto& entry : fs::directory_iterator(directory_ + "/nodes", error)) {
    left.push_back("file " + entry.path().string());
  }
  const std::string group = "/sys/fs/cgroup/memory/coxswain/" + plan().cluster_name;
  if (fs::exists(group)) left.push_back("cgroup " + group);
  const std::string unified = "/sys/fs/cgroup/coxswain/" + plan().cluster_name;
  if (fs::exists(unified)) left.push_back("cgroup " + unified);
  return left;
}

std::vector<std::string> NodeWorld::leftovers() const {
  const auto until = Clock::now() + 5s;
  auto left = leftovers_now();
  while (!left.empty() && Clock::now() < until) {
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    std::this_thread::sleep_for(5ms);  // house-rule: between two looks of a bounded wait
    left = leftovers_now();
  }
  return left;
}

NodeHost::NodeHost(const NodeWorld& world) {
  auto network = enter_cluster_namespaces(world.directory());
  if (!network) give_up(network.error().message);
  network_ = std::move(*network);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) give_up("pipe");
  reports_.reset(ends[1]);
  reaper_ = loop_.on_child_exit([this](int pid, int status) {
    const ChildReport report{pid, status};
    (void)!::write(reports_.get(), &report, sizeof report);
  });
  provider_ = make_local_provider(loop_, world.plan(), network_, 9470, os::Fd(ends[0]));
  provider_->on_node_ended([this](const NodeId& id, const std::string& how) {
    ended_ = fmt::format("{}: {}", id, how);
  });
}

NodeRequest NodeHost::request(const NodeId& id, int ordinal, const std::string& type) {
  return {.id = id,
          .ordinal = ordinal,
          .environment = ComputeEnvironmentName{"ce"},
          .type = {type, 2, MiB{3840}},
          .identity = {"certificate", "key", "ca"}};
}

std::string NodeHost::await(const std::optional<std::string>& text) {
  const auto until = Clock::now() + kLongest;
  while (!text && Clock::now() < until) loop_.run_for(2ms);
  return text.value_or("no answer in time");
}

std::string NodeHost::provision(const NodeId& id, int ordinal, const std::string& type) {
  std::optional<std::string> answer;
  provider_->provision(request(id, ordinal, type), [&answer](const Result<ProvisionedNode>& node) {
    answer = node ? fmt::format("{} {} {}", node->id, node->address, node->hostname)
                  : "error: " + node.error().message;
  });
  return await(answer);
}

std::string NodeHost::terminate(const NodeId& id) {
  std::optional<std::string> answer;
  provider_->terminate(id, [&answer](const Result<void>& ended) {
    answer = ended ? "ended" : "error: " + ended.error().message;
  });
  return await(answer);
}

std::string NodeHost::end_all() {
  std::optional<std::string> answer;
  provider_->end_all([&answer] { answer = "ended"; });
  return await(answer);
}

std::string NodeHost::next_end() {
  const std::string text = await(ended_);
  ended_.reset();
  return text;
}

}  // namespace cox::provider
