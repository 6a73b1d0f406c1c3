#pragma once

#include <signal.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/agent/direct_run.hpp"
#include "runtime/agent/mpirun_order.hpp"
#include "runtime/agent/rank_reports.hpp"

namespace cox::agent {

/// One node's share of a launch by our mpirun: its ranks, started by DirectRun, and what they
/// print. A rank's stdout is a terminal that changes nothing, as under Open MPI's own mpirun, so
/// that programs buffer as they do there; its stderr is a pipe.
class MpirunNode {
 public:
  struct Events {
    std::function<void(int rank, int stream, std::string_view bytes)> output;
    std::function<void(const RankEnd&)> ended;
    std::function<void(const std::string&)> said;  ///< of mpirun's own: a line for stderr
  };

  MpirunNode(MpirunOrder order, Events events, const sigset_t& mask);
  ~MpirunNode();
  MpirunNode(const MpirunNode&) = delete;
  MpirunNode& operator=(const MpirunNode&) = delete;

  /// Looks whether all that its ranks need is here: programs, directories, Open MPI's component,
  /// memory. Nothing runs before launch(). Errors: why this node cannot.
  [[nodiscard]] Result<wire::Meeting> prepare();
  [[nodiscard]] DirectRun& run() { return *run_; }
  [[nodiscard]] const DirectRun& run() const { return *run_; }
  [[nodiscard]] const MpirunOrder& order() const { return order_; }
  /// What rank 0 reads, where it is here; nothing: /dev/null.
  [[nodiscard]] Result<void> launch(const wire::Meeting& meeting, os::Fd input);

  /// `reading`: there is room for what ranks print.
  void watch(std::vector<Watch>& watches, bool reading);
  [[nodiscard]] int wait_ms() const;
  void tick();
  void reap();
  /// The ranks are gone and what they printed has been read.
  [[nodiscard]] bool is_dry() const;
  /// Tells the agent the rest, and leaves nothing behind.
  void finish();

 private:
  struct Stream {
    int rank = 0;
    int number = 0;  ///< 0 stdout, 1 stderr
    os::Fd from;
    os::Fd file;  ///< of --output-filename
  };
  using Clock = std::chrono::steady_clock;

  [[nodiscard]] Result<RankProgram> find(const MpirunOrder::Program& program) const;
  [[nodiscard]] Result<void> bind(DirectPlan& plan);
  [[nodiscard]] Result<void> open_output(int rank);
  [[nodiscard]] Result<os::Fd> open_file(int rank, int stream) const;
  void read(Stream& stream);
  void start_guard();

  MpirunOrder order_;
  Events events_;
  sigset_t mask_;
  StepPlan plan_;
  std::string session_;
  std::vector<std::string> bindings_;  ///< as they are reported
  std::optional<RankReports> reports_;
  std::optional<DirectRun> run_;
  os::Fd guard_;  ///< open as long as this process lives
  pid_t guard_pid_ = 0;
  std::vector<Stream> streams_;
  std::optional<Clock::time_point> dry_by_;  ///< a descendant that holds a stream is not waited for
};

/// "NAME=value" of this process's environment, with `settings` in place of what has their names.
[[nodiscard]] std::vector<std::string> own_environment(const std::vector<std::string>& settings);

}  // namespace cox::agent
