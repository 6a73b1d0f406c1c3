#include "tests/sim/sim_world.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "runtime/core/invariants.hpp"

namespace cox::sim {

namespace {

constexpr std::int64_t kMinuteMs = 60'000;
constexpr std::int64_t kDayMs = 24 * 60 * kMinuteMs;

constexpr int kFairJobsMax = 3;  ///< that may run at once of queue "fair"

/// Two environments of two queues, one of them with shares: four vCPUs always, sixteen at most, and
/// some on Spot.
ClusterSettings settings() {
  ClusterSettings cluster;
  cluster.name = "sim";
  const std::vector<InstanceType> types = {
      {"small", 2, MiB{2048}}, {"large", 4, MiB{4096}}, {"fat", 4, MiB{16384}}};
  ComputeEnvironment steady;
  steady.name = ComputeEnvironmentName{"steady"};
  steady.min_vcpus = 4;
  steady.max_vcpus = 16;
  steady.instance_types = types;
  steady.idle_ms_before_release = kMinuteMs;
  ComputeEnvironment spot = steady;
  spot.name = ComputeEnvironmentName{"spot"};
  spot.spot = true;
  spot.min_vcpus = 0;
  spot.max_vcpus = 6;
  cluster.environments = {spot, steady};
  JobQueue queue;
  queue.name = QueueName{"q"};
  queue.environments = {spot.name, steady.name};
  JobQueue fair = queue;
  fair.name = QueueName{"fair"};
  fair.policy = "policy";
  fair.max_running = kFairJobsMax;
  cluster.queues = {queue, fair};
  return cluster;
}

}  // namespace

World::World(std::uint64_t seed) : random_(seed) {
  around_.cluster = settings();
  around_.number = [this] { return random_(); };
  around_.point = [this] {
    if (points_to_death_ > 0 && --points_to_death_ == 0) throw HeadDied{};
  };
  around_.store = store::open_store(":memory:").value();
  begin_head();
}

// The head's lives.

void World::begin_head() {
  head_ = std::make_unique<SimHead>(around_);
  head_->on_commit = [this](const store::Changes& changes) { committed(changes); };
  head_->start([this] { compare_with_stored(); });
}

void World::head_died() {
  ++deaths_;
  head_.reset();
  around_.provider.head_died([this] { return one_in(2); });
  // Parts go on meanwhile.
  for (const auto& node : around_.provider.living()) {
    for (auto& [key, part] : around_.agents.parts(node)) {
      if (one_in(2)) fakes::FakeAgents::go_on(part, !one_in(5));
    }
  }
  begin_head();
}

/// Runs the event and the rest of its turn; after a death the next head's first turn.
void World::attempt(const std::function<void()>& event) {
  try {
    event();
    head_->end_turn();
    return;
  } catch (const HeadDied&) {
  }
  for (bool lives = false; !lives;) {
    head_died();
    try {
      head_->end_turn();
      lives = true;
    } catch (const HeadDied&) {
    }
  }
}

void World::turn() {
  if (points_to_death_ == 0 && one_in(12)) points_to_death_ = 1 + below(16);
  attempt([this] {
    for (auto events = 1 + below(3); events > 0; --events) something_happens();
  });
  audit();
}

// What happens.

void World::something_happens() {
  const auto& living = around_.provider.living();
  const auto what = below(100);
  if (what < 12) {
    submit();
  } else if (what < 15) {
    const auto open = open_jobs();
    if (!open.empty()) head_->kill(any_of(open), "the user had enough");
  } else if (what < 25) {
    if (around_.provider.has_provisions()) around_.provider.finish_provision(!one_in(8));
  } else if (what < 32) {
    if (around_.provider.has_ends()) around_.agents.forget(around_.provider.finish_end());
  } else if (what < 38) {
    around_.clock.advance(static_cast<std::int64_t>(
        one_in(200) ? 8 * kDayMs : static_cast<std::int64_t>(below(kMinuteMs))));
    head_->do_what_is_due();
  } else if (what < 41) {
    if (!living.empty()) node_has_trouble(any_of(living));
  } else if (!living.empty()) {
    around_.clock.advance(static_cast<std::int64_t>(below(50)));
    agent_does_something(any_of(living));
  }
}

JobSpec World::any_spec() {
  JobSpec spec;
  spec.name = "j";
  spec.queue = QueueName{"q"};
  if (one_in(3)) {
    spec.queue = QueueName{"fair"};
    spec.share = one_in(2) ? "a1" : "b";
    spec.priority = static_cast<int>(below(3));
  }
  spec.command = {"true"};
  spec.vcpus = 1 + static_cast<int>(below(4));
  spec.memory = MiB{static_cast<std::int64_t>(1 + below(4)) * 900};
  spec.attempts = 1 + static_cast<int>(below(3));
  if (one_in(4)) spec.timeout_s = 60;
  if (one_in(4)) {
    spec.nodes = 1 + static_cast<int>(below(4));
  } else if (one_in(5)) {
    spec.array_size = 2 + static_cast<int>(below(4));
    if (one_in(3)) spec.depends_on.edit().push_back({JobId{}, DependencyKind::sequential});
  }
  const auto open = open_jobs();
  if (!open.empty() && one_in(4)) {
    constexpr DependencyKind kKinds[] = {DependencyKind::whole, DependencyKind::whole,
                                         DependencyKind::after_any, DependencyKind::after_not_ok};
    spec.depends_on.edit().push_back({any_of(open), kKinds[below(4)]});
  }
  return spec;
}

void World::submit() {
  if (open_jobs().size() > 40) return;
  head_->submit(any_spec(), [this](const JobId& id) { answered_.insert(id); });
}

void World::report(const NodeId& node, const wire::PartKey& key) {
  const auto& parts = around_.agents.parts(node);
  const auto part = parts.find(key);
  if (part == parts.end()) return;
  const auto message = fakes::FakeAgents::report(key, part->second, around_.clock.now());
  if (message) head_->frame(node, wire::encode(*message));
}

void World::agent_does_something(const NodeId& node) {
  if (!head_->has_met(node)) {
    head_->frame(node, wire::encode(around_.agents.hello(node)));
    return;
  }
  auto& parts = around_.agents.parts(node);
  if (parts.empty()) return;
  const auto key = any_of(parts).first;
  if (one_in(2)) fakes::FakeAgents::go_on(parts.at(key), !one_in(6));
  // What it says may come late, or twice.
  if (!one_in(3)) report(node, key);
  if (one_in(8)) report(node, key);
}

void World::node_has_trouble(const NodeId& node) {
  const auto what = below(4);
  if (what == 0) {
    around_.agents.forget(node);
    around_.provider.die(node, "its agent was killed by signal 9");
  } else if (what == 1) {  // its agent begins anew and knows nothing
    around_.agents.forget(node);
    head_->disconnected(node);
    head_->frame(node, wire::encode(around_.agents.hello(node)));
  } else if (what == 2) {  // its connection breaks; it dials again
    head_->disconnected(node);
  } else if (!head_->has_met(node)) {  // it is silent for too long
    head_->lose(node, "its agent did not come back");
  }
}

void World::all_goes_well() {
  while (around_.provider.has_provisions()) around_.provider.finish_provision(true);
  while (around_.provider.has_ends()) around_.agents.forget(around_.provider.finish_end());
  const auto living = around_.provider.living();
  for (const auto& node : living) {
    if (!head_->has_met(node)) head_->frame(node, wire::encode(around_.agents.hello(node)));
    const auto* known = head_->state().node(node);
    // One whose address was lost with the head that had asked for it.
    if (known != nullptr && known->status == NodeStatus::silent) {
      head_->lose(node, "its agent did not come back");
    }
    std::vector<wire::PartKey> keys;
    for (auto& [key, part] : around_.agents.parts(node)) {
      fakes::FakeAgents::go_on(part, true);
      keys.push_back(key);
    }
    for (const auto& key : keys) report(node, key);
  }
}

void World::settle() {
  points_to_death_ = 0;
  constexpr int kRoundsMax = 2000;
  for (int round = 0; round < kRoundsMax && !open_jobs().empty(); ++round) {
    around_.clock.advance(1000);
    attempt([this] {
      all_goes_well();
      head_->do_what_is_due();
    });
    audit();
  }
  for (const auto& id : open_jobs()) {
    const auto* job = head_->state().find(id);
    ADD_FAILURE() << "job " << id.value << " is still " << to_string(job->status) << ": "
                  << (head_->state().blocks(id).empty()
                          ? "no block"
                          : core::to_sentence(head_->state().blocks(id).front()));
  }
  for (int round = 0; round < 5; ++round) {
    around_.clock.advance(2 * kMinuteMs);
    attempt([this] {
      all_goes_well();
      head_->do_what_is_due();
    });
    audit();
  }
  std::map<ComputeEnvironmentName, int> vcpus;
  for (const auto* node : head_->state().nodes()) vcpus[node->environment] += node->vcpus;
  EXPECT_EQ(vcpus[ComputeEnvironmentName{"spot"}], 0);
  EXPECT_GE(vcpus[ComputeEnvironmentName{"steady"}], 4);
  EXPECT_LE(vcpus[ComputeEnvironmentName{"steady"}], 7);  // the last large node may stay
  EXPECT_EQ(around_.provider.living().size(), head_->state().nodes().size());
}

int World::ended_well() const {
  return static_cast<int>(
      std::count_if(stored_jobs_.begin(), stored_jobs_.end(),
                    [](const auto& each) { return each.second.status == JobStatus::succeeded; }));
}

// Audits.

std::vector<JobId> World::open_jobs() const {
  std::vector<JobId> list;
  for (const auto& [id, job] : stored_jobs_) {
    if (!is_terminal(job.status)) list.push_back(id);
  }
  return list;
}

void World::committed(const store::Changes& changes) {
  const auto keep = [this](const JobId& id) {
    if (const auto* job = head_->state().find(id)) stored_jobs_[id] = *job;
  };
  for (const auto& [id, event] : changes.events) {
    keep(id);
    keep(parent_of(id));  // what it counts follows from the child's events
    const auto* first = std::get_if<core::Submitted>(&event);
    if (first == nullptr || first->array_index) continue;
    for (int i = 0; i < first->spec->array_size.value_or(0); ++i) keep(child_of(id, i));
  }
  for (const auto& id : changes.jobs_forgotten) {
    stored_jobs_.erase(id);
    answered_.erase(id);
  }
  stored_look_at_ = around_.clock.now();
  stored_look_ = look(stored_look_at_);
}

/// What the state's indexes say, in words; at a time, because shares go by what was had of late.
std::string World::look(Millis now) const {
  const auto& state = head_->state();
  std::string text;
  for (int i = 0; i <= static_cast<int>(JobStatus::failed); ++i) {
    text += fmt::format("\n{}:", to_string(static_cast<JobStatus>(i)));
    for (const auto* job : state.jobs(QueueName{"q"}, static_cast<JobStatus>(i))) {
      text += " " + job->id.value;
    }
  }
  const auto snapshot = state.snapshot(now);
  text += "\nwaiting:";
  for (const auto* job : snapshot.waiting) text += " " + job->id.value;
  text += "\nactive:";
  for (const auto* job : snapshot.active) text += " " + job->id.value;
  text += fmt::format("\ndeadline: {}", state.next_deadline().value_or(Millis{}).value);
  text += "\nended:";
  for (const auto& id : state.ended_until(now)) text += " " + id.value;
  for (const auto& [id, job] : stored_jobs_) {
    const auto dependents = state.dependents(id);
    if (!dependents.empty()) text += fmt::format("\n{} before:", id);
    for (const auto& each : dependents) text += " " + each.value;
  }
  return text;
}

/// After a death: all that was stored is there again, and nothing else.
void World::compare_with_stored() {
  for (const auto& [id, job] : stored_jobs_) {
    const auto* found = head_->state().find(id);
    ASSERT_NE(found, nullptr) << id.value;
    EXPECT_TRUE(*found == job) << "job " << id.value << " is " << to_string(found->status)
                               << " and was " << to_string(job.status);
  }
  for (const auto& id : answered_) {
    EXPECT_NE(head_->state().find(id), nullptr) << "job " << id.value << " was accepted";
  }
  if (!stored_look_.empty()) {
    EXPECT_EQ(look(stored_look_at_), stored_look_);
  }
  for (const auto& id : around_.provider.living()) {
    EXPECT_NE(head_->state().node(id), nullptr) << "node " << id.value << " is forgotten";
  }
}

void World::audit() {
  const auto& state = head_->state();
  core::Everything everything;
  everything.cluster = &state.cluster();
  everything.nodes = state.nodes();
  for (const auto& [id, job] : stored_jobs_) {
    const auto* found = state.find(id);
    ASSERT_NE(found, nullptr) << id.value;
    EXPECT_TRUE(*found == job) << "job " << id.value << " changed and that was not stored";
    everything.jobs.push_back(found);
  }
  for (const auto& fault : core::faults_in(everything)) ADD_FAILURE() << fault;
  const auto of_fair =
      std::count_if(everything.jobs.begin(), everything.jobs.end(), [](const Job* job) {
        return job->spec->queue == QueueName{"fair"} && core::holds_nodes(*job);
      });
  EXPECT_LE(of_fair, kFairJobsMax);
  audit_load();
}

/// What the state counts of each node is what its jobs take.
void World::audit_load() {
  const auto& state = head_->state();
  for (const auto* node : state.nodes()) {
    api::View::NodeLoad counted{0, 0, node->vcpus, node->memory};
    for (const auto& [id, job] : stored_jobs_) {
      if (!core::holds_node(job, node->id)) continue;
      const auto& runs = job.current()->nodes;
      const bool runs_here = std::any_of(runs.begin(), runs.end(), [&](const NodeRun& run) {
        return run.node == node->id && run.phase == NodePhase::running;
      });
      ++(runs_here ? counted.running_jobs : counted.pending_jobs);
      counted.free_vcpus = job.is_multi_node() ? 0 : counted.free_vcpus - job.spec->vcpus;
      counted.free_memory = job.is_multi_node() ? MiB{} : counted.free_memory - job.spec->memory;
    }
    const auto load = state.load(node->id);
    EXPECT_EQ(std::tie(load.running_jobs, load.pending_jobs, load.free_vcpus, load.free_memory),
              std::tie(counted.running_jobs, counted.pending_jobs, counted.free_vcpus,
                       counted.free_memory))
        << node->id.value;
  }
}

}  // namespace cox::sim
