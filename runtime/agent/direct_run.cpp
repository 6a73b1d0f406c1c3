#include "runtime/agent/direct_run.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <utility>

#include "runtime/agent/rank_start.hpp"
#include "runtime/base/text.hpp"
#include "runtime/mpi/direct_plan.hpp"
#include "runtime/os/files.hpp"
#include "runtime/os/process.hpp"

/// The ranks of this node; how nodes meet is in direct_nodes.cpp.
namespace cox::agent {

namespace {

constexpr std::size_t kLineBytesMax = 4096;

std::vector<int> local_ranks(const DirectPlan& plan) {
  std::vector<int> ranks;
  for (std::size_t rank = 0; rank < plan.node_of_rank.size(); ++rank) {
    if (plan.node_of_rank[rank] == plan.node_index) ranks.push_back(static_cast<int>(rank));
  }
  return ranks;
}

std::int64_t microseconds(const timeval& time) { return time.tv_sec * 1'000'000L + time.tv_usec; }

}  // namespace

DirectRun::DirectRun(const StepPlan& plan, std::function<void(StepMessage)> tell,
                     const sigset_t& mask)
    : plan_(plan),
      direct_(*plan.direct),
      tree_{static_cast<int>(plan.direct->hosts.size()), plan.direct->fan_out},
      tell_(std::move(tell)),
      mask_(mask),
      server_(local_ranks(direct_), static_cast<int>(direct_.node_of_rank.size()), direct_.name,
              mpi::process_mapping(direct_.node_of_rank)) {
  for (const int rank : local_ranks(direct_)) {
    ranks_[rank] = Rank{};
    server_.set_program(rank, program_of(rank));
  }
  if (direct_.universe > 0) server_.set_universe(direct_.universe);
  if (direct_.node_index != 0) return;
  hub_.emplace(direct_.hosts);
  const auto& used = direct_.node_of_rank;
  for (int node = 0; node < static_cast<int>(direct_.hosts.size()); ++node) {
    if (std::find(used.begin(), used.end(), node) == used.end()) hub_->without_ranks(node);
  }
}

int DirectRun::program_of(int rank) const {
  const auto& programs = direct_.program_of_rank;
  return programs.empty() ? 0 : programs.at(static_cast<std::size_t>(rank));
}

void DirectRun::add_input(int rank, os::Fd in) {
  const auto found = ranks_.find(rank);
  if (found != ranks_.end()) found->second.in = std::move(in);
}

void DirectRun::add_output(int rank, os::Fd out, os::Fd err) {
  const auto found = ranks_.find(rank);
  if (found == ranks_.end()) return;
  found->second.out = std::move(out);
  found->second.err = std::move(err);
}

std::vector<std::string> DirectRun::environment_of(int rank) const {
  mpi::RankSeat seat;
  seat.rank = rank;
  seat.size = static_cast<int>(direct_.node_of_rank.size());
  for (const auto& [local, state] : ranks_) seat.local_ranks.push_back(local);
  seat.pmi_descriptor = kPmiDescriptor;
  seat.pmi_library = direct_.pmi_library;
  seat.session_directory = direct_.session_directory;
  seat.universe = direct_.universe;
  seat.job_number = mpi::job_number(direct_.name);
  const auto ours = mpi::rank_environment(seat);
  std::vector<std::string> list;
  const auto& base = direct_.programs.empty()
                         ? plan_.environment
                         : direct_.programs[static_cast<std::size_t>(program_of(rank))].environment;
  for (const auto& variable : base) {
    const auto name = std::string_view(variable).substr(0, variable.find('='));
    const bool replaced =
        std::any_of(ours.begin(), ours.end(), [&](const auto& each) { return each.name == name; });
    if (!replaced) list.push_back(variable);
  }
  for (const auto& [name, value] : ours) list.push_back(fmt::format("{}={}", name, value));
  return list;
}

void DirectRun::launch(const wire::Meeting& meeting) {
  if (std::exchange(launched_, true)) return;
  StepMessage started;
  started.kind = 'S';
  tell_(std::move(started));
  if (!link_) connect(meeting);
  const os::Fd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  for (auto& [rank, state] : ranks_) {
    const auto begun = over_ ? Result<void>() : start(rank, state, null.get());
    // While they are open here the agent sees no end of output.
    state.in.reset();
    state.out.reset();
    state.err.reset();
    if (!begun) {
      if (hub_) {
        hub_->failed({1, begun.error().message});
        settle();
      } else {
        link_->send('F', "1");
      }
      end({1, begun.error().message});
    }
  }
  finish_if_empty();
}

Result<void> DirectRun::start(int rank, Rank& state, int null) {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return fail(os::errno_error(errno, "no socket to be had for a rank"));
  }
  state.pmi.reset(ends[0]);
  const os::Fd theirs(ends[1]);
  RankStart begin;
  begin.argv = plan_.command;
  if (!direct_.programs.empty()) {
    const auto& program = direct_.programs[static_cast<std::size_t>(program_of(rank))];
    begin.argv = program.argv;
    begin.path = program.path;
    begin.directory = program.directory;
  }
  begin.environment = environment_of(rank);
  begin.in = state.in ? state.in.get() : null;
  begin.out = state.out.get();
  begin.err = state.err.get();
  begin.pmi = theirs.get();
  begin.mask = mask_;
  if (const auto bound = direct_.cpus.find(rank); bound != direct_.cpus.end()) {
    begin.cpus = bound->second;
  }
  const auto pid = start_rank(begin);
  if (!pid) return fail(pid.error());
  state.pid = *pid;
  return {};
}

