#include <gmock/gmock.h>

#include "tests/unit/api/catalog_world.hpp"

namespace cox::api {
namespace {

namespace json = boost::json;

const std::string kResources =
    R"({"type":"EC2","minvCpus":0,"maxvCpus":4,"instanceTypes":["c4.large"],
        "instanceRole":"role","subnets":["subnet-1"],"securityGroupIds":["sg-1"]})";
const std::string kEnvironment =
    R"({"computeEnvironmentName":"extra","type":"MANAGED","computeResources":)" + kResources + "}";
const std::string kQueue =
    R"({"jobQueueName":"fast","priority":3,"computeEnvironmentOrder":[
        {"order":7,"computeEnvironment":"small"},{"order":2,"computeEnvironment":
        "arn:aws:batch:eu-central-1:123456789012:compute-environment/extra"}]})";

json::object only(const json::object& answer, const char* list) {
  const auto& items = answer.at(list).as_array();
  EXPECT_EQ(items.size(), 1u);
  return items.size() == 1 ? items.front().as_object() : json::object{};
}

TEST(Environments, AreDescribedAsTheyWereMade) {
  CatalogWorld world;
  EXPECT_EQ(json::value(world.answer_of("createcomputeenvironment", kEnvironment)),
            json::parse(R"({"computeEnvironmentName":"extra","computeEnvironmentArn":
      "arn:aws:batch:eu-central-1:123456789012:compute-environment/extra"})"));

  auto shown =
      only(world.answer_of("describecomputeenvironments", R"({"computeEnvironments":["extra"]})"),
           "computeEnvironments");
  EXPECT_THAT(
      std::string(shown.at("uuid").as_string()),
      testing::MatchesRegex("[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}"));
  shown.erase("uuid");

  EXPECT_EQ(json::value(shown), json::parse(R"({"computeEnvironmentName":"extra",
      "computeEnvironmentArn":"arn:aws:batch:eu-central-1:123456789012:compute-environment/extra",
      "ecsClusterArn":"arn:aws:ecs:eu-central-1:123456789012:cluster/extra_Batch",
      "type":"MANAGED","state":"ENABLED","status":"VALID",
      "statusReason":"ComputeEnvironment Healthy","containerOrchestrationType":"ECS","tags":{},
      "computeResources":{"type":"EC2","allocationStrategy":"BEST_FIT","minvCpus":0,"maxvCpus":4,
        "desiredvCpus":0,"instanceTypes":["c4.large"],"instanceRole":"role",
        "subnets":["subnet-1"],"securityGroupIds":["sg-1"],"tags":{}}})"));
}

TEST(Environments, KeepWhatAnUpdateDoesNotName) {
  CatalogWorld world;
  world.answer_of("createcomputeenvironment", kEnvironment);
  world.answer_of("updatecomputeenvironment",
                  R"({"computeEnvironment":"extra","state":"DISABLED",
                      "computeResources":{"maxvCpus":2},
                      "updatePolicy":{"jobExecutionTimeoutMinutes":5}})");
  world.answer_of(
      "updatecomputeenvironment",
      R"({"computeEnvironment":"extra","updatePolicy":{"terminateJobsOnUpdate":true}})");

  const auto shown =
      only(world.answer_of("describecomputeenvironments", R"({"computeEnvironments":["extra"]})"),
           "computeEnvironments");

  EXPECT_EQ(shown.at("state"), "DISABLED");
  EXPECT_EQ(shown.at("computeResources").as_object().at("maxvCpus"), 2);
  EXPECT_EQ(shown.at("computeResources").as_object().at("instanceRole"), "role");
  EXPECT_EQ(shown.at("updatePolicy"),
            json::parse(R"({"terminateJobsOnUpdate":true,"jobExecutionTimeoutMinutes":5})"));
}

TEST(Environments, GoOnlyWhenDisabledAndUnused) {
  CatalogWorld world;
  const std::string name = R"({"computeEnvironment":"extra"})";
  world.answer_of("createcomputeenvironment", kEnvironment);
  world.answer_of("createjobqueue", kQueue);
  EXPECT_EQ(world.refusal_of("deletecomputeenvironment", name),
            "ClientException: Cannot delete, found existing JobQueue relationship");
  world.answer_of("updatejobqueue", R"({"jobQueue":"fast","computeEnvironmentOrder":
      [{"order":1,"computeEnvironment":"small"}]})");
  EXPECT_EQ(world.refusal_of("deletecomputeenvironment", name),
            "ClientException: Cannot delete, ComputeEnvironment extra must be DISABLED first");
  world.answer_of("updatecomputeenvironment",
                  R"({"computeEnvironment":"extra","state":"DISABLED"})");
  world.answer_of("deletecomputeenvironment", name);
  EXPECT_EQ(world.cluster().environments.size(), 1u);
}

