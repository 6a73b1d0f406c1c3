#include "runtime/head/node_scripts.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cox::head {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

NodeScripts scripts() {
  return {{{"OnNodeStart", "/opt/first.sh", {"a", "b c"}},
           {"OnNodeConfigured", "https://example.com/x/second.sh?v=1"},
           {"OnNodeConfigured", "file:///opt/third.sh"}},
          60};
}

Node node(int ordinal) {
  Node made;
  made.id = NodeId{"i-0123"};
  made.ordinal = ordinal;
  made.hostname = "ip-10-0-0-7.us-west-2.compute.internal";
  made.vcpus = 2;
  made.memory = MiB{1000};
  return made;
}

TEST(NodeScripts, AreEachAPartThatNoJobIs) {
  EXPECT_EQ(script_part(scripts(), 0), (wire::PartKey{JobId{"node-script-OnNodeStart"}, 1, 0}));
  EXPECT_EQ(script_part(scripts(), 2),
            (wire::PartKey{JobId{"node-script-OnNodeConfigured"}, 2, 0}));
  EXPECT_TRUE(is_script(script_part(scripts(), 1)));
  EXPECT_FALSE(is_script({JobId{"0d5e4f3a-0000-4000-8000-000000000000"}, 1, 0}));
}

TEST(NodeScripts, SayWhereTheyAre) {
  EXPECT_EQ(script_progress(scripts(), 0), "OnNodeStart: first.sh");
  EXPECT_EQ(script_progress(scripts(), 2), "OnNodeConfigured: third.sh (2 of 2)");
  EXPECT_EQ(script_log_name(node(1), script_part(scripts(), 1)),
            "ip-10-0-0-7.i-0123.OnNodeConfigured");
  EXPECT_EQ(script_log_name(node(1), script_part(scripts(), 2)),
            "ip-10-0-0-7.i-0123.OnNodeConfigured-2");
}

TEST(NodeScripts, HaveNamesThatAreFitForFiles) {
  EXPECT_EQ(script_file_name("/opt/first.sh"), "first.sh");
  EXPECT_EQ(script_file_name("https://example.com/x/second.sh?v=/1#a"), "second.sh");
  EXPECT_EQ(script_file_name("/opt/my script"), "my_script");
  EXPECT_EQ(script_file_name("https://example.com/"), "script");
  EXPECT_EQ(script_file_name("/opt/.hidden"), "script");
  EXPECT_EQ(script_file_name("/opt/-rf"), "script");
  EXPECT_EQ(script_file_name("/a/" + std::string(300, 'x')).size(), 100u);
}

TEST(NodeScripts, RunWithTheirArguments) {
  ClusterSettings cluster;
  cluster.name = "tutor";
  cluster.region = "us-west-2";
  const auto there = node(0);
  ScriptRun run{
      .cluster = &cluster, .node = &there, .user = {7, 8, "me"}, .head_address = "10.0.0.1"};
  const auto own = prepare_script(scripts(), 0, run);
  EXPECT_THAT(own.command, ElementsAre("/bin/sh", "-c", testing::_, "/opt/first.sh", "a", "b c"));
  EXPECT_THAT(own.environment, Contains(EnvVar{"COX_NODE_TYPE", "HeadNode"}));
  EXPECT_THAT(own.environment, Contains(EnvVar{"PCLUSTER_AWS_REGION", "us-west-2"}));
  EXPECT_EQ(own.user.name, "me");
  run.brings_file = true;
  EXPECT_EQ(prepare_script(scripts(), 1, run).command.back(), "./second.sh");
  run.brings_file = false;
  EXPECT_EQ(prepare_script(scripts(), 2, run).command.back(), "/opt/third.sh");
}

TEST(NodeScripts, TellOfTheirFailureWithTheLastLines) {
  EXPECT_EQ(script_failure(node(0), scripts().list[0], "exited with code 3", {"one", "two"}),
            "OnNodeStart of the head node: /opt/first.sh exited with code 3: \"one | two\"");
  EXPECT_THAT(script_failure(node(4), scripts().list[0], "did not end within 60 s", {}),
              HasSubstr("OnNodeStart of a compute node: /opt/first.sh did not end within 60 s"));
}

TEST(NodeScripts, LogsHaveATimeInEachLine) {
  EXPECT_EQ(script_log_line(Millis{1'609'459'200'007}, "hello\xff"),
            "2021-01-01T00:00:00.007Z hello\xef\xbf\xbd\n");
  const auto log = script_log_line(Millis{0}, "a b") + script_log_line(Millis{0}, "") +
                   script_log_line(Millis{0}, "c");
  EXPECT_THAT(last_lines(log, 2), ElementsAre("", "c"));
  EXPECT_THAT(last_lines("", 2), ElementsAre());
}

}  // namespace
}  // namespace cox::head
