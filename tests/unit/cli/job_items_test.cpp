#include "launcher/cli/job_items.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <time.h>

#include <boost/json.hpp>

#include "launcher/cli/hosts_and_queues.hpp"
#include "launcher/cli/waiting.hpp"
#include "runtime/base/text.hpp"
#include "tests/unit/cli/golden.hpp"

namespace cox::cli {
namespace {

namespace json = boost::json;

const std::string kId = "6abf3ecd-07a8-4faa-8a65-79e7404eb50f";

class JobItems : public testing::Test {
 protected:
  void SetUp() override {
    ::setenv("TZ", "UTC", 1);
    ::tzset();
  }
};

/// The objects of a golden file of what the service answers.
std::vector<json::object> jobs_of(const std::string& name) {
  std::vector<json::object> jobs;
  const auto parsed = json::parse(golden(name));
  for (const auto& job : parsed.as_array()) jobs.push_back(job.as_object());
  return jobs;
}

std::string ids_of(const std::vector<json::object>& jobs) {
  std::vector<std::string> ids;
  for (const auto& job : jobs) ids.push_back(text_of(job, "jobId"));
  return join(ids, " ");
}

TEST_F(JobItems, WithoutAnyMakeAnEmptyTable) {
  EXPECT_EQ(render_jobs({}, false), golden("awsbstat-empty.txt"));
  EXPECT_EQ(render_job_details({}, false), "No items to show\n");
}

TEST_F(JobItems, OfAMultiNodeJobStandBelowIt) {
  auto jobs = jobs_of("multi-node.json");
  sort_by_ids(jobs, {kId});
  EXPECT_EQ(render_jobs(jobs, false), golden("awsbstat-multi-node.txt"));
}

TEST_F(JobItems, OfAllKindsMakeOneTable) {
  auto jobs = jobs_of("mixed.json");
  sort_by_status(jobs);
  EXPECT_EQ(render_jobs(jobs, false), golden("awsbstat-mixed.txt"));
}

TEST_F(JobItems, HaveDetailsInTheOriginalsOrder) {
  EXPECT_EQ(render_job_details(jobs_of("details.json"), false), golden("awsbstat-details.txt"));
}

TEST_F(JobItems, OfOurOwnLaunchEndWithTheRoadThatWasTaken) {
  const std::string line(25, '-');
  auto jobs = jobs_of("details.json");
  jobs.resize(1);
  auto want = render_job_details(jobs, false);
  want.replace(want.rfind(line), std::string::npos,
               "launch                   : mpirun: asked for\n" + line + "\n");

  jobs.front()["coxswain"] = json::object{{"launch", "mpirun: asked for"}};

  EXPECT_EQ(render_job_details(jobs, false), want);
}

TEST_F(JobItems, BelowOneParentAreInOrderOfTheirText) {
  std::vector<json::object> jobs;
  for (const auto* id : {"B#2", "A", "B#10", "B#1", "B#0"}) jobs.push_back({{"jobId", id}});
  jobs.push_back({{"jobId", "B"}, {"nodeProperties", json::object{{"numNodes", 11}}}});

  sort_by_ids(jobs, {"B", "A"});

  EXPECT_EQ(ids_of(jobs), "B B#0 B#1 B#10 B#2 A");
}

TEST_F(JobItems, WithoutIdsAreInOrderOfStateStartAndId) {
  std::vector<json::object> jobs{{{"jobId", "d"}, {"status", "SUCCEEDED"}, {"startedAt", 1000}},
                                 {{"jobId", "c"}, {"status", "RUNNING"}, {"startedAt", 2000}},
                                 {{"jobId", "b"}, {"status", "RUNNING"}, {"startedAt", 1000}},
                                 {{"jobId", "f"}, {"status", "FAILED"}},
                                 {{"jobId", "a"}, {"status", "FAILED"}, {"startedAt", 5}},
                                 {{"jobId", "e"}, {"status", "SUBMITTED"}}};
  sort_by_status(jobs);
  EXPECT_EQ(ids_of(jobs), "e b c d f a");
}

TEST_F(JobItems, AreNamedByIdOrArnOnce) {
  EXPECT_EQ(short_ids({"a", "arn:aws:batch:x:1:job/b", "a", "b"}),
            (std::vector<std::string>{"a", "b"}));
}

TEST_F(JobItems, KnowTheirChildren) {
  EXPECT_EQ(children_of({{"jobId", "x"}, {"arrayProperties", json::object{{"size", 2}}}}),
            (std::vector<std::string>{"x:0", "x:1"}));
  EXPECT_EQ(children_of({{"jobId", "x"}, {"nodeProperties", json::object{{"numNodes", 2}}}}),
            (std::vector<std::string>{"x#0", "x#1"}));
  EXPECT_EQ(children_of({{"jobId", "x:1"}, {"arrayProperties", json::object{{"index", 1}}}}),
            std::vector<std::string>{});
}

TEST(Statuses, AreReadInAnyCaseAndOrder) {
  EXPECT_EQ(statuses_of(" running,submitted,RUNNING"),
            (std::vector<std::string>{"SUBMITTED", "RUNNING"}));
  EXPECT_EQ(statuses_of("failed,all").size(), 7u);
  EXPECT_EQ(statuses_of("Bad,failed"), (std::vector<std::string>{"FAILED", "BAD"}));
}

TEST(DependencyReasons, NameWhatHasNotEnded) {
  const json::object job{
      {"jobId", "x:2"},
      {"arrayProperties", json::object{{"index", 2}}},
      {"dependsOn", json::array{json::object{{"jobId", "A"}}, json::object{{"jobId", "B"}},
                                json::object{{"jobId", "C"}, {"type", "N_TO_N"}},
                                json::object{{"type", "SEQUENTIAL"}}}}};
  EXPECT_EQ(ids_depended_on(job), (std::vector<std::string>{"A", "B", "C:2", "x:1"}));

  const auto reasons = dependency_reasons(job, {{{"jobId", "A"}, {"status", "SUCCEEDED"}},
                                                {{"jobId", "B"}, {"status", "RUNNING"}},
                                                {{"jobId", "x:1"}, {"status", "PENDING"}}});

  EXPECT_EQ(json::serialize(reasons),
            R"([{"kind":"dependency","text":"it depends on job B, which is RUNNING",)"
            R"("jobId":"B","status":"RUNNING"},)"
            R"({"kind":"dependency","text":"it depends on job x:1, which is PENDING",)"
            R"("jobId":"x:1","status":"PENDING"}])");
}

TEST(Hosts, AreShownAsTheOriginalDoes) {
  const auto hosts = json::parse(golden("hosts.json")).as_array();
  EXPECT_EQ(render_hosts(hosts), golden("awsbhosts.txt"));
  EXPECT_EQ(render_host_details(hosts, false), golden("awsbhosts-details.txt"));
  EXPECT_EQ(render_host_details({}, false), "No items to show\n");
}

TEST(Queues, AreShownAsTheOriginalDoes) {
  const auto queues = json::parse(golden("queues.json")).as_array();
  EXPECT_EQ(render_queues(queues, false), golden("awsbqueues.txt"));
  EXPECT_EQ(render_queue_details(queues, false), golden("awsbqueues-details.txt"));
}

}  // namespace
}  // namespace cox::cli
