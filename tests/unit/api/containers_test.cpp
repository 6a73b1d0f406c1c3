#include <gmock/gmock.h>

#include "tests/unit/api/catalog_world.hpp"

namespace cox::api {
namespace {

using testing::HasSubstr;

Job job_of(const std::string& definition) {
  Job job;
  job.id = JobId{"j"};
  job.spec.edit().definition = definition;
  return job;
}

TEST(Containers, AreWhatTheDefinitionSays) {
  CatalogWorld world;
  world.settings().shared = {{"/shared", "shared", "Ebs", ""}, {"/data", "/data", "Ebs", ""}};
  world.answer_of("registerjobdefinition", R"({"jobDefinitionName":"d","type":"container",
      "containerProperties":{"image":"python:3","vcpus":1,"memory":128,"user":"games",
        "readonlyRootFilesystem":true,"privileged":true,
        "volumes":[{"name":"in","host":{"sourcePath":"/shared/in"}},{"name":"own"},
                   {"name":"other","host":{}}],
        "mountPoints":[{"sourceVolume":"in","containerPath":"/in","readOnly":true},
                       {"sourceVolume":"own","containerPath":"/data"},
                       {"sourceVolume":"other","containerPath":"/other"}],
        "ulimits":[{"name":"nofile","softLimit":1,"hardLimit":2}],
        "linuxParameters":{"initProcessEnabled":true,"sharedMemorySize":64,
          "tmpfs":[{"containerPath":"/t","size":5,"mountOptions":["noexec"]}],
          "devices":[{"hostPath":"/dev/fuse","permissions":["READ","MKNOD"]}]}}})");

  Container want;
  want.image = "python:3";
  want.user = "games";
  want.mounts = {{"/shared/in", "/in", true},
                 {"", "/data", false},
                 {"", "/other", false},
                 {"/shared", "/shared", false}};
  want.limits = {{"nofile", 1, 2}};
  want.tmpfs = {{"/t", 5, {"noexec"}}};
  want.devices = {{"/dev/fuse", "", "rm"}};
  want.read_only_root = want.privileged = want.init = true;
  want.shared_memory_mib = 64;
  EXPECT_EQ(container_of(world, job_of("d:1"), 0), want);
}

TEST(Containers, DifferByTheNodesOfAMultiNodeJob) {
  CatalogWorld world;
  world.answer_of("registerjobdefinition", R"({"jobDefinitionName":"d","type":"multinode",
      "nodeProperties":{"numNodes":3,"mainNode":0,"nodeRangeProperties":[
        {"targetNodes":"0:","container":{"image":"a","vcpus":1,"memory":4,"command":["x"]}},
        {"targetNodes":"1:1","container":{"image":"b","vcpus":1,"memory":4,"command":["x"]}}]}})");
  auto job = job_of("d:1");
  job.spec.edit().nodes = 3;

  EXPECT_EQ(container_of(world, job, 0).image, "a");
  EXPECT_EQ(container_of(world, job, 1).image, "b");
  EXPECT_EQ(container_of(world, job, 2).image, "a");
}

TEST(Containers, AreNoneWithoutAnImageAndWhereImagesAreIgnored) {
  CatalogWorld world;
  world.answer_of("registerjobdefinition", R"({"jobDefinitionName":"d","type":"container",
      "containerProperties":{"image":"a","vcpus":1,"memory":128,"command":["x"]}})");

  EXPECT_EQ(container_of(world, job_of("tutor2-JobDefinition:1"), 0), Container{});
  world.settings().containers = false;
  EXPECT_EQ(container_of(world, job_of("d:1"), 0), Container{});
}

constexpr const char* kNoCommand = R"({"jobDefinitionName":"own","type":"container",
    "containerProperties":{"image":"a","vcpus":1,"memory":128}})";

TEST(Containers, MayRunTheirImagesOwnCommand) {
  CatalogWorld world;
  world.answer_of("registerjobdefinition", kNoCommand);
  const std::string submission = R"({"jobName":"j","jobQueue":"queue1","jobDefinition":"own"})";

  EXPECT_TRUE(world.spec_of(submission).command.empty());

  world.settings().containers = false;
  EXPECT_EQ(world.refusal_of("submitjob", submission),
            "ClientException: Container command must not be empty: the job definition has none");
}

TEST(Containers, AreRefusedAtRegistrationWithoutPodman) {
  CatalogWorld world;
  world.podman = false;

  EXPECT_THAT(world.refusal_of("registerjobdefinition", kNoCommand),
              HasSubstr("podman or crun is not installed"));

  world.settings().containers = false;
  EXPECT_EQ(world.answer_of("registerjobdefinition", kNoCommand).at("revision"), 1);
}

TEST(Containers, TellHowFarTheirPullHasCome) {
  CatalogWorld world;
  auto job = job_of("tutor2-JobDefinition:1");
  job.spec.edit().user = world.request.user;
  job.status = JobStatus::starting;
  world.add(job);
  world.told = "ip-10-0-0-11: Pulling image a";

  const auto shown = world.answer_of("describejobs", R"({"jobs":["j"]})");
  EXPECT_EQ(shown.at("jobs").at(0).at("statusReason"), "ip-10-0-0-11: Pulling image a");

  job.status = JobStatus::running;
  world.add(job);
  const auto later = world.answer_of("describejobs", R"({"jobs":["j"]})");
  EXPECT_FALSE(later.at("jobs").at(0).as_object().contains("statusReason"));
}

}  // namespace
}  // namespace cox::api
