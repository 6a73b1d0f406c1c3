#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <optional>

#include "tests/unit/core/world.hpp"

/// Jobs that pass one that waits, and what they may not do to it.
namespace cox::core {
namespace {

using Lines = std::vector<std::string>;

JobSpec timed(JobSpec spec, int seconds) {
  spec.timeout_s = seconds;
  return spec;
}

/// Three nodes of two vCPUs, and no more may come.
ClusterSettings three_nodes() { return cluster_of({environment_of("ce", 0, 6, {kSmall})}); }

struct Cluster : World {
  Cluster() : World(three_nodes()) { node("n1", kSmall).node("n2", kSmall).node("n3", kSmall); }
  /// A job that started at kThen + 1 ms.
  Cluster& has_run(const std::string& id, const JobSpec& spec, const std::vector<std::string>& on) {
    runs(id, spec, on);
    jobs.back() = follow(std::move(jobs.back()), {NodeStarted{kThen + 1, 1, 0}});
    return *this;
  }
};

TEST(Backfill, LetsAJobPassThatEndsBeforeTheReservation) {
  Cluster cluster;
  cluster.has_run("r1", timed(spec_of(2), 600), {"n1"});
  cluster.waits("w1", wide_spec(3, 2)).waits("short", timed(spec_of(2), 500));
  EXPECT_EQ(shown(place(cluster.snapshot()).placed), (Lines{"short on n2"}));
}

TEST(Backfill, LetsNoJobPassThatMayRunLonger) {
  Cluster cluster;
  cluster.has_run("r1", timed(spec_of(2), 600), {"n1"});
  cluster.waits("w1", wide_spec(3, 2)).waits("long", timed(spec_of(2), 601));
  cluster.waits("endless", spec_of(2));
  const auto plan = place(cluster.snapshot());
  EXPECT_EQ(shown(plan.placed), Lines{});
  EXPECT_EQ(plan.blocked.at(JobId{"long"}).at(0).by, JobId{"w1"});
}

TEST(Backfill, LetsNobodyPassWhereTheReservationsTimeIsNotKnown) {
  Cluster cluster;
  cluster.has_run("r1", spec_of(2), {"n1"});
  cluster.waits("w1", wide_spec(3, 2)).waits("short", timed(spec_of(2), 60));
  EXPECT_EQ(shown(place(cluster.snapshot()).placed), Lines{});
}

TEST(Backfill, LeavesNodesThatAreNotReservedToAnyJob) {
  Cluster cluster;
  cluster.has_run("r1", timed(spec_of(2), 600), {"n1"});
  cluster.has_run("r2", timed(spec_of(2), 900), {"n2"});
  cluster.waits("w1", wide_spec(2, 2)).waits("endless", spec_of(1));
  // n3 and n1 are w1's, from r1's end on; n2 is nobody's, and busy.
  EXPECT_EQ(shown(place(cluster.snapshot()).placed), Lines{});
  cluster.waits("short", timed(spec_of(1), 570));
  EXPECT_EQ(shown(place(cluster.snapshot()).placed), (Lines{"short on n3"}));
}

TEST(Backfill, ReservesForAJobOfOneNodeWhatItNeedsOfIt) {
  World world(cluster_of({environment_of("ce", 0, 4, {kLarge})}));
  world.node("n1", kLarge);
  for (const auto& [id, seconds] : {std::pair("r1", 300), std::pair("r2", 900)}) {
    world.runs(id, timed(spec_of(1), seconds), {"n1"});
    world.jobs.back() = follow(std::move(world.jobs.back()), {NodeStarted{kThen + 1, 1, 0}});
  }
  // w1 needs 3 of 4 vCPUs: it has them when r1 has ended, not only when r2 has, too.
  world.waits("w1", spec_of(3)).waits("long", timed(spec_of(1), 600));
  EXPECT_EQ(shown(place(world.snapshot()).placed), Lines{});
  world.waits("short", timed(spec_of(1), 300));
  EXPECT_EQ(shown(place(world.snapshot()).placed), (Lines{"short on n1"}));
}

TEST(Backfill, KnowsNoEndOfAnAttemptThatIsBeingStopped) {
  Cluster cluster;
  cluster.has_run("r1", spec_of(2), {"n1"});
  auto& stopping = cluster.jobs.back();
  stopping = follow(std::move(stopping), {KillAsked{kThen + 2, "enough", false}});
  EXPECT_EQ(shown(place(cluster.waits("w1", wide_spec(3, 2)).snapshot()).placed), Lines{});
  cluster.waits("short", timed(spec_of(2), 60));
  EXPECT_EQ(shown(place(cluster.snapshot()).placed), Lines{});
}

/// Jobs that come one after the other, on nodes that are all there: who runs when.
class Course {
 public:
  explicit Course(int nodes) : world(cluster_of({environment_of("ce", 0, 2 * nodes, {kSmall})})) {
    for (int i = 0; i < nodes; ++i) world.node(fmt::format("n{}", i), kSmall);
  }

  void submit(const JobSpec& spec, int run_s) {
    const auto id = fmt::format("j{}", world.jobs.size());
    world.waits(id, spec);
    run_s_[JobId{id}] = run_s;
  }

