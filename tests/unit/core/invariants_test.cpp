#include "runtime/core/invariants.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "tests/unit/core/world.hpp"

namespace cox::core {
namespace {

/// A sound cluster: "w" waits, "d" waits for it, "r" runs on both nodes, "e" has ended.
void set_up(World& world) {
  world.node("n1", kSmall).node("n2", kSmall).node("n3", kSmall);
  world.waits("w", spec_of(1))
      .runs("r", wide_spec(2, 2), {"n1", "n2"})
      .runs("e", spec_of(1), {"n3"});
  world.end(*world.find_job(JobId{"e"}));
  world.jobs.push_back(submitted("d", spec_of(1), {JobId{"w"}}));
}

struct FaultCase {
  const char* name;
  std::function<void(World&)> spoil;
  std::vector<std::string> faults;

  friend void PrintTo(const FaultCase& c, std::ostream* out) { *out << c.name; }
};

Job& job(World& world, const char* id) { return *world.find_job(JobId{id}); }

const FaultCase kFaults[] = {
    {"a_sound_cluster", [](World&) {}, {}},
    {"a_live_status_without_an_attempt",
     [](World& w) { job(w, "w").status = JobStatus::running; },
     {"job w is RUNNING and its attempt is over"}},
    {"a_waiting_job_with_a_live_attempt",
     [](World& w) { job(w, "r").status = JobStatus::runnable; },
     {"job r is RUNNABLE and its attempt is live"}},
    {"a_running_job_whose_main_node_does_not_run",
     [](World& w) { job(w, "r").status = JobStatus::running; },
     {"job r is RUNNING and its main node does not run"}},
    {"a_success_that_was_none",
     [](World& w) { job(w, "e").attempts[0].exit_code = 1; },
     {"job e is SUCCEEDED without an attempt that was"}},
    {"a_killed_job_that_waits",
     [](World& w) { job(w, "w").kill_reason = "enough"; },
     {"job w was killed and is RUNNABLE"}},
    {"a_node_with_more_than_it_has",
     [](World& w) { w.runs("x", spec_of(3, MiB{3000}), {"n3"}); },
     {"node n3 gives 3 vCPUs of 2", "node n3 gives 3000 MiB of 2048"}},
    {"a_multi_node_job_that_shares",
     [](World& w) {
       job(w, "r").spec.edit().vcpus = 1;
       w.runs("x", spec_of(1), {"n1"});
     },
     {"node n1 is shared by 2 jobs, one of them multi-node"}},
    {"a_node_twice_in_an_attempt",
     [](World& w) { job(w, "r").attempts[0].nodes[1].node = NodeId{"n1"}; },
     {"attempt 1 of job r has node n1 twice", "node n1 gives 4 vCPUs of 2",
      "node n1 is shared by 2 jobs, one of them multi-node"}},
    {"a_node_that_is_gone",
     [](World& w) { w.nodes.pop_front(); },
     {"job r holds node n1, which is not there"}},
    {"a_node_that_goes",
     [](World& w) { w.nodes[0].status = NodeStatus::terminating; },
     {"job r holds node n1, which is being given back"}},
    {"a_node_of_another_queue",
     [](World& w) { w.nodes[0].environment = ComputeEnvironmentName{"other"}; },
     {"job r of queue q holds node n1 of compute environment other"}},
    {"two_nodes_with_one_ordinal",
     [](World& w) { w.nodes[1].ordinal = 1; },
     {"node n2 shares ordinal 1"}},
    {"an_environment_above_its_maximum",
     [](World& w) { w.cluster.environments[0].max_vcpus = 4; },
     {"compute environment ce has 6 vCPUs of 4"}},
    {"a_dependency_that_has_ended",
     [](World& w) { job(w, "d").waits_for = {JobId{"e"}}; },
     {"job d waits for job e, which will not end any more"}},
    {"a_dependency_that_does_not_hold",
     [](World& w) { job(w, "d").status = JobStatus::runnable; },
     {"job d is RUNNABLE and waits for job w"}},
    {"more_attempts_than_were_allowed",
     [](World& w) { job(w, "e").spec.edit().attempts = 0; },
     {"job e has 1 attempts of 0"}},
    {"an_attempt_of_another_number",
     [](World& w) { job(w, "e").attempts[0].number = 2; },
     {"attempt 1 of job e has number 2"}},
    {"a_parent_that_counts_wrong",
     [](World& w) {
       auto spec = spec_of(1);
       spec.array_size = 2;
       w.jobs.push_back(submitted("p", spec));
       for (const int i : {0, 1}) {
         Job child;
         child.id = child_of(JobId{"p"}, i);
         w.jobs.push_back(follow(child, {Submitted{kThen, spec, i, {}}}));
       }
       job(w, "p") =
           follow(job(w, "p"), {ChildChanged{kThen, JobStatus::submitted, JobStatus::runnable}});
     },
     {"job p counts 1 SUBMITTED children, there are 0",
      "job p counts 1 RUNNABLE children, there are 2"}},
};

class Audit : public testing::TestWithParam<FaultCase> {};

TEST_P(Audit, Finds) {
  World world(cluster_of({environment_of("ce", 0, 12, {kSmall})}));
  set_up(world);

  GetParam().spoil(world);

  EXPECT_EQ(world.faults(), GetParam().faults);
}

INSTANTIATE_TEST_SUITE_P(, Audit, testing::ValuesIn(kFaults),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace cox::core
