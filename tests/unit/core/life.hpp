#pragma once

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/unit/core/samples.hpp"

namespace cox::core {

/// "prepare 1/0", "launch 1/1", "stop 2/0": kind, attempt, node index.
inline std::vector<std::string> owed(const Job& job) {
  std::vector<std::string> list;
  for (const auto& effect : due(job)) {
    const char* const kinds[] = {"prepare", "launch", "stop"};
    list.push_back(std::visit(
        [&](const auto& e) {
          EXPECT_EQ(e.job, job.id);
          return fmt::format("{} {}/{}", kinds[effect.index()], e.attempt, e.node_index);
        },
        effect));
  }
  return list;
}

inline constexpr Millis kNow{kThen.value + 5000};

inline JobSpec retried(JobSpec spec, int attempts) {
  spec.attempts = attempts;
  return spec;
}

/// A job of two nodes, "a" and "b", with two attempts, in every state that it can be in.
inline Job in_state(const std::string& state) {
  const auto spec = retried(wide_spec(2), 2);
  if (state == "blank") {
    Job blank;
    blank.id = JobId{"j"};
    return blank;
  }
  if (state == "pending") return submitted("j", spec, {JobId{"d"}});
  auto job = submitted("j", spec);
  if (state == "runnable") return job;
  job = follow(std::move(job), {placed_on(1, {"a", "b"})});
  if (state == "preparing") return job;
  job = follow(std::move(job), {NodeReady{kNow, 1, 0}, NodeReady{kNow, 1, 1}});
  if (state == "ready") return job;
  job = follow(std::move(job), {NodeStarted{kNow, 1, 1}, NodeStarted{kNow, 1, 0}});
  if (state == "running") return job;
  if (state == "killed") return follow(std::move(job), {KillAsked{kNow, "enough"}});
  if (state == "timed_out") return follow(std::move(job), {TimedOut{kNow, 1}});
  if (state == "succeeded") return follow(std::move(job), {NodeExited{kNow, 1, 0, 0, ""}});
  job = follow(std::move(job), {NodeExited{kNow, 1, 0, 7, ""}});
  if (state == "stopping") return job;  // to be tried again, when "b" has stopped
  job = follow(std::move(job), {NodeExited{kNow, 1, 1, 143, ""}});
  if (state == "retried") return job;
  job = follow(std::move(job), {placed_on(2, {"a", "b"}), NodeStarted{kNow, 2, 0},
                                NodeStarted{kNow, 2, 1}, NodeExited{kNow, 2, 0, 9, ""}});
  if (state == "failed") return job;
  ADD_FAILURE() << "no state " << state;
  return job;
}

}  // namespace cox::core
