#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/agent/container_plan.hpp"
#include "runtime/base/result.hpp"
#include "runtime/model/job.hpp"
#include "runtime/os/event_loop.hpp"
#include "runtime/os/fd.hpp"
#include "runtime/wire/message.hpp"

/// A step: the process below which everything of one part runs, as the job's user. The agent forks
/// it, it touches what a job can write, and starts the job's command and what cox-rsh asks for. It
/// adopts orphans, so that nothing of the part is ever elsewhere.
namespace cox::agent {

struct StepFile {
  std::string name;
  std::uint32_t mode = 0600;
  std::string bytes;
};

/// One of several programs that ranks of a direct launch are of.
struct RankProgram {
  std::vector<std::string> argv;
  std::string path;                      ///< of the program; empty: argv[0] is it
  std::vector<std::string> environment;  ///< "NAME=value"
  std::string directory;                 ///< to start in; empty: where the launcher is

  friend bool operator==(const RankProgram&, const RankProgram&) = default;
};

/// What a step needs to start its node's ranks of `command` itself.
struct DirectPlan {
  int node_index = 0;
  std::vector<int> node_of_rank;
  std::vector<std::string> hosts;          ///< the job's nodes, by index
  std::string address;                     ///< this node's
  std::string hub_address;                 ///< of the node where this one meets the others
  int fan_out = 0;                         ///< of the tree of nodes (mpi::HubTree)
  std::string name;                        ///< of the attempt, unique
  std::string pmi_library;                 ///< for Open MPI's flux component
  std::string session_directory;           ///< to be made, on tmpfs; the agent removes it
  std::map<int, std::vector<int>> cpus;    ///< by rank, the system's numbers; none: not bound
  std::vector<RankProgram> programs = {};  ///< empty: the plan's own command
  std::vector<int> program_of_rank = {};   ///< empty: all are of the first
  int universe = 0;                        ///< slots that there are; 0: as many as ranks
};

/// What a command gets as its stdout and stderr.
struct OutputEnds {
  os::Fd out;
  os::Fd err;
};

/// What a step needs before it runs anything.
struct StepPlan {
  JobUser user;
  bool change_user = false;     ///< the agent is root: become the user
  bool is_launched = false;     ///< launch() comes at once; `prepared` is told of a failure alone
  std::string home;             ///< exists, belongs to the user
  std::string directory;        ///< below home; empty: home itself
  std::string hostfile;         ///< text; empty: none
  std::string nodes;            ///< text of the file that COX_NODES names; empty: none
  std::vector<StepFile> files;  ///< put into the working directory
  std::vector<std::string> command;
  std::vector<std::string> environment;  ///< "NAME=value"
  std::optional<DirectPlan> direct;
  std::optional<ContainerPlan> container;  ///< what the command runs in
};

/// A rank's end, as the step saw it.
struct RankEnd {
  int rank = 0;
  int exit_code = 0;  ///< 128 + signal for a signal
  std::int64_t at_ms = 0;
  std::int64_t max_rss_kib = 0;
  std::int64_t cpu_us = 0;
  std::string how;          ///< as wire::RankExited
  std::int64_t signal = 0;  ///< that ended it; 0: none
  std::int64_t pid = 0;
};

/// What a step tells.
struct StepEvents {
  std::function<void(const Result<wire::Meeting>&)> prepared;
  std::function<void()> started;
  /// Getting ready takes long: how far it has come.
  std::function<void(std::string)> progress;
  /// Of a container: its first process waits for go(); and who runs in it.
  std::function<void(pid_t, std::uint32_t user)> container_made;
  /// A command that is to enter the container stands stopped until it gets SIGCONT.
  std::function<void(pid_t)> entering;
  /// The command could not be executed: exit code (126, 127) and a sentence.
  std::function<void(int, std::string)> not_started;
  /// The command ended (wait status); `empty`: nothing else is left below the step.
  std::function<void(int wait_status, bool empty)> command_ended;
  std::function<void(std::uint64_t id, int wait_status)> remote_ended;
  /// Of a direct launch: a rank ended by itself; all are gone, with the job's exit code and a
  /// reason, which is empty where the ranks' ends say it.
  std::function<void(const RankEnd&)> rank_ended;
  std::function<void(int exit_code, std::string reason)> ranks_over;
  /// Nothing is left below the step any more.
  std::function<void()> emptied;
};

/// The agent's end of a step's socket: watched from first to last, whoever listens.
class StepControl {
 public:
  StepControl(os::EventLoop& loop, os::Fd socket);

