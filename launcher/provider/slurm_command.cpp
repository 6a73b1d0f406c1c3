#include "launcher/provider/slurm_command.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "runtime/base/text.hpp"

namespace cox::provider {
namespace {

using namespace std::string_view_literals;

/// By which our jobs are told from all others.
std::string comment_of(const SlurmPlan& plan, const std::string& pilot) {
  return fmt::format("coxswain:{}:{}", plan.tag, pilot);
}

/// States of jobs that will not run any more (squeue(1), "JOB STATE CODES").
constexpr std::array kEnds = {
    std::pair("BOOT_FAIL"sv, "its nodes did not start"sv),
    std::pair("CANCELLED"sv, "somebody cancelled it"sv),
    std::pair("COMPLETED"sv, "its agents have left"sv),
    std::pair("DEADLINE"sv, "its deadline was reached"sv),
    std::pair("FAILED"sv, "its agents could not go on"sv),
    std::pair("NODE_FAIL"sv, "a node of it failed"sv),
    std::pair("OUT_OF_MEMORY"sv, "it had no memory left"sv),
    std::pair("PREEMPTED"sv, "another job took its nodes"sv),
    std::pair("REVOKED"sv, "another cluster runs it"sv),
    std::pair("TIMEOUT"sv, "its time limit was reached"sv),
};

const auto* end_named(std::string_view state) {
  const auto found =
      std::find_if(kEnds.begin(), kEnds.end(), [&](const auto& end) { return end.first == state; });
  return found == kEnds.end() ? nullptr : &*found;
}

std::vector<std::string> asking_argv(const SlurmPlan& plan, const PilotShape& shape) {
  std::vector<std::string> argv{"sbatch", "--parsable"};
  const auto add = [&argv](const char* option, const std::string& value) {
    if (!value.empty()) argv.push_back(fmt::format("--{}={}", option, value));
  };
  add("partition", plan.partition);
  add("account", plan.account);
  add("qos", plan.qos);
  add("nodes", std::to_string(shape.nodes));
  add("ntasks-per-node", "1");
  add("cpus-per-task", std::to_string(shape.vcpus));
  if (shape.memory_mib > 0) add("mem", fmt::format("{}M", shape.memory_mib));
  add("time", std::to_string((shape.seconds + 59) / 60));
  argv.insert(argv.end(), plan.extra_args.begin(), plan.extra_args.end());
  return argv;
}

}  // namespace

std::vector<std::string> sbatch_argv(const SlurmPlan& plan, const PilotShape& shape) {
  auto argv = asking_argv(plan, shape);
  argv.push_back("--job-name=coxswain-" + plan.cluster);
  argv.push_back("--comment=" + comment_of(plan, shape.id));
  argv.push_back("--output=" + pilot_stage(plan, shape.id) + "/output");
  // A pilot that starts anew would find its nodes taken for lost.
  for (const auto* option : {"--no-requeue", "--export=NONE", "--chdir=/", "--input=none"}) {
    argv.emplace_back(option);
  }
  return argv;
}

std::vector<std::string> sbatch_test_argv(const SlurmPlan& plan, const PilotShape& shape) {
  auto argv = asking_argv(plan, shape);
  argv.insert(argv.end(), {"--test-only", "--chdir=/", "--wrap=true"});
  return argv;
}

std::vector<std::string> sbatch_held_argv(const SlurmPlan& plan, const PilotShape& shape) {
  auto argv = asking_argv(plan, shape);
  argv.push_back("--job-name=coxswain-" + plan.cluster);
  argv.push_back("--comment=" + comment_of(plan, shape.id));
  argv.insert(argv.end(), {"--hold", "--chdir=/", "--output=/dev/null", "--wrap=true"});
  return argv;
}

std::string staged_agent(const SlurmPlan& plan, const std::string& hash) {
  return plan.stage + "/" + hash;
}

std::string pilot_stage(const SlurmPlan& plan, const std::string& pilot) {
  return plan.stage + "/pilots/" + pilot;
}

std::string pilot_base(const SlurmPlan& plan, const std::string& pilot) {
  return fmt::format("/var/tmp/coxswain-{}-{}", plan.tag, pilot);
}

std::string pilot_shared_memory(const SlurmPlan& plan, const std::string& pilot) {
  return fmt::format("/dev/shm/coxswain-{}-{}", plan.tag, pilot);
}

std::string pilot_script(const SlurmPlan& plan, const std::string& pilot, const std::string& hash) {
  const auto agent = staged_agent(plan, hash) + "/cox-agent";
  const auto base = pilot_base(plan, pilot);
  // The agent's options hold a key: the node's first act is to take them away. A node that cannot
  // start says so where we look, as the others are of no use without it. Slurm tells each process
  // once to end: an agent that starts later than that is told by the shell (again and again, as a
  // process that is not yet the agent may lose the word), and what removes the node's files is not
  // to be ended by it.
  const auto on_node = fmt::format(
      "umask 077; e=; a=; trap 'e=1; [ -z \"$a\" ] || kill \"$a\"' TERM INT; "
      "t=$(date +%s); b={}; p={}; "
      "f() {{ [ \"$e\" ] && exit 143; echo \"$1\" >&2; echo \"$(hostname): $1\" > "
      "\"$p/failed\"; exit 1; }}; "
      "mkdir \"$b\" 2>/dev/null; "
      "if [ ! -d \"$b\" ] || [ -L \"$b\" ] || [ ! -O \"$b\" ]; then "
      "f \"$b cannot be made, or is not this user's\"; fi; "
      "o=$p/\"$SLURM_PROCID\".json; "
      "[ -r \"$o\" ] || {{ rmdir \"$b\"; f \"$o cannot be read\"; }}; "
      "exec 4<\"$o\"; rm -f \"$o\"; "
      "{} --hold \"$b/node\" <&4 4<&- & a=$!; exec 4<&-; s=143; "
      "[ \"$e\" ] || {{ wait \"$a\"; s=$?; }}; "
      "while kill -0 \"$a\" 2>/dev/null; do "
      "if [ \"$e\" ]; then kill \"$a\"; sleep 0.1; else wait \"$a\"; s=$?; fi; done; "
      "trap '' TERM INT; rm -rf \"$b\" {} \"$o\"; "
      "[ $s = 0 ] || [ $(($(date +%s) - t)) -ge 60 ] || f \"its agent ended with "
      "status $s\"; "
      "exit $s",
      base, shell_quote(pilot_stage(plan, pilot)), shell_quote(agent),
      pilot_shared_memory(plan, pilot));
  return fmt::format(
      "#!/bin/sh\n"
      "if [ ! -x {} ]; then\n"
      "  echo \"$(hostname) does not see\" {}\": name a directory that the site shares as "
      "SharedStorage\" >&2\n"
      "  exit 1\n"
      "fi\n"
      "exec srun --export=ALL --nodes=\"$SLURM_JOB_NUM_NODES\" --ntasks=\"$SLURM_JOB_NUM_NODES\" "
      "--ntasks-per-node=1 --kill-on-bad-exit=0 --wait=0 --mpi=none --input=none "
      "/bin/sh -c {}\n",
      shell_quote(agent), shell_quote(plan.stage), shell_quote(on_node));
}

Result<std::string> submitted_job(const std::string& said) {
  for (const auto& line : split(said, '\n')) {
    const auto job = split(trim(line), ';').front();  // "12;cluster" where there are several
    if (!job.empty() && job.find_first_not_of("0123456789") == std::string::npos) return job;
  }
  return fail(Errc::unavailable, "sbatch did not say which job it has made: {}", trim(said));
}

std::vector<std::string> squeue_argv() {
  return {"squeue", "--noheader", "--me", "--states=all", "--format=%A|%T|%r|%l|%L|%k"};
}

std::vector<PilotState> parse_squeue(const SlurmPlan& plan, const std::string& said) {
  const auto ours = comment_of(plan, "");
  std::vector<PilotState> states;
  for (const auto& line : split(said, '\n')) {
    const auto fields = split(trim(line), '|');
    if (fields.size() < 6 || !fields[5].starts_with(ours)) continue;
    states.push_back({fields[0], fields[1], fields[2], fields[5].substr(ours.size()),
                      slurm_seconds(fields[3]), slurm_seconds(fields[4])});
  }
  return states;
}

bool is_waiting(const PilotState& state) {
  return state.state == "PENDING" || state.state == "CONFIGURING" || state.state == "SUSPENDED";
}

bool is_over(const PilotState& state) { return end_named(state.state) != nullptr; }

std::string why_it_waits(const PilotState& state) {
  if (state.state == "CONFIGURING") {
    return fmt::format("Slurm prepares the nodes of job {}", state.job);
  }
  return fmt::format(
      "Slurm job {} waits: {}", state.job,
      state.reason.empty() || state.reason == "None" ? "its turn has not come" : state.reason);
}

std::string why_it_ended(const PilotState& state) {
  const auto* end = end_named(state.state);
  auto text = fmt::format("Slurm ended job {}: {}", state.job, state.state);
  if (end != nullptr) text += fmt::format(", {}", end->second);
  const bool says_more = !state.reason.empty() && state.reason != "None" &&
                         state.reason != "TimeLimit" && state.reason != "NonZeroExitCode";
  if (says_more) text += fmt::format(" ({})", state.reason);
  return text;
}

Error explain_slurm_failure(const std::string& program, int exit_code, const std::string& err) {
  if (exit_code == 127) {
    return {Errc::unavailable,
            fmt::format("{} was not found: the slurm provider needs Slurm's commands on this "
                        "machine (Debian: slurm-client), as on a login node of the site",
                        program)};
  }
  if (exit_code == 137) {
    return {Errc::unavailable, fmt::format("{} took too long, and was given up", program)};
  }
  std::vector<std::string> lines;
  for (const auto& line : split(err, '\n')) {
    auto text = std::string(trim(line));
    for (const auto& start : {program + ": error: ", program + ": fatal: ", program + ": "}) {
      if (text.starts_with(start)) text = text.substr(start.size());
    }
    if (!text.empty()) lines.push_back(std::move(text));
  }
  return {Errc::unavailable,
          fmt::format("{}: {}", program,
                      lines.empty() ? fmt::format("ended with exit status {}", exit_code)
                                    : join(lines, "; "))};
}

}  // namespace cox::provider
