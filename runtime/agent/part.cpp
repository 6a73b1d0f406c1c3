#include "runtime/agent/part.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>

#include "runtime/agent/container_run.hpp"
#include "runtime/agent/local_socket.hpp"
#include "runtime/agent/part_outputs.hpp"
#include "runtime/agent/variables.hpp"
#include "runtime/os/files.hpp"
#include "runtime/os/log.hpp"
#include "runtime/os/process.hpp"

namespace cox::agent {

namespace {

constexpr auto kClearEvery = std::chrono::milliseconds(2);
constexpr int kClearRoundsMax = 2500;  // five seconds: beyond that something cannot be killed
/// A command that has ended within this is told of once: its start shares a message, a turn of the
/// head's and a commit with its end.
constexpr auto kStartedTime = std::chrono::milliseconds(5);
constexpr auto kDrainTime = std::chrono::seconds(2);
/// For a step, after its job's grace, to say that it is over.
constexpr auto kLastGrace = std::chrono::seconds(10);
/// How long a failure is kept back where the agent may be about to be ended too.
constexpr auto kDoubtTime = std::chrono::milliseconds(400);

std::int64_t now_ms() { return os::SystemClock().now().value; }

std::string directory_name_of(const wire::PartKey& key) {
  std::string name = fmt::format("{}-{}", key.job, key.attempt);
  std::replace(name.begin(), name.end(), ':', '-');
  return name;
}

}  // namespace

/// A command that cox-rsh asked for.
Part::Part(PartHost host, wire::PartKey key)
    : host_(std::move(host)),
      key_(std::move(key)),
      directory_name_(directory_name_of(key_)),
      out_(
          host_.loop,
          [this](std::string_view piece) { bytes(-1, 0, out_lines_, without_init_line(piece)); },
          [this] { drain(); }),
      err_(
          host_.loop, [this](std::string_view piece) { bytes(-1, 1, err_lines_, piece); },
          [this] { drain(); }) {}

Part::~Part() { *alive_ = false; }

void Part::add_piece(const wire::FilePiece& piece) {
  if (phase_ != Phase::fresh) return;
  auto& file = files_[piece.name];
  file.name = piece.name;
  file.mode = piece.mode;
  file.bytes += piece.bytes;
}

/// The job's nodes, a line each.
std::string Part::nodes_text() const {
  std::string text;
  for (const auto& peer : prepare_->peers) {
    text += fmt::format("{} {} {}\n", peer.node_index, peer.address, peer.hostname);
  }
  return text;
}

std::vector<std::string> Part::environment(const std::string& home) const {
  Variables variables;
  const auto& options = host_.options;
  const auto directory = prepare_->directory.empty() ? home : home + "/" + prepare_->directory;
  variables.set("HOME", home);
  variables.set("USER", prepare_->user.name);
  variables.set("LOGNAME", prepare_->user.name);
  variables.set("SHELL", "/bin/bash");
  variables.set("HOSTNAME", options.hostname);
  variables.set("SSHDIR", home + "/.ssh");
  variables.set("PATH", options.node_bin_dir + ":" + options.bin_dir +
                            ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:" +
                            options.mpi_bin_dir);
  variables.set("COX_JOB_DIR", directory);
  for (const auto& variable : prepare_->environment) variables.set(variable.name, variable.value);
  // Ours win: they are how the job's own processes find their agent.
  variables.set(kPartVariable, part_text(key_));
  variables.set(kSocketVariable, options.socket);
  // A file costs a small job much: where there is one node, the variable itself says what is in it.
  variables.set("COX_NODES", prepare_->peers.size() == 1 ? nodes_text() : home + "/.nodes");
  variables.set("COX_LAUNCHES", launches_directory());
  for (const auto& variable : prepare_->mpi_environment) {
    variables.add(variable.name, variable.value);
  }
  if (const auto own = shared_directory(); !own.empty()) {
    // What killed ranks leave in memory and in temporary files goes with the part.
    variables.add("TMPDIR", home + "/.tmp");
    variables.add("OMPI_MCA_btl_vader_backing_directory", own);
    variables.add("OMPI_MCA_orte_tmpdir_base", own);
  }
  return std::move(variables).list();
}

void Part::prepare(wire::Prepare prepare) {
  if (phase_ != Phase::fresh) return tell_all();
  phase_ = Phase::preparing;
  prepare_ = std::move(prepare);
  auto home = make_home();
  if (!home) return begin_end(1, home.error().message);
  home_ = *home;
  if (const auto own = shared_directory(); !own.empty()) {
    ::mkdir(own.c_str(), 0700);
    ::mkdir((home_ + "/.tmp").c_str(), 0700);
  }

  StepPlan plan;
  plan.user = prepare_->user;
  plan.change_user = ::geteuid() == 0;
  plan.home = home_;
  plan.directory = prepare_->directory;
  plan.hostfile = prepare_->hostfile;
  if (prepare_->peers.size() > 1) plan.nodes = nodes_text();
  for (auto& [name, file] : files_) plan.files.push_back(std::move(file));
  files_.clear();
  plan.command = prepare_->command;
  plan.environment = has_container() ? container_environment() : environment(home_);
  if (has_container()) {
    auto container = plan_container();
    if (!container) return begin_end(1, container.error().message);
    plan.container = std::move(*container);
    init_bytes_ = ContainerRun::kInitBytes;
  }
  if (is_direct()) {
    auto ranks = plan_ranks();
    if (!ranks) return begin_end(1, ranks.error().message);
    plan.direct = std::move(*ranks);
    plan.command.front() = home_ + "/" + plan.command.front();
  }
  plan.is_launched = is_launched_at_once();

  StepEvents events;
  events.prepared = [this](const Result<wire::Meeting>& result) { was_prepared(result); };
  events.rank_ended = [this](const RankEnd& end) { step_rank_ended(end); };
  events.ranks_over = [this](int code, std::string why) { ranks_over(code, std::move(why)); };
  events.started = [this] { was_started(); };
  events.not_started = [this](int code, std::string why) {
    if (!has_container()) was_started();  // of a container AWS says that the task did not start
    begin_end(code, std::move(why));
  };
  events.progress = [this](std::string text) { progress(std::move(text)); };
  events.container_made = [this](pid_t first, std::uint32_t user) { container_made(first, user); };
  events.entering = [this](pid_t process) { entering(process); };
  events.command_ended = [this](int status, bool empty) { command_ended(status, empty); };
  events.remote_ended = [this](std::uint64_t id, int status) { remote_ended(id, status); };
  events.emptied = [this] {
    if (phase_ == Phase::ending) clear_processes();
  };
  if (is_launched_at_once() && !open_outputs()) return;
  if (auto made = make_step(std::move(plan), std::move(events)); !made) {
    return begin_end(1, made.error().message);
  }
  step_->begin();
  if (is_launched_at_once()) was_prepared(wire::Meeting{});
}

void Part::was_prepared(const Result<wire::Meeting>& result) {
  const bool is_launched = phase_ == Phase::running && started_ms_ == 0;
  if (phase_ != Phase::preparing && !is_launched) return;
  if (!result) return begin_end(1, result.error().message);
  phase_ = Phase::prepared;
  meeting_ = *result;
  if (prepare_->starts_itself) return launch({key_, {}});
  host_.send(wire::Prepared{key_, meeting_});
}

void Part::launch(const wire::Launch& launch) {
  if (phase_ != Phase::prepared) return;
  if (is_direct()) return launch_ranks(launch.meeting);
  if (only_stands_by()) return was_started();
  if (!is_launched_at_once() && !open_outputs()) return;
  phase_ = Phase::running;
  if (ends_.out) step_->launch(std::move(ends_));
}

bool Part::open_outputs() {
  ends_ = {out_.open(), err_.open()};
  if (ends_.out && ends_.err) return true;
  begin_end(1, "no pipe to be had for the job's output");
  return false;
}

void Part::was_started() {
  phase_ = Phase::running;
  started_ms_ = now_ms();
  if (is_launched_at_once()) {
    started_timer_ = host_.loop.after(kStartedTime, [this] { tell_started(); });
  } else {
    host_.send(wire::Started{key_, started_ms_});
  }
  // Asked before there was anybody to tell.
  if (stopping_ && !has_container()) signal_all(grace_is_over_ ? SIGKILL : SIGTERM);
}

/// What waits to be told; nothing else of the part's is told before it.
void Part::tell_started() {
  if (started_timer_) host_.send(wire::Started{key_, started_ms_});
  started_timer_.reset();
}

void Part::stop(const wire::Stop& stop) {
  if (phase_ == Phase::ending || phase_ == Phase::over) return tell_end();
  const bool first = !stopping_;
  stopping_ = true;
  if (phase_ == Phase::preparing && step_) step_->stopping();
  if (phase_ != Phase::running) return begin_end(137, stop.reason);
  if (only_stands_by()) return begin_end(0, "");
  if (!first) return;
  step_->stopping();
  ::kill(step_->pid(), SIGCONT);  // the job may have stopped it
  signal_all(SIGTERM);
  kill_timer_ = host_.loop.after(std::chrono::seconds(stop.grace_s), [this] {
    grace_is_over_ = true;
    if (step_) ::kill(step_->pid(), SIGCONT);
    signal_all(SIGKILL);
    if (has_container()) return give_up_on_podman();
    kill_timer_ = host_.loop.after(kLastGrace, [this] {
      if (step_) ::kill(step_->pid(), SIGKILL);
    });
  });
}

void Part::signal_all(int signal) {
  if (!step_) return;
  // What watches a container ends by itself, after it.
  if (container_ > 0) ::kill(container_, signal);
  for (const auto pid : processes_below(container_ > 0 ? container_ : step_->pid())) {
    ::kill(pid, signal);
  }
}

void Part::command_ended(int wait_status, bool empty) {
  int code = os::exit_code_of(wait_status);
  std::string reason;
  if (code != 0 && memory_ && memory_->exceeded()) {
    code = 137;
    reason = kOutOfMemory;
  } else if (stopping_ && WIFSIGNALED(wait_status)) {
    code = 137;  // what AWS Batch shows for a container that was stopped
  }
  // A node that helps the main node's mpirun stays while that needs it, though its own command is
  // done: ended, it would take the main node's ranks with it.
  const bool helps =
      !has_container() && !empty && had_remotes_ && key_.node_index > 0 && !stopping_;
  if (helps) {
    prepare_->command.clear();
    os::log_info("{}: its command ended with {}; it stands by", part_text(key_), code);
    return;
  }
  is_empty_ = empty && !had_remotes_;  // another command may be on its way to it
  begin_end(code, std::move(reason));
}

/// The outcome is known: what is left below the step goes, then the output's rest is read.
void Part::begin_end(int exit_code, std::string reason) {
  if (phase_ == Phase::ending || phase_ == Phase::over) return;
  phase_ = Phase::ending;
  exit_code_ = exit_code;
  reason_ = std::move(reason);
  ended_ms_ = now_ms();
  kill_timer_.reset();
  ends_ = {};
  clear_processes();
}

/// What runs below the step. One that has said itself that there is nothing is not looked at.
std::vector<pid_t> Part::left() const {
  return step_ && !is_empty_ ? left_below(step_->pid()) : std::vector<pid_t>{};
}

void Part::clear_processes() {
  if (clear_rounds_++ < kClearRoundsMax) {
    if (const auto left = this->left(); !left.empty()) {
      for (const auto pid : left) ::kill(pid, SIGKILL);
      clear_timer_ = host_.loop.after(kClearEvery, [this] { clear_processes(); });
      return;
    }
  }
  clear_timer_.reset();
  // All who could write are gone, but for a process that was handed the pipe from elsewhere.
  if (any_pipe_open()) {
    clear_timer_ = host_.loop.after(
        kDrainTime, [this] { for_each_pipe([](OutputPipe& pipe) { pipe.drain(); }); });
  }
  for_each_pipe([](OutputPipe& pipe) { pipe.hurry(); });
  drain();
}

/// Called at the end of each pipe, and when the processes are gone: over when both are so.
void Part::drain() {
  if (phase_ != Phase::ending || any_pipe_open()) return;
  if (clear_rounds_ < kClearRoundsMax && !left().empty()) return;
  clear_timer_.reset();
  host_.loop.post([this, alive = alive_] {
    if (*alive) over();
  });
}

void Part::over() {
  if (phase_ != Phase::ending) return;
  phase_ = Phase::over;
  processors_.clear();
  const auto add = [this](std::uint8_t stream) {
    return [this, stream](std::string& line, std::uint32_t count) {
      log(-1).add(now_ms(), stream, std::move(line), count);
    };
  };
  out_lines_.finish(add(0));
  err_lines_.finish(add(1));
  finish_rank_lines();
  give_step();
  if (host_.options.ended_together && exit_code_ != 0) {
    doubt_timer_ = host_.loop.after(kDoubtTime, [this] {
      doubt_timer_.reset();
      tell_end();
    });
  }
  end_remotes("the job has ended on that node");
  pump();
}

void Part::child_ended(pid_t pid, int wait_status) {
  if (!step_ || step_->pid() != pid || phase_ == Phase::over) return;
  step_.reset();
  // Somebody killed the step: its processes have fallen to the agent, which ends them.
  for (const auto orphan : host_.orphans()) ::kill(orphan, SIGKILL);
  for_each_pipe([](OutputPipe& pipe) { pipe.drain(); });
  begin_end(137, fmt::format("its step process ended with {}", os::exit_code_of(wait_status)));
}

void Part::bytes(int rank, std::uint8_t stream, LineCutter& lines, std::string_view piece) {
  const auto at = now_ms();
  auto& own = log(rank);
  lines.feed(piece,
             [&](std::string& run, std::uint32_t count) { own.add_run(at, stream, run, count); });
  if (pump_posted_) return;
  // Lines of one turn of the loop travel together.
  pump_posted_ = true;
  host_.loop.post([this, alive = alive_] {
    if (!*alive) return;
    pump_posted_ = false;
    pump();
  });
}

SpooledLog& Part::log(int rank) {
  auto& entry = logs_[rank];
  if (!entry) {
    const auto name = directory_name_ + (rank < 0 ? "/main" : fmt::format("/rank-{}", rank));
    entry = std::make_unique<SpooledLog>(host_.spool, name, key_, rank);
    entry->keep(keeps_output(rank));
  }
  return *entry;
}

void Part::pump() {
  if (!logs_.empty()) tell_started();
  for (auto& [rank, log] : logs_) {
    if (const auto stored = log->store(); !stored) {
      os::log_error("output of {}: {}", part_text(key_), stored.error().message);
    }
    log->pump(host_.send);
    // A head that does not keep up makes the writer wait; one that is away does not.
    hold_output(rank, phase_ == Phase::running && log->behind() && host_.connected());
  }
  if (phase_ == Phase::over) tell_end();
}

/// The end is told once all output is on its way before it.
void Part::tell_end() {
  if (phase_ != Phase::over || end_told_ || doubt_timer_) return;
  for (const auto& [rank, log] : logs_) {
    if (!log->all_sent()) return;
  }
  if (waits_for_askers()) return;
  end_told_ = true;
  tell_started();
  host_.send(wire::Exited{key_, ended_ms_, exit_code_, reason_});
}

void Part::tell_all() {
  // The other nodes may still have to be told where to meet.
  const bool met = phase_ == Phase::running && meeting_.port != 0;
  if (phase_ == Phase::prepared || met) host_.send(wire::Prepared{key_, meeting_});
  if (phase_ == Phase::preparing && !progress_.empty()) {
    host_.send(wire::Preparing{key_, progress_});
  }
  started_timer_.reset();
  if (started_ms_ != 0) host_.send(wire::Started{key_, started_ms_});
  for (const auto& ended : ranks_) host_.send(ended);
  for (auto& [rank, log] : logs_) {
    log->keep(keeps_output(rank));
    log->rewind();
  }
  end_told_ = false;
  pump();
}

void Part::acknowledged(const wire::OutputAck& ack) {
  const auto found = logs_.find(ack.rank);
  if (found == logs_.end()) return;
  found->second->acknowledged(ack.sequence);
  pump();
}

}  // namespace cox::agent
