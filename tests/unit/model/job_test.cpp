#include "runtime/model/job.hpp"

#include <gtest/gtest.h>

#include "runtime/model/cluster.hpp"

namespace cox {
namespace {

TEST(JobStatus, IsNamedAsAwsBatchNamesIt) {
  const char* const names[] = {"SUBMITTED", "PENDING",   "RUNNABLE", "STARTING",
                               "RUNNING",   "SUCCEEDED", "FAILED"};
  for (int i = 0; i < 7; ++i) {
    const auto status = static_cast<JobStatus>(i);
    EXPECT_STREQ(to_string(status), names[i]);
    EXPECT_EQ(job_status_from(names[i]), status);
    EXPECT_EQ(is_terminal(status), i >= 5) << names[i];
  }
  EXPECT_EQ(job_status_from("running"), std::nullopt);
  EXPECT_EQ(job_status_from(""), std::nullopt);
}

TEST(NodeStatus, HasAWordForEachValue) {
  EXPECT_STREQ(to_string(NodeStatus::pending), "pending");
  EXPECT_STREQ(to_string(NodeStatus::up), "up");
  EXPECT_STREQ(to_string(NodeStatus::silent), "silent");
  EXPECT_STREQ(to_string(NodeStatus::terminating), "terminating");
}

struct RefCase {
  const char* text;
  const char* id;
  std::optional<int> node_index;
};

TEST(JobRef, IsReadWhateverAUserGives) {
  const RefCase cases[] = {
      {"u", "u", std::nullopt},
      {"u:3", "u:3", std::nullopt},
      {"u#0", "u", 0},
      {"u#12", "u", 12},
      {"u#1000000", "u", 1'000'000},
      // No references: ids that nothing has.
      {"u#1000001", "u#1000001", std::nullopt},
      {"u#-1", "u#-1", std::nullopt},
      {"u#01", "u#01", std::nullopt},
      {"u#", "u#", std::nullopt},
      {"u#x", "u#x", std::nullopt},
      {"u#1#2", "u#1#2", std::nullopt},
      {"", "", std::nullopt},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(parse_job_ref(c.text), (JobRef{JobId{c.id}, c.node_index})) << c.text;
  }
}

TEST(ArrayIds, LeadFromParentToChildAndBack) {
  EXPECT_EQ(child_of(JobId{"u"}, 3), JobId{"u:3"});
  EXPECT_EQ(parent_of(JobId{"u:3"}), JobId{"u"});
  EXPECT_EQ(parent_of(JobId{"u"}), JobId{"u"});
}

TEST(Job, IsAParentOnlyWhereItIsNoChild) {
  Job job;
  EXPECT_FALSE(job.is_array_parent());
  EXPECT_EQ(job.node_count(), 1);
  job.spec.edit().array_size = 3;
  EXPECT_TRUE(job.is_array_parent());
  job.array_index = 0;
  EXPECT_FALSE(job.is_array_parent());
}

TEST(LogStreamName, HasNoColonAndTellsAttemptAndNode) {
  Job job;
  job.id = JobId{"u:3"};
  job.spec.edit().definition = "tutor-JobDefinition:1";
  EXPECT_EQ(log_stream_name(job, 2, 1), "tutor-JobDefinition/default/u-3-2-1");

  job.spec.edit().definition = std::string(250, 'd') + ":1";
  EXPECT_EQ(log_stream_name(job, 1, 0), std::string(200, 'd') + "/default/u-3-1-0");
}

}  // namespace
}  // namespace cox
