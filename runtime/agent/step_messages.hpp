#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "runtime/agent/step.hpp"
#include "runtime/os/fd.hpp"

/// What agent and step say to each other over a SEQPACKET socket: a letter, two numbers, a text,
/// and descriptors.
namespace cox::agent {

struct StepMessage {
  /// To the step: 'Q' the plan, of one that was forked before, (and 2 descriptors: launch it), 'B'
  /// begin, of another, 'L' launch (2 descriptors), 'R' remote command (3 descriptors); of ranks
  /// 'O' a rank's output (2 descriptors), 'D' launch (port, secret), 'T' stopping; of a container
  /// 'G' go. From it: 'A' it waits for its plan, 'P' prepared (port, secret), 'F' failed to
  /// prepare, 'S' started, 'E' not started, 'X' command ended (kNothingLeft, kWaitsAgain), 'r'
  /// remote ended, 'Y' a rank ended, 'D' all ranks have, 'Z' nothing is left (kWaitsAgain); 'p'
  /// progress, 'C' the container's first process waits, 'm' a process that is to enter it does.
  char kind = 0;
  std::int64_t number = 0;  ///< an id, a wait status or an exit code
  std::int64_t flag = 0;
  std::string text;
  std::vector<os::Fd> descriptors;
};

/// A rank's end as a message, and back.
[[nodiscard]] StepMessage message_of(const RankEnd& end);
[[nodiscard]] RankEnd rank_end_of(const StepMessage& message);

/// Flags: nothing is left below the step; and it has forgotten its plan, and waits for
/// another.
inline constexpr std::int64_t kNothingLeft = 1;
inline constexpr std::int64_t kWaitsAgain = 2;

inline constexpr std::size_t kStepTextMax = 96u << 10;

struct StepSockets {
  os::Fd ours;
  os::Fd theirs;
};
[[nodiscard]] Result<StepSockets> step_sockets();

/// Waits for room. False when the other end is gone.
bool send_step_message(int socket, const StepMessage& message);
enum class Sent { yes, no_room, nobody_there };
[[nodiscard]] Sent try_to_send(int socket, const StepMessage& message);
/// False at the end of the connection.
bool receive_step_message(int socket, StepMessage& message);

}  // namespace cox::agent