void DirectRun::watch(std::vector<Watch>& watches) {
  for (const auto& [rank, state] : ranks_) {
    if (state.pmi) {
      watches.push_back({state.pmi.get(), POLLIN, [this, rank = rank] { read_rank(rank); }});
    }
  }
  // Who comes before the secret is known waits.
  if (listener_ && !secret_.empty())
    watches.push_back({listener_.get(), POLLIN, [this] { accept(); }});
  std::erase_if(guests_, [](const auto& guest) { return guest->link.fd() < 0; });
  for (const auto& guest : guests_) {
    const short reading = hold_guests_ ? 0 : POLLIN;
    const short writing = guest->link.wants_to_write() ? POLLOUT : 0;
    const auto events = static_cast<short>(reading | writing);
    watches.push_back({guest->link.fd(), events, [this, at = guest.get()] { read_guest(*at); }});
  }
  if (link_) {
    const short events = link_->wants_to_write() ? POLLIN | POLLOUT : POLLIN;
    watches.push_back({link_->fd(), events, [this] { read_hub(); }});
  }
}

int DirectRun::wait_ms() const {
  if (!kill_at_) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(*kill_at_ - Clock::now());
  return static_cast<int>(std::max<std::int64_t>(left.count(), 0));
}

void DirectRun::tick() {
  if (!kill_at_ || Clock::now() < *kill_at_) return;
  kill_at_.reset();
  signal_ranks(SIGKILL);
}

// What ranks say.

void DirectRun::read_rank(int rank) {
  auto& state = ranks_.at(rank);
  if (!state.pmi) return;
  std::array<char, 4096> piece{};
  const auto got = ::recv(state.pmi.get(), piece.data(), piece.size(), MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) return state.pmi.reset();
  state.incoming.append(piece.data(), static_cast<std::size_t>(got));
  take_lines(rank);
}

void DirectRun::take_lines(int rank) {
  auto& incoming = ranks_.at(rank).incoming;
  for (auto end = incoming.find('\n'); end != std::string::npos; end = incoming.find('\n')) {
    const auto line = incoming.substr(0, end);
    incoming.erase(0, end + 1);
    outcome(rank, server_.line(rank, line));
  }
  if (incoming.size() <= kLineBytesMax) return;
  incoming.clear();
  outcome(rank, {{}, std::nullopt, std::nullopt, true});
}

void DirectRun::outcome(int rank, mpi::PmiServer::Outcome outcome) {
  send_replies(outcome.replies);
  if (outcome.contribution) contribute(*outcome.contribution);
  if (outcome.abort_code && !over_) {
    const int code = *outcome.abort_code;
    rank_failed(rank, (code & 0xff) != 0 ? code & 0xff : 1,
                fmt::format("called MPI_Abort with code {}", code), rusage{});
  } else if (outcome.refused && !over_) {
    rank_failed(rank, 1, "does not speak PMI-1", rusage{});
  }
  look_for_missing();
}

