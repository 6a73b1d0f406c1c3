#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "runtime/os/fd.hpp"

/// Clients of the API over its unix socket, many at a time on one thread.
namespace cox::bench {

/// Requests go out on all connections, on each the next as soon as the one before is answered: as
/// that many clients would do. A broken connection or an answer that is not 200 ends the program
/// with the answer's text.
class LoadClient {
 public:
  LoadClient(const std::string& socket, int connections);

  /// Sends `count` requests of `target`, their bodies by number, and waits for all answers. Returns
  /// when each was answered, in seconds since the call, in the order of the answers.
  std::vector<double> post(const std::string& target, std::uint64_t count,
                           const std::function<std::string(std::uint64_t)>& body);
  /// One request, and its answer's body.
  std::string get(const std::string& target);
  std::string post(const std::string& target, const std::string& body);

 private:
  struct Connection {
    os::Fd socket;
    std::string received;
    std::size_t answer_bytes = 0;  ///< of the last whole answer
  };

  static void send(const Connection& connection, const std::string& request);
  /// Reads what is there; true once an answer is whole.
  static bool receive(Connection& connection);
  static std::string take_body(Connection& connection);

  std::vector<Connection> connections_;
};

}  // namespace cox::bench
