#include "runtime/core/time_limits.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "runtime/base/text.hpp"

namespace cox::core {

namespace {

constexpr const char* kNoCapacity = "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY";
constexpr const char* kTooLarge = "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE";
constexpr const char* kNoSuchNode = "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT";

bool names_cause(const LimitAction& action) {
  return action.reason == kNoCapacity || action.reason == kTooLarge || action.reason == kNoSuchNode;
}

bool concerns(const LimitAction& action, const HeadOfQueue& head) {
  return !names_cause(action) || action.reason == head.cause;
}

Millis due_at(const LimitAction& action, const HeadOfQueue& head) {
  const auto since = names_cause(action) ? head.cause_since : head.since;
  return since + std::int64_t{1000} * action.max_seconds;
}

}  // namespace

std::string blocked_cause(const std::vector<Block>& blocks) {
  if (blocks.empty()) return "";
  const auto never_fits = [](const Block& block) {
    return block.kind == BlockKind::no_environment_fits ||
           block.kind == BlockKind::never_lent_so_long;
  };
  if (std::all_of(blocks.begin(), blocks.end(), never_fits)) {
    const bool too_large = std::all_of(
        blocks.begin(), blocks.end(), [](const Block& block) { return block.wanted > block.have; });
    return too_large ? kTooLarge : kNoSuchNode;
  }
  const auto no_nodes = [&](const Block& block) {
    return never_fits(block) || !block.note.empty();
  };
  return std::all_of(blocks.begin(), blocks.end(), no_nodes) ? kNoCapacity : "";
}

HeadOfQueue seen_again(const HeadOfQueue& before, const JobId& job, std::string cause, Millis now) {
  if (before.job != job) return {job, std::move(cause), now, now};
  if (before.cause == cause) return before;
  return {job, std::move(cause), before.since, now};
}

std::string to_text(const HeadsOfQueues& heads) {
  std::string text;
  for (const auto& [queue, head] : heads) {
    text += fmt::format("{} {} {} {} {}\n", queue, head.job, head.since.value,
                        head.cause_since.value, head.cause);
  }
  return text;
}

HeadsOfQueues heads_from_text(std::string_view text) {
  HeadsOfQueues heads;
  for (const auto& line : split(text, '\n')) {
    const auto words = split(line, ' ');
    if (words.size() != 5) continue;
    const auto since = to_int(words[2]);
    const auto cause_since = to_int(words[3]);
    if (!since || !cause_since) continue;
    heads[QueueName{std::string(words[0])}] = {JobId{std::string(words[1])}, std::string(words[4]),
                                               Millis{*since}, Millis{*cause_since}};
  }
  return heads;
}

const LimitAction* due_action(const JobQueue& queue, const HeadOfQueue& head, Millis now) {
  for (const auto& action : queue.limit_actions) {
    if (concerns(action, head) && now >= due_at(action, head)) return &action;
  }
  return nullptr;
}

std::optional<Millis> next_action(const JobQueue& queue, const HeadOfQueue& head) {
  std::optional<Millis> next;
  for (const auto& action : queue.limit_actions) {
    if (!concerns(action, head)) continue;
    const auto at = due_at(action, head);
    if (!next || at < *next) next = at;
  }
  return next;
}

}  // namespace cox::core
