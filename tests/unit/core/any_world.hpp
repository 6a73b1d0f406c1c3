#pragma once

#include <rapidcheck/gtest.h>

#include <string>

#include "tests/unit/core/world.hpp"

/// What property tests of clusters have in common.
namespace cox::core {

inline int between(int least, int most) { return *rc::gen::inRange(least, most + 1); }
inline bool one_in(int n) { return between(0, n - 1) == n - 1; }

inline void expect_sound(const World& world) {
  const auto faults = world.faults();
  if (!faults.empty()) RC_FAIL(faults.front());
}

/// The cluster in words, for a failure's report.
inline std::string in_words(const World& world) {
  std::string text;
  for (const auto& e : world.cluster.environments) {
    text += fmt::format("{} {}..{} idle {}{}{}:", e.name, e.min_vcpus, e.max_vcpus,
                        e.idle_ms_before_release, e.spot ? " spot" : "", e.enabled ? "" : " off");
    for (const auto& type : e.instance_types) text += " " + type.name;
    text += "\n";
  }
  for (const auto& [name, lending] : world.cluster.lent) {
    text += fmt::format("{} lent for {}, {} at most\n", name, lending.default_s, lending.max_s);
  }
  for (const auto& node : world.nodes) {
    text += fmt::format("{} in {}: {} {}", node.id, node.environment, node.instance_type,
                        to_string(node.status));
    if (node.lent_s > 0) {
      text += fmt::format(", of {}, {} s, {} s left", node.allocation, node.lent_s,
                          (node.lent_until - world.now) / 1000);
    }
    text += "\n";
  }
  for (const auto& job : world.jobs) {
    text += fmt::format("{} {}: {} x {} vCPUs, {} MiB, {} s on", job.id, to_string(job.status),
                        job.spec->nodes.value_or(0), job.spec->vcpus, job.spec->memory.value,
                        job.spec->timeout_s.value_or(0));
    for (const auto& node : world.nodes) {
      if (holds_node(job, node.id)) text += " " + node.id.value;
    }
    text += "\n";
  }
  return text;
}

}  // namespace cox::core
