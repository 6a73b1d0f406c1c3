#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <functional>
#include <map>
#include <utility>

#include "runtime/agent/container_run.hpp"
#include "runtime/agent/direct_run.hpp"
#include "runtime/agent/exec_words.hpp"
#include "runtime/agent/own_limits.hpp"
#include "runtime/agent/spawn.hpp"
#include "runtime/agent/step.hpp"
#include "runtime/agent/step_messages.hpp"
#include "runtime/agent/step_plan_text.hpp"
#include "runtime/base/text.hpp"
#include "runtime/os/files.hpp"

/// The step's own side: a process with one job's rights and nothing else.
namespace cox::agent {

namespace {

constexpr int kCannotExecute = 126;
constexpr int kNotFound = 127;

/// Gives up everything that the job's user has not: groups, root, capabilities.
Result<void> become_user(const StepPlan& plan) {
  const auto& user = plan.user;
  if (plan.change_user) {
    if (::initgroups(user.name.c_str(), user.gid) != 0 && ::setgroups(0, nullptr) != 0) {
      return fail(os::errno_error(errno, "setgroups"));
    }
    if (::setresgid(user.gid, user.gid, user.gid) != 0 ||
        ::setresuid(user.uid, user.uid, user.uid) != 0) {
      return fail(os::errno_error(errno, "become user " + user.name));
    }
    if (user.uid == 0) return {};
  }
  // An agent in a user namespace has capabilities there without being root.
  ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct none[2] = {};
  if (::geteuid() != 0 && ::syscall(SYS_capset, &header, none) != 0) {
    return fail(os::errno_error(errno, "drop capabilities"));
  }
  return {};
}

Result<void> write_file(int directory, const std::string& name, std::string_view bytes,
                        std::uint32_t mode) {
  const auto file =
      os::open_beneath(directory, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode);
  if (!file) return fail(within("cannot make", file.error()));
  if (::fchmod(file->get(), mode) != 0) return fail(os::errno_error(errno, "cannot make " + name));
  if (auto written = os::write_all(file->get(), bytes); !written) {
    return fail(within("cannot make " + name, written.error()));
  }
  return {};
}

/// The job's directory and files, made with the job's own rights.
Result<void> prepare(const StepPlan& plan) {
  ::umask(022);
  const os::Fd home(::open(plan.home.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!home) return fail(os::errno_error(errno, plan.home));
  if (!plan.hostfile.empty()) {
    if (auto made = write_file(home.get(), "hostfile", plan.hostfile, 0600); !made) return made;
  }
  if (!plan.nodes.empty()) {
    if (auto made = write_file(home.get(), ".nodes", plan.nodes, 0600); !made) return made;
  }
  const std::string directory = plan.directory.empty() ? "." : plan.directory;
  // A home that was used before has both, by one name or another.
  const auto open_directory = [&] {
    return os::open_beneath(home.get(), directory, O_RDONLY | O_DIRECTORY);
  };
  auto where = open_directory();
  if (!where || plan.directory.empty()) ::mkdirat(home.get(), ".ssh", 0700);
  if (!where) {
    if (::mkdirat(home.get(), directory.c_str(), 0700) != 0 && errno != EEXIST) {
      return fail(os::errno_error(errno, "cannot make " + directory));
    }
    where = open_directory();
  }
  if (!where) return fail(where.error());
  for (const auto& file : plan.files) {
    if (auto made = write_file(where->get(), file.name, file.bytes, file.mode); !made) return made;
  }
  if (::fchdir(where->get()) != 0) return fail(os::errno_error(errno, directory));
  return {};
}

/// What a process of steps keeps open from one plan to the next.
struct StepDescriptors {
  explicit StepDescriptors(int to_agent) : control(to_agent) {
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    ::sigprocmask(SIG_BLOCK, &child, &unblocked);
    signals.reset(::signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK));
  }

  int control;
  os::Fd signals;  ///< SIGCHLD's, which is blocked
  sigset_t unblocked{};
};

class StepProcess {
 public:
  /// `is_user`: it is the plan's user's already. `is_as_new`: it could be another plan's.
  StepProcess(const StepPlan& plan, const StepDescriptors& open, bool is_user,
              std::function<bool()> is_as_new)
      : plan_(plan),
        control_(open.control),
        is_user_(is_user),
        signals_(open.signals.get()),
        unblocked_(open.unblocked),
        is_as_new_(std::move(is_as_new)) {}
  StepProcess(const StepProcess&) = delete;
  StepProcess& operator=(const StepProcess&) = delete;

