#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>

#include "runtime/agent/local_server.hpp"
#include "runtime/agent/remote_stream.hpp"
#include "runtime/wire/message.hpp"

namespace cox::agent {

/// Commands on nodes of a job that local programs (cox-rsh, cox-mpirun) have asked for, named by
/// their connections. The target's side is Part's.
class RemoteAsks {
 public:
  using ConnectionId = LocalServer::ConnectionId;
  struct Ways {
    std::function<void(ConnectionId, const wire::Message&)> to_program;
    std::function<void(const wire::Message&)> to_this_node;
    std::function<void(const wire::Message&)> to_head;  ///< lost while there is no connection
    std::function<void()> stirred;                      ///< tick() has something to do
  };

  explicit RemoteAsks(Ways ways) : ways_(std::move(ways)) {}

  // What local programs say.

  /// False: it may not ask, or not for so much. Each connection may once.
  [[nodiscard]] bool may_start(ConnectionId id, const wire::RemoteStart& start);
  /// After may_start(). `start.route` says where to.
  void start(ConnectionId id, wire::RemoteStart start, bool on_this_node);
  [[nodiscard]] bool input(ConnectionId id, wire::RemoteInput input);
  [[nodiscard]] bool output_taken(ConnectionId id, const wire::RemoteTaken& taken);
  /// The program is gone: nobody waits for the command's output, nor has more to say to it.
  void closed(ConnectionId id);

  // What targets say.

  void on(const wire::RemoteOutput& message);
  void on(const wire::RemoteTaken& message);
  void on(const wire::RemoteExited& message);
  void on(const wire::RemoteHave& message);

  /// The part on the node at this index is no more, and tells nobody.
  void target_is_lost(const wire::RemoteLost& lost);

  /// The part is over, and who asked for it gone.
  void part_is_over(const wire::PartKey& part);
  /// The connection to the head is new.
  void tell_again();
  /// At a steady pace while it is true: something is not settled yet.
  [[nodiscard]] bool tick();

 private:
  struct Ask {
    RemoteStream stream;
    bool on_this_node = false;
    bool is_closed = false;
    std::int64_t input_under_way = 0;
    std::int64_t output_under_way = 0;  ///< was given to the program, which has not said so
  };

  /// The answer may come before it returns, and end the ask.
  template <class Message>
  void say(Ask& ask, Message message);
  template <class Message>
  void answered(const Message& message);
  [[nodiscard]] Ask* find(const wire::RemoteRoute& route);
  void is_unknown(const wire::RemoteRoute& route) const;
  void end_all(const std::function<bool(const wire::RemoteRoute&)>& which, const std::string& why);

  Ways ways_;
  std::map<ConnectionId, Ask> asks_;
  std::set<ConnectionId> began_;  ///< connections that have asked
};

}  // namespace cox::agent
