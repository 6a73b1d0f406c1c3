#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/json.hpp>
#include <cmath>
#include <ostream>

#include "launcher/cli/commands.hpp"
#include "launcher/cli/exit_codes.hpp"
#include "launcher/cli/output.hpp"
#include "launcher/cli/pcluster_json.hpp"
#include "launcher/cli/plain_words.hpp"
#include "launcher/cli/simulate_day.hpp"
#include "launcher/config/config.hpp"
#include "runtime/core/replay.hpp"
#include "runtime/os/files.hpp"

/// `cox simulate`: a recorded workload, played through the scheduler.
namespace cox::cli {

namespace json = boost::json;

namespace {

constexpr std::size_t kTraceBytesMax = std::size_t{1} << 30;
constexpr std::int64_t kSeedMax = 999'999'999'999'999'999;
constexpr std::size_t kShownMax = 10;  ///< jobs never placed, in the text

struct SimulateWords {
  std::string trace;
  core::ReplayOptions options;
  DayWords day;
  bool scaling = false;
  bool as_json = false;
};

double to_thousandths(double value) { return std::round(value * 1000) / 1000; }

json::object to_json(const core::Spread& spread) {
  return {{"mean", to_thousandths(spread.mean)},
          {"median", to_thousandths(spread.median)},
          {"p95", to_thousandths(spread.p95)},
          {"max", to_thousandths(spread.max)}};
}

json::object to_json(const core::ReplayReport& report, const SimulateWords& words) {
  json::array never_placed;
  for (const auto& job : report.never_placed) {
    never_placed.push_back({{"line", job.line}, {"job", job.number}, {"reason", job.why}});
  }
  json::object shown{{"trace", words.trace},
                     {"nodes", words.options.nodes},
                     {"vcpusPerNode", words.options.vcpus},
                     {"seed", words.options.seed},
                     {"lines", report.lines},
                     {"finished", report.finished},
                     {"failed", report.failed},
                     {"neverPlaced", std::move(never_placed)},
                     {"cancelledBeforeStart", report.cancelled},
                     {"partsOfJobs", report.parts},
                     {"makespanSeconds", report.makespan_s},
                     {"utilisation", to_thousandths(report.used)},
                     {"held", to_thousandths(report.held)},
                     {"waitSeconds", to_json(report.wait_s)},
                     {"boundedSlowdown", to_json(report.slowdown)}};
  if (!words.options.fair_share) return shown;
  json::array shares;
  for (const auto& share : report.shares) {
    shares.push_back(
        {{"share", share.share}, {"jobs", share.jobs}, {"waitSeconds", to_json(share.wait_s)}});
  }
  shown["shareDecaySeconds"] = words.options.decay_s;
  shown["shares"] = std::move(shares);
  return shown;
}

std::vector<std::string> row_of(const std::string& name, const core::Spread& spread, int digits) {
  std::vector<std::string> cells{name};
  for (const double value : {spread.mean, spread.median, spread.p95, spread.max}) {
    cells.push_back(fmt::format("{:.{}f}", value, digits));
  }
  return cells;
}

/// How long the jobs of each share waited.
std::string share_table(const core::ReplayReport& report) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& share : report.shares) {
    auto row = row_of(share.share, share.wait_s, 1);
    row.insert(row.begin() + 1, std::to_string(share.jobs));
    rows.push_back(std::move(row));
  }
  return "\n" + render_table({{"wait of share, s", false, false},
                              {"jobs", true, false},
                              {"mean", true, false},
                              {"median", true, false},
                              {"p95", true, false},
                              {"max", true, false}},
                             rows);
}

std::string to_text(const core::ReplayReport& report, const SimulateWords& words) {
  const auto& options = words.options;
  const Details facts{
      {"trace", words.trace},
      {"nodes", fmt::format("{} of {} {}", options.nodes, options.vcpus,
                            options.vcpus == 1 ? "vCPU" : "vCPUs")},
      {"seed", std::to_string(options.seed)},
      {"lines", std::to_string(report.lines)},
      {"finished", std::to_string(report.finished)},
      {"failed", std::to_string(report.failed)},
      {"never placed", std::to_string(report.never_placed.size())},
      {"cancelled before start", std::to_string(report.cancelled)},
      {"parts of other jobs", std::to_string(report.parts)},
      {"makespan", fmt::format("{} s", report.makespan_s)},
      {"utilisation", fmt::format("{:.1f} % of all vCPUs asked for by what ran, {:.1f} % held",
                                  100 * report.used, 100 * report.held)}};
  std::string text;
  for (const auto& [name, value] : facts) text += fmt::format("{:<25}: {}\n", name, value);
  text += '\n' + render_table({{"", false, false},
                               {"mean", true, false},
                               {"median", true, false},
                               {"p95", true, false},
                               {"max", true, false}},
                              {row_of("wait, s", report.wait_s, 1),
                               row_of("bounded slowdown", report.slowdown, 2)});
  if (words.options.fair_share) text += share_table(report);
  if (!report.never_placed.empty()) text += "\nNever placed:\n";
  const auto shown = std::min(report.never_placed.size(), kShownMax);
  for (std::size_t i = 0; i < shown; ++i) {
    const auto& job = report.never_placed[i];
    text += fmt::format("  {}:{}: job {}: {}\n", words.trace, job.line, job.number, job.why);
  }
  if (const auto more = report.never_placed.size() - shown; more > 0) {
    text += fmt::format("  and {} more (--json names all)\n", more);
  }
  return text;
}

