#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/api/fake_view.hpp"

/// DescribeJobs, CancelJob and TerminateJob: whole answers.
namespace cox::api {
namespace {

std::string described(const View& view, const std::string& ids, JobUser user = FakeView::asker()) {
  const auto answer =
      answer_to(view, request_of("describejobs", R"({"jobs":[)" + ids + "]}", std::move(user)));
  EXPECT_EQ(answer.status, 200);
  return answer.body;
}

core::Placed placed(int attempt, int nodes) {
  core::Placed event{kThen + 10, attempt, {}, "mpirun"};
  for (int i = 0; i < nodes; ++i) event.nodes.push_back(run_on(attempt * 10 + i));
  return event;
}

constexpr const char* kHead =
    R"("jobQueue":"arn:aws:batch:eu-west-1:123456789012:job-queue/tutor-queue",)"
    R"("jobDefinition":"arn:aws:batch:eu-west-1:123456789012:job-definition/tutor-JobDefinition:1",)";
constexpr const char* kMultiNodeHead =
    R"("jobQueue":"arn:aws:batch:eu-west-1:123456789012:job-queue/tutor-queue",)"
    R"("jobDefinition":"arn:aws:batch:eu-west-1:123456789012:job-definition/)"
    R"(tutor-JobDefinitionMNP:1",)";
/// What a container shows before it is placed; open for more.
constexpr const char* kContainer =
    R"({"command":["echo","hi"],"environment":[{"name":"A","value":"b"}],"volumes":[],)"
    R"("mountPoints":[],"ulimits":[],"networkInterfaces":[],"resourceRequirements":[],)"
    R"("secrets":[],"vcpus":1,"memory":128,"privileged":true)";

JobSpec echo() {
  auto spec = spec_of({"echo", "hi"});
  spec.environment = {{"A", "b"}};
  return spec;
}

std::string arn(const std::string& id) {
  return fmt::format("arn:aws:batch:eu-west-1:123456789012:job/{}", id);
}

TEST(DescribeJobs, ShowsAJobThatWaitsAndWhy) {
  FakeView view;
  view.add("j1", echo());
  view.why[JobId{"j1"}] = {
      {core::BlockKind::nodes_busy, ComputeEnvironmentName{"tutor-ce"}, 1, 0, JobId{}}};

  EXPECT_EQ(
      described(view, R"("j1")"),
      R"({"jobs":[{"jobArn":")" + arn("j1") + R"(","jobName":"hello","jobId":"j1",)" + kHead +
          R"("status":"RUNNABLE","createdAt":1700000000000,"attempts":[],"dependsOn":[],)"
          R"("parameters":{},"platformCapabilities":["EC2"],"tags":{},"isCancelled":false,"isTerminated":false,"statusReason":)"
          R"("nodes of compute environment tutor-ce are busy: 1 wanted, 0 free",)"
          R"("container":)" +
          kContainer +
          R"(},"retryStrategy":{"attempts":1,"evaluateOnExit":[]},"coxswain":{"waiting":)"
          R"({"reasons":[{"kind":"nodes_busy","text":)"
          R"("nodes of compute environment tutor-ce are busy: 1 wanted, 0 free",)"
          R"("computeEnvironment":"tutor-ce","wanted":1,"have":0}],"changes":[]}}}]})");
}

TEST(DescribeJobs, ShowsAnEndedJobWithItsAttempts) {
  FakeView view;
  auto spec = echo();
  spec.attempts = 2;
  spec.timeout_s = 90;
  view.add("j1", spec,
           {placed(1, 1), core::NodeStarted{kThen + 20, 1, 0},
            core::NodeExited{kThen + 30, 1, 0, 137, "OutOfMemoryError"}, placed(2, 1),
            core::NodeStarted{kThen + 40, 2, 0}, core::NodeExited{kThen + 50, 2, 0, 0, ""}});

  const std::string first =
      R"("exitCode":137,"reason":"OutOfMemoryError","containerInstanceArn":)"
      R"("arn:aws:ecs:eu-west-1:123456789012:container-instance/tutor-ce_Batch/i-10","taskArn":)"
      R"("arn:aws:ecs:eu-west-1:123456789012:task/tutor-ce_Batch/j1-1-0","logStreamName":)"
      R"("tutor-JobDefinition/default/j1-1-0")";
  const std::string second =
      R"("exitCode":0,"containerInstanceArn":)"
      R"("arn:aws:ecs:eu-west-1:123456789012:container-instance/tutor-ce_Batch/i-20","taskArn":)"
      R"("arn:aws:ecs:eu-west-1:123456789012:task/tutor-ce_Batch/j1-2-0","logStreamName":)"
      R"("tutor-JobDefinition/default/j1-2-0")";
  std::string container = kContainer;
  container.replace(container.find(R"("networkInterfaces":[])"), 22,
                    R"("networkInterfaces":[{"privateIpv4Address":"10.0.0.20"}])");
  EXPECT_EQ(
      described(view, R"("j1")"),
      R"({"jobs":[{"jobArn":")" + arn("j1") + R"(","jobName":"hello","jobId":"j1",)" + kHead +
          R"("status":"SUCCEEDED","createdAt":1700000000000,"attempts":[{"container":)"
          R"({"networkInterfaces":[{"privateIpv4Address":"10.0.0.10"}],)" +
          first +
          R"(},"statusReason":"Essential container in task exited","startedAt":1700000000020,)"
          R"("stoppedAt":1700000000030},{"container":)"
          R"({"networkInterfaces":[{"privateIpv4Address":"10.0.0.20"}],)" +
          second +
          R"(},"statusReason":"Essential container in task exited","startedAt":1700000000040,)"
          R"("stoppedAt":1700000000050}],"dependsOn":[],"parameters":{},)"
          R"("platformCapabilities":["EC2"],"tags":{},"isCancelled":false,"isTerminated":false,)"
          R"("statusReason":"Essential container in task exited","startedAt":1700000000040,)"
          R"("stoppedAt":1700000000050,"container":)" +
          container + "," + second +
          R"(},"retryStrategy":{"attempts":2,"evaluateOnExit":[]},)"
          R"("timeout":{"attemptDurationSeconds":90},"coxswain":{"launch":"mpirun"}}]})");
}

