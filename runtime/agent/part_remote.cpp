#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <utility>
#include <vector>

#include "runtime/agent/part_outputs.hpp"
#include "runtime/agent/step_messages.hpp"
#include "runtime/os/process.hpp"

/// Commands on this node that other nodes of the job have asked for, by cox-rsh. Neither end's
/// pace holds up an agent: who sends has a window, and waits.
namespace cox::agent {

namespace {

/// Of a command's input: beyond this who sends it does not keep to the window.
constexpr std::size_t kPendingMax = 32u << 20;
/// Each takes descriptors of the agent's.
constexpr std::ptrdiff_t kRemotesMax = 256;
/// An agent that is there answers in far less; of one that is not, the head tells sooner.
constexpr auto kAskersTime = std::chrono::seconds(30);

}  // namespace

template <class Message>
void Part::answer(Remote& remote, Message message) {
  if (remote.is_here) return host_.answer_here(message);
  host_.send(remote.stream.say(std::move(message)));
  host_.remotes_stirred();
}

void Part::refuse_remote(const wire::RemoteRoute& asked, const std::string& why) const {
  const wire::RemoteExited said{wire::way_back(asked), 255, why};
  asked.from_node == host_.options.node ? host_.answer_here(said) : host_.send(said);
}

void Part::run_remote(const wire::RemoteStart& start) {
  if (remote_of(start.route) != nullptr) {
    told_remote(start.route);  // it was said again
    return;
  }
  if (!step_ || phase_ == Phase::ending || phase_ == Phase::over) {
    return refuse_remote(start.route, "the job has ended on that node");
  }
  if (start.command.size() > kStepTextMax) {
    return refuse_remote(start.route, "the command is too long");
  }
  auto made = std::make_unique<Remote>(RemoteStream(wire::way_back(start.route)),
                                       start.route.from_node == host_.options.node);
  auto& remote = *made;
  const auto running = std::count_if(remotes_.begin(), remotes_.end(),
                                     [](const auto& each) { return !each.second->is_over; });
  // Nodes count those who ask each for itself.
  const auto number = next_remote_++;
  remotes_[number] = std::move(made);
  told_remote(start.route);
  // A refusal that may not hold for ever is known here, lest the command is asked for again.
  const auto refuse = [&](const char* why) {
    end_remote(remote, 255, why);
    forget_remotes();
  };
  if (running >= kRemotesMax) return refuse("too many commands run there for the job");
  auto input = open_remote(remote);
  auto out = remote.out->open();
  auto err = remote.err->open();
  if (!input || !out || !err) return refuse("no pipe to be had");
  had_remotes_ = true;
  step_->run_remote(number, start.command, std::move(input), std::move(out), std::move(err));
}

/// The command's end of its input; the outputs are made, not yet open.
os::Fd Part::open_remote(Remote& remote) {
  std::array<int, 2> ends{-1, -1};
  if (::pipe2(ends.data(), O_CLOEXEC) == 0) ::fcntl(ends[1], F_SETFL, O_NONBLOCK);
  remote.input.reset(ends[1]);
  const auto pipe_for = [&](std::uint8_t stream) {
    return std::make_unique<OutputPipe>(
        host_.loop,
        [this, stream, &remote](std::string_view piece) {
          remote.on_their_way += static_cast<std::int64_t>(piece.size()) + wire::kRemoteOverhead;
          answer(remote, wire::RemoteOutput{remote.stream.route(), stream, std::string(piece)});
          if (remote.on_their_way < wire::kRemoteWindow) return;
          remote.out->pause();
          remote.err->pause();
        },
        [] {});
  };
  remote.out = pipe_for(0);
  remote.err = pipe_for(1);
  return os::Fd(ends[0]);
}

Part::Remote* Part::remote_of(const wire::RemoteRoute& route) {
  const auto found = std::find_if(remotes_.begin(), remotes_.end(), [&](const auto& each) {
    const auto& known = each.second->stream.route();
    return known.id == route.id && known.from_node == route.from_node;
  });
  return found == remotes_.end() ? nullptr : found->second.get();
}

/// The command that a message is for, when it is the next; else nothing.
Part::Remote* Part::told_remote(const wire::RemoteRoute& route) {
  auto* remote = remote_of(route);
  if (remote == nullptr || remote->is_here) return remote;
  const bool is_next = remote->stream.take(route);
  if (remote->stream.owes_much()) host_.send(remote->stream.have());
  host_.remotes_stirred();
  if (!remote->is_over) return is_next ? remote : nullptr;
  forget_remotes();
  return nullptr;
}

void Part::remote_have(const wire::RemoteHave& have) {
  auto* remote = remote_of(have.route);
  if (remote == nullptr) {
    if (have.again && have.begun) refuse_remote(have.route, "the command is not there any more");
    return;
  }
  remote->stream.heard(have.route);
  if (have.again) {
    for (const auto& each : remote->stream.kept()) host_.send(each);
  }
  forget_remotes();
}

void Part::tell_remotes_again() {
  for (const auto& [number, remote] : remotes_) {
    if (remote->is_here) continue;
    for (const auto& each : remote->stream.again()) host_.send(each);
  }
}

bool Part::tick_remotes() {
  bool is_unsettled = false;
  for (const auto& [number, remote] : remotes_) {
    for (const auto& each : remote->stream.tick()) host_.send(each);
    is_unsettled = is_unsettled || !remote->stream.is_told();
  }
  return is_unsettled;
}

void Part::remote_input(const wire::RemoteInput& input) {
  auto* remote = told_remote(input.route);
  if (remote == nullptr) return;
  const auto size = static_cast<std::int64_t>(input.bytes.size());
  if (size > 0) took_input(*remote, wire::kRemoteOverhead);
  remote->input_ends = remote->input_ends || input.end;
  if (!remote->input || remote->pending.size() > kPendingMax) {
    // Or it reads no more: the rest goes nowhere, as with a pipe.
    remote->writable.reset();
    remote->input.reset();
    remote->pending.clear();
    return took_input(*remote, size);
  }
  remote->pending += input.bytes;
  if (!remote->writable) write_remote(*remote);
}

void Part::write_remote(Remote& remote) {
  while (!remote.pending.empty()) {
    const auto wrote = ::write(remote.input.get(), remote.pending.data(), remote.pending.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0 && errno == EAGAIN) {
      if (remote.writable) return;
      remote.writable =
          host_.loop.when_writable(remote.input.get(), [this, at = &remote] { write_remote(*at); });
      return;
    }
    const auto size = wrote > 0 ? static_cast<std::size_t>(wrote) : remote.pending.size();
    if (wrote <= 0) remote.input_ends = true;
    remote.pending.erase(0, size);
    took_input(remote, static_cast<std::int64_t>(size));
  }
  remote.writable.reset();
  if (remote.input_ends) remote.input.reset();
}

void Part::took_input(Remote& remote, std::int64_t bytes) {
  remote.untold += bytes;
  if (remote.untold < wire::kRemoteTold) return;
  answer(remote, wire::RemoteTaken{remote.stream.route(), std::exchange(remote.untold, 0)});
}

void Part::remote_output_taken(const wire::RemoteTaken& taken) {
  if (taken.route.number == 0 && taken.bytes == wire::kNobodyReads) {
    // Who asked may know nothing of it any more, and then has no count of what it says about it.
    auto* remote = remote_of(taken.route);
    if (remote != nullptr && !remote->is_here) return nobody_asks(*remote);
  }
  auto* remote = told_remote(taken.route);
  if (remote == nullptr) return;
  if (taken.bytes == wire::kNobodyReads) {
    remote->out->close();
    return remote->err->close();
  }
  remote->on_their_way =
      std::max<std::int64_t>(remote->on_their_way - std::max<std::int64_t>(taken.bytes, 0), 0);
  if (remote->on_their_way >= wire::kRemoteWindow) return;
  remote->out->resume();
  remote->err->resume();
}

/// Nothing more comes for the command, nor is anything of it to be kept.
void Part::nobody_asks(Remote& remote) {
  if (remote.is_over) {
    std::erase_if(remotes_, [&](const auto& each) { return each.second.get() == &remote; });
    return tell_end();
  }
  remote.writable.reset();
  remote.input.reset();
  remote.pending.clear();
  remote.out->close();
  remote.err->close();
}

void Part::asker_is_lost(const wire::PartKey& asker) {
  std::vector<Remote*> asked;
  for (const auto& [number, remote] : remotes_) {
    if (remote->stream.route().from == asker) asked.push_back(remote.get());
  }
  for (auto* remote : asked) nobody_asks(*remote);
}

/// The command's first process has ended. Its descendants (a daemon) may live on; what it wrote is
/// passed on before its end is told.
void Part::remote_ended(std::uint64_t number, int wait_status) {
  const auto found = remotes_.find(number);
  if (found == remotes_.end() || found->second->is_over) return;
  auto& remote = *found->second;
  remote.out->drain();
  remote.err->drain();
  end_remote(remote, os::exit_code_of(wait_status), "");
  forget_remotes();
}

void Part::end_remote(Remote& remote, int exit_code, const std::string& why) {
  remote.is_over = true;
  remote.writable.reset();
  remote.input.reset();
  remote.pending.clear();
  remote.out.reset();
  remote.err.reset();
  answer(remote, wire::RemoteExited{remote.stream.route(), exit_code, why});
}

void Part::end_remotes(const std::string& why) {
  for (const auto& [number, remote] : remotes_) {
    if (!remote->is_over) end_remote(*remote, 255, why);
  }
  forget_remotes();
}

/// Those whose end is known to who asked.
void Part::forget_remotes() {
  std::erase_if(remotes_, [](const auto& each) {
    return each.second->is_over && each.second->stream.is_told();
  });
  tell_end();
}

/// Who asked for a command on this node is to have its end before the part's is told: with that
/// the part is gone. Not for ever: that node may be away.
bool Part::waits_for_askers() {
  if (remotes_.empty() || askers_are_away_ || !host_.connected()) return false;
  if (!askers_timer_) {
    askers_timer_ = host_.loop.after(kAskersTime, [this] {
      askers_are_away_ = true;
      tell_end();
    });
  }
  return true;
}

}  // namespace cox::agent
