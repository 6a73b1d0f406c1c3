#include "runtime/agent/remote_asks.hpp"

#include <algorithm>
#include <type_traits>
#include <utility>
#include <vector>

namespace cox::agent {

namespace {

/// What a local program may say at once of a command on another node; it travels within a frame.
constexpr std::size_t kWordsMax = 1u << 20;
/// Of a command's input: who sends more does not keep to the window.
constexpr std::int64_t kInputUnderWayMax = 32 << 20;
/// Messages that wait for the other end to have them: so does who sends more.
constexpr std::size_t kKeptMax = 4 * wire::kRemoteWindow / wire::kRemoteOverhead;
/// Of a part's commands on a node that does not answer, whose programs are gone.
constexpr std::ptrdiff_t kClosedMax = 256;

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
  auto* found = find(message.route);
  if (found == nullptr) {
    if (message.route.number != 0) is_unknown(message.route);
    return;
  }
  auto& ask = *found;
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
  if constexpr (std::is_same_v<Message, wire::RemoteOutput>) {
    ask.output_under_way += static_cast<std::int64_t>(message.bytes.size()) + wire::kRemoteOverhead;
  }
  const bool is_heard = !ask.is_closed;
  if (kIsEnd) asks_.erase(id);
  if (is_heard) ways_.to_program(id, message);
}

RemoteAsks::Ask* RemoteAsks::find(const wire::RemoteRoute& route) {
  const auto found = asks_.find(route.id);
  const bool is_its = found != asks_.end() && found->second.stream.route().from == route.from;
  return is_its ? &found->second : nullptr;
}

/// The other end is to keep nothing more for it.
void RemoteAsks::is_unknown(const wire::RemoteRoute& route) const {
  ways_.to_head(wire::RemoteTaken{wire::way_back(route), wire::kNobodyReads});
}

bool RemoteAsks::may_start(ConnectionId id, const wire::RemoteStart& start) {
  return start.host.size() + start.command.size() <= kWordsMax && began_.insert(id).second;
}

void RemoteAsks::start(ConnectionId id, wire::RemoteStart start, bool on_this_node) {
  const auto closed = std::count_if(asks_.begin(), asks_.end(), [&](const auto& each) {
    const auto& route = each.second.stream.route();
    return each.second.is_closed && route.from == start.route.from &&
           route.target_index == start.route.target_index;
  });
  if (closed >= kClosedMax) {
    const std::string why = "too many commands there do not end";
    return ways_.to_program(id, wire::RemoteExited{start.route, 255, why});
  }
  start.route.id = id;
  start.route.to_target = true;
  start.route.number = start.route.got = 0;
  auto& ask = asks_.emplace(id, Ask{RemoteStream(start.route), on_this_node}).first->second;
  say(ask, std::move(start));
}

bool RemoteAsks::input(ConnectionId id, wire::RemoteInput input) {
  const auto found = asks_.find(id);
  if (found == asks_.end()) return true;  // the command has ended
  auto& ask = found->second;
  ask.input_under_way += static_cast<std::int64_t>(input.bytes.size()) + wire::kRemoteOverhead;
  const bool fits = input.bytes.size() <= kWordsMax && ask.input_under_way <= kInputUnderWayMax &&
                    ask.stream.kept().size() < kKeptMax;
  if (fits) say(ask, std::move(input));
  return fits;
}

bool RemoteAsks::output_taken(ConnectionId id, const wire::RemoteTaken& taken) {
  const auto found = asks_.find(id);
  if (found == asks_.end()) return true;
  auto& ask = found->second;
  ask.output_under_way -= taken.bytes;
  const bool is_true = taken.bytes > 0 && ask.output_under_way >= 0;
  if (is_true && ask.stream.kept().size() < kKeptMax) {
    say(ask, taken);
    return true;
  }
  return false;
}

void RemoteAsks::closed(ConnectionId id) {
  began_.erase(id);
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
  auto* ask = find(message.route);
  if (ask == nullptr) {
    if (message.again) is_unknown(message.route);
    return;
  }
  ask->stream.heard(message.route);
  if (!message.again) return;
  for (const auto& each : ask->stream.kept()) ways_.to_head(each);
}

void RemoteAsks::target_is_lost(const wire::RemoteLost& lost) {
  const auto is_there = [&](const wire::RemoteRoute& route) {
    return route.from.job == lost.part.job && route.from.attempt == lost.part.attempt &&
           route.target_index == lost.part.node_index;
  };
  end_all(is_there, lost.reason);
}

void RemoteAsks::part_is_over(const wire::PartKey& part) {
  end_all([&](const wire::RemoteRoute& route) { return route.from == part; }, "the job has ended");
}

void RemoteAsks::end_all(const std::function<bool(const wire::RemoteRoute&)>& which,
                         const std::string& why) {
  std::vector<wire::RemoteExited> ends;
  for (const auto& [id, ask] : asks_) {
    const auto& route = ask.stream.route();
    if (which(route)) ends.push_back({wire::way_back(route), 255, why});
  }
  for (const auto& end : ends) answered(end);
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
