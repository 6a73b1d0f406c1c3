#pragma once

#include <string>
#include <tuple>
#include <vector>

#include "runtime/core/lifecycle.hpp"
#include "runtime/store/members.hpp"

/// Values with every member set, and the comparison that the events themselves do not have.
namespace cox::store {

inline bool same(const core::JobEvent& a, const core::JobEvent& b) {
  if (a.index() != b.index()) return false;
  return std::visit(
      [&b](const auto& left) {
        using T = std::remove_cvref_t<decltype(left)>;
        const auto& right = std::get<T>(b);
        return std::apply(
            [&](const auto&... member) {
              return ((left.*member.pointer == right.*member.pointer) && ...);
            },
            members(Of<T>{}));
      },
      a);
}

inline JobSpec full_spec() {
  JobSpec spec;
  spec.name = "hello";
  spec.queue = QueueName{"tutor2-queue"};
  spec.definition = "tutor2-JobDefinitionMNP:1";
  spec.command = {"/bin/sh", "-c", "echo \"a\tb\"\n", ""};
  spec.environment = {{"A", "b=c"}, {"LATIN1", "caf\xe9"}, {"NUL", std::string("x\0y", 3)}};
  spec.vcpus = 4;
  spec.memory = MiB{2048};
  spec.slots_per_node = 2;
  spec.nodes = 3;
  spec.array_size = 10;
  spec.depends_on = {{JobId{"d1"}, DependencyKind::n_to_n},
                     {JobId{}, DependencyKind::sequential},
                     {JobId{"d2"}, DependencyKind::whole}};
  spec.attempts = 10;
  spec.timeout_s = 3600;
  spec.user = {4'000'000'000u, 1002, "coxuser"};
  spec.files = {{"job.sh", std::string(64, 'a'), 1 << 20, 0755}};
  spec.mpi = MpiRun{2, "ppr:2:node", "core", "direct", "openmpi", "it is a script"};
  spec.cpu_and_memory_legacy = false;
  spec.tags = {{"team", "ocean"}, {"", ""}};
  spec.parameters = {{"what", "world"}};
  spec.exit_rules = {{"Host EC2*", "*", "1*", true}};
  spec.groups = {{0, 1, {"a"}, {{"A", "b"}}, 2, MiB{64}}};
  spec.main_node = 1;
  spec.share = "team1";
  spec.priority = 7;
  spec.propagate_tags = true;
  return spec;
}

inline NodeRun full_run() {
  NodeRun run;
  run.node = NodeId{"i-00000000000000001"};
  run.address = "10.0.0.11";
  run.hostname = "ip-10-0-0-11";
  run.instance_type = "c4.large";
  run.environment = ComputeEnvironmentName{"tutor2-ce"};
  run.slots = 2;
  run.phase = NodePhase::exited;
  run.started_at = Millis{1'700'000'000'001};
  run.stopped_at = Millis{1'700'000'000'002};
  run.exit_code = 137;
  run.reason = "OutOfMemoryError: killed";
  return run;
}

inline Node full_node(const std::string& id = "i-00000000000000001") {
  Node node;
  node.id = NodeId{id};
  node.environment = ComputeEnvironmentName{"tutor2-ce"};
  node.instance_type = "c4.large";
  node.vcpus = 2;
  node.memory = MiB{3840};
  node.address = "10.0.0.11";
  node.hostname = "ip-10-0-0-11";
  node.status = NodeStatus::silent;
  node.launched_at = Millis{1'700'000'000'003};
  node.idle_since = Millis{1'700'000'000'004};
  node.reason = "its agent is gone";
  return node;
}

/// One of each kind, in the variant's order, with every member set.
inline std::vector<core::JobEvent> one_of_each() {
  const Millis at{1'700'000'000'123};
  return {
      core::Submitted{at,
                      full_spec(),
                      7,
                      {JobId{"w1"}, JobId{"w2:3"}},
                      {{0, 4, {JobId{"w1"}}, {JobId{"w2"}}, false}, {5, 9, {}, {}, true}}},
      core::DependencyEnded{at, JobId{"w1"}, true},
      core::Placed{at, 2, {full_run(), NodeRun{}}, "mpirun: --mpi was not given"},
      core::NodeReady{at, 2, 1},
      core::NodeStarted{at, 2, 1},
      core::NodeExited{at, 2, 1, 143, "stopped"},
      core::NodeLost{at, NodeId{"i-2"}, "agent exited with signal 9"},
      core::KillAsked{at, "asked by \"me\"", true},
      core::TimedOut{at, 2},
      core::ChildChanged{at, JobStatus::starting, JobStatus::failed},
      core::Tagged{at, {{"a", "b"}}},
  };
}

}  // namespace cox::store
