#include "tests/unit/api/catalog_world.hpp"

namespace cox::api {
namespace {

namespace json = boost::json;

constexpr const char* kContainer =
    R"({"image":"busybox","vcpus":1,"memory":128,"command":["echo","Ref::what"]})";

std::string definition(const std::string& more = "") {
  return std::string(R"({"jobDefinitionName":"steps","type":"container","containerProperties":)") +
         kContainer + more + "}";
}

TEST(Definitions, GetRevisionsThatAreNeverUsedAgain) {
  CatalogWorld world;
  EXPECT_EQ(json::value(world.answer_of("registerjobdefinition", definition())),
            json::parse(R"({"jobDefinitionName":"steps","revision":1,"jobDefinitionArn":
      "arn:aws:batch:eu-central-1:123456789012:job-definition/steps:1"})"));
  world.answer_of("deregisterjobdefinition", R"({"jobDefinition":"steps:1"})");

  const auto second = world.answer_of("registerjobdefinition", definition());

  EXPECT_EQ(second.at("revision"), 2);
}

TEST(Definitions, AreDescribedWithEmptyListsForWhatWasNotGiven) {
  CatalogWorld world;
  world.answer_of("registerjobdefinition",
                  definition(R"(,"retryStrategy":{"attempts":2,"evaluateOnExit":
      [{"onExitCode":"1*","action":"EXIT"}]},"tags":{"a":"b"},"unknown":1,"parameters":null)"));

  const auto list = world.answer_of("describejobdefinitions", R"({"jobDefinitionName":"steps"})");

  EXPECT_EQ(list.at("jobDefinitions"), json::parse(R"([{
      "jobDefinitionName":"steps","revision":1,"status":"ACTIVE","type":"container",
      "jobDefinitionArn":"arn:aws:batch:eu-central-1:123456789012:job-definition/steps:1",
      "containerOrchestrationType":"ECS","parameters":{},"platformCapabilities":["EC2"],
      "tags":{"a":"b"},
      "retryStrategy":{"attempts":2,"evaluateOnExit":[{"onExitCode":"1*","action":"exit"}]},
      "containerProperties":{"image":"busybox","vcpus":1,"memory":128,
        "command":["echo","Ref::what"],"environment":[],"volumes":[],"mountPoints":[],"ulimits":[],
        "resourceRequirements":[],"secrets":[]}}])"));
}

TEST(Definitions, ThatEndedAreKeptAndNotSubmittedBy) {
  CatalogWorld world;
  world.answer_of("registerjobdefinition", definition());
  world.answer_of(
      "deregisterjobdefinition",
      R"({"jobDefinition":"arn:aws:batch:eu-central-1:123456789012:job-definition/steps:1"})");

  const auto ended = world.answer_of("describejobdefinitions",
                                     R"({"jobDefinitions":["steps"],"status":"INACTIVE"})");

  EXPECT_EQ(ended.at("jobDefinitions").as_array().size(), 1u);
  EXPECT_EQ(world.refusal_of("submitjob",
                             R"({"jobName":"j","jobQueue":"queue1","jobDefinition":"steps"})"),
            "ClientException: JobDefinition name steps does not exist or is not in ACTIVE status");
}

TEST(Definitions, ThatEndedAreShownFor180Days) {
  constexpr std::int64_t kDayMs = 24 * 3600 * 1000;
  CatalogWorld world;
  world.request.now = Millis{1'700'000'000'000};
  world.answer_of("registerjobdefinition", definition());
  world.answer_of("deregisterjobdefinition", R"({"jobDefinition":"steps:1"})");
  const auto shown = [&] {
    return world.answer_of("describejobdefinitions", R"({"jobDefinitionName":"steps"})")
        .at("jobDefinitions")
        .as_array()
        .size();
  };
  EXPECT_EQ(shown(), 1u);
  world.request.now = world.request.now + 180 * kDayMs;
  EXPECT_EQ(shown(), 1u);
  world.request.now = world.request.now + 1;
  EXPECT_EQ(shown(), 0u);
  // Nor is the revision given out again.
  EXPECT_EQ(world.answer_of("registerjobdefinition", definition()).at("revision"), 2);
}

TEST(Definitions, AreEndedByWhoeverRegisteredThemOrTheOwner) {
  CatalogWorld world;
  world.answer_of("registerjobdefinition", definition());
  world.request.user = {1002, 1002, "bert"};
  world.request.owner = false;
  EXPECT_EQ(world.refusal_of("deregisterjobdefinition", R"({"jobDefinition":"steps:1"})"),
            "AccessDeniedException: User bert is not authorized to change this: it takes the owner "
            "of the cluster");
  world.request.owner = true;
  world.answer_of("deregisterjobdefinition", R"({"jobDefinition":"steps:1"})");
}

TEST(Definitions, ComeInPagesWithTheClustersOwn) {
  CatalogWorld world;
  for (int i = 0; i < 11; ++i) world.answer_of("registerjobdefinition", definition());
  std::vector<std::string> seen;
  std::string token;
  do {
    const auto page = world.answer_of("describejobdefinitions",
                                      R"({"maxResults":4,"nextToken":")" + token + "\"}");
    for (const auto& each : page.at("jobDefinitions").as_array()) {
      const auto arn = std::string(each.as_object().at("jobDefinitionArn").as_string());
      seen.push_back(arn.substr(arn.rfind('/') + 1));
    }
    const auto* next = page.if_contains("nextToken");
    token = next == nullptr ? "" : std::string(next->as_string());
  } while (!token.empty() && seen.size() < 100);

