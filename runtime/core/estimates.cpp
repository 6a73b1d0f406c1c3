#include "runtime/core/estimates.hpp"

#include <algorithm>

#include "runtime/core/lifecycle.hpp"

namespace cox::core {

namespace {

constexpr std::int64_t kStopMs = std::int64_t{1000} * kStopGraceSeconds;

}  // namespace

Millis ends_at_latest(const Job& job, Millis now) {
  const auto* attempt = job.current();
  const bool holds = attempt != nullptr && holds_nodes(job);
  if (holds && attempt->over) return std::max(now, attempt->stopped_at + kStopMs);
  if (!job.spec->timeout_s) return kNotKnown;
  const auto start = holds && attempt->started_at.set() ? attempt->started_at : now;
  return std::max(now, start + std::int64_t{1000} * *job.spec->timeout_s + kStopMs);
}

void add(Holdings& holdings, const Holding& holding) {
  const auto later = [](const Holding& a, const Holding& b) { return a.until < b.until; };
  holdings.insert(std::upper_bound(holdings.begin(), holdings.end(), holding, later), holding);
}

Millis enough_at(const Holdings& holdings, int free_vcpus, MiB free_memory, const Job& job,
                 Millis now) {
  if (job.is_multi_node()) return holdings.empty() ? now : holdings.back().until;
  Millis at = now;
  for (const auto& holding : holdings) {
    if (free_vcpus >= job.spec->vcpus && free_memory >= job.spec->memory) break;
    free_vcpus += holding.vcpus;
    free_memory = free_memory + holding.memory;
    at = holding.until;
  }
  return at;
}

}  // namespace cox::core
