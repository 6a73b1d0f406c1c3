#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "runtime/base/result.hpp"
#include "runtime/wire/message.hpp"

/// What cox-rank and cox-rsh say to the agent of their node, over its unix socket: frames as
/// between head and agents (a 32-bit little-endian length and one message). cox-rank sends Output
/// and at the end RankExited, and waits for ExitedAck; cox-rsh sends RemoteStart and RemoteInput,
/// and gets RemoteOutput and RemoteExited; both say by RemoteTaken how far they are. The part is
/// named by COX_PART.
namespace cox::agent {

inline constexpr const char* kPartVariable = "COX_PART";     ///< "<job>/<attempt>/<node index>"
inline constexpr const char* kSocketVariable = "COX_AGENT";  ///< the socket's path

/// COX_PART and back. Pure.
[[nodiscard]] std::string part_text(const wire::PartKey& part);
[[nodiscard]] std::optional<wire::PartKey> parse_part(std::string_view text);

/// A frame's bytes. Pure.
[[nodiscard]] std::string framed(const wire::Message& message);

/// Takes whole frames off the front of `buffer`. Nothing when none is whole yet.
/// Errors: invalid_argument for what is no message: the connection is of no use then. Pure.
[[nodiscard]] Result<std::optional<wire::Message>> take_frame(std::string& buffer);

/// A connection to the agent, by the environment; -1 when there is none.
[[nodiscard]] int connect_to_agent();

}  // namespace cox::agent