  /// Places what can be placed, and remembers what the first that cannot was promised.
  void pass() {
    const auto snapshot = world.snapshot();
    const auto plan = place(snapshot);
    RC_ASSERT(world.carry_out(plan));
    for (const auto& placed : plan.placed) {
      auto& job = *world.find_job(placed.job);
      for (int i = 0; i < job.node_count(); ++i) {
        job = follow(std::move(job), {NodeStarted{world.now, 1, i}});
      }
      ends_[job.id] = world.now + 1000 * run_s_.at(job.id);
      const auto promised = promised_.find(job.id);
      if (promised != promised_.end()) RC_ASSERT(world.now <= promised->second);
    }
    const auto faults = world.faults();
    if (!faults.empty()) RC_FAIL(faults.front());
    promise(snapshot);
  }

  [[nodiscard]] std::optional<Millis> next_end() const {
    std::optional<Millis> next;
    for (const auto& [id, at] : ends_) {
      if (!next || at < *next) next = at;
    }
    return next;
  }

  void end_what_ends() {
    std::erase_if(ends_, [&](const auto& each) {
      if (each.second > world.now) return false;
      auto& job = *world.find_job(each.first);
      for (int i = 0; i < job.node_count(); ++i) {
        job = follow(std::move(job), {NodeExited{world.now, 1, i, 0, ""}});
      }
      return true;
    });
  }

  World world;

 private:
  /// The first that waits has its nodes, at the latest, when the timeouts of those that run say so:
  /// worked out here in another way than the scheduler does. What a job behind it was given in the
  /// same pass counts, too: it must not make this later.
  void promise(const Snapshot& before) {
    const auto first =
        std::find_if(before.waiting.begin(), before.waiting.end(),
                     [](const Job* job) { return job->status == JobStatus::runnable; });
    if (first == before.waiting.end() || promised_.contains((*first)->id)) return;
    std::vector<std::int64_t> free_at;
    for (const auto& node : world.nodes) {
      std::int64_t at = world.now.value;
      for (const auto& job : world.jobs) {
        if (!holds_node(job, node.id)) continue;
        if (!job.spec->timeout_s) return;  // nobody can promise anything
        at = std::max(at, deadline(job)->value + 1000 * kStopGraceSeconds);
      }
      free_at.push_back(at);
    }
    std::sort(free_at.begin(), free_at.end());
    promised_[(*first)->id] = Millis{free_at[static_cast<std::size_t>((*first)->node_count() - 1)]};
  }

  std::map<JobId, int> run_s_;
  std::map<JobId, Millis> ends_;
  std::map<JobId, Millis> promised_;
};

/// Nobody waits longer than promised, no node gives more than it has, and everybody runs.
RC_GTEST_PROP(Backfill, KeepsWhatTheFirstInTheQueueWasPromised, ()) {
  const int nodes = *rc::gen::inRange(1, 6);
  Course course(nodes);
  for (int i = *rc::gen::inRange(1, 40); i > 0;) {
    if (*rc::gen::inRange(0, 3) == 0 && course.next_end()) {
      course.world.now = *course.next_end();
      course.end_what_ends();
    } else {
      const bool wide = *rc::gen::inRange(0, 3) == 0;
      auto spec =
          wide ? wide_spec(*rc::gen::inRange(1, nodes + 1), 2) : spec_of(*rc::gen::inRange(1, 3));
      const int timeout = 60 + *rc::gen::inRange(0, 1000);
      if (*rc::gen::inRange(0, 8) != 0) spec.timeout_s = timeout;
      // To its timeout, or for less, as most jobs do.
      course.submit(spec, *rc::gen::inRange(0, 2) == 0 ? timeout : *rc::gen::inRange(0, timeout));
      --i;
    }
    course.pass();
  }
  while (const auto end = course.next_end()) {
    course.world.now = *end;
    course.end_what_ends();
    course.pass();
  }
  for (const auto& job : course.world.jobs) RC_ASSERT(job.status == JobStatus::succeeded);
}

/// A stream of short jobs that never ends, each of which may be backfilled, and a job that wants
/// all nodes: it runs within the longest timeout.
RC_GTEST_PROP(Backfill, StarvesNobody, ()) {
  const int nodes = *rc::gen::inRange(2, 6);
  Course course(nodes);
  for (int i = 0; i < nodes; ++i)
    course.submit(timed(spec_of(2), 600), *rc::gen::inRange(300, 600));
  course.pass();
  course.submit(timed(wide_spec(nodes, 2), 100), 100);
  const auto& wide = course.world.jobs.back();
  for (int turn = 0; wide.status == JobStatus::runnable; ++turn) {
    RC_ASSERT(course.world.now <= kThen + 1000 * (600 + kStopGraceSeconds));
    course.submit(timed(spec_of(1), 60 + *rc::gen::inRange(0, 60)), 60);
    course.pass();
    course.world.now = course.world.now + 5000;
    course.end_what_ends();
    RC_ASSERT(turn < 1000);
  }
  RC_ASSERT(wide.status == JobStatus::running);
}

}  // namespace
}  // namespace cox::core
