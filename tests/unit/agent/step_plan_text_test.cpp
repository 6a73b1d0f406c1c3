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
  plan.direct.emplace();
  EXPECT_FALSE(text_of_plan(plan));
  plan = some_plan();
  plan.container.emplace();
  EXPECT_FALSE(text_of_plan(plan));
}

}  // namespace
}  // namespace cox::agent
