#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/agent/agent.hpp"
#include "runtime/agent/line_cutter.hpp"
#include "runtime/agent/memory_limit.hpp"
#include "runtime/agent/output_pipe.hpp"
#include "runtime/agent/spare_homes.hpp"
#include "runtime/agent/spare_steps.hpp"
#include "runtime/agent/spooled_log.hpp"
#include "runtime/agent/step.hpp"
#include "runtime/logs/log_store.hpp"
#include "runtime/wire/message.hpp"

namespace cox::agent {

/// What a part needs of its agent.
struct PartHost {
  os::EventLoop& loop;
  const AgentOptions& options;
  logs::LogStore& spool;
  MemoryCgroups& cgroups;
  SpareHomes& homes;
  SpareSteps& spare_steps;
  std::function<void(const wire::Message&)> send;  ///< nothing happens while not connected
  std::function<bool()> connected;
  std::function<bool()> head_sees_files;
  /// What a command says that this very node has asked for.
  std::function<void(const wire::Message&)> answer_here;
  /// tick_remotes() has something to do.
  std::function<void()> remotes_stirred;
  /// Processes below the agent that belong to no step that is alive.
  std::function<std::vector<pid_t>()> orphans;
  /// How many containers have each processor.
  std::function<std::map<int, int>()> processors_in_use;
};

/// One node's part in one attempt:
///   files ─ prepare ─► preparing ─► prepared ─ launch ─► running ─► ending ─► over
/// Everything it says to the head can be said again (tell_all).
class Part {
 public:
  Part(PartHost host, wire::PartKey key);
  ~Part();
  Part(const Part&) = delete;
  Part& operator=(const Part&) = delete;

  void add_piece(const wire::FilePiece& piece);
  void prepare(wire::Prepare prepare);
  void launch(const wire::Launch& launch);
  void stop(const wire::Stop& stop);

  void rank_lines(wire::Output output);
  void rank_ended(const wire::RankExited& message);
  void run_remote(const wire::RemoteStart& start);
  void remote_input(const wire::RemoteInput& input);
  void remote_output_taken(const wire::RemoteTaken& taken);
  void remote_have(const wire::RemoteHave& have);
  /// The part that asked for commands here ended with its node or agent.
  void asker_is_lost(const wire::PartKey& asker);
  /// The connection is new: what other nodes' commands have said may be lost.
  void tell_remotes_again();
  /// At a steady pace while it is true: something is not settled yet.
  [[nodiscard]] bool tick_remotes();
  void acknowledged(const wire::OutputAck& ack);
  void unseen(const wire::OutputUnseen& unseen);
  /// The connection is new: says everything again that the head may not know.
  void tell_all();
  /// The connection is gone: output is kept here until there is another.
  void connection_lost() {
    askers_timer_.reset();
    askers_are_away_ = false;
    pump();
  }
  /// The step process, or an adopted orphan, was reaped by the agent.
  void child_ended(pid_t pid, int wait_status);

  [[nodiscard]] const wire::PartKey& key() const { return key_; }
  /// True of a process of the part, by the user whom the kernel names.
  [[nodiscard]] bool belongs_to(std::uint32_t uid) const {
    return uid == 0 || (prepare_ && uid == prepare_->user.uid) || uid == container_user_;
  }
  [[nodiscard]] pid_t step_pid() const { return step_ ? step_->pid() : 0; }
  [[nodiscard]] const std::vector<int>& processors() const { return processors_; }
  [[nodiscard]] bool is_prepared() const { return prepare_.has_value(); }
  [[nodiscard]] const std::vector<wire::Peer>& peers() const { return prepare_->peers; }
  /// Removes what the part had on disk; its end is durable elsewhere.
  void clear();

 private:
  enum class Phase { fresh, preparing, prepared, running, ending, over };
  struct Remote;
  struct RankOutput;

  // part_place.cpp: what it takes of its node.
  [[nodiscard]] Result<std::string> make_home() const;
  [[nodiscard]] Result<void> make_own_directory(const std::string& path) const;
  [[nodiscard]] Result<void> make_step(StepPlan plan, StepEvents events);
  void give_step();