  /// Returns when it has said that it waits for another plan: with nothing left below. With
  /// `outputs` the command is launched at once.
  void run(std::vector<os::Fd> outputs) {
    auto ready = get_ready();
    is_ready_ = ready.has_value();
    if (!ready) {
      tell('F', 0, 0, ready.error().message);
    } else if (!plan_.is_launched) {
      tell('P', ready->port, 0, ready->secret);
    }
    if (is_ready_ && outputs.size() == 2) launch(outputs);
    outputs.clear();
    while (!waits_again_) {
      watches_.clear();
      watches_.push_back({signals_, POLLIN, [this] { reap(); }});
      watches_.push_back({control_, POLLIN, [this] { receive(); }});
      if (ranks_) ranks_->watch(watches_);
      turn();
    }
  }

 private:
  Result<wire::Meeting> get_ready() {
    if (!is_user_) {
      if (auto became = become_user(plan_); !became) return fail(became.error());
    }
    if (auto prepared = prepare(plan_); !prepared) return fail(prepared.error());
    if (plan_.container) {
      box_.emplace(plan_, control_, unblocked_,
                   [this](const std::string& text) { tell('p', 0, 0, text); });
      if (auto made = box_->prepare(); !made) return fail(made.error());
    }
    if (!plan_.direct) return wire::Meeting{};
    const auto tell_agent = [this](const StepMessage& said) {
      if (!send_step_message(control_, said)) ::_exit(0);
    };
    ranks_.emplace(plan_, tell_agent, unblocked_);
    return ranks_->open();
  }

  /// Waits for the first thing to happen, and does what is to be done.
  void turn() {
    watched_.clear();
    for (const auto& watch : watches_) watched_.push_back({watch.fd, watch.events, 0});
    const int wait = ranks_ ? ranks_->wait_ms() : -1;
    const int ready = ::poll(watched_.data(), watched_.size(), wait);
    if (ready < 0 && errno != EINTR) ::_exit(1);
    // What comes once it waits for another plan is for the end that has not been heard yet.
    for (std::size_t i = 0; ready > 0 && i < watched_.size() && !waits_again_; ++i) {
      if (watched_[i].revents != 0) watches_[i].ready();
    }
    if (ranks_) ranks_->tick();
  }

  void receive() {
    StepMessage message;
    if (!receive_step_message(control_, message)) ::_exit(0);
    if (message.kind == 'L' && box_) {
      launch_box(message);
    } else if (message.kind == 'L' && is_ready_) {
      launch(message.descriptors);
    }
    if (message.kind == 'G' && box_) start_box();
    if (message.kind == 'R' && is_ready_) ask_remote(std::move(message));
    if (!ranks_) return;
    if (message.kind == 'O') {
      ranks_->add_output(static_cast<int>(message.number), std::move(message.descriptors.at(0)),
                         std::move(message.descriptors.at(1)));
    }
    if (message.kind == 'D') ranks_->launch({static_cast<int>(message.number), message.text});
    if (message.kind == 'T') ranks_->stopping();
  }

  void tell(char kind, std::int64_t number, std::int64_t flag, std::string text = {}) const {
    StepMessage message;
    message.kind = kind;
    message.number = number;
    message.flag = flag;
    message.text = std::move(text);
    if (!send_step_message(control_, message)) ::_exit(0);
  }

  /// A child with these descriptors as 0, 1 and 2. Its failure to execute comes back as errno. The
  /// step's memory, which is the agent's, is not copied for a child that gives it up at once.
  std::pair<pid_t, int> start(const std::vector<std::string>& argv,
                              const std::vector<std::string>& environment, int in, int out,
                              int err) {
    if (box_) return start_stopped(argv, environment, in, out, err);
    const Spawn how{in, out, err, unblocked_};
    const auto variables = exec_words(environment);
    pid_t pid = -1;
    const int why = try_names(argv, environment, [&](const char* path, const auto& words) {
      return spawn(how, pid, path, words, variables);
    });
    return {why == 0 ? pid : -1, why};
  }