  std::vector<std::string> wanted;
  for (int i = 1; i <= 11; ++i) wanted.push_back(fmt::format("steps:{}", i));
  wanted.emplace_back("tutor2-JobDefinition:1");
  wanted.emplace_back("tutor2-JobDefinitionMNP:1");
  EXPECT_EQ(seen, wanted);
}

struct Refused {
  const char* body;
  const char* message;
};

TEST(Definitions, AreRefusedAsAwsRefusesThem) {
  const Refused cases[] = {
      {R"({})", "jobDefinitionName must not be empty"},
      {R"({"jobDefinitionName":"a","type":"batch"})",
       "type must be one of container, multinode, not batch"},
      {R"({"jobDefinitionName":"a","type":"container"})",
       "containerProperties must be given with type container"},
      {R"({"jobDefinitionName":"a","type":"multinode"})",
       "nodeProperties must be given with type multinode"},
      {R"({"jobDefinitionName":"a","type":"container","containerProperties":{"vcpus":1,"memory":4}})",
       "Container image must not be empty"},
      {R"({"jobDefinitionName":"a","type":"container","containerProperties":{"image":1}})",
       "containerProperties.image must be a string"},
      {R"({"jobDefinitionName":"a","type":"container","containerProperties":
          {"image":"a","vcpus":0,"memory":4}})",
       "containerProperties.vcpus must be from 1 to 100000, not 0"},
      {R"({"jobDefinitionName":"a","type":"container","containerProperties":
          {"image":"a","resourceRequirements":[{"type":"VCPU","value":"1"},{"type":"VCPU","value":"2"}],"memory":4}})",
       "resourceRequirements: VCPU is given twice"},
      {R"({"jobDefinitionName":"a","type":"container","containerProperties":
          {"image":"a","vcpus":1,"memory":4,"ulimits":[{"name":"nofile","softLimit":9,"hardLimit":8}]}})",
       "ulimits: softLimit 9 is above hardLimit 8"},
      {R"({"jobDefinitionName":"a","type":"multinode","nodeProperties":
          {"numNodes":2,"mainNode":0,"nodeRangeProperties":[{"targetNodes":"0:"}]}})",
       "Container properties of nodes 0: must be given"},
      {R"({"jobDefinitionName":"tutor2-JobDefinition","type":"container","containerProperties":
          {"image":"a","vcpus":1,"memory":4}})",
       "Job definition tutor2-JobDefinition is the cluster's own"},
  };
  for (const auto& each : cases) {
    CatalogWorld world;
    EXPECT_EQ(world.refusal_of("registerjobdefinition", each.body),
              std::string("ClientException: ") + each.message);
  }
}

TEST(Submissions, TakeFromTheDefinitionWhatTheyDoNotSay) {
  CatalogWorld world;
  world.answer_of("registerjobdefinition", definition(R"(,"parameters":{"what":"world","other":"x"},
      "retryStrategy":{"attempts":4},"timeout":{"attemptDurationSeconds":90},
      "schedulingPriority":5,"propagateTags":true)"));

  const auto spec = world.spec_of(
      R"({"jobName":"j","jobQueue":"queue1","jobDefinition":"steps","parameters":{"what":"you"},
          "tags":{"k":"v"},"schedulingPriorityOverride":6})");

  JobSpec wanted;
  wanted.name = "j";
  wanted.queue = QueueName{"queue1"};
  wanted.definition = "steps:1";
  wanted.command = {"echo", "you"};
  wanted.user = {1001, 1001, "anna"};
  wanted.parameters = {{"what", "you"}, {"other", "x"}};
  wanted.attempts = 4;
  wanted.timeout_s = 90;
  wanted.priority = 6;
  wanted.propagate_tags = true;
  wanted.tags = {{"k", "v"}};
  EXPECT_EQ(spec, wanted);
}

