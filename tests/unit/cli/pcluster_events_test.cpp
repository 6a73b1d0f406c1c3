#include "launcher/cli/pcluster_events.hpp"

#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "launcher/cli/pcluster_json.hpp"

namespace cox::cli {
namespace {

namespace json = boost::json;

cluster::Record record() {
  cluster::Record made;
  made.name = "demo";
  made.region = "us-west-2";
  made.status = "CREATE_COMPLETE";
  made.created_at = Millis{1000};
  return made;
}

StackHistory history() {
  return {{{"demo", "CREATE_IN_PROGRESS", "User Initiated", 1000},
           {"HeadNode", "CREATE_COMPLETE", "", 2000},
           {"ComputeNode i-07", "CREATE_FAILED", "no room", 3000}},
          "i-01"};
}

TEST(StackEvents, AreShownNewestFirstInTheOriginalsShape) {
  const auto page = stack_events_page(record(), history(), "", 100);
  ASSERT_TRUE(page);
  const auto arn = stack_arn(record());
  const json::object wanted{
      {"events",
       json::array{json::object{{"eventId", "i-07-CREATE_FAILED-1970-01-01T00:00:03.000Z"},
                                {"physicalResourceId", "i-07"},
                                {"resourceStatus", "CREATE_FAILED"},
                                {"resourceStatusReason", "no room"},
                                {"stackId", arn},
                                {"stackName", "demo"},
                                {"logicalResourceId", "ComputeNode"},
                                {"resourceType", "AWS::EC2::Instance"},
                                {"timestamp", "1970-01-01T00:00:03.000Z"}},
                   json::object{{"eventId", "HeadNode-CREATE_COMPLETE-1970-01-01T00:00:02.000Z"},
                                {"physicalResourceId", "i-01"},
                                {"resourceStatus", "CREATE_COMPLETE"},
                                {"stackId", arn},
                                {"stackName", "demo"},
                                {"logicalResourceId", "HeadNode"},
                                {"resourceType", "AWS::EC2::Instance"},
                                {"timestamp", "1970-01-01T00:00:02.000Z"}},
                   json::object{{"eventId", "demo-CREATE_IN_PROGRESS-1970-01-01T00:00:01.000Z"},
                                {"physicalResourceId", arn},
                                {"resourceStatus", "CREATE_IN_PROGRESS"},
                                {"resourceStatusReason", "User Initiated"},
                                {"stackId", arn},
                                {"stackName", "demo"},
                                {"logicalResourceId", "demo"},
                                {"resourceType", "AWS::CloudFormation::Stack"},
                                {"timestamp", "1970-01-01T00:00:01.000Z"}}}}};
  EXPECT_EQ(*page, wanted);
}

TEST(StackEvents, ComeInPagesThatNewEventsDoNotMove) {
  const auto first = stack_events_page(record(), history(), "", 2);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->at("events").as_array().size(), 2u);
  const std::string token(first->at("nextToken").as_string());
  EXPECT_EQ(token, "HeadNode-CREATE_COMPLETE-1970-01-01T00:00:02.000Z");
  auto later = history();
  later.events.push_back({"ComputeNode i-07", "DELETE_COMPLETE", "", 4000});
  const auto second = stack_events_page(record(), later, token, 2);
  ASSERT_TRUE(second);
  EXPECT_FALSE(second->contains("nextToken"));
  ASSERT_EQ(second->at("events").as_array().size(), 1u);
  EXPECT_EQ(second->at("events").as_array()[0].at("logicalResourceId"), "demo");
}

TEST(StackEvents, OfAnUnknownTokenAreRefused) {
  const auto page = stack_events_page(record(), history(), "nonsense", 2);
  ASSERT_FALSE(page);
  EXPECT_EQ(page.error().message, "the next token nonsense is not valid");
}

}  // namespace
}  // namespace cox::cli