  [[nodiscard]] std::string nodes_text() const;
  [[nodiscard]] std::vector<std::string> environment(const std::string& home) const;
  [[nodiscard]] bool open_outputs();
  void was_prepared(const Result<wire::Meeting>& result);
  void was_started();
  void tell_started();
  void command_ended(int wait_status, bool empty);
  // part_remote.cpp: commands that other nodes of the job have asked for.
  void refuse_remote(const wire::RemoteRoute& asked, const std::string& why) const;
  [[nodiscard]] Remote* remote_of(const wire::RemoteRoute& route);
  Remote* told_remote(const wire::RemoteRoute& route);
  template <class Message>
  void answer(Remote& remote, Message message);
  void write_remote(Remote& remote);
  void took_input(Remote& remote, std::int64_t bytes);
  void end_remote(Remote& remote, int exit_code, const std::string& why);
  void end_remotes(const std::string& why);
  void nobody_asks(Remote& remote);
  void forget_remotes();
  [[nodiscard]] bool waits_for_askers();
  [[nodiscard]] os::Fd open_remote(Remote& remote);
  void remote_ended(std::uint64_t number, int wait_status);
  void begin_end(int exit_code, std::string reason);
  [[nodiscard]] std::vector<pid_t> left() const;
  void clear_processes();
  void drain();
  void over();
  void tell_end();
  void bytes(int rank, std::uint8_t stream, LineCutter& lines, std::string_view bytes);
  void pump();
  SpooledLog& log(int rank);
  [[nodiscard]] bool keeps_output(int rank) const {
    return rank >= 0 && is_direct() && host_.head_sees_files();
  }
  void signal_all(int signal);
  [[nodiscard]] bool any_pipe_open() const;
  void for_each_pipe(const std::function<void(OutputPipe&)>& act);
  void hold_output(int rank, bool hold);

  // part_container.cpp: a command in a container.
  [[nodiscard]] bool has_container() const {
    return prepare_ && !prepare_->container.image.empty();
  }
  /// Nothing runs here: the node only helps the main node.
  [[nodiscard]] bool only_stands_by() const {
    return prepare_->command.empty() && !has_container();
  }
  /// Of a job on one node: the step starts the command without being told to.
  [[nodiscard]] bool is_launched_at_once() const {
    return prepare_->starts_itself && !is_direct() && !has_container() && !only_stands_by();
  }
  [[nodiscard]] std::string container_directory() const;
  [[nodiscard]] Result<ContainerPlan> plan_container() const;
  [[nodiscard]] std::vector<std::string> container_environment() const;
  void container_made(pid_t first, std::uint32_t user);
  void entering(pid_t process);
  void give_up_on_podman();
  [[nodiscard]] bool is_of_step(pid_t process) const;
  void progress(std::string text);
  [[nodiscard]] std::string_view without_init_line(std::string_view piece);

  // part_direct.cpp: ranks that the step starts itself.
  [[nodiscard]] bool is_direct() const { return prepare_ && !prepare_->seats.empty(); }
  [[nodiscard]] Result<DirectPlan> plan_ranks() const;
  [[nodiscard]] std::string session_directory() const;
  [[nodiscard]] std::string shared_directory() const;
  [[nodiscard]] std::string launches_directory() const;
  void launch_ranks(const wire::Meeting& meeting);
  void step_rank_ended(const RankEnd& end);
  void ranks_over(int exit_code, std::string reason);
  void finish_rank_lines();

  PartHost host_;
  wire::PartKey key_;
  std::string directory_name_;  ///< of the attempt
  Phase phase_ = Phase::fresh;
  std::map<std::string, StepFile> files_;
  std::optional<wire::Prepare> prepare_;
  std::string home_;
  std::unique_ptr<Step> step_;
  std::unique_ptr<MemoryLimit> memory_;
  OutputPipe out_;
  OutputPipe err_;
  OutputEnds ends_;  ///< of the two, until the step has them
  LineCutter out_lines_;
  LineCutter err_lines_;
  std::map<int, std::unique_ptr<RankOutput>> rank_outputs_;  ///< of a direct launch
  wire::Meeting meeting_;                                    ///< that this node made
  pid_t container_ = 0;                                      ///< the container's first process
  std::uint32_t container_user_ = 0;
  std::vector<int> processors_;  ///< that it may use; empty: all
  std::size_t init_bytes_ = 0;   ///< of podman's own, at the beginning of the output
  std::string progress_;         ///< told, kept for tell_all
  std::map<int, std::unique_ptr<SpooledLog>> logs_;           ///< by rank; -1: the part's own
  std::map<std::uint64_t, std::unique_ptr<Remote>> remotes_;  ///< by a number of the part's own
  std::uint64_t next_remote_ = 1;
  std::vector<wire::RankExited> ranks_;  ///< told, kept for tell_all
  bool had_remotes_ = false;
  bool askers_are_away_ = false;      ///< and are waited for no longer
  os::SubscriptionPtr askers_timer_;  ///< until they are
  bool is_empty_ = false;             ///< nothing is left below the step, by its own word
  bool stopping_ = false;
  bool grace_is_over_ = false;  ///< of stopping
  os::SubscriptionPtr kill_timer_;
  os::SubscriptionPtr clear_timer_;
  os::SubscriptionPtr started_timer_;  ///< until it ends, the start is kept to be told with more
  os::SubscriptionPtr doubt_timer_;    ///< until it ends, the end may not be the part's own
  int clear_rounds_ = 0;
  std::int64_t started_ms_ = 0;
  std::int64_t ended_ms_ = 0;
  int exit_code_ = 0;
  std::string reason_;
  bool end_told_ = false;
  bool pump_posted_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace cox::agent
