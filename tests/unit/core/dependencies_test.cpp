#include <gtest/gtest.h>

#include "tests/unit/core/samples.hpp"

/// What a dependency waits for, and what becomes of the job when it ends.
namespace cox::core {
namespace {

struct EndCase {
  const char* name;
  std::vector<DependencyKind> kinds;  ///< all on job "a"
  bool succeeded;
  JobStatus want;
  const char* reason;

  friend void PrintTo(const EndCase& c, std::ostream* out) { *out << c.name; }
};

constexpr const char* kFailed = "Dependent Job failed";

const EndCase kEnds[] = {
    {"plain_after_success", {DependencyKind::whole}, true, JobStatus::runnable, ""},
    {"plain_after_failure", {DependencyKind::whole}, false, JobStatus::failed, kFailed},
    {"any_after_success", {DependencyKind::after_any}, true, JobStatus::runnable, ""},
    {"any_after_failure", {DependencyKind::after_any}, false, JobStatus::runnable, ""},
    {"not_ok_after_failure", {DependencyKind::after_not_ok}, false, JobStatus::runnable, ""},
    {"not_ok_after_success",
     {DependencyKind::after_not_ok},
     true,
     JobStatus::failed,
     kDependentSucceededReason},
    {"plain_and_any_after_failure",
     {DependencyKind::after_any, DependencyKind::whole},
     false,
     JobStatus::failed,
     kFailed},
};

class Dependencies : public testing::TestWithParam<EndCase> {};

TEST_P(Dependencies, AreMetOrNot) {
  const auto& c = GetParam();
  auto spec = spec_of();
  for (const auto kind : c.kinds) spec.depends_on.edit().push_back({JobId{"a"}, kind});

  const auto job = after(submitted("b", spec, {JobId{"a"}}),
                         DependencyEnded{kThen + 5, JobId{"a"}, c.succeeded});

  ASSERT_TRUE(job) << job.error().message;
  EXPECT_STREQ(to_string(job->status), to_string(c.want));
  EXPECT_EQ(job->status_reason, c.reason);
}

INSTANTIATE_TEST_SUITE_P(, Dependencies, testing::ValuesIn(kEnds),
                         [](const auto& test) { return test.param.name; });

TEST(Dependency, WaitsForEachOfSeveralInItsOwnWay) {
  auto spec = spec_of();
  spec.depends_on = {{JobId{"a"}, DependencyKind::after_any},
                     {JobId{"b"}, DependencyKind::after_not_ok},
                     {JobId{"c"}, DependencyKind::whole}};
  auto job = submitted("d", spec, {JobId{"a"}, JobId{"b"}, JobId{"c"}});
  job = follow(std::move(job), {DependencyEnded{kThen, JobId{"a"}, false},
                                DependencyEnded{kThen, JobId{"b"}, false}});
  EXPECT_STREQ(to_string(job.status), "PENDING");
  job = follow(std::move(job), {DependencyEnded{kThen, JobId{"c"}, true}});
  EXPECT_STREQ(to_string(job.status), "RUNNABLE");
}

TEST(Dependency, OfAChildOnAChildIsAPlainOne) {
  auto spec = spec_of();
  spec.array_size = 2;
  spec.depends_on = {{JobId{"a"}, DependencyKind::n_to_n}};
  EXPECT_TRUE(is_met(spec, 1, JobId{"a:1"}, true));
  EXPECT_FALSE(is_met(spec, 1, JobId{"a:1"}, false));
  spec.depends_on = {{JobId{}, DependencyKind::sequential}};
  EXPECT_TRUE(is_met(spec, 1, JobId{"me:0"}, true));
  EXPECT_FALSE(is_met(spec, 1, JobId{"me:0"}, false));
}

}  // namespace
}  // namespace cox::core