void DirectRun::send_replies(const std::vector<mpi::PmiServer::Reply>& replies) {
  for (const auto& [rank, line] : replies) {
    const auto& state = ranks_.at(rank);
    // A rank waits for each answer, so there is room; one that is gone is told of by its exit.
    if (state.pmi) {
      ::send(state.pmi.get(), line.data(), line.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    }
  }
}

void DirectRun::look_for_missing() {
  const auto missing = over_ ? std::nullopt : server_.missing();
  if (!missing) return;
  const auto reason =
      fmt::format("rank {} on {} ended while other ranks wait for it in MPI_Init or MPI_Finalize",
                  *missing, direct_.hosts[static_cast<std::size_t>(direct_.node_index)]);
  if (!hub_) return link_->send('F', "1 " + reason);
  hub_->failed({1, reason});
  settle();
}

// How ranks end.

bool DirectRun::child_ended(pid_t pid, int wait_status, const rusage& usage) {
  const auto found = std::find_if(ranks_.begin(), ranks_.end(),
                                  [&](const auto& each) { return each.second.pid == pid; });
  if (found == ranks_.end()) return false;
  found->second.pid = 0;
  found->second.was = pid;
  // Its last words may be an abort.
  while (found->second.pmi) {
    pollfd ready{found->second.pmi.get(), POLLIN, 0};
    if (::poll(&ready, 1, 0) <= 0) break;
    read_rank(found->first);
  }
  found->second.pmi.reset();
  server_.gone(found->first);
  if (!over_) rank_ended(found->first, wait_status, usage);
  finish_if_empty();
  return true;
}

void DirectRun::rank_ended(int rank, int wait_status, const rusage& usage) {
  const int code = os::exit_code_of(wait_status);
  const auto phase = server_.phase(rank);
  if (WIFSIGNALED(wait_status)) ranks_.at(rank).signal = WTERMSIG(wait_status);
  if (code != 0) return rank_failed(rank, code, "", usage);
  if (phase == mpi::PmiServer::Phase::initialized) {
    return rank_failed(rank, 1, "exited with code 0 without MPI_Finalize", usage);
  }
  tell_rank(rank, 0, "", usage);
  if (phase == mpi::PmiServer::Phase::finalized) return;
  if (hub_) {
    hub_->rank_gone(0, rank);
    settle();
  } else {
    link_->send('G', std::to_string(rank));
  }
  look_for_missing();
}

void DirectRun::tell_rank(int rank, int code, const std::string& how, const rusage& usage) const {
  RankEnd ended;
  ended.rank = rank;
  ended.exit_code = code;
  ended.at_ms = os::SystemClock().now().value;
  ended.max_rss_kib = usage.ru_maxrss;
  ended.cpu_us = microseconds(usage.ru_utime) + microseconds(usage.ru_stime);
  ended.signal = ranks_.at(rank).signal;
  ended.pid = ranks_.at(rank).was;
  ended.how = how;
  tell_(message_of(ended));
}

void DirectRun::rank_failed(int rank, int code, const std::string& how, const rusage& usage) {
  tell_rank(rank, code, how, usage);
  if (stopping_) {
    if (first_code_ == 0) first_code_ = code;
    return;
  }
  if (hub_) {
    hub_->failed({code, ""});
    settle();
  } else {
    link_->send('F', std::to_string(code));
    end({code, ""});
  }
}

/// The job is over: what is left of the ranks has to go.
void DirectRun::end(const mpi::RankFailure& how) {
  if (over_) return;
  over_ = how;
  tell_guests('O', fmt::format("{} {}", how.exit_code, how.reason));
  if (any_left()) {
    signal_ranks(SIGTERM);
    signal_ranks(SIGCONT);
    kill_at_ = Clock::now() + kKillAfter;
  }
  finish_if_empty();
}

bool DirectRun::any_left() const {
  return std::any_of(ranks_.begin(), ranks_.end(),
                     [](const auto& each) { return each.second.pid != 0; });
}

void DirectRun::signal_ranks(int signal) const {
  for (const auto& [rank, state] : ranks_) {
    if (state.pid > 0 && ::kill(-state.pid, signal) != 0) ::kill(state.pid, signal);
  }
}

/// All ranks of this node have ended: the hub hears of it, or it is the end here.
void DirectRun::finish_if_empty() {
  if (!launched_ || any_left()) return;
  if (!over_ && !std::exchange(done_told_, true)) {
    if (hub_) {
      hub_->done(0, first_code_);
      settle();
    } else {
      link_->send('D', std::to_string(first_code_));
    }
  }
  if (!over_ || std::exchange(finished_, true)) return;
  StepMessage message;
  message.kind = 'D';
  message.number = over_->exit_code;
  message.text = over_->reason;
  tell_(std::move(message));
}

}  // namespace cox::agent
