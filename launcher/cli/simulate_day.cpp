#include "launcher/cli/simulate_day.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>

#include "launcher/cli/output.hpp"
#include "runtime/base/text.hpp"

namespace cox::cli {

namespace json = boost::json;

namespace {

constexpr int kBarWidth = 32;

double to_thousandths(double value) { return std::round(value * 1000) / 1000; }

std::string bar(double value, int most) {
  const auto length = most > 0 ? std::lround(value * kBarWidth / most) : 0;
  return std::string(static_cast<std::size_t>(std::max(0L, length)), '#');
}

}  // namespace

std::string day_text(const core::DayReport& report, const DayWords& words) {
  const auto& options = words.options;
  const Details facts{
      {"seed", std::to_string(options.seed)},
      {"vCPUs", fmt::format("{} to {}, of {}", options.min_vcpus, options.max_vcpus,
                            join(words.types, ","))},
      {"idle nodes stay for", options.idle_minutes < 0
                                  ? std::string("good")
                                  : fmt::format("{} min", options.idle_minutes)},
      {"jobs", fmt::format("{}, {} ended by midnight", report.submitted, report.ended)},
      {"grown", fmt::format("{} times, by {} nodes", report.grow_events, report.launched)},
      {"shrunk", fmt::format("{} times, by {} nodes, {} of them never used", report.shrink_events,
                             report.released, report.unused)},
      {"utilisation", fmt::format("{:.1f} % of what was up", 100 * report.utilisation)},
      {"wait, s",
       fmt::format("mean {:.1f}, median {:.1f}, p95 {:.1f}, max {:.1f}", report.wait_s.mean,
                   report.wait_s.median, report.wait_s.p95, report.wait_s.max)}};
  std::string text;
  for (const auto& [name, value] : facts) text += fmt::format("{:<25}: {}\n", name, value);
  std::vector<std::vector<std::string>> rows;
  for (std::size_t hour = 0; hour < report.hours.size(); ++hour) {
    const auto& seen = report.hours[hour];
    rows.push_back({fmt::format("{:02}", hour), std::to_string(seen.submitted),
                    std::to_string(seen.most_waiting), std::to_string(seen.least_vcpus),
                    std::to_string(seen.most_vcpus), std::to_string(seen.grown),
                    std::to_string(seen.shrunk), fmt::format("{:.0f} %", 100 * seen.used),
                    bar(seen.mean_vcpus, options.max_vcpus)});
  }
  return text + '\n' +
         render_table({{"hour", false, false},
                       {"jobs", true, false},
                       {"waiting", true, false},
                       {"least", true, false},
                       {"most", true, false},
                       {"grown", true, false},
                       {"shrunk", true, false},
                       {"used", false, false},
                       {"vCPUs", false, false}},
                      rows);
}

json::object day_json(const core::DayReport& report, const DayWords& words) {
  json::array hours;
  for (const auto& seen : report.hours) {
    hours.push_back(json::object{{"submitted", seen.submitted},
                                 {"mostWaiting", seen.most_waiting},
                                 {"leastvCpus", seen.least_vcpus},
                                 {"mostvCpus", seen.most_vcpus},
                                 {"meanvCpus", to_thousandths(seen.mean_vcpus)},
                                 {"grown", seen.grown},
                                 {"shrunk", seen.shrunk},
                                 {"used", to_thousandths(seen.used)}});
  }
  json::array types;
  for (const auto& type : words.types) types.emplace_back(type);
  return {{"seed", words.options.seed},
          {"minvCpus", words.options.min_vcpus},
          {"maxvCpus", words.options.max_vcpus},
          {"instanceTypes", std::move(types)},
          {"submitted", report.submitted},
          {"ended", report.ended},
          {"growEvents", report.grow_events},
          {"shrinkEvents", report.shrink_events},
          {"launched", report.launched},
          {"released", report.released},
          {"unused", report.unused},
          {"utilisation", to_thousandths(report.utilisation)},
          {"waitSeconds", json::object{{"mean", to_thousandths(report.wait_s.mean)},
                                       {"median", to_thousandths(report.wait_s.median)},
                                       {"p95", to_thousandths(report.wait_s.p95)},
                                       {"max", to_thousandths(report.wait_s.max)}}},
          {"hours", std::move(hours)}};
}

}  // namespace cox::cli
