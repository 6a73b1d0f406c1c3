#include "runtime/agent/remote_asks.hpp"

#include <type_traits>
#include <utility>

namespace cox::agent {

namespace {

/// What a local program may say at once of a command on another node; it travels within a frame.
constexpr std::size_t kWordsMax = 1u << 20;
/// Of a command's input: who sends more does not keep to the window.
constexpr std::int64_t kInputUnderWayMax = 32 << 20;

}  // namespace

template <class Message>
void RemoteAsks::say(Ask& ask, Message message) {
  if (ask.on_this_node) {
    message.route = ask.stream.route();
    return ways_.to_this_node(message);
  }
  ways_.to_head(ask.stream.say(std::move(message)));
  ways_.stirred();
}

template <class Message>
void RemoteAsks::answered(const Message& message) {
  constexpr bool kIsEnd = std::is_same_v<Message, wire::RemoteExited>;
  const auto id = message.route.id;
  const auto found = asks_.find(id);
  if (found == asks_.end()) return is_unknown(message.route);
  auto& ask = found->second;
  if (message.route.number == 0) {
    // A node that has no such command has no count of what it says about it.
    if (!ask.on_this_node && !kIsEnd) return;
  } else {
    const bool is_next = ask.stream.take(message.route);
    if (ask.stream.owes_much() || (kIsEnd && is_next)) ways_.to_head(ask.stream.have());
    ways_.stirred();
    if (!is_next) return;
  }
  if constexpr (std::is_same_v<Message, wire::RemoteTaken>) ask.input_under_way -= message.bytes;
  const bool is_heard = !ask.is_closed;
  if (kIsEnd) asks_.erase(found);
  if (is_heard) ways_.to_program(id, message);
}

/// The other end is to keep nothing more for it.
void RemoteAsks::is_unknown(const wire::RemoteRoute& route) const {
  if (route.number == 0) return;
  wire::RemoteTaken taken{route, wire::kNobodyReads};
  taken.route.to_target = true;
  taken.route.number = taken.route.got = 0;
  ways_.to_head(taken);
}

bool RemoteAsks::start(ConnectionId id, wire::RemoteStart start, bool on_this_node) {
  if (start.host.size() + start.command.size() > kWordsMax || asks_.contains(id)) return false;
  start.route.id = id;
  start.route.to_target = true;
  start.route.number = start.route.got = 0;
  auto& ask = asks_.emplace(id, Ask{RemoteStream(start.route), on_this_node}).first->second;
  say(ask, std::move(start));
  return true;
}

bool RemoteAsks::input(ConnectionId id, wire::RemoteInput input) {
  const auto found = asks_.find(id);
  if (found == asks_.end()) return true;  // the command has ended
  auto& ask = found->second;
  ask.input_under_way += static_cast<std::int64_t>(input.bytes.size());
  const bool fits = input.bytes.size() <= kWordsMax && ask.input_under_way <= kInputUnderWayMax;
  if (fits) say(ask, std::move(input));
  return fits;
}

void RemoteAsks::output_taken(ConnectionId id, const wire::RemoteTaken& taken) {
  const auto found = asks_.find(id);
  if (found != asks_.end()) say(found->second, taken);
}

void RemoteAsks::closed(ConnectionId id) {
  const auto found = asks_.find(id);
  if (found == asks_.end()) return;
  found->second.is_closed = true;
  say(found->second, wire::RemoteInput{found->second.stream.route(), "", true});
  // Here its end may have come by that.
  const auto still = asks_.find(id);
  if (still != asks_.end())
    say(still->second, wire::RemoteTaken{still->second.stream.route(), wire::kNobodyReads});
}

void RemoteAsks::on(const wire::RemoteOutput& message) { answered(message); }
void RemoteAsks::on(const wire::RemoteTaken& message) { answered(message); }
void RemoteAsks::on(const wire::RemoteExited& message) { answered(message); }

void RemoteAsks::on(const wire::RemoteHave& message) {
  const auto found = asks_.find(message.route.id);
  if (found == asks_.end()) return is_unknown(message.route);
  auto& stream = found->second.stream;
  stream.heard(message.route);
  if (!message.again) return;
  for (const auto& each : stream.kept()) ways_.to_head(each);
}

void RemoteAsks::tell_again() {
  for (auto& [id, ask] : asks_) {
    if (ask.on_this_node) continue;
    for (const auto& each : ask.stream.again()) ways_.to_head(each);
  }
}

bool RemoteAsks::tick() {
  bool is_unsettled = false;
  for (auto& [id, ask] : asks_) {
    for (const auto& each : ask.stream.tick()) ways_.to_head(each);
    is_unsettled = is_unsettled || !ask.stream.is_told();
  }
  return is_unsettled;
}

}  // namespace cox::agent
