#include "launcher/provider/slurm_plan.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <cstdint>

#include "runtime/base/text.hpp"
#include "runtime/os/files.hpp"

namespace cox::provider {
namespace {

namespace json = boost::json;

std::string plan_path(const std::string& cluster_directory) {
  return cluster_directory + "/slurm/plan.json";
}

json::array as_list(const std::vector<std::string>& words) {
  json::array list;
  for (const auto& word : words) list.emplace_back(word);
  return list;
}

std::string text_at(const json::object& object, const char* name) {
  return std::string(object.at(name).as_string());
}

std::vector<std::string> texts_at(const json::object& object, const char* name) {
  std::vector<std::string> words;
  for (const auto& each : object.at(name).as_array()) words.emplace_back(each.as_string());
  return words;
}

/// What the last of the arguments that set a job's time says.
std::optional<int> time_in(const std::vector<std::string>& args) {
  std::optional<int> seconds;
  for (std::size_t i = 0; i < args.size(); ++i) {
    const std::string_view arg = args[i];
    std::string_view text;
    if (arg.starts_with("--time=")) {
      text = arg.substr(std::string_view("--time=").size());
    } else if ((arg == "--time" || arg == "-t") && i + 1 < args.size()) {
      text = args[++i];
    } else if (arg.starts_with("-t")) {
      text = arg.substr(2);
    } else {
      continue;
    }
    if (const auto said = slurm_seconds(text)) seconds = said;
  }
  return seconds;
}

}  // namespace

std::optional<int> slurm_seconds(std::string_view text) {
  const auto word = to_lower(text);
  if (word == "unlimited" || word == "infinite") return kNoTimeLimit;
  const auto dash = word.find('-');
  const bool has_days = dash != std::string::npos;
  std::vector<std::int64_t> numbers;
  for (const auto& part : split(has_days ? word.substr(dash + 1) : word, ':')) {
    const auto number = to_int(part);
    if (!number || *number < 0 || *number > kNoTimeLimit) return std::nullopt;
    numbers.push_back(*number);
  }
  const auto days = has_days ? to_int(word.substr(0, dash)) : std::optional<std::int64_t>(0);
  if (numbers.empty() || numbers.size() > 3 || !days || *days < 0 || *days > 10'000) {
    return std::nullopt;
  }
  // After days the hours come first; else minutes, unless there are three.
  if (!has_days && numbers.size() < 3) numbers.insert(numbers.begin(), 0);
  numbers.resize(3);
  const auto sum = ((*days * 24 + numbers[0]) * 60 + numbers[1]) * 60 + numbers[2];
  return static_cast<int>(std::min<std::int64_t>(sum, kNoTimeLimit));
}

Lending lending_of(const SlurmPlan& plan) {
  const auto said = time_in(plan.extra_args);
  if (said && *said > 0 && *said < kNoTimeLimit) return {*said, *said};
  if (said == kNoTimeLimit) return {kNoTimeLimit, 0};
  const bool is_limited = plan.max_seconds > 0 && plan.max_seconds < kNoTimeLimit;
  if (!is_limited) return {plan.pilot_seconds, 0};
  return {std::min(plan.pilot_seconds, plan.max_seconds), plan.max_seconds};
}

void apply_site(const SlurmPlan& plan, ClusterSettings& settings) {
  for (const auto& name : plan.environments) {
    settings.lent[ComputeEnvironmentName{name}] = lending_of(plan);
  }
}

std::string render_site(const SlurmPlan& plan) {
  return json::serialize(json::object{{"tag", plan.tag},
                                      {"cluster", plan.cluster},
                                      {"stage", plan.stage},
                                      {"partition", plan.partition},
                                      {"account", plan.account},
                                      {"qos", plan.qos},
                                      {"extraArgs", as_list(plan.extra_args)},
                                      {"pilotSeconds", plan.pilot_seconds},
                                      {"maxSeconds", plan.max_seconds}}) +
         "\n";
}

Result<SlurmPlan> parse_site(const std::string& text) {
  try {
    const auto parsed = json::parse(text);
    const auto& object = parsed.as_object();
    const auto* longest = object.if_contains("maxSeconds");
    return SlurmPlan{.tag = text_at(object, "tag"),
                     .cluster = text_at(object, "cluster"),
                     .stage = text_at(object, "stage"),
                     .partition = text_at(object, "partition"),
                     .account = text_at(object, "account"),
                     .qos = text_at(object, "qos"),
                     .extra_args = texts_at(object, "extraArgs"),
                     .pilot_seconds = static_cast<int>(object.at("pilotSeconds").as_int64()),
                     .max_seconds = longest == nullptr ? 0 : static_cast<int>(longest->as_int64())};
  } catch (const std::exception& error) {
    return fail(Errc::invalid_argument, "the record of the cluster's Slurm site cannot be read: {}",
                error.what());
  }
}

Result<std::optional<SlurmPlan>> load_site(const std::string& cluster_directory) {
  const auto text = os::read_file(plan_path(cluster_directory));
  if (!text && text.error().code == Errc::not_found) return std::nullopt;
  if (!text) return fail(text.error());
  auto plan = parse_site(*text);
  if (!plan) return fail(plan.error());
  return std::optional(std::move(*plan));
}

Result<void> save_site(const std::string& cluster_directory, const SlurmPlan& plan) {
  return os::make_directories(cluster_directory + "/slurm", 0700).and_then([&] {
    return os::write_file_atomic(plan_path(cluster_directory), render_site(plan), 0600);
  });
}

}  // namespace cox::provider
