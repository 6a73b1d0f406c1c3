#include "runtime/agent/rsh_command.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <utility>
#include <variant>

#include "runtime/agent/local_socket.hpp"
#include "runtime/base/text.hpp"

namespace cox::agent {

namespace {

constexpr int kNotReached = 255;  // as ssh
// ssh(1): options that take a value.
constexpr std::string_view kWithValue = "BbcDEeFIiJLlmOopQRSWw";

int complain(std::string_view text) {
  std::fprintf(stderr, "cox-rsh: %.*s\n", static_cast<int>(text.size()), text.data());
  return kNotReached;
}

bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto wrote = ::write(fd, bytes.data(), bytes.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(wrote));
  }
  return true;
}

/// The talk with the agent while the command runs.
class Talk {
 public:
  Talk(int agent, wire::PartKey part) : agent_(agent), part_(std::move(part)) {}

  int run(const RshCommand& command) {
    const wire::RemoteStart start{of_part(), command.host, command.command};
    if (!write_all(agent_, framed(start))) return complain("the node's agent is gone");
    input_open_ = !command.no_input;
    if (!input_open_) end_input();
    while (!code_) {
      if (!step()) return complain("the node's agent is gone");
    }
    return *code_;
  }

 private:
  bool step() {
    std::array<pollfd, 2> watched{
        {{agent_, POLLIN, 0}, {may_send() ? STDIN_FILENO : -1, POLLIN, 0}}};
    if (::poll(watched.data(), watched.size(), -1) < 0) return errno == EINTR;
    if (watched[1].revents != 0) read_input();
    return watched[0].revents == 0 || read_agent();
  }

  /// The agent knows the rest of the route by the connection.
  [[nodiscard]] wire::RemoteRoute of_part() const {
    wire::RemoteRoute route;
    route.from = part_;
    return route;
  }
  [[nodiscard]] bool may_send() const { return input_open_ && on_their_way_ < wire::kRemoteWindow; }

  void end_input() {
    input_open_ = false;
    write_all(agent_, framed(wire::RemoteInput{of_part(), "", true}));
  }

  void read_input() {
    std::array<char, 32 * 1024> piece;
    const auto got = ::read(STDIN_FILENO, piece.data(), piece.size());
    if (got < 0 && errno == EINTR) return;
    if (got <= 0) return end_input();
    on_their_way_ += got + wire::kRemoteOverhead;
    write_all(agent_,
              framed(wire::RemoteInput{
                  of_part(), std::string(piece.data(), static_cast<std::size_t>(got)), false}));
  }

  bool read_agent() {
    std::array<char, 64 * 1024> piece;
    const auto got = ::read(agent_, piece.data(), piece.size());
    if (got < 0 && errno == EINTR) return true;
    if (got <= 0) return false;
    buffer_.append(piece.data(), static_cast<std::size_t>(got));
    for (;;) {
      const auto message = take_frame(buffer_);
      if (!message) return false;
      if (!*message) return true;
      if (const auto* output = std::get_if<wire::RemoteOutput>(&**message)) {
        const int to = output->stream == 0 ? STDOUT_FILENO : STDERR_FILENO;
        if (!write_all(to, output->bytes)) {
          code_ = kNotReached;  // nobody reads: the other end learns of it when this one is gone
          return true;
        }
        took(static_cast<std::int64_t>(output->bytes.size()) + wire::kRemoteOverhead);
      } else if (const auto* taken = std::get_if<wire::RemoteTaken>(&**message)) {
        on_their_way_ -= taken->bytes;
      } else if (const auto* exited = std::get_if<wire::RemoteExited>(&**message)) {
        if (!exited->reason.empty()) complain(exited->reason);
        code_ = exited->exit_code;
      }
    }
  }

  void took(std::int64_t bytes) {
    untold_ += bytes;
    if (untold_ < wire::kRemoteTold) return;
    write_all(agent_, framed(wire::RemoteTaken{of_part(), std::exchange(untold_, 0)}));
  }

  int agent_;
  wire::PartKey part_;
  bool input_open_ = true;
  std::int64_t on_their_way_ = 0;  ///< bytes of the input
  std::int64_t untold_ = 0;        ///< of the output: were written
  std::string buffer_;
  std::optional<int> code_;
};

}  // namespace

Result<RshCommand> parse_rsh(const std::vector<std::string>& words) {
  RshCommand command;
  std::size_t i = 0;
  for (; i < words.size() && words[i].size() > 1 && words[i].front() == '-'; ++i) {
    if (words[i] == "--") {
      ++i;
      break;
    }
    // Flags may stand together; the first that takes a value takes the rest, or the next word.
    for (std::size_t k = 1; k < words[i].size(); ++k) {
      if (words[i][k] == 'n') command.no_input = true;
      if (kWithValue.find(words[i][k]) == std::string_view::npos) continue;
      if (k + 1 == words[i].size()) ++i;
      break;
    }
    if (i >= words.size()) break;
  }
  if (i < words.size()) command.host = words[i].substr(words[i].rfind('@') + 1);
  if (command.host.empty()) return fail(Errc::invalid_argument, "no host is named");
  command.command = join({words.begin() + static_cast<std::ptrdiff_t>(i) + 1, words.end()}, " ");
  return command;
}

int run_rsh(const std::vector<std::string>& words) {
  const auto command = parse_rsh(words);
  if (!command) return complain(command.error().message);
  const char* part = std::getenv(kPartVariable);
  const auto key = part != nullptr ? parse_part(part) : std::nullopt;
  if (!key) return complain("works inside a job only: COX_PART is not set");
  const int agent = connect_to_agent();
  if (agent < 0) return complain("the node's agent cannot be reached");
  ::signal(SIGPIPE, SIG_IGN);
  return Talk(agent, *key).run(*command);
}

}  // namespace cox::agent