TEST(DescribeJobs, ShowsNoStreamForAJobThatNeverStarted) {
  FakeView view;
  view.add("j1", echo(), {core::KillAsked{kThen + 5, "enough"}});

  const auto text = described(view, R"("j1")");

  EXPECT_THAT(text, testing::HasSubstr(R"("status":"FAILED")"));
  EXPECT_THAT(text, testing::HasSubstr(R"("statusReason":"enough","startedAt":0,)"
                                       R"("stoppedAt":1700000000005)"));
  EXPECT_THAT(text, testing::Not(testing::HasSubstr("logStreamName")));
}

TEST(DescribeJobs, ShowsAnArrayBySizeAndAChildByIndex) {
  FakeView view;
  auto spec = echo();
  spec.array_size = 2;
  spec.timeout_s = 60;
  view.add("a1", spec, {core::ChildChanged{kThen, JobStatus::submitted, JobStatus::runnable}});
  view.add("a1:0", spec, {}, 0);

  const std::string parent =
      R"({"jobArn":")" + arn("a1") + R"(","jobName":"hello","jobId":"a1",)" + kHead +
      R"("status":"PENDING","createdAt":1700000000000,"attempts":[],"dependsOn":[],)"
      R"("parameters":{},"platformCapabilities":["EC2"],"tags":{},"isCancelled":false,"isTerminated":false,"container":)" +
      kContainer +
      R"(},"arrayProperties":{"size":2,"statusSummary":{"SUBMITTED":1,"PENDING":0,"RUNNABLE":1,)"
      R"("STARTING":0,"RUNNING":0,"SUCCEEDED":0,"FAILED":0}},)"
      R"("retryStrategy":{"attempts":1,"evaluateOnExit":[]}})";
  const std::string child =
      R"({"jobArn":")" + arn("a1:0") + R"(","jobName":"hello","jobId":"a1:0",)" + kHead +
      R"("status":"RUNNABLE","createdAt":1700000000000,"attempts":[],"dependsOn":[],)"
      R"("parameters":{},"platformCapabilities":["EC2"],"tags":{},"isCancelled":false,"isTerminated":false,"container":)" +
      kContainer +
      R"(},"arrayProperties":{"index":0,"statusSummary":{}},)"
      R"("retryStrategy":{"attempts":1,"evaluateOnExit":[]},)"
      R"("timeout":{"attemptDurationSeconds":60}})";
  EXPECT_EQ(described(view, R"("a1:0","a1")"), R"({"jobs":[)" + child + "," + parent + "]}");
}

