#include "runtime/core/scale_account.hpp"

#include <utility>

#include "runtime/base/text.hpp"

namespace cox::core {

namespace {

std::int64_t seconds_up(std::int64_t ms) { return (ms + 999) / 1000; }

std::string jobs_wait(int jobs, int vcpus) {
  return fmt::format("{} job{} for {} vCPU{}", jobs, jobs == 1 ? " waits" : "s wait", vcpus,
                     vcpus == 1 ? "" : "s");
}

std::string trouble_words(const LaunchTrouble& trouble) {
  auto text = fmt::format("failed to start a node: {}", trouble.why);
  if (trouble.failures > 1) text += fmt::format(" ({} times in a row)", trouble.failures);
  return text + fmt::format("; next try in {} s", seconds_up(trouble.next_try_ms));
}

std::string growth_words(const ScaleAccount& account) {
  const int to = account.up_vcpus + account.coming_vcpus + account.wanted_vcpus;
  auto text = fmt::format("growing from {} to {} vCPUs", account.up_vcpus, to);
  if (account.served_jobs > 0) {
    text += ": " + jobs_wait(account.served_jobs, account.served_vcpus);
  } else if (account.up_vcpus < account.min_vcpus) {
    text += fmt::format(": MinvCpus is {}", account.min_vcpus);
  } else {
    text += ": they were asked for before";
  }
  if (!account.coming_note.empty()) text += fmt::format(" ({})", account.coming_note);
  return text;
}

std::string held_words(const ScaleAccount& account) {
  const int all = account.up_vcpus + account.coming_vcpus + account.wanted_vcpus;
  const auto jobs = jobs_wait(account.held_jobs, account.held_vcpus);
  if (all >= account.max_vcpus) return fmt::format("at MaxvCpus ({}): {}", account.max_vcpus, jobs);
  return fmt::format("at {} of {} vCPUs, with no room for the nodes they need: {}", all,
                     account.max_vcpus, jobs);
}

std::string idle_words(const ScaleAccount& account) {
  if (account.idle_limit_ms < 0) {
    return fmt::format("node {} is idle and stays: ScaledownIdletime is negative",
                       account.idle_node);
  }
  auto text = fmt::format("idle for {} s of {} s before giving back node {}",
                          account.idle_ms / 1000, account.idle_limit_ms / 1000, account.idle_node);
  if (account.idle_nodes > 1) text += fmt::format(" ({} are idle)", account.idle_nodes);
  return text;
}

/// All that there is to tell, with the word for each, the most urgent first.
std::vector<std::pair<const char*, std::string>> told(const ScaleAccount& account,
                                                      const std::optional<LaunchTrouble>& trouble) {
  std::vector<std::pair<const char*, std::string>> list;
  if (!account.enabled) list.emplace_back("disabled", "disabled: no node comes");
  if (trouble) list.emplace_back("failing", trouble_words(*trouble));
  if (account.coming_vcpus > 0 || (account.wanted_vcpus > 0 && !trouble)) {
    list.emplace_back("growing", growth_words(account));
  }
  if (account.held_jobs > 0) list.emplace_back("held", held_words(account));
  if (account.leaving_vcpus > 0) {
    list.emplace_back("shrinking", fmt::format("giving back {} vCPUs: node {}",
                                               account.leaving_vcpus, account.leaving_node));
  }
  if (account.idle_nodes > 0) list.emplace_back("idle", idle_words(account));
  if (list.empty()) {
    list.emplace_back("steady", fmt::format("steady at {} vCPU{}{}", account.up_vcpus,
                                            account.up_vcpus == 1 ? "" : "s",
                                            account.up_vcpus == account.max_vcpus   ? ", MaxvCpus"
                                            : account.up_vcpus == account.min_vcpus ? ", MinvCpus"
                                                                                    : ""));
  }
  return list;
}

}  // namespace

const char* state_of(const ScaleAccount& account, const std::optional<LaunchTrouble>& trouble) {
  return told(account, trouble).front().first;
}

std::string to_sentence(const ScaleAccount& account, const std::optional<LaunchTrouble>& trouble) {
  std::vector<std::string> sentences;
  for (const auto& [state, text] : told(account, trouble)) sentences.push_back(text);
  return join(sentences, "; ");
}

}  // namespace cox::core
