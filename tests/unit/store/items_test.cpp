#include <gtest/gtest.h>

#include <array>

#include "runtime/store/row_text.hpp"
#include "runtime/store/store.hpp"

namespace cox::store {
namespace {

ComputeEnvironment full_environment() {
  ComputeEnvironment environment;
  environment.name = ComputeEnvironmentName{"extra"};
  environment.arn = "arn:aws:batch:eu-central-1:123456789012:compute-environment/extra";
  environment.enabled = false;
  environment.spot = true;
  environment.min_vcpus = 2;
  environment.desired_vcpus = 4;
  environment.max_vcpus = 8;
  environment.instance_types = {{"c4.large", 2, MiB{3840}}, {"c4.xlarge", 4, MiB{7680}}};
  environment.idle_ms_before_release = 600'000;
  environment.from_file = false;
  environment.managed = false;
  environment.unmanaged_vcpus = 3;
  environment.resources = R"({"type":"SPOT"})";
  environment.service_role = "role";
  environment.update_policy = R"({"terminateJobsOnUpdate":true})";
  environment.tags = {{"a", "b"}};
  return environment;
}

JobQueue full_queue() {
  JobQueue queue;
  queue.name = QueueName{"fast"};
  queue.arn = "arn:aws:batch:eu-central-1:123456789012:job-queue/fast";
  queue.priority = 9;
  queue.enabled = false;
  queue.environments = {ComputeEnvironmentName{"extra"}, ComputeEnvironmentName{"small"}};
  queue.from_file = false;
  queue.policy = "fair";
  queue.limit_actions = {{"too long", 900, true}};
  queue.tags = {{"a", "b"}};
  queue.orders = {2, 5};
  return queue;
}

std::array<CatalogItem, 4> full_items() {
  return {full_environment(), full_queue(),
          JobDefinition{"steps",
                        7,
                        false,
                        {1001, 100, "anna"},
                        Millis{1'700'000'000'000},
                        R"({"type":"container"})",
                        {{"a", "b"}}},
          SchedulingPolicy{"fair", 60, 5, {{"a*", 0.25}, {"b", 1.0}}, {{"a", "b"}}}};
}

TEST(ItemText, BringsBackEveryKindWithAllMembers) {
  for (const auto& item : full_items()) {
    const auto kind = key_of(item).kind;
    const auto read = item_from_text(kind, to_text(item));
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_TRUE(*read == item) << kind;
  }
}

TEST(ItemText, OfAnUnknownKindIsRefused) {
  const auto read = item_from_text("shelf", "{}");
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error(),
            (Error{Errc::invalid_argument, "stored items: 'shelf' is not known here"}));
}

TEST(Items, AreReplacedByKeyRemovedAndLoadedInTheOrderOfTheirMaking) {
  auto store = open_store(":memory:").value();
  const auto items = full_items();
  Changes first;
  first.items.assign(items.begin(), items.end());
  ASSERT_TRUE(store->commit(first));
  auto queue = full_queue();
  queue.priority = 1;
  Changes second;
  second.items = {queue};
  second.items_gone = {{kPolicyKind, "fair"}, {kDefinitionKind, "steps:1"}};
  ASSERT_TRUE(store->commit(second));

  const auto stored = store->load().value();

  EXPECT_TRUE((stored.items == std::vector<CatalogItem>{items[0], queue, items[2]}));
}

}  // namespace
}  // namespace cox::store
