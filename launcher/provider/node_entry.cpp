#include <fcntl.h>
#include <fmt/format.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "launcher/provider/capabilities.hpp"
#include "launcher/provider/local_provider.hpp"
#include "launcher/provider/login.hpp"
#include "launcher/provider/node_files.hpp"
#include "runtime/base/text.hpp"
#include "runtime/os/fd.hpp"
#include "runtime/os/files.hpp"
#include "runtime/os/process.hpp"

namespace cox::provider {
namespace {

/// Where a signal to this process goes while the program in the node runs.
volatile sig_atomic_t program_pid = 0;

extern "C" void pass_on(int signal) {
  if (program_pid > 0) (void)::kill(program_pid, signal);
}

tl::unexpected<Error> cannot_enter(const char* what) {
  return fail(Errc::unavailable, "cannot enter the node: {}", os::errno_error(errno, what).message);
}

/// As root entering another user's cluster: becomes that user, the only one mapped there.
Result<void> become(uid_t uid, gid_t gid) {
  if (::geteuid() == uid) return {};
  if (::setresgid(gid, gid, gid) != 0 || ::setresuid(uid, uid, uid) != 0) {
    return cannot_enter("setresuid");
  }
  return {};
}

Result<void> enter_namespaces(int pid) {
  struct stat owner {};
  struct stat their_user {};
  struct stat our_user {};
  const std::string process = fmt::format("/proc/{}", pid);
  if (::stat(process.c_str(), &owner) != 0 ||
      ::stat((process + "/ns/user").c_str(), &their_user) != 0 ||
      ::stat("/proc/self/ns/user", &our_user) != 0) {
    return cannot_enter(process.c_str());
  }
  const os::Fd process_fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!process_fd) return cannot_enter("pidfd_open");
  int which = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID;
  const bool other_user = their_user.st_ino != our_user.st_ino;
  if (other_user) which |= CLONE_NEWUSER;
  if (::setns(process_fd.get(), which) != 0) return cannot_enter("setns");
  return other_user ? become(owner.st_uid, owner.st_gid) : Result<void>();
}

/// A login shell works with process groups, and those of outside have no number in the node: it
/// gets one of its own, in the foreground of the terminal.
void take_terminal() {
  if (::isatty(STDIN_FILENO) == 0) return;
  (void)::setpgid(0, 0);
  (void)::signal(SIGTTOU, SIG_IGN);
  (void)::tcsetpgrp(STDIN_FILENO, ::getpid());
  (void)::signal(SIGTTOU, SIG_DFL);
}

[[noreturn]] void become_program(const NodeEntry& entry, const std::vector<std::string>& argv) {
  (void)::prctl(PR_SET_PDEATHSIG, SIGHUP);
  if (argv.empty()) take_terminal();
  for (const int signal : {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGPIPE}) {
    (void)::signal(signal, SIG_DFL);
  }
  LoginProgram program = login_program(entry.os_user, argv, [](const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? std::string() : std::string(value);
  });
  const auto dropped = drop_capabilities();
  if (!dropped) {
    (void)os::write_all(STDERR_FILENO, dropped.error().message + "\n");
    ::_exit(126);
  }
  if (::chdir(program.directory.c_str()) != 0) (void)!::chdir("/");
  std::vector<char*> words;
  for (std::string& word : program.argv) words.push_back(word.data());
  words.push_back(nullptr);
  std::vector<char*> variables;
  for (std::string& variable : program.environment) variables.push_back(variable.data());
  variables.push_back(nullptr);
  (void)::execve(program.path.c_str(), words.data(), variables.data());
  (void)os::write_all(STDERR_FILENO, os::errno_error(errno, program.path).message + "\n");
  ::_exit(127);
}

int wait_for(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return 255;
  }
  return os::exit_code_of(status);
}

}  // namespace

Result<NodeEntry> find_local_node(const std::string& cluster_directory, const NodeId& id) {
  const auto mark = living_first_process(cluster_directory, id);
  if (!mark) return fail(mark.error());
  const auto user = os::read_file(node_directory(cluster_directory, id) + "/os_user", 256);
  if (!user) return fail(user.error());
  return NodeEntry{mark->pid, std::string(trim(*user))};
}

Result<int> run_in_local_node(const NodeEntry& entry, const std::vector<std::string>& argv) {
  const bool terminal = ::isatty(STDIN_FILENO) != 0;
  const pid_t foreground = terminal ? ::tcgetpgrp(STDIN_FILENO) : -1;
  if (const auto entered = enter_namespaces(entry.pid); !entered) return fail(entered.error());
  struct sigaction forward {};
  forward.sa_handler = pass_on;
  forward.sa_flags = SA_RESTART;
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  const pid_t pid = ::fork();
  if (pid < 0) return cannot_enter("fork");
  if (pid == 0) become_program(entry, argv);
  program_pid = pid;
  // The terminal gives Ctrl-C to the program itself, which decides what it means.
  (void)::sigaction(SIGINT, terminal ? &ignore : &forward, nullptr);
  (void)::sigaction(SIGQUIT, terminal ? &ignore : &forward, nullptr);
  (void)::sigaction(SIGTERM, &forward, nullptr);
  (void)::sigaction(SIGHUP, &forward, nullptr);
  const int exit_code = wait_for(pid);
  program_pid = 0;
  if (terminal && argv.empty() && foreground > 0) {
    (void)::signal(SIGTTOU, SIG_IGN);
    (void)::tcsetpgrp(STDIN_FILENO, foreground);
    (void)::signal(SIGTTOU, SIG_DFL);
  }
  return exit_code;
}

}  // namespace cox::provider
