#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <iterator>
#include <utility>

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
constexpr std::size_t kRemotesMax = 256;

}  // namespace

void Part::run_remote(const wire::RemoteStart& start) {
  const auto refuse = [&](const std::string& why) {
    host_.answer_remote(wire::RemoteExited{start.id, start.from, start.from_node, 255, why});
  };
  if (!step_ || phase_ == Phase::ending || phase_ == Phase::over) {
    return refuse("the job has ended on that node");
  }
  if (start.command.size() > kStepTextMax) return refuse("the command is too long");
  if (remotes_.size() >= kRemotesMax) return refuse("too many commands run there for the job");
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return refuse("no pipe to be had");
  os::Fd input(ends[0]);
  // Nodes count those who ask each for itself.
  const auto number = next_remote_++;
  auto remote = std::make_unique<Remote>();
  remote->id = start.id;
  remote->from = start.from;
  remote->from_node = start.from_node;
  remote->input.reset(ends[1]);
  ::fcntl(ends[1], F_SETFL, O_NONBLOCK);
  const auto pipe_for = [&](std::uint8_t stream) {
    return std::make_unique<OutputPipe>(
        host_.loop,
        [this, stream, at = remote.get()](std::string_view piece) {
          at->on_their_way += static_cast<std::int64_t>(piece.size());
          at->moved.add(static_cast<std::int64_t>(piece.size()));
          host_.answer_remote(
              wire::RemoteOutput{at->id, at->from, at->from_node, stream, std::string(piece)});
          if (at->on_their_way < wire::kRemoteWindow) return;
          at->out->pause();
          at->err->pause();
        },
        [] {});
  };
  remote->out = pipe_for(0);
  remote->err = pipe_for(1);
  auto out = remote->out->open();
  auto err = remote->err->open();
  if (!out || !err) return refuse("no pipe to be had");
  had_remotes_ = true;
  remotes_[number] = std::move(remote);
  step_->run_remote(number, start.command, std::move(input), std::move(out), std::move(err));
}

Part::Remote* Part::remote_of(std::uint64_t id, const NodeId& from_node) {
  const auto found = std::find_if(remotes_.begin(), remotes_.end(), [&](const auto& each) {
    return each.second->id == id && each.second->from_node == from_node;
  });
  return found == remotes_.end() ? nullptr : found->second.get();
}

void Part::remote_input(const wire::RemoteInput& input) {
  auto* remote = remote_of(input.id, input.from_node);
  if (remote == nullptr) return;
  const auto size = static_cast<std::int64_t>(input.bytes.size());
  remote->moved.add(size);
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
  wire::RemoteTaken taken;
  taken.id = remote.id;
  taken.from = remote.from;
  taken.from_node = remote.from_node;
  taken.of_input = true;
  taken.bytes = std::exchange(remote.untold, 0);
  host_.answer_remote(taken);
}

void Part::remote_output_taken(const wire::RemoteTaken& taken) {
  auto* remote = remote_of(taken.id, taken.from_node);
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

/// The command's first process has ended. Its descendants (a daemon) may live on; what it wrote is
/// passed on before its end is told.
void Part::remote_ended(std::uint64_t number, int wait_status) {
  const auto found = remotes_.find(number);
  if (found == remotes_.end()) return;
  auto& remote = *found->second;
  remote.out->drain();
  remote.err->drain();
  tell_remote_end(remote, os::exit_code_of(wait_status), "");
  remotes_.erase(found);
}

void Part::tell_remote_end(const Remote& remote, int exit_code, const std::string& why) const {
  host_.answer_remote(wire::RemoteExited{remote.id, remote.from, remote.from_node, exit_code, why});
}

void Part::end_remote_streams(const std::string& why) {
  for (auto at = remotes_.begin(); at != remotes_.end();) {
    const auto& remote = *at->second;
    const bool ends = remote.from_node != host_.options.node &&
                      std::max(remote.moved.count(), remote.on_their_way) >= wire::kRemoteTold;
    if (ends) tell_remote_end(remote, 255, why);
    at = ends ? remotes_.erase(at) : std::next(at);
  }
}

}  // namespace cox::agent
