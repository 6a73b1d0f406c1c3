#include "runtime/agent/step_plan_text.hpp"

#include <gtest/gtest.h>

#include "runtime/agent/step_messages.hpp"

namespace cox::agent {
namespace {

StepPlan some_plan() {
  StepPlan plan;
  plan.user = {1000, 1001, "alice"};
  plan.change_user = true;
  plan.home = "/scratch/a-1";
  plan.directory = "job-a";
  plan.hostfile = "10.0.0.11 slots=2\n";
  plan.nodes = "0 10.0.0.11 one\n";
  plan.files = {{"run.sh", 0755, std::string("#!/bin/sh\n\0x", 12)}, {"empty", 0600, ""}};
  plan.command = {"./run.sh", "", "a b"};
  plan.environment = {"A=b\nc"};
  auto& direct = plan.direct.emplace();
  direct.node_index = 1;
  direct.node_of_rank = {0, 1, 1};
  direct.hosts = {"one", "two"};
  direct.address = "10.0.0.12";
  direct.hub_address = "10.0.0.11";
  direct.fan_out = 16;
  direct.name = "a-1";
  direct.pmi_library = "/lib/pmi.so";
  direct.session_directory = "/dev/shm/a";
  direct.cpus = {{1, {0, 2}}, {2, {}}};
  direct.programs = {{{"a", "b"}, "/a", {"X=1"}, "/tmp"}, {}};
  direct.program_of_rank = {0, 1, -1};
  direct.universe = 8;
  return plan;
}

TEST(StepPlanText, BringsEachMemberBack) {
  const auto plan = some_plan();
  const auto text = text_of_plan(plan);
  ASSERT_TRUE(text);
  const auto read = plan_of_text(*text);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->user, plan.user);
  EXPECT_EQ(read->change_user, plan.change_user);
  EXPECT_EQ(read->home, plan.home);
  EXPECT_EQ(read->directory, plan.directory);
  EXPECT_EQ(read->hostfile, plan.hostfile);
  EXPECT_EQ(read->nodes, plan.nodes);
  EXPECT_EQ(read->command, plan.command);
  EXPECT_EQ(read->environment, plan.environment);
  ASSERT_EQ(read->files.size(), 2u);
  EXPECT_EQ(read->files[0].name, "run.sh");
  EXPECT_EQ(read->files[0].mode, 0755u);
  EXPECT_EQ(read->files[0].bytes, plan.files[0].bytes);
  ASSERT_TRUE(read->direct);
  EXPECT_EQ(read->direct->node_index, plan.direct->node_index);
  EXPECT_EQ(read->direct->node_of_rank, plan.direct->node_of_rank);
  EXPECT_EQ(read->direct->hosts, plan.direct->hosts);
  EXPECT_EQ(read->direct->address, plan.direct->address);
  EXPECT_EQ(read->direct->hub_address, plan.direct->hub_address);
  EXPECT_EQ(read->direct->fan_out, plan.direct->fan_out);
  EXPECT_EQ(read->direct->name, plan.direct->name);
  EXPECT_EQ(read->direct->pmi_library, plan.direct->pmi_library);
  EXPECT_EQ(read->direct->session_directory, plan.direct->session_directory);
  EXPECT_EQ(read->direct->cpus, plan.direct->cpus);
  EXPECT_EQ(read->direct->programs, plan.direct->programs);
  EXPECT_EQ(read->direct->program_of_rank, plan.direct->program_of_rank);
  EXPECT_EQ(read->direct->universe, plan.direct->universe);
  EXPECT_EQ(text_of_plan(*read), text);
}

TEST(StepPlanText, IsReadWholeOrNotAtAll) {
  const auto text = text_of_plan(some_plan()).value();
  for (std::size_t size = 0; size < text.size(); ++size) {
    EXPECT_FALSE(plan_of_text(std::string_view(text).substr(0, size))) << size;
  }
  EXPECT_FALSE(plan_of_text(text + "x"));
}

TEST(StepPlanText, IsForWhatAMessageHolds) {
  auto plan = some_plan();
  plan.files[0].bytes.assign(kStepTextMax, 'x');
  EXPECT_FALSE(text_of_plan(plan));
  plan = some_plan();
  plan.container.emplace();
  EXPECT_FALSE(text_of_plan(plan));
}

}  // namespace
}  // namespace cox::agent