int simulate(const SimulateWords& words, Streams streams) {
  const auto report =
      os::read_file(words.trace, kTraceBytesMax)
          .and_then([&](const std::string& text) { return core::read_swf(text, words.trace); })
          .and_then([&](const std::vector<core::TraceJob>& trace) {
            return core::replay(trace, words.options);
          });
  if (!report) {
    streams.err << "cox simulate: " << report.error().message << '\n';
    return kFailed;
  }
  streams.out << (words.as_json ? pretty(to_json(*report, words)) : to_text(*report, words));
  return kDone;
}

/// A day of a cluster that grows and shrinks by itself.
int simulate_scaling(SimulateWords& words, Streams streams) {
  auto& options = words.day.options;
  options.seed = words.options.seed;
  auto types = config::expand_instance_types(words.day.types);
  if (types) options.types = std::move(*types);
  const auto report = types ? core::simulate_day(options) : fail(types.error());
  if (!report) {
    streams.err << "cox simulate: " << report.error().message << '\n';
    return kFailed;
  }
  streams.out << (words.as_json ? pretty(day_json(*report, words.day))
                                : day_text(*report, words.day));
  return kDone;
}

void add_scaling_options(CLI::App& app, SimulateWords& words) {
  auto& day = words.day.options;
  app.add_flag("--scaling", words.scaling,
               "in place of a trace: a day's load, drawn from the seed, on a compute environment "
               "that grows and shrinks; vCPUs by the hour");
  app.add_option("--min-vcpus", day.min_vcpus, "with --scaling: MinvCpus, 0 if not given")
      ->check(CLI::Range(0, core::kDayVcpusMax));
  app.add_option("--max-vcpus", day.max_vcpus, "with --scaling: MaxvCpus, 64 if not given")
      ->check(CLI::Range(1, core::kDayVcpusMax));
  app.add_option("--idle-minutes", day.idle_minutes,
                 "with --scaling: ScaledownIdletime, 10 if not given; -1: idle nodes stay");
  app.add_option("--jobs", day.jobs, "with --scaling: jobs of the day, 600 if not given")
      ->check(CLI::Range(1, core::kDayJobsMax));
  app.add_option("--types", words.day.types, "with --scaling: InstanceTypes, optimal if not given")
      ->delimiter(',');
}

}  // namespace

int run_simulate(const std::vector<std::string>& args, Streams streams) {
  SimulateWords words;
  CLI::App app(
      "Plays a recorded workload through the scheduler, in simulated time, and reports how long "
      "jobs waited and how well the nodes were used.",
      "cox simulate");
  app.add_option("--trace", words.trace, "a file in the Standard Workload Format");
  const auto* nodes =
      app.add_option("--nodes", words.options.nodes, "nodes of the cluster, all up all the time")
          ->check(CLI::Range(1, core::kReplayNodesMax));
  app.add_option("--vcpus", words.options.vcpus,
                 "vCPUs of each node, 1 if not given; a job of more processors gets whole nodes")
      ->check(CLI::Range(1, core::kReplayVcpusMax));
  app.add_option("--seed", words.options.seed,
                 "jobs of the same second queue in an order drawn from this; 0: in the file's")
      ->check(CLI::Range(std::int64_t{0}, kSeedMax));
  app.add_flag("--fair-share", words.options.fair_share,
               "the queue serves the trace's users by equal shares, not first in, first out");
  app.add_option("--share-decay", words.options.decay_s,
                 "with --fair-share: seconds after which what a user has had counts half; 0, the "
                 "default: only what is held now counts")
      ->check(CLI::Range(0, core::kShareDecayMax));
  add_scaling_options(app, words);
  app.add_flag("--json", words.as_json, "the report as JSON");
  app.footer(
      "Wait is the time from submission to placement. Bounded slowdown is wait and run over run,\n"
      "where runs below 10 s count as 10 s. Median and p95 are by nearest rank. Memory is not\n"
      "played. Run times that the trace's users asked for are the jobs' timeouts, by which later\n"
      "jobs may pass one that waits. The same words give the same report, to the letter.\n"
      "\n"
      "Exit status: 0 with a report, 1 for a trace that cannot be read, 2 for a wrong command "
      "line.\n"
      "\n"
      "Examples:\n"
      "  cox simulate --trace KTH-SP2-1996-2.1-cln.swf --nodes 100\n"
      "  cox simulate --trace workload.swf --nodes 16 --vcpus 8 --json\n"
      "  cox simulate --trace workload.swf --nodes 16 --fair-share --share-decay 3600\n"
      "  cox simulate --scaling --seed 7 --max-vcpus 128 --types c5.large,c5.4xlarge");
  const Usage usage{"cox simulate",
                    "--trace FILE --nodes N [--vcpus V] [--seed S] [--fair-share] [--json]"};
  const int over = read_plain(app, args, usage, streams);
  if (over >= 0) return over;
  if (words.scaling) return simulate_scaling(words, streams);
  if (words.trace.empty()) return misused(usage, "--trace is required", streams);
  if (nodes->count() == 0) return misused(usage, "--nodes is required", streams);
  if (words.options.decay_s > 0 && !words.options.fair_share) {
    return misused(usage, "--share-decay goes with --fair-share", streams);
  }
  return simulate(words, streams);
}

}  // namespace cox::cli