  /// The same for what enters a container: it is put within its limits first, while it can start
  /// nothing yet.
  std::pair<pid_t, int> start_stopped(const std::vector<std::string>& argv,
                                      const std::vector<std::string>& environment, int in, int out,
                                      int err) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return {-1, errno};
    const pid_t pid = ::fork();
    if (pid == 0) {
      ::dup2(in, 0);
      ::dup2(out, 1);
      ::dup2(err, 2);
      ::syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC);
      ::setpgid(0, 0);
      ::sigprocmask(SIG_SETMASK, &unblocked_, nullptr);
      ::raise(SIGSTOP);
      const auto variables = exec_words(environment);
      const int why = try_names(argv, environment, [&](const char* path, const auto& words) {
        ::execve(path, words.data(), variables.data());
        return errno;
      });
      [[maybe_unused]] const auto ignored = ::write(ends[1], &why, sizeof why);
      ::_exit(kNotFound);
    }
    const int fork_errno = errno;
    ::close(ends[1]);
    int why = pid < 0 ? fork_errno : 0;
    int status = 0;
    if (pid > 0 && ::waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status)) {
      tell('m', pid, 0);
    }
    while (pid > 0 && ::read(ends[0], &why, sizeof why) < 0 && errno == EINTR) {
    }
    ::close(ends[0]);
    if (pid > 0 && why != 0) ::waitpid(pid, nullptr, 0);
    return {why == 0 ? pid : -1, why};
  }

  void launch(const std::vector<os::Fd>& outputs) {
    const os::Fd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    const int err = outputs.at(1).get();
    const auto [pid, why] =
        start(plan_.command, plan_.environment, null.get(), outputs.at(0).get(), err);
    if (pid > 0) {
      command_ = pid;
      tell('S', pid, 0);
      return;
    }
    const bool missing = why == ENOENT || why == ENOTDIR;
    const auto text =
        fmt::format("{}: {}", plan_.command[0], missing ? "command not found" : std::strerror(why));
    [[maybe_unused]] const auto ignored = os::write_all(err, text + "\n");
    tell('E', missing ? kNotFound : kCannotExecute, 0, text);
  }

  /// Sets the container up; its first process waits until the agent has it within its limits.
  void launch_box(const StepMessage& message) {
    const os::Fd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    const auto first =
        box_->init(null.get(), message.descriptors.at(0).get(), message.descriptors.at(1).get());
    if (first) {
      tell('C', *first, box_->user());
    } else {
      tell('E', kNotFound, 0, first.error().message);
    }
  }

  void start_box() {
    const auto started = box_->start();
    if (!started) return tell('E', kNotFound, 0, started.error().message);
    tell('S', 0, 0);
    for (const auto& waiting : std::exchange(waiting_remotes_, {})) run_remote(waiting);
  }

  /// Other nodes may be quicker: what they ask for waits for the container.
  void ask_remote(StepMessage message) {
    const bool waits = box_ && !box_->is_running() && !box_over_;
    if (waits) {
      waiting_remotes_.push_back(std::move(message));
    } else {
      run_remote(message);
    }
  }

  void run_remote(const StepMessage& message) {
    if (box_over_) return tell('r', message.number, kNotFound << 8);
    const auto entry =
        box_ ? box_->entry(message.text)
             : ContainerRun::Entry{{"/bin/sh", "-c", message.text}, plan_.environment};
    const auto [pid, why] = start(entry.words, entry.environment, message.descriptors.at(0).get(),
                                  message.descriptors.at(1).get(), message.descriptors.at(2).get());
    if (pid > 0) {
      remotes_[pid] = message.number;
    } else {
      tell('r', message.number, kNotFound << 8);
    }
  }

  void reap() {
    signalfd_siginfo info{};
    while (::read(signals_, &info, sizeof info) > 0) {
    }
    int status = 0;
    pid_t pid = 0;
    std::optional<int> ended;
    rusage usage{};
    while ((pid = ::wait4(-1, &status, WNOHANG, &usage)) > 0) {
      if (ranks_ && ranks_->child_ended(pid, status, usage)) continue;
      if (box_ && pid == box_->monitor()) {
        box_over_ = true;
        ended = box_->ended();
      } else if (pid == command_) {
        ended = status;
        command_ = 0;
      } else if (const auto remote = remotes_.find(pid); remote != remotes_.end()) {
        tell('r', remote->second, status);
        remotes_.erase(remote);
      }
    }
    const bool empty = pid < 0 && errno == ECHILD;
    if (ended) {
      command_over_ = true;
      tell('X', *ended, what_is_left(empty));
    } else if (empty) {
      tell('Z', 0, what_is_left(empty));
    }
  }

  /// With nothing left, a process that has run its command can be used for another plan. Where a
  /// job has other nodes they may be about to ask for something.
  [[nodiscard]] std::int64_t what_is_left(bool empty) {
    const bool is_done = empty && command_over_ && plan_.nodes.empty() && !ranks_ && !box_;
    waits_again_ = is_done && is_as_new_();
    return (empty ? kNothingLeft : 0) | (waits_again_ ? kWaitsAgain : 0);
  }

  const StepPlan& plan_;
  int control_;
  bool is_user_;
  int signals_;
  sigset_t unblocked_;
  std::function<bool()> is_as_new_;
  bool is_ready_ = false;
  bool command_over_ = false;
  bool waits_again_ = false;
  pid_t command_ = 0;
  std::map<pid_t, std::int64_t> remotes_;
  std::optional<DirectRun> ranks_;
  std::optional<ContainerRun> box_;
  bool box_over_ = false;
  std::vector<StepMessage> waiting_remotes_;
  std::vector<Watch> watches_;
  std::vector<pollfd> watched_;
};