TEST(Submissions, OverrideRequirementsByTypeAndTheOldMembersOnlyTheirLike) {
  CatalogWorld world;
  world.answer_of("registerjobdefinition",
                  R"({"jobDefinitionName":"listed","type":"container","containerProperties":
      {"image":"a","command":["a"],"memory":64,
       "resourceRequirements":[{"type":"VCPU","value":"2"}]}})");
  const std::string base = R"({"jobName":"j","jobQueue":"queue1","jobDefinition":"listed",)";

  const auto old = world.spec_of(base + R"("containerOverrides":{"vcpus":8,"memory":99}})");
  const auto by_type = world.spec_of(
      base + R"("containerOverrides":{"resourceRequirements":[{"type":"VCPU","value":"4"}]}})");

  EXPECT_EQ(old.vcpus, 2);
  EXPECT_EQ(old.memory, MiB{99});
  EXPECT_EQ(by_type.vcpus, 4);
  EXPECT_EQ(by_type.memory, MiB{64});
}

TEST(Submissions, MergeTheEnvironmentByName) {
  CatalogWorld world;
  world.answer_of("registerjobdefinition",
                  R"({"jobDefinitionName":"e","type":"container","containerProperties":
      {"image":"a","command":["a"],"vcpus":1,"memory":64,
       "environment":[{"name":"A","value":"1"},{"name":"B","value":"2"}]}})");

  const auto spec = world.spec_of(
      R"({"jobName":"j","jobQueue":"queue1","jobDefinition":"e","containerOverrides":
          {"environment":[{"name":"C","value":"3"},{"name":"A","value":"4"}]}})");

  EXPECT_EQ(spec.environment, (std::vector<EnvVar>{{"A", "4"}, {"B", "2"}, {"C", "3"}}));
}

TEST(Submissions, GiveEachNodeItsInnermostRangeAndOverride) {
  CatalogWorld world;
  world.answer_of("registerjobdefinition",
                  R"({"jobDefinitionName":"m","type":"multinode","nodeProperties":
      {"numNodes":2,"mainNode":1,"nodeRangeProperties":[
        {"targetNodes":"0:","container":{"image":"a","vcpus":1,"memory":64,"command":["all"]}},
        {"targetNodes":"1","container":{"image":"a","vcpus":2,"memory":32,"command":["main"]}}]}})");

  const auto spec = world.spec_of(
      R"({"jobName":"j","jobQueue":"queue1","jobDefinition":"m","nodeOverrides":{"numNodes":4,
          "nodePropertyOverrides":[{"targetNodes":"3:","containerOverrides":{"command":["last"]}}]}})");

  EXPECT_EQ(spec.nodes, 4);
  EXPECT_EQ(spec.main_node, 1);
  EXPECT_EQ(spec.command, std::vector<std::string>{"main"});
  EXPECT_EQ(spec.vcpus, 2);
  EXPECT_EQ(spec.memory, MiB{64});
  EXPECT_EQ(spec.groups.get(), (std::vector<NodeGroup>{{0, 0, {"all"}, {}, 1, MiB{64}},
                                                       {1, 1, {"main"}, {}, 2, MiB{32}},
                                                       {2, 2, {"all"}, {}, 1, MiB{64}},
                                                       {3, 3, {"last"}, {}, 1, MiB{64}}}));
}

TEST(Submissions, OfNodesThatAreAlikeHaveNoGroups) {
  CatalogWorld world;
  const auto spec = world.spec_of(
      R"({"jobName":"j","jobQueue":"queue1","jobDefinition":"tutor2-JobDefinitionMNP",
          "nodeOverrides":{"numNodes":3,"nodePropertyOverrides":[{"targetNodes":"0:",
          "containerOverrides":{"command":["a"],"vcpus":2}}]}})");

  EXPECT_EQ(spec.nodes, 3);
  EXPECT_EQ(spec.vcpus, 2);
  EXPECT_EQ(spec.groups.get(), std::vector<NodeGroup>{});
}

}  // namespace
}  // namespace cox::api