TEST(Queues, ServeTheirEnvironmentsInAscendingOrder) {
  CatalogWorld world;
  world.answer_of("createcomputeenvironment", kEnvironment);
  world.answer_of("createjobqueue", kQueue);

  const auto shown =
      only(world.answer_of("describejobqueues", R"({"jobQueues":["fast"]})"), "jobQueues");

  EXPECT_EQ(json::value(shown), json::parse(R"({"jobQueueName":"fast",
      "jobQueueArn":"arn:aws:batch:eu-central-1:123456789012:job-queue/fast","state":"ENABLED",
      "status":"VALID","statusReason":"JobQueue Healthy","priority":3,"tags":{},
      "computeEnvironmentOrder":[
        {"order":2,"computeEnvironment":
          "arn:aws:batch:eu-central-1:123456789012:compute-environment/extra"},
        {"order":7,"computeEnvironment":
          "arn:aws:batch:eu-central-1:123456789012:compute-environment/small"}]})"));
}

TEST(Queues, EndTheirJobsWhenTheyGo) {
  CatalogWorld world;
  world.answer_of("createcomputeenvironment", kEnvironment);
  world.answer_of("createjobqueue", kQueue);
  for (const auto status : {JobStatus::running, JobStatus::failed}) {
    Job job;
    job.id = JobId{to_string(status)};
    job.spec.edit().queue = QueueName{"fast"};
    job.status = status;
    world.add(job);
  }
  EXPECT_EQ(world.refusal_of("deletejobqueue", R"({"jobQueue":"fast"})"),
            "ClientException: Cannot delete, JobQueue fast must be DISABLED first");
  world.answer_of("updatejobqueue", R"({"jobQueue":"fast","state":"DISABLED"})");

  world.answer_of("deletejobqueue", R"({"jobQueue":"fast"})");

  EXPECT_EQ(world.killed, std::vector<JobId>{JobId{"RUNNING"}});
}

TEST(Queues, OfTheClustersFileStay) {
  CatalogWorld world;
  world.answer_of("updatejobqueue", R"({"jobQueue":"queue1","state":"DISABLED"})");
  EXPECT_EQ(world.refusal_of("deletejobqueue", R"({"jobQueue":"queue1"})"),
            "ClientException: Cannot delete, JobQueue queue1 is of the cluster's own file");
}

TEST(Queues, WithAPolicyWantAShareOfEachJob) {
  CatalogWorld world;
  const auto arn = std::string(
      world.answer_of("createschedulingpolicy", R"({"name":"fair"})").at("arn").as_string());
  world.answer_of("createjobqueue",
                  R"({"jobQueueName":"shared","priority":1,"schedulingPolicyArn":")" + arn +
                      R"(","computeEnvironmentOrder":[{"order":1,"computeEnvironment":"small"}]})");
  const std::string job = R"("jobName":"j","jobDefinition":"tutor2-JobDefinition",
      "containerOverrides":{"command":["a"]})";
  EXPECT_EQ(world.refusal_of("submitjob", R"({"jobQueue":"shared",)" + job + "}"),
            "ClientException: shareIdentifier must not be empty: JobQueue shared has a scheduling "
            "policy");
  EXPECT_EQ(
      world.refusal_of("submitjob", R"({"jobQueue":"queue1","shareIdentifier":"a",)" + job + "}"),
      "ClientException: shareIdentifier can't be used: JobQueue queue1 has no scheduling policy");
  EXPECT_EQ(world.spec_of(R"({"jobQueue":"shared","shareIdentifier":"a",)" + job + "}").share, "a");
  EXPECT_EQ(world.refusal_of("deleteschedulingpolicy", R"({"arn":")" + arn + "\"}"),
            "ClientException: Cannot delete, found existing JobQueue relationship");
}

TEST(Policies, AreNamedByArnOnly) {
  CatalogWorld world;
  world.answer_of("createschedulingpolicy", R"({"name":"fair"})");
  EXPECT_EQ(world.refusal_of("deleteschedulingpolicy", R"({"arn":"fair"})"),
            "ClientException: Scheduling policy fair does not exist");
  EXPECT_EQ(
      world.refusal_of("deleteschedulingpolicy",
                       R"({"arn":"arn:aws:ecs:eu-central-1:123456789012:scheduling-policy/fair"})"),
      "ClientException: Scheduling policy arn:aws:ecs:eu-central-1:123456789012:"
      "scheduling-policy/fair does not exist");
}

