#pragma once

#include <deque>
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "runtime/ports/node_provider.hpp"

namespace cox::fakes {

/// Nodes without machines. Nothing is done until the test has it done; what was asked is kept.
class FakeProvider : public NodeProvider {
 public:
  void provision(NodeRequest request, std::function<void(Result<ProvisionedNode>)> done) override {
    provisions_.push_back({std::move(request), std::move(done)});
  }
  void terminate(const NodeId& id, std::function<void(Result<void>)> done) override {
    std::erase_if(provisions_, [&](const Provision& each) { return each.request.id == id; });
    ends_.push_back({id, std::move(done)});
  }
  void on_node_ended(std::function<void(NodeId, std::string)> handler) override {
    ended_ = std::move(handler);
  }
  [[nodiscard]] std::vector<NodeId> adopt(const std::vector<Node>& known) override {
    std::vector<NodeId> list;
    for (const auto& node : known) {
      if (living_.contains(node.id)) list.push_back(node.id);
    }
    return list;
  }

  // The test's hand.

  [[nodiscard]] const std::set<NodeId>& living() const { return living_; }
  [[nodiscard]] bool has_provisions() const { return !provisions_.empty(); }
  [[nodiscard]] bool has_ends() const { return !ends_.empty(); }
  /// A node from before the head's life.
  void add_living(const NodeId& id) { living_.insert(id); }

  /// Brings the oldest node asked for up, or fails it. Returns its id.
  NodeId finish_provision(bool well) {
    const auto next = std::move(provisions_.front());
    provisions_.pop_front();
    const auto& id = next.request.id;
    if (!well) {
      next.done(fail(Errc::unavailable, "there is no room for {}", id));
      return id;
    }
    living_.insert(id);
    next.done(ProvisionedNode{id, fmt::format("10.0.0.{}", next.request.ordinal),
                              fmt::format("ip-10-0-0-{}", next.request.ordinal)});
    return id;
  }

  /// Removes the node that was to end first. Returns its id.
  NodeId finish_end() {
    const auto next = std::move(ends_.front());
    ends_.pop_front();
    living_.erase(next.id);
    next.done({});
    return next.id;
  }

  void die(const NodeId& id, const std::string& how) {
    living_.erase(id);
    if (ended_) ended_(id, how);
  }

  /// The head is gone: nobody waits for answers, and what it asked for last was done or was not.
  void head_died(const std::function<bool()>& was_done) {
    for (const auto& each : provisions_) {
      if (was_done()) living_.insert(each.request.id);
    }
    for (const auto& each : ends_) {
      if (was_done()) living_.erase(each.id);
    }
    provisions_.clear();
    ends_.clear();
    ended_ = {};
  }

 private:
  struct Provision {
    NodeRequest request;
    std::function<void(Result<ProvisionedNode>)> done;
  };
  struct End {
    NodeId id;
    std::function<void(Result<void>)> done;
  };

  std::deque<Provision> provisions_;
  std::deque<End> ends_;
  std::set<NodeId> living_;
  std::function<void(NodeId, std::string)> ended_;
};

}  // namespace cox::fakes
