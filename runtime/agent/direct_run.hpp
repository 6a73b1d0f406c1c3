#pragma once

#include <signal.h>
#include <sys/resource.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "runtime/agent/hub_link.hpp"
#include "runtime/agent/step.hpp"
#include "runtime/agent/step_messages.hpp"
#include "runtime/mpi/hub_tree.hpp"
#include "runtime/mpi/launch_hub.hpp"
#include "runtime/mpi/pmi_server.hpp"

namespace cox::agent {

/// A descriptor that a step waits for, and what it does then.
struct Watch {
  int fd = -1;
  short events = 0;
  std::function<void()> ready;
};

/// A step's ranks when it starts them itself: forks them, serves PMI-1 to each over its socket, and
/// meets the steps of the job's other nodes: on the main node it is their hub. Of many nodes some
/// stand between: they hand on what is said, up and down.
///
/// The job ends everywhere at the first failure of a rank: MPI_Abort, a signal, an exit code that
/// is not 0, an exit between MPI_Init and MPI_Finalize, an exit while others wait for the rank in a
/// barrier, a step or a node that is gone. Ranks get SIGTERM then, and SIGKILL kKillAfter later.
class DirectRun {
 public:
  static constexpr std::chrono::milliseconds kKillAfter{50};

  /// `tell`: to the agent. `mask`: the ranks' signal mask.
  DirectRun(const StepPlan& plan, std::function<void(StepMessage)> tell, const sigset_t& mask);

  /// Makes the ranks' directory; where others meet, listens for them. The secret is the main
  /// node's; others have none of their own.
  [[nodiscard]] Result<wire::Meeting> open();
  void add_output(int rank, os::Fd out, os::Fd err);
  /// Where it is to read; otherwise it has nothing to.
  void add_input(int rank, os::Fd in);
  void launch(const wire::Meeting& meeting);
  /// The job is being stopped: ranks that end are not failures now.
  void stopping() { stopping_ = true; }

  /// Meets the other nodes before launch(), so that there can be talk of other things.
  void meet(const wire::Meeting& meeting) { connect(meeting); }
  /// Who is told of frames that are not of the launch: from a node, or node 0 from the hub.
  void on_frame(std::function<void(int node, const HubLink::Frame&)> heard) {
    heard_ = std::move(heard);
  }
  /// From the hub to a node, or from another node to it (0). Goes nowhere while they have not met.
  void send_frame(int node, char kind, std::string_view text);
  /// To all nodes that meet here. A frame that is for all is handed on by who hears it.
  void tell_guests(char kind, std::string_view text);
  /// Bytes on their way to the hub.
  [[nodiscard]] std::size_t unsent() const { return link_ ? link_->unsent() : 0; }
  /// On the hub: the node, or one between, is no longer connected.
  [[nodiscard]] bool is_gone(int node) const { return gone_.contains(node); }
  /// Other nodes have to wait with what they say.
  void hold_guests(bool hold) { hold_guests_ = hold; }
  /// Of another node: it is connected with its hub, or on its way.
  [[nodiscard]] bool has_hub() const { return link_ && link_->fd() >= 0; }
  [[nodiscard]] bool is_over() const { return over_.has_value(); }
  /// Nothing yet: exit code 0.
  [[nodiscard]] mpi::RankFailure how_it_ended() const {
    return over_.value_or(mpi::RankFailure{0, ""});
  }
  /// All ranks of this node are gone, and how the job ended is known.
  [[nodiscard]] bool is_finished() const { return finished_; }
  /// Ends the job as a failure does.
  void give_up(const mpi::RankFailure& how);
  void signal_ranks(int signal) const;

  void watch(std::vector<Watch>& watches);
  /// Milliseconds until tick() has something to do; -1: never.
  [[nodiscard]] int wait_ms() const;
  void tick();
  /// False: it is none of the ranks.
  bool child_ended(pid_t pid, int wait_status, const rusage& usage);

 private:
  using Clock = std::chrono::steady_clock;
  struct Rank {
    pid_t pid = 0;
    int signal = 0;  ///< that ended it
    pid_t was = 0;   ///< the process, once it is gone
    os::Fd in;
    os::Fd out;
    os::Fd err;
    os::Fd pmi;
    std::string incoming;
  };
  /// A connection to this hub. Before its proof it is nobody's.
  struct Guest {
    HubLink link;
    std::string nonce;
    std::optional<int> node;
  };

  [[nodiscard]] Result<void> start(int rank, Rank& state, int null);
  [[nodiscard]] std::vector<std::string> environment_of(int rank) const;
  [[nodiscard]] int program_of(int rank) const;
  void read_rank(int rank);
  void take_lines(int rank);
  void outcome(int rank, mpi::PmiServer::Outcome outcome);
  void send_replies(const std::vector<mpi::PmiServer::Reply>& replies);
  void contribute(const std::string& keys);
  void look_for_missing();
  void rank_ended(int rank, int wait_status, const rusage& usage);
  void rank_failed(int rank, int code, const std::string& how, const rusage& usage);
  void tell_rank(int rank, int code, const std::string& how, const rusage& usage) const;
  void end(const mpi::RankFailure& how);
  void finish_if_empty();
  [[nodiscard]] bool any_left() const;

  // As hub, or between it and others.
  void accept();
  void read_guest(Guest& guest);
  void greet(Guest& guest, const std::string& text);
  void hear(int guest, const HubLink::Frame& frame);
  void hand_down(int node, char kind, std::string_view text);
  // As hub.
  void decide(int node, const HubLink::Frame& frame);
  void entered(int node, const std::string& keys);
  void settle();
  // As another node.
  void connect(const wire::Meeting& meeting);
  void read_hub();
  void hear_hub(const HubLink::Frame& frame);

  const StepPlan& plan_;
  const DirectPlan& direct_;
  mpi::HubTree tree_;
  std::function<void(StepMessage)> tell_;
  std::function<void(int, const HubLink::Frame&)> heard_;
  sigset_t mask_;
  std::string secret_;
  std::map<int, Rank> ranks_;  ///< this node's
  mpi::PmiServer server_;
  bool launched_ = false;
  bool stopping_ = false;
  bool done_told_ = false;
  int first_code_ = 0;  ///< of a rank that was stopped
  std::optional<mpi::RankFailure> over_;
  bool finished_ = false;
  std::optional<Clock::time_point> kill_at_;

  std::optional<mpi::LaunchHub> hub_;  ///< on the main node
  std::set<int> gone_;                 ///< there: nodes that were lost
  os::Fd listener_;                    ///< there, and where further nodes meet
  std::vector<std::unique_ptr<Guest>> guests_;
  bool hold_guests_ = false;

  std::optional<HubLink> link_;  ///< on the others
  std::string own_nonce_;
  std::string hub_nonce_;
  bool welcome_ = false;
};

}  // namespace cox::agent