TEST(DescribeJobs, ShowsAMultiNodeJobAndEachOfItsNodes) {
  FakeView view;
  auto spec = echo();
  spec.nodes = 2;
  view.add("m1", spec,
           {placed(1, 2), core::NodeReady{kThen, 1, 0}, core::NodeReady{kThen, 1, 1},
            core::NodeStarted{kThen + 20, 1, 0}});

  const std::string tail =
      R"("createdAt":1700000000000,"attempts":[],"dependsOn":[],"parameters":{},)"
      R"("platformCapabilities":["EC2"],"tags":{},"isCancelled":false,"isTerminated":false,)";
  EXPECT_EQ(described(view, R"("m1")"),
            R"({"jobs":[{"jobArn":")" + arn("m1") + R"(","jobName":"hello","jobId":"m1",)" +
                kMultiNodeHead + R"("status":"RUNNING",)" + tail +
                R"("startedAt":1700000000020,"nodeProperties":{"numNodes":2,"mainNode":0,)"
                R"("nodeRangeProperties":[{"targetNodes":"0:1","container":)" +
                kContainer +
                R"(}}]},"retryStrategy":{"attempts":1,"evaluateOnExit":[]},)"
                R"("coxswain":{"launch":"mpirun"}}]})");

  std::string container = kContainer;
  container.replace(container.find(R"("networkInterfaces":[])"), 22,
                    R"("networkInterfaces":[{"privateIpv4Address":"10.0.0.11"}])");
  EXPECT_EQ(described(view, R"("m1#1","m1#2")"),
            R"({"jobs":[{"jobArn":")" + arn("m1#1") + R"(","jobName":"hello","jobId":"m1#1",)" +
                kMultiNodeHead + R"("status":"STARTING",)" + tail +
                R"("nodeDetails":{"nodeIndex":1,"isMainNode":false},"container":)" + container +
                R"(,"containerInstanceArn":)"
                R"("arn:aws:ecs:eu-west-1:123456789012:container-instance/tutor-ce_Batch/i-11",)"
                R"("taskArn":"arn:aws:ecs:eu-west-1:123456789012:task/tutor-ce_Batch/m1-1-1",)"
                R"("logStreamName":"tutor-JobDefinitionMNP/default/m1-1-1"},)"
                R"("coxswain":{"launch":"mpirun"}}]})");
}

TEST(DescribeJobs, LeavesOutWhatIsUnknownOrSomebodyElses) {
  FakeView view;
  view.add("j1", echo());

  EXPECT_EQ(described(view, R"("none","","j1#0")"), R"({"jobs":[]})");
  EXPECT_EQ(described(view, R"("j1")", FakeView::somebody_else()), R"({"jobs":[]})");
  EXPECT_THAT(described(view, R"("j1")", JobUser{0, 0, "root"}),
              testing::HasSubstr(R"("jobId":"j1")"));
}

TEST(DescribeJobs, RefusesMoreIdsThanAwsBatchTakes) {
  std::string ids = "\"a\"";
  for (int i = 0; i < 100; ++i) ids += ",\"a\"";

  const auto many = answer_to(FakeView(), request_of("describejobs", R"({"jobs":[)" + ids + "]}"));
  const auto none = answer_to(FakeView(), request_of("describejobs", "{}"));

  EXPECT_EQ(many.body, R"({"message":"jobs can't have more than 100 ids"})");
  EXPECT_EQ(none.body, R"({"message":"jobs must not be empty"})");
  EXPECT_EQ(none.status, 400);
}

// CancelJob and TerminateJob.

TEST(KillJob, IsACommandForAJobThatGoesOn) {
  FakeView view;
  view.add("j1", echo());

  const auto kill = [&](const char* operation) {
    return std::get<KillJob>(
        handle(view, request_of(operation, R"({"jobId":"j1","reason":"enough"})")));
  };

  EXPECT_EQ(kill("canceljob").job, JobId{"j1"});
  EXPECT_EQ(kill("canceljob").reason, "enough");
  EXPECT_TRUE(kill("canceljob").only_waiting);
  EXPECT_FALSE(kill("terminatejob").only_waiting);
}

TEST(KillJob, IsAnsweredAndDoesNothingForWhatIsUnknownEndedOrSomebodyElses) {
  FakeView view;
  view.add("j1", echo());
  view.add("ended", echo(), {core::KillAsked{kThen, "enough"}});

  const auto answer = [&](const char* id, const JobUser& user) {
    const auto body = fmt::format(R"({{"jobId":"{}","reason":"enough"}})", id);
    return answer_to(view, request_of("terminatejob", body, user));
  };

  for (const auto& each : {answer("none", FakeView::asker()), answer("ended", FakeView::asker()),
                           answer("j1", FakeView::somebody_else())}) {
    EXPECT_EQ(each.status, 200);
    EXPECT_EQ(each.body, "{}");
  }
}

TEST(KillJob, NeedsAnIdAndAReason) {
  const auto refused = [](const std::string& body) {
    return answer_to(FakeView(), request_of("canceljob", body)).body;
  };

  EXPECT_EQ(refused(R"({"reason":"enough"})"), R"({"message":"jobId must not be empty"})");
  EXPECT_EQ(refused(R"({"jobId":"j1","reason":""})"), R"({"message":"reason must not be empty"})");
  EXPECT_EQ(refused(R"({"jobId":"j1","reason":")" + std::string(1025, 'r') + "\"}"),
            R"({"message":"reason can't be longer than 1024 characters"})");
}

}  // namespace
}  // namespace cox::api
