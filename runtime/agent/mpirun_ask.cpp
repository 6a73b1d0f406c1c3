#include "runtime/agent/mpirun_ask.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <utility>
#include <variant>

#include "runtime/agent/local_socket.hpp"
#include "runtime/base/text.hpp"
#include "runtime/mpi/hub_tree.hpp"
#include "runtime/os/files.hpp"

namespace cox::agent {

namespace {
constexpr std::size_t kPieceBytes = 256u << 10;
}  // namespace

Result<void> AskedNodes::ask(const MpirunOrder& own, const wire::Meeting& meeting) {
  const mpi::HubTree tree{static_cast<int>(own.hosts.size()), own.fan_out};
  for (int node = own.node_index + 1; node < tree.nodes; ++node) {
    if (tree.parent(node) != own.node_index) continue;
    const auto at = static_cast<std::size_t>(node);
    auto& asked = asked_.emplace_back();
    asked.node = node;
    asked.host = own.hosts[at];
    asked.agent.reset(connect_to_agent());
    if (!asked.agent) return fail(Errc::unavailable, "the node's agent cannot be reached");
    auto order = own;
    order.node_index = node;
    order.port = meeting.port;
    order.secret = meeting.secret;
    const auto bytes = encode_order(order);
    const auto text = fmt::format("{}:{}", bytes.size(), bytes);
    wire::RemoteRoute route;
    route.from = part_;
    auto words = framed(wire::RemoteStart{route, own.addresses[at], "exec cox-mpirun --node"});
    for (std::size_t begun = 0; begun < text.size(); begun += kPieceBytes) {
      words += framed(wire::RemoteInput{route, text.substr(begun, kPieceBytes), false});
    }
    if (!os::write_all(asked.agent.get(), words)) {
      return fail(Errc::unavailable, "the node's agent is gone");
    }
  }
  return {};
}

void AskedNodes::watch(std::vector<Watch>& watches) {
  for (auto& asked : asked_) {
    if (asked.agent) {
      watches.push_back({asked.agent.get(), POLLIN, [this, &asked] { read(asked); }});
    }
  }
}

void AskedNodes::read(Asked& asked) {
  std::array<char, 16 * 1024> piece{};
  const auto got = ::recv(asked.agent.get(), piece.data(), piece.size(), 0);
  if (got < 0 && errno == EINTR) return;
  if (got <= 0) return refused(asked, "the node's agent is gone");
  asked.incoming.append(piece.data(), static_cast<std::size_t>(got));
  for (;;) {
    const auto message = take_frame(asked.incoming);
    if (!message) return refused(asked, message.error().message);
    if (!*message) return;
    if (const auto* said = std::get_if<wire::RemoteOutput>(&**message)) {
      asked.complaint += said->bytes;
    } else if (const auto* exited = std::get_if<wire::RemoteExited>(&**message)) {
      const auto why = trim(exited->reason.empty() ? asked.complaint : exited->reason);
      return refused(asked, fmt::format("{}: {}", asked.host, why));
    }
  }
}

void AskedNodes::refused(Asked& asked, const std::string& why) {
  asked.agent.reset();
  refused_(asked.node, why);
}

}  // namespace cox::agent