/// Nothing of the agent's is left: not its handlers, not its TLS connection, not the bridge's
/// network.
void leave_agent(int control, const char* name) {
  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::setsid();
  ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  ::prctl(PR_SET_NAME, name, 0, 0, 0);
  const auto kept = static_cast<unsigned>(control);
  if (kept > 3) ::syscall(SYS_close_range, 3U, kept - 1, 0U);
  ::syscall(SYS_close_range, kept + 1, ~0U, 0U);
}

constexpr const char* kStepName = "cox-step";

/// In a child of the nursery, which has left the agent already: enters the cgroup, if any, and is a
/// step once it hears of which.
[[noreturn]] void wait_for_plan(const std::string& processes_file, int control) {
  ::setsid();
  ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  ::prctl(PR_SET_NAME, "cox-spare", 0, 0, 0);
  if (!processes_file.empty()) {
    const os::Fd file(::open(processes_file.c_str(), O_WRONLY | O_CLOEXEC));
    if (!file || !os::write_all(file.get(), "0")) ::_exit(1);
  }
  const StepDescriptors open(control);
  const auto limits = own_limits();
  StepMessage message;
  message.kind = 'A';
  message.number = ::getpid();
  if (!send_step_message(control, message)) ::_exit(0);
  const auto is_as_new = [&] { return ::chdir("/") == 0 && own_limits() == limits; };
  for (std::optional<JobUser> is; receive_step_message(control, message);) {
    if (message.kind != 'Q') continue;  // the agent had not heard yet that the last part is over
    const auto plan = plan_of_text(message.text);
    if (!plan || (is && *is != plan->user)) ::_exit(1);
    // Somebody took away its right to more descriptors: they were cut off.
    if (plan->is_launched && message.descriptors.size() != 2) ::_exit(1);
    if (!is) ::prctl(PR_SET_NAME, kStepName, 0, 0, 0);
    StepProcess(*plan, open, is.has_value(), is_as_new).run(std::move(message.descriptors));
    is = plan->user;
  }
  ::_exit(0);
}

}  // namespace

void be_step(const StepPlan& plan, int control) {
  leave_agent(control, kStepName);
  StepMessage message;
  if (!receive_step_message(control, message) || message.kind != 'B') ::_exit(0);
  const StepDescriptors open(control);
  StepProcess(plan, open, false, [] { return false; }).run({});
  ::_exit(0);
}

void be_nursery(int control) {
  leave_agent(control, "cox-nursery");
  StepMessage message;
  while (receive_step_message(control, message)) {
    if (message.kind != 'N' || message.descriptors.size() != 1) continue;
    // fork() makes no siblings. There is one thread, so that it would have nothing to add.
    const auto pid = ::syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
    if (pid == 0) {
      ::close(control);
      wait_for_plan(message.text, message.descriptors.front().release());
    }
    message.descriptors.clear();  // of one that is not there, the agent sees the end
  }
  ::_exit(0);
}

}  // namespace cox::agent
