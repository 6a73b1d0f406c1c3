#include "launcher/cli/pcluster_logs.hpp"

#include <gtest/gtest.h>

#include <boost/json.hpp>

namespace cox::cli {
namespace {

namespace json = boost::json;
using Texts = std::vector<std::string>;

TEST(LogFilters, AreReadFromOneWordOrSeveral) {
  for (const auto& words :
       std::vector<Texts>{{"Name=node-type,Values=HeadNode", "Name=private-dns-name,Values=a,b"},
                          {"Name=private-dns-name,Values=a,b Name=node-type,Values=HeadNode"}}) {
    const auto filter = parse_log_filter(words);
    ASSERT_TRUE(filter);
    EXPECT_EQ(filter->hosts, (Texts{"a", "b"}));
    EXPECT_EQ(filter->node_types, (Texts{"HeadNode"}));
    EXPECT_TRUE(filter->lets({"b.i-1.agent", "", "HeadNode", "b"}));
    EXPECT_FALSE(filter->lets({"b.i-1.agent", "", "ComputeNode", "b"}));
    EXPECT_FALSE(filter->lets({"coxd", "", "HeadNode", ""}));
  }
  const auto all = parse_log_filter({});
  ASSERT_TRUE(all);
  EXPECT_TRUE(all->lets({"coxd", "", "HeadNode", ""}));
}

TEST(LogFilters, ThatAreWrongAreNamed) {
  const auto message = [](const Texts& words) {
    const auto filter = parse_log_filter(words);
    return filter ? std::string() : filter.error().message;
  };
  for (const auto* word : {"HeadNode", "Name=node-type", "Name=node-type,Values=",
                           "Name=node-type,Values=HeadNode,", "Name=colour,Values=red"}) {
    EXPECT_EQ(message({word}), std::string("filters parameter must be in the form "
                                           "Name=private-dns-name|node-type,Values=a,b; not ") +
                                   word);
  }
  EXPECT_EQ(message({"Name=node-type,Values=Headnode"}),
            "node-type is HeadNode or ComputeNode, not Headnode");
}

TEST(LogTimes, AreReadIntoTheQuery) {
  LogQuery query;
  ASSERT_TRUE(set_times(query, "1970-01-01T00:00:01Z", ""));
  EXPECT_EQ(query.start_ms, 1000);
  EXPECT_EQ(query.end_ms, std::nullopt);
  const auto same = set_times(query, "1970-01-02", "1970-01-02");
  ASSERT_FALSE(same);
  EXPECT_EQ(same.error().message, "start_time filter must be earlier than end_time filter.");
}

TEST(LogEvents, HaveTheOriginalsShape) {
  const std::vector<LogEntry> entries{{1, "a"}, {2, "b"}, {3, "c"}};
  EXPECT_EQ(log_events_answer(entries, {{1}, "f/2", "b/1"}),
            (json::object{
                {"nextToken", "f/2"},
                {"prevToken", "b/1"},
                {"events", json::array{json::object{{"message", "b"},
                                                    {"timestamp", "1970-01-01T00:00:00.002Z"}}}}}));
}

}  // namespace
}  // namespace cox::cli