  [[nodiscard]] int get() const { return socket_.get(); }
  /// Calls this from now on whenever there is something to read. What it calls may replace it.
  void on_readable(std::function<void()> listener) { listener_ = std::move(listener); }
  /// Reads no more: the other end is gone.
  void close() { watch_.reset(); }
  [[nodiscard]] bool is_open() const { return watch_ != nullptr; }

 private:
  os::Fd socket_;
  std::function<void()> listener_;
  os::SubscriptionPtr watch_;
};

/// A process that waits for its plan.
struct SpareProcess {
  pid_t pid = 0;
  std::unique_ptr<StepControl> control;
  std::chrono::steady_clock::time_point begun = {};  ///< when it got its first plan
};

/// The agent's end of a step.
class Step {
 public:
  /// Forks the step. It waits for begin() before it does anything, so that it can be put into its
  /// cgroup first. Errors: unavailable when there is no process to be had.
  [[nodiscard]] static Result<std::unique_ptr<Step>> fork(os::EventLoop& loop, StepPlan plan,
                                                          StepEvents events);
  /// A process of be_nursery() becomes a step by this text of text_of_plan(), and begins; with
  /// `ends` it is launched too. Null, and the events and the ends untouched: it cannot be told.
  [[nodiscard]] static std::unique_ptr<Step> adopt(os::EventLoop& loop, SpareProcess spare,
                                                   const std::string& plan, StepEvents& events,
                                                   OutputEnds& ends);
  virtual ~Step() = default;

  [[nodiscard]] virtual pid_t pid() const = 0;
  /// The process of one that was adopted and waits for another plan of the same user's. None: it
  /// does not, and is to be killed.
  [[nodiscard]] virtual std::optional<SpareProcess> release() = 0;
  virtual void begin() = 0;
  /// Starts the command with these as its stdout and stderr.
  virtual void launch(OutputEnds ends) = 0;
  /// Starts the ranks of a direct launch; each was given its stdout and stderr before.
  virtual void add_output(int rank, os::Fd out, os::Fd err) = 0;
  virtual void launch_ranks(const wire::Meeting& meeting) = 0;
  /// The container that waits may run.
  virtual void go() = 0;
  /// Ranks that end from now on were asked to; nothing more is started to get ready.
  virtual void stopping() = 0;
  /// Starts `/bin/sh -c command` with the part's environment.
  virtual void run_remote(std::uint64_t id, const std::string& command, os::Fd in, os::Fd out,
                          os::Fd err) = 0;
};

/// The body of the step process; never returns.
[[noreturn]] void be_step(const StepPlan& plan, int control);
/// For each 'N' that names a cgroup's file of processes and brings a control: forks a process that
/// enters the cgroup, says 'A' with its number and is a step once it is told its plan, and again
/// where it has said so; as a child of this one's own parent. A process that does nothing else is
/// small, and costs little to fork.
[[noreturn]] void be_nursery(int control);

/// What is left below a step: processes_below() it, without a look at all of /proc where that is
/// nothing, which is the rule.
[[nodiscard]] std::vector<pid_t> left_below(pid_t step);

/// Once, before steps are forked: what each of them would have to load to become a job's user.
void get_ready_for_steps();

/// Processes below `root`, found by their parents' numbers in /proc, the deepest last. Without it.
[[nodiscard]] std::vector<pid_t> processes_below(pid_t root);

}  // namespace cox::agent