TEST(Policies, KeepToTheirLimits) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"shareDecaySeconds":604801})",
       "fairsharePolicy.shareDecaySeconds must be from 0 to 604800, not 604801"},
      {R"({"computeReservation":100})",
       "fairsharePolicy.computeReservation must be from 0 to 99, not 100"},
      {R"({"shareDistribution":[{"shareIdentifier":"a","weightFactor":0}]})",
       "fairsharePolicy.shareDistribution.weightFactor must be from 0.0001 to 999.9999, not 0"},
      {R"({"shareDistribution":[{"shareIdentifier":"a*"},{"shareIdentifier":"ab"}]})",
       "shareIdentifiers a* and ab overlap"},
      {R"({"shareDistribution":[{"shareIdentifier":"a_b"}]})",
       "shareIdentifier a_b must be up to 255 letters and digits, with a * at the end or not"},
  };
  for (const auto& [policy, message] : cases) {
    CatalogWorld world;
    EXPECT_EQ(world.refusal_of("createschedulingpolicy",
                               std::string(R"({"name":"p","fairsharePolicy":)") + policy + "}"),
              std::string("ClientException: ") + message);
  }
}

TEST(Owners, AloneChangeWhatIsEverybodys) {
  const std::pair<const char*, std::string> cases[] = {
      {"createcomputeenvironment", kEnvironment},
      {"updatecomputeenvironment", R"({"computeEnvironment":"small","state":"DISABLED"})"},
      {"deletecomputeenvironment", R"({"computeEnvironment":"small"})"},
      {"createjobqueue", kQueue},
      {"updatejobqueue", R"({"jobQueue":"queue1","state":"DISABLED"})"},
      {"deletejobqueue", R"({"jobQueue":"queue1"})"},
      {"createschedulingpolicy", R"({"name":"p"})"},
  };
  for (const auto& [operation, body] : cases) {
    CatalogWorld world;
    world.request.owner = false;
    EXPECT_TRUE(world.refusal_of(operation, body).starts_with("AccessDeniedException: "))
        << operation;
  }
}

Answer tags(CatalogWorld& world, const std::string& method, const std::string& resource,
            const std::string& body = "") {
  world.request.method = method;
  world.request.target = "/v1/tags/" + resource;
  world.request.body = body;
  return world.act(handle(world, world.request));
}

TEST(Tags, AreAddedListedAndTakenAway) {
  CatalogWorld world;
  const std::string queue = "arn%3Aaws%3Abatch%3Aeu-central-1%3A123456789012%3Ajob-queue%2Fqueue1";
  EXPECT_EQ(tags(world, "POST", queue, R"({"tags":{"two words":"2","one":"1"}})").body, "{}");
  EXPECT_EQ(tags(world, "DELETE", queue + "?tagKeys=two%20words&tagKeys=none").body, "{}");
  EXPECT_EQ(tags(world, "GET", queue).body, R"({"tags":{"one":"1"}})");
}

TEST(Tags, OfAnotherUsersJobAreAsOfNone) {
  CatalogWorld world;
  Job job;
  job.id = JobId{"j"};
  job.spec.edit().user = {1002, 1002, "bert"};
  world.add(job);
  const std::string arn = "arn:aws:batch:eu-central-1:123456789012:job/j";
  EXPECT_EQ(tags(world, "GET", arn).status, 400);
  world.request.user = {0, 0, "root"};
  EXPECT_EQ(tags(world, "POST", arn, R"({"tags":{"a":"b"}})").status, 200);
  EXPECT_EQ(world.find(JobId{"j"})->spec->tags.get(),
            (std::map<std::string, std::string>{{"a", "b"}}));
}

TEST(Pages, RefuseTokensThatWereNeverGivenOut) {
  CatalogWorld world;
  for (const char* token : {"x", "k1", "k1zz", "k1abc", "k"}) {
    EXPECT_EQ(
        world.refusal_of("describejobqueues", std::string(R"({"nextToken":")") + token + "\"}"),
        "ClientException: nextToken is not valid")
        << token;
  }
  EXPECT_EQ(world.refusal_of("describejobqueues", R"({"maxResults":101})"),
            "ClientException: maxResults must be from 1 to 100, not 101");
}

}  // namespace
}  // namespace cox::api
