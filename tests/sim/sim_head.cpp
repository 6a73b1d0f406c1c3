#include "tests/sim/sim_head.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "runtime/core/array_children.hpp"

namespace cox::sim {

namespace {

constexpr std::int64_t kKeptMs = 7LL * 24 * 3600 * 1000;

}  // namespace

SimHead::SimHead(Surroundings& around) : around_(around), state_(around.cluster) {
  SchedulingPolicy policy;
  policy.name = "policy";
  policy.decay_s = 600;
  policy.shares = {{"a*", 0.5}};
  state_.put(policy);
  around_.provider.on_node_ended(
      [this](const NodeId& id, const std::string& how) { lose(id, how); });
}

void SimHead::start(const std::function<void()>& replayed) {
  const auto stored = around_.store->load();
  ASSERT_TRUE(stored) << stored.error().message;
  const auto living = around_.provider.adopt(stored->nodes);
  for (auto node : stored->nodes) {
    if (node.status != NodeStatus::terminating) node.status = NodeStatus::silent;
    state_.put_node(std::move(node));
  }
  for (const auto& [id, event] : stored->events) {
    const auto applied = state_.replay(id, event);
    ASSERT_TRUE(applied) << applied.error().message;
  }
  replayed();
  for (const auto& node : stored->nodes) {
    const bool lives = std::find(living.begin(), living.end(), node.id) != living.end();
    if (node.status == NodeStatus::terminating) {
      clear_away(node.id, node.reason);
    } else if (!lives) {
      lose(node.id, "it ended while the head was away");
    }
  }
}

// Jobs.

void SimHead::apply(const JobId& id, const core::JobEvent& event) {
  apply_one(id, event);
  while (!follow_ups_.empty()) {
    const auto next = std::move(follow_ups_.front());
    follow_ups_.pop_front();
    apply_one(next.first, next.second);
  }
}

void SimHead::apply_one(const JobId& id, const core::JobEvent& event) {
  const auto applied = state_.apply(id, event);
  if (!applied) return;
  if (!state_.is_implied(id, event)) changes_.events.push_back({id, event});
  for (auto& next : state_.follow_ups(*applied, event)) follow_ups_.push_back(std::move(next));
  touched_.insert(id);
  pass_wanted_ = true;
  if (!applied->changed_status()) return;
  const Job& job = *applied->job;
  const auto at = std::visit([](const auto& e) { return e.at; }, event);
  if (!is_terminal(job.status)) return;
  for (const auto& dependent : state_.dependents(id)) {
    follow_ups_.emplace_back(dependent,
                             core::DependencyEnded{at, id, job.status == JobStatus::succeeded});
  }
}

void SimHead::submit(const JobSpec& spec, std::function<void(JobId)> answered) {
  const JobId id{fmt::format("job-{:06}", around_.number() % 1'000'000)};
  if (state_.find(id) != nullptr) return;
  std::vector<JobId> waits_for;
  for (const auto& dependency : spec.depends_on) {
    if (!dependency.job.empty()) waits_for.push_back(dependency.job);
  }
  if (spec.array_size) {
    submit_array(id, spec, waits_for);
  } else {
    core::Submitted first{around_.clock.now(), spec, {}, {}};
    const auto missed = wait_for(first.waits_for, spec, {}, waits_for);
    apply(id, first);
    if (missed) apply(id, *missed);
  }
  answers_.emplace_back([id, answered = std::move(answered)] { answered(id); });
}

/// Adds to `open` what is still to come of what is waited for; gives what never will.
std::optional<core::DependencyEnded> SimHead::wait_for(std::vector<JobId>& open,
                                                       const JobSpec& spec,
                                                       std::optional<int> index,
                                                       const std::vector<JobId>& waits_for) const {
  std::optional<core::DependencyEnded> missed;
  for (const auto& other : waits_for) {
    const auto* job = state_.find(other);
    const bool is_over = job == nullptr || is_terminal(job->status);
    const bool succeeded = job != nullptr && job->status == JobStatus::succeeded;
    if (is_over && core::is_met(spec, index, other, succeeded)) continue;
    open.push_back(other);
    if (is_over) missed = core::DependencyEnded{around_.clock.now(), other, succeeded};
  }
  return missed;
}

void SimHead::submit_array(const JobId& id, const JobSpec& spec,
                           const std::vector<JobId>& waits_for) {
  core::Submitted first{around_.clock.now(), spec, {}, {}};
  std::map<int, core::DependencyEnded> all_missed;
  const bool is_sequential =
      std::any_of(spec.depends_on.begin(), spec.depends_on.end(),
                  [](const Dependency& each) { return each.kind == DependencyKind::sequential; });
  for (int i = 0; i < *spec.array_size; ++i) {
    std::vector<JobId> open;
    if (const auto missed = wait_for(open, spec, i, waits_for)) all_missed[i] = *missed;
    if (is_sequential && i > 0) open.push_back(child_of(id, i - 1));
    core::add_child(first, id, open);
  }
  apply(id, first);
  for (const auto& [index, missed] : all_missed) {
    const auto* child = state_.find(child_of(id, index));
    if (child != nullptr && !is_terminal(child->status)) apply(child->id, missed);
  }
}

void SimHead::kill(const JobId& id, const std::string& reason) {
  const auto* job = state_.find(id);
  if (job == nullptr || is_terminal(job->status)) return;
  const int children = job->is_array_parent() ? *job->spec->array_size : 0;
  apply(id, core::KillAsked{around_.clock.now(), reason});
  for (int i = children - 1; i >= 0; --i) kill(child_of(id, i), reason);
}

void SimHead::act(const JobId& id) {
  const auto* job = state_.find(id);
  if (job == nullptr) return;
  for (const auto& effect : core::due(*job)) {
    std::visit(
        [&](const auto& owed) {
          using Owed = std::decay_t<decltype(owed)>;
          const auto& attempt = job->attempts.back();
          const auto& node = attempt.nodes[static_cast<std::size_t>(owed.node_index)].node;
          if (!greeted_.contains(node)) return;
          const wire::PartKey part{owed.job, owed.attempt, owed.node_index};
          if constexpr (std::is_same_v<Owed, core::PrepareNode>) {
            wire::Prepare prepare;
            prepare.part = part;
            send(node, prepare);
          } else if constexpr (std::is_same_v<Owed, core::LaunchNode>) {
            send(node, wire::Launch{part});
          } else {
            send(node, wire::Stop{part, core::kStopGraceSeconds, "stopped"});
          }
        },
        effect);
    around_.point();
  }
}

// Agents.

void SimHead::send(const NodeId& node, const wire::Message& message) {
  if (!around_.provider.living().contains(node)) return;
  around_.agents.tell(node, wire::decode(wire::encode(message)).value());
}

void SimHead::frame(const NodeId& node, const std::string& bytes) {
  const auto* known = state_.node(node);
  if (known == nullptr || known->status == NodeStatus::terminating) return;
  const auto message = wire::decode(bytes).value();
  if (!greeted_.contains(node) && !std::holds_alternative<wire::Hello>(message)) return;
  std::visit([&](const auto& each) { on(node, each); }, message);
}

void SimHead::disconnected(const NodeId& node) {
  greeted_.erase(node);
  const auto* known = state_.node(node);
  if (known == nullptr || known->status == NodeStatus::terminating) return;
  Node silent = *known;
  silent.status = NodeStatus::silent;
  state_.put_node(std::move(silent));
  pass_wanted_ = true;
}

void SimHead::on(const NodeId& node, const wire::Hello& message) {
  greeted_.insert(node);
  std::vector<wire::PartKey> lost;
  for (const auto* job : state_.holders(node)) {
    const auto& attempt = job->attempts.back();
    touched_.insert(job->id);
    for (int i = 0; i < static_cast<int>(attempt.nodes.size()); ++i) {
      const auto& run = attempt.nodes[static_cast<std::size_t>(i)];
      const wire::PartKey part{job->id, attempt.number, i};
      const bool should = run.phase == NodePhase::ready || run.phase == NodePhase::running;
      const bool has =
          std::find(message.parts.begin(), message.parts.end(), part) != message.parts.end();
      if (run.node == node && should && !has) lost.push_back(part);
    }
  }
  for (const auto& part : message.parts) {
    if (part_on(node, part) == nullptr) send(node, wire::Stop{part, 0, "it is not wanted"});
  }
  for (const auto& part : lost) {
    apply(part.job, core::NodeExited{around_.clock.now(), part.attempt, part.node_index, 1,
                                     "its agent lost the job"});
  }
  is_up(node);
}

const NodeRun* SimHead::part_on(const NodeId& node, const wire::PartKey& part) const {
  const auto* job = state_.find(part.job);
  if (job == nullptr || job->current() == nullptr || job->current()->number != part.attempt) {
    return nullptr;
  }
  const auto& runs = job->current()->nodes;
  const auto index = static_cast<std::size_t>(part.node_index);
  const bool is_here = index < runs.size() && runs[index].node == node;
  return is_here && runs[index].phase != NodePhase::exited ? &runs[index] : nullptr;
}

void SimHead::on(const NodeId& node, const wire::Prepared& message) {
  const auto& part = message.part;
  const auto* run = part_on(node, part);
  if (run == nullptr) return send(node, wire::Stop{part, 0, "it is not wanted"});
  if (run->phase != NodePhase::preparing) return;
  apply(part.job, core::NodeReady{around_.clock.now(), part.attempt, part.node_index});
  act(part.job);  // nobody is told of it: the real head does not wait for the disk either
}

void SimHead::on(const NodeId& node, const wire::Started& message) {
  const auto& part = message.part;
  const auto* run = part_on(node, part);
  if (run == nullptr) return send(node, wire::Stop{part, 0, "it is not wanted"});
  if (run->phase == NodePhase::running) return;
  apply(part.job, core::NodeStarted{Millis{message.at_ms}, part.attempt, part.node_index});
}

void SimHead::on(const NodeId& node, const wire::Exited& message) {
  const auto& part = message.part;
  if (part_on(node, part) != nullptr) {
    apply(part.job, core::NodeExited{Millis{message.at_ms}, part.attempt, part.node_index,
                                     message.exit_code, message.reason});
  }
  effects_.emplace_back([this, node, part] { send(node, wire::ExitedAck{part}); });
}

// Nodes.

void SimHead::put(Node node) {
  changes_.nodes.push_back(node);
  state_.put_node(std::move(node));
}

void SimHead::pass() {
  pass_wanted_ = false;
  const auto now = around_.clock.now();
  for (const auto& placement : state_.place(now)) place(placement);
  around_.point();
  const auto plan = state_.scale(now);
  for (const auto& wanted : plan.launch) launch(wanted);
  for (const auto& id : plan.release) {
    EXPECT_TRUE(state_.holders(id).empty()) << id.value;
    clear_away(id, "it was idle");
  }
}

void SimHead::place(const core::Placement& placement) {
  const auto* job = state_.find(placement.job);
  core::Placed event{around_.clock.now(), static_cast<int>(job->attempts.size()) + 1, {}, "mpirun"};
  for (const auto& id : placement.nodes) {
    const auto* node = state_.node(id);
    NodeRun run;
    run.node = id;
    run.address = node->address;
    run.hostname = node->hostname;
    run.environment = node->environment;
    event.nodes.push_back(std::move(run));
  }
  apply(placement.job, event);
}

void SimHead::launch(const core::NodesWanted& wanted) {
  for (int i = 0; i < wanted.count; ++i) {
    Node node;
    node.id = NodeId{fmt::format("i-{:017x}", around_.number())};
    node.ordinal = state_.free_ordinal();
    node.environment = wanted.environment;
    node.instance_type = wanted.type.name;
    node.vcpus = wanted.type.vcpus;
    node.memory = wanted.type.memory;
    node.launched_at = node.idle_since = around_.clock.now();
    put(node);
    effects_.emplace_back([this, node, type = wanted.type] {
      if (state_.node(node.id) == nullptr) return;
      around_.provider.provision(
          {node.id, node.ordinal, node.environment, type, {}},
          [this, id = node.id](const Result<ProvisionedNode>& result) { provisioned(id, result); });
    });
  }
}

void SimHead::provisioned(const NodeId& id, const Result<ProvisionedNode>& result) {
  const auto* known = state_.node(id);
  if (known == nullptr || known->status == NodeStatus::terminating) return;
  if (!result) {
    gone(id);
    return;
  }
  Node node = *known;
  node.address = result->address;
  node.hostname = result->hostname;
  put(std::move(node));
  is_up(id);
}

void SimHead::is_up(const NodeId& id) {
  const auto* known = state_.node(id);
  if (known == nullptr || known->status == NodeStatus::terminating || known->address.empty() ||
      !greeted_.contains(id)) {
    return;
  }
  Node node = *known;
  if (node.status == NodeStatus::pending) node.idle_since = around_.clock.now();
  node.status = NodeStatus::up;
  put(std::move(node));
  pass_wanted_ = true;
}

void SimHead::lose(const NodeId& id, const std::string& why) {
  const auto* known = state_.node(id);
  if (known == nullptr || known->status == NodeStatus::terminating) return;
  clear_away(id, why);
  std::vector<JobId> jobs;
  for (const auto* job : state_.holders(id)) jobs.push_back(job->id);
  for (const auto& job : jobs) apply(job, core::NodeLost{around_.clock.now(), id, why});
  pass_wanted_ = true;
}

void SimHead::gone(const NodeId& id) {
  std::erase_if(changes_.nodes, [&](const Node& each) { return each.id == id; });
  changes_.nodes_gone.push_back(id);
  state_.remove_node(id);
  pass_wanted_ = true;
}

void SimHead::clear_away(const NodeId& id, const std::string& why) {
  Node node = *state_.node(id);
  node.status = NodeStatus::terminating;
  node.reason = why;
  put(std::move(node));
  greeted_.erase(id);
  effects_.emplace_back([this, id] {
    around_.provider.terminate(id, [this, id](const Result<void>&) { gone(id); });
  });
}

// The turn.

void SimHead::do_what_is_due() {
  const auto now = around_.clock.now();
  for (const auto& id : state_.past_deadline(now)) {
    apply(id, core::TimedOut{now, state_.find(id)->current()->number});
  }
  for (const auto& id : state_.ended_until(now + -kKeptMs)) {
    std::vector<std::string> unused;
    for (const auto& gone : state_.forget(id, unused)) changes_.jobs_forgotten.push_back(gone);
  }
  pass_wanted_ = true;
}

void SimHead::end_turn() {
  around_.point();
  if (pass_wanted_) pass();
  around_.point();
  const auto changes = std::exchange(changes_, {});
  if (!changes.empty()) {
    const auto stored = around_.store->commit(changes);
    ASSERT_TRUE(stored) << stored.error().message;
  }
  if (on_commit) on_commit(changes);
  around_.point();
  for (const auto& answer : std::exchange(answers_, {})) {
    answer();
    around_.point();
  }
  for (const auto& effect : std::exchange(effects_, {})) {
    effect();
    around_.point();
  }
  for (const auto& id : std::exchange(touched_, {})) act(id);
}

}  // namespace cox::sim
