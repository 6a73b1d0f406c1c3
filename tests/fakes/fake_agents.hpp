#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/wire/message.hpp"

namespace cox::fakes {

/// The agents of all nodes, without processes: parts go on only when the test has them go on, and
/// are told of as often as it likes. They outlive the head, as real ones do.
class FakeAgents {
 public:
  enum class Phase { preparing, prepared, running, exited };
  struct Part {
    Phase phase = Phase::preparing;
    bool launched = false;
    bool stopped = false;
    int exit_code = 0;
    std::string reason;
  };
  using Parts = std::map<wire::PartKey, Part>;

  /// What the head says to a node.
  void tell(const NodeId& node, const wire::Message& message) {
    auto& parts = nodes_[node];
    if (const auto* prepare = std::get_if<wire::Prepare>(&message)) {
      parts.try_emplace(prepare->part);
    } else if (const auto* launch = std::get_if<wire::Launch>(&message)) {
      if (const auto found = parts.find(launch->part); found != parts.end()) {
        found->second.launched = true;
      }
    } else if (const auto* stop = std::get_if<wire::Stop>(&message)) {
      const auto found = parts.find(stop->part);
      if (found != parts.end()) {
        found->second.stopped = true;
      } else {  // it is not here, so it runs no more
        parts[stop->part] = {Phase::exited, false, true, 137, stop->reason};
      }
    } else if (const auto* known = std::get_if<wire::ExitedAck>(&message)) {
      parts.erase(known->part);
    }
  }

  /// The part does what is next for it: `well` or badly. Nothing where it waits for the head.
  static void go_on(Part& part, bool well) {
    if (part.phase == Phase::exited) return;
    if (part.stopped) {
      part = {Phase::exited, part.launched, true, 143, ""};
    } else if (part.phase == Phase::running) {
      part.phase = Phase::exited;
      part.exit_code = well ? 0 : 7;
    } else if (part.phase == Phase::preparing || part.launched) {
      if (!well) {
        part = {Phase::exited, part.launched, false, 1, "no space left"};
      } else {
        part.phase = part.phase == Phase::preparing ? Phase::prepared : Phase::running;
      }
    }
  }

  /// What its agent says of a part now; nothing while it prepares.
  [[nodiscard]] static std::optional<wire::Message> report(const wire::PartKey& key,
                                                           const Part& part, Millis now) {
    switch (part.phase) {
      case Phase::preparing:
        return std::nullopt;
      case Phase::prepared:
        return wire::Prepared{key};
      case Phase::running:
        return wire::Started{key, now.value};
      case Phase::exited:
        return wire::Exited{key, now.value, part.exit_code, part.reason};
    }
    return std::nullopt;
  }

  [[nodiscard]] wire::Hello hello(const NodeId& node) {
    wire::Hello message;
    message.node = node;
    for (const auto& [key, part] : nodes_[node]) message.parts.push_back(key);
    return message;
  }

  [[nodiscard]] Parts& parts(const NodeId& node) { return nodes_[node]; }
  /// The node is gone, or its agent has begun anew and knows nothing.
  void forget(const NodeId& node) { nodes_.erase(node); }

 private:
  std::map<NodeId, Parts> nodes_;
};

}  // namespace cox::fakes
