#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "runtime/base/result.hpp"
#include "runtime/os/fd.hpp"

/// How the steps of one job talk with its main node's: frames over TCP, behind a proof that both
/// ends know the attempt's secret, which itself never travels between nodes.
///
///   hub  ─ 'N' nonce ───────────────────────► node
///   hub  ◄─ 'H' index, nonce, node's proof ── node
///   hub  ─ 'W' hub's proof ─────────────────► node     then, in any order:
///   'K' keys (to the hub: of the node's ranks, all are in the barrier; back: of all nodes)
///   'G' rank: has ended without MPI  'F' code: a rank failed  'D' code: the node's ranks have
///   ended 'O' code reason (from the hub): the job is over
///
/// A node between the hub and others is the hub to them: what they say it hands on as
///   'U' index kind text  and that one is gone as  'U' index 'L'
/// and what is for one of them comes to it as  'V' index kind text
namespace cox::agent {

class HubLink {
 public:
  struct Frame {
    char kind = 0;
    std::string text;

    friend bool operator==(const Frame&, const Frame&) = default;
  };

  /// Takes over a socket, connected or on its way to be. `held`: nothing is sent before greet().
  explicit HubLink(os::Fd socket, bool held = false);

  [[nodiscard]] int fd() const { return socket_.get(); }
  /// What came is no frame, or what was sent cannot arrive.
  [[nodiscard]] bool is_broken() const { return broken_; }
  [[nodiscard]] bool wants_to_write() const { return !held_ && !outgoing_.empty(); }
  [[nodiscard]] std::size_t unsent() const { return outgoing_.size(); }
  /// Sends what the socket takes now and keeps the rest for write().
  void send(char kind, std::string_view text);
  void write();
  /// Sends this before all that was held back, which follows.
  void greet(char kind, std::string_view text);
  /// Reads what has come. False: the connection has ended.
  [[nodiscard]] bool receive();
  /// The next frame that is whole, of at most `bytes_max`: how much the peer may send can depend on
  /// the frame before.
  [[nodiscard]] std::optional<Frame> next(std::size_t bytes_max);

 private:
  os::Fd socket_;
  std::string incoming_;
  std::string outgoing_;
  std::size_t taken_ = 0;  ///< of incoming_
  bool held_ = false;
  bool broken_ = false;
};

/// 32 hexadecimal digits that nobody can guess.
[[nodiscard]] Result<std::string> random_word();

/// What shows that one end knows the secret. `role`: "hub" or "node". Pure.
[[nodiscard]] std::string proof_of(const std::string& secret, std::string_view role, int node_index,
                                   std::string_view hub_nonce, std::string_view node_nonce);

/// Begins to connect; whether it could shows when the socket can be written.
[[nodiscard]] Result<os::Fd> begin_connect(const std::string& address, int port);

}  // namespace cox::agent
