#pragma once

#include <cstdint>
#include <deque>
#include <utility>
#include <vector>

#include "runtime/wire/message.hpp"

namespace cox::agent {

/// One end of what two agents say to each other about one command, through the head. The head may
/// die, or a connection break, with any of it in hand: so each end numbers what it says, keeps it
/// until the other has it, and takes each message once and in order. Pure.
class RemoteStream {
 public:
  /// Ticks without an answer until something is said again; doubled each time, up to the other.
  static constexpr int kFirstPatience = 5;
  static constexpr int kLastPatience = 25;
  /// Messages taken until the other end should be told at once.
  static constexpr int kOwedMax = 64;

  /// `route` as this end's messages carry it.
  explicit RemoteStream(wire::RemoteRoute route) : route_(std::move(route)) {}

  [[nodiscard]] const wire::RemoteRoute& route() const { return route_; }

  /// The message to send: numbered, and kept.
  template <class Said>
  [[nodiscard]] const wire::Message& say(Said message) {
    message.route = route_;
    message.route.number = ++said_;
    owed_ = 0;
    return kept_.emplace_back(std::move(message));
  }

  /// True of the message that is next. False of one that was there before, that comes before its
  /// turn, or that has no number.
  [[nodiscard]] bool take(const wire::RemoteRoute& theirs);
  /// The other end has all up to theirs.got.
  void heard(const wire::RemoteRoute& theirs);

  /// What the other end may not have, in order.
  [[nodiscard]] const std::deque<wire::Message>& kept() const { return kept_; }
  /// The same, and last that this end may lack something too.
  [[nodiscard]] std::vector<wire::Message> again();
  [[nodiscard]] wire::Message have(bool again = false);

  /// So much was taken that the other end should be told of it without waiting for a tick.
  [[nodiscard]] bool owes_much() const { return owed_ >= kOwedMax; }
  /// The other end has all that was said.
  [[nodiscard]] bool is_told() const { return kept_.empty(); }
  /// What is to be sent now. Called at a steady pace while there is a connection and the other end
  /// is to be told something or has not all that was said. A way that is only slow must not be
  /// filled with what is on it already: what is in doubt is tried with one message.
  [[nodiscard]] std::vector<wire::Message> tick();

 private:
  [[nodiscard]] std::uint64_t told() const { return said_ - kept_.size(); }
  [[nodiscard]] bool is_stale();

  wire::RemoteRoute route_;         ///< with the last number that was taken as `got`
  std::deque<wire::Message> kept_;  ///< the last of `said_`
  std::uint64_t said_ = 0;
  int owed_ = 0;
  std::uint64_t told_before_ = 0;  ///< at the last tick
  bool doubts_ = false;            ///< one message was said again alone
  int ticks_ = 0;
  int patience_ = kFirstPatience;
};

}  // namespace cox::agent
