#pragma once

#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "runtime/head/state.hpp"
#include "runtime/store/store.hpp"
#include "tests/fakes/fake_agents.hpp"
#include "tests/fakes/fake_clock.hpp"
#include "tests/fakes/fake_provider.hpp"

namespace cox::sim {

/// Thrown where the head dies.
struct HeadDied {};

/// The world that a head lives in. It outlives heads.
struct Surroundings {
  ClusterSettings cluster;
  fakes::FakeClock clock;
  fakes::FakeProvider provider;
  fakes::FakeAgents agents;
  std::unique_ptr<store::Store> store;
  std::function<std::uint64_t()> number;  ///< for ids
  /// Called at every point between an event and the last of its effects; throws HeadDied.
  std::function<void()> point;
};

/// A head without sockets and threads: the real state, core and store, and turns as the real head
/// has them. Each call below is an event of its own; end_turn() commits, answers and acts.
class SimHead {
 public:
  explicit SimHead(Surroundings& around);

  /// Replays the store; calls `replayed` with what that gave, before anything else is done.
  void start(const std::function<void()>& replayed);

  void submit(const JobSpec& spec, std::function<void(JobId)> answered);
  void kill(const JobId& id, const std::string& reason);
  /// A message of an agent, as bytes.
  void frame(const NodeId& node, const std::string& bytes);
  void disconnected(const NodeId& node);
  void lose(const NodeId& id, const std::string& why);
  void do_what_is_due();
  void end_turn();

  [[nodiscard]] const head::State& state() const { return state_; }
  [[nodiscard]] bool has_met(const NodeId& node) const { return greeted_.contains(node); }
  /// Called with what each commit holds, once it is durable.
  std::function<void(const store::Changes&)> on_commit;

 private:
  void apply(const JobId& id, const core::JobEvent& event);
  void apply_one(const JobId& id, const core::JobEvent& event);
  void submit_array(const JobId& id, const JobSpec& spec, const std::vector<JobId>& waits_for);
  [[nodiscard]] std::optional<core::DependencyEnded> wait_for(
      std::vector<JobId>& open, const JobSpec& spec, std::optional<int> index,
      const std::vector<JobId>& waits_for) const;
  void pass();
  void place(const core::Placement& placement);
  void launch(const core::NodesWanted& wanted);
  void provisioned(const NodeId& id, const Result<ProvisionedNode>& result);
  void is_up(const NodeId& id);
  void gone(const NodeId& id);
  void clear_away(const NodeId& id, const std::string& why);
  void put(Node node);
  void act(const JobId& id);
  void send(const NodeId& node, const wire::Message& message);

  void on(const NodeId& node, const wire::Hello& message);
  void on(const NodeId& node, const wire::Prepared& message);
  void on(const NodeId& node, const wire::Started& message);
  void on(const NodeId& node, const wire::Exited& message);
  template <class Other>
  void on(const NodeId&, const Other&) {}
  [[nodiscard]] const NodeRun* part_on(const NodeId& node, const wire::PartKey& part) const;

  Surroundings& around_;
  head::State state_;
  store::Changes changes_;
  std::vector<std::function<void()>> answers_;
  std::vector<std::function<void()>> effects_;
  std::deque<std::pair<JobId, core::JobEvent>> follow_ups_;
  std::set<JobId> touched_;
  std::set<NodeId> greeted_;
  bool pass_wanted_ = true;
};

}  // namespace cox::sim
