#include "launcher/provider/slurm_site.hpp"

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <set>

#include "runtime/base/text.hpp"
#include "runtime/os/files.hpp"
#include "runtime/os/process.hpp"

namespace cox::provider {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kEndTime = std::chrono::seconds(60);
constexpr int kPauseMs = 200;

/// stdout of one of Slurm's commands.
Result<std::string> run_slurm(const std::vector<std::string>& argv) {
  const auto done = os::run(argv);
  if (!done) {
    const int code = done.error().code == Errc::not_found ? 127 : 1;
    return fail(explain_slurm_failure(argv.front(), code, done.error().message));
  }
  if (done->exit_code == 0) return done->out;
  return fail(explain_slurm_failure(argv.front(), done->exit_code, done->err));
}

/// "; there are: debug, long"; nothing where Slurm does not tell.
std::string partitions() {
  const auto said = run_slurm({"sinfo", "--noheader", "--format=%R"});
  if (!said) return {};
  std::set<std::string> names;
  for (const auto& line : split(*said, '\n')) {
    if (!trim(line).empty()) names.emplace(trim(line));
  }
  return names.empty() ? "" : "; there are: " + join({names.begin(), names.end()}, ", ");
}

}  // namespace

Result<void> check_site(const SlurmPlan& plan, const PilotShape& shape) {
  const auto said = run_slurm(sbatch_test_argv(plan, shape));
  if (said) return {};
  auto error = said.error();
  if (error.message.find("node configuration is not available") != std::string::npos) {
    const auto held = run_slurm(sbatch_held_argv(plan, shape));
    const auto job = held ? submitted_job(*held) : held;
    if (job) return run_slurm({"scancel", *job}).map([](const std::string& /*said*/) {});
  }
  if (error.message.find("partition") != std::string::npos) error.message += partitions();
  return fail(error);
}

int longest_time(const SlurmPlan& plan) {
  // "day* infinite": the mark is the default partition's.
  std::vector<std::string> argv{"sinfo", "--noheader", "--format=%P %l"};
  if (!plan.partition.empty()) argv.push_back("--partition=" + plan.partition);
  const auto said = run_slurm(argv);
  int longest = 0;
  for (const auto& line : said ? split(*said, '\n') : std::vector<std::string>{}) {
    const auto words = split(trim(line), ' ');
    if (words.size() < 2 || (plan.partition.empty() && !words.front().ends_with('*'))) continue;
    // Of several partitions Slurm takes one that it may run in.
    longest = std::max(longest, slurm_seconds(words.back()).value_or(0));
  }
  return longest == kNoTimeLimit ? 0 : longest;
}

Result<void> stage_agent(const SlurmPlan& plan, const AgentBundle& bundle) {
  const auto place = staged_agent(plan, bundle.hash);
  if (::mkdir(plan.stage.c_str(), 0700) != 0 && errno != EEXIST) {
    return fail(os::errno_error(errno, plan.stage));
  }
  struct stat seen {};
  if (::lstat(plan.stage.c_str(), &seen) != 0) return fail(os::errno_error(errno, plan.stage));
  if (!S_ISDIR(seen.st_mode) || seen.st_uid != ::geteuid() || (seen.st_mode & 077) != 0) {
    return fail(Errc::conflict, "{} is there and is not a directory of this user's alone",
                plan.stage);
  }
  if (auto made = os::make_directories(plan.stage + "/pilots", 0700); !made) return made;
  if (::access((place + "/cox-agent").c_str(), X_OK) == 0) return {};
  const auto fresh = plan.stage + "/.new";
  (void)os::remove_tree(fresh);
  if (auto made = os::make_directories(fresh, 0700); !made) return made;
  const auto unpacked = os::run({"tar", "-xzf", "-", "-C", fresh}, bundle.bytes);
  if (!unpacked) return fail(within("the agent cannot be staged", unpacked.error()));
  if (unpacked->exit_code != 0) {
    return fail(Errc::unavailable, "the agent cannot be staged in {}: {}", plan.stage,
                trim(unpacked->err));
  }
  if (::rename(fresh.c_str(), place.c_str()) != 0) return fail(os::errno_error(errno, place));
  return {};
}

std::vector<std::string> clear_site(const SlurmPlan& plan) {
  std::vector<std::string> troubles;
  const auto end = Clock::now() + kEndTime;
  std::set<std::string> cancelled;
  for (;;) {
    const auto said = run_slurm(squeue_argv());
    std::string trouble = said ? "" : said.error().message;
    std::string left;
    for (const auto& state : said ? parse_squeue(plan, *said) : std::vector<PilotState>{}) {
      if (is_over(state)) continue;
      left = state.job;
      if (cancelled.contains(state.job)) continue;
      const auto done = run_slurm({"scancel", state.job});
      if (done) cancelled.insert(state.job);
      if (!done) trouble = done.error().message;
    }
    if (said && left.empty()) break;
    if (Clock::now() >= end) {
      troubles.push_back(trouble.empty() ? fmt::format("Slurm job {} does not end", left)
                                         : trouble);
      break;
    }
    ::poll(nullptr, 0, kPauseMs);
  }
  if (const auto removed = os::remove_tree(plan.stage); !removed) {
    troubles.push_back(removed.error().message);
  }
  return troubles;
}

}  // namespace cox::provider
