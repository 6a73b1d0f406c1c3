#include "launcher/cli/submit_request.hpp"

#include <gtest/gtest.h>

#include <boost/json.hpp>

namespace cox::cli {
namespace {

namespace json = boost::json;

const Target kTarget{"demo", "queue1", "demo-JobDefinition", "demo-JobDefinitionMNP"};

std::string request(const SubmitOptions& options, const Payload& payload = {{"ls"}, {}}) {
  return json::serialize(submit_request(options, kTarget, "hello", payload, {}, 1700000000000));
}

TEST(Request, OfAnOrdinaryJobHasOnlyWhatWasAskedFor) {
  EXPECT_EQ(
      request({}),
      R"({"jobName":"hello","jobQueue":"queue1","jobDefinition":"demo-JobDefinition",)"
      R"("dependsOn":[],"retryStrategy":{"attempts":1},"containerOverrides":{"command":["ls"],)"
      R"("vcpus":1,"memory":128,"environment":[{"name":"PCLUSTER_JOB_S3_URL",)"
      R"("value":"s3://demo/batch/job-hello-1700000000000/"}]},"arrayProperties":{},)"
      R"("coxswain":{"files":[],"slotsPerNode":0}})");
}

TEST(Request, OfAMultiNodeJobHasOneRangeAndDropsTheArray) {
  SubmitOptions options;
  options.nodes = 3;
  options.array_size = 5;
  options.vcpus = 2;
  options.timeout = 60;
  options.mpi = true;
  options.map_by = "core";
  EXPECT_EQ(
      request(options),
      R"({"jobName":"hello","jobQueue":"queue1","jobDefinition":"demo-JobDefinitionMNP",)"
      R"("dependsOn":[],"retryStrategy":{"attempts":1},"timeout":{"attemptDurationSeconds":60},)"
      R"("nodeOverrides":{"numNodes":3,"nodePropertyOverrides":[{"targetNodes":"0:",)"
      R"("containerOverrides":{"command":["ls"],"vcpus":2,"memory":128,"environment":[)"
      R"({"name":"PCLUSTER_JOB_S3_URL","value":"s3://demo/batch/job-hello-1700000000000/"}]}}]},)"
      R"("coxswain":{"files":[],"slotsPerNode":2,"mpi":{"ranksPerNode":0,"mapBy":"core",)"
      R"("bindTo":""}}})");
}

TEST(Request, SaysWhatTheProgramIsLinkedToAndWhichRoadWasAskedFor) {
  SubmitOptions options;
  options.mpi = true;
  options.mpi_launch = "mpirun";
  Payload payload{{"ring"}, {}};
  payload.linkage = {"openmpi", ""};
  const auto body = submit_request(options, kTarget, "a", payload, {}, 0);
  EXPECT_EQ(json::serialize(body.at("coxswain").at("mpi")),
            R"({"ranksPerNode":0,"mapBy":"","bindTo":"","launch":"mpirun","library":"openmpi"})");
  payload.linkage = {"", "it is a script"};
  options.mpi_launch = "auto";
  EXPECT_EQ(json::serialize(
                submit_request(options, kTarget, "a", payload, {}, 0).at("coxswain").at("mpi")),
            R"({"ranksPerNode":0,"mapBy":"","bindTo":"","whyUnknown":"it is a script"})");
}

TEST(Request, WithATokenIsTheSameEachTime) {
  SubmitOptions options;
  options.client_token = "tok/1";
  options.share = "a";
  options.priority = 7;
  const Payload payload{{"ls"}, {}};
  const auto first = submit_request(options, kTarget, "a", payload, {}, 1);
  EXPECT_EQ(json::serialize(first),
            json::serialize(submit_request(options, kTarget, "a", payload, {}, 2)));
  EXPECT_EQ(first.at("clientToken"), "tok/1");
  EXPECT_EQ(first.at("shareIdentifier"), "a");
  EXPECT_EQ(first.at("schedulingPriorityOverride"), 7);
}

TEST(Request, OfOneNodeOrFewerIsAnOrdinaryJob) {
  for (const int nodes : {1, 0, -2}) {
    SubmitOptions options;
    options.nodes = nodes;
    options.array_size = 4;
    const auto body = submit_request(options, kTarget, "a", {{"ls"}, {}}, {}, 0);
    EXPECT_EQ(json::serialize(body.at("arrayProperties")), R"({"size":4})") << nodes;
    EXPECT_FALSE(body.contains("nodeOverrides")) << nodes;
  }
}

TEST(Request, LeavesOutFiguresThatAreZeroAndListsDependencies) {
  SubmitOptions options;
  options.vcpus = 0;
  options.memory = 0;
  options.depends_on = "jobId=A,jobId=B;type=N_TO_N,type=SEQUENTIAL";
  Payload payload{{"ls"}, {}};
  payload.environment = {{"X", "1"}};
  const auto body = submit_request(options, kTarget, "a", payload, {}, 0);
  const auto& overrides = body.at("containerOverrides").as_object();
  EXPECT_FALSE(overrides.contains("vcpus"));
  EXPECT_FALSE(overrides.contains("memory"));
  EXPECT_EQ(json::serialize(overrides.at("environment").as_array().front()),
            R"({"name":"X","value":"1"})");
  EXPECT_EQ(json::serialize(body.at("dependsOn")),
            R"([{"jobId":"A"},{"jobId":"B","type":"N_TO_N"},{"type":"SEQUENTIAL"}])");
}

json::object job(const std::string& text) { return json::parse(text).as_object(); }

TEST(ExitStatus, IsTheMainNodes) {
  EXPECT_EQ(exit_status_of(job(R"({"status":"SUCCEEDED"})")), 0);
  EXPECT_EQ(exit_status_of(job(R"({"status":"FAILED","container":{"exitCode":3}})")), 3);
  EXPECT_EQ(exit_status_of(job(R"({"status":"FAILED","attempts":[{"container":{"exitCode":1}},
                                   {"container":{"exitCode":137}}]})")),
            137);
  EXPECT_EQ(exit_status_of(job(R"({"status":"FAILED","statusReason":"never started"})")), 1);
}

TEST(Failure, IsTheReasonAndWhatTheMainNodeAdds) {
  EXPECT_EQ(failure_of(job(R"({"statusReason":"Terminated by the user"})")),
            "Terminated by the user");
  EXPECT_EQ(failure_of(job(R"({"statusReason":"Essential container in task exited",
                               "attempts":[{"container":{"reason":"rank 5: signal 11"}}]})")),
            "Essential container in task exited: rank 5: signal 11");
}

}  // namespace
}  // namespace cox::cli
