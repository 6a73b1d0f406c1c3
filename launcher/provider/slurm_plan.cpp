#include "launcher/provider/slurm_plan.hpp"

#include <boost/json.hpp>

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

}  // namespace

std::string render_site(const SlurmPlan& plan) {
  return json::serialize(json::object{{"tag", plan.tag},
                                      {"cluster", plan.cluster},
                                      {"stage", plan.stage},
                                      {"partition", plan.partition},
                                      {"account", plan.account},
                                      {"qos", plan.qos},
                                      {"extraArgs", as_list(plan.extra_args)},
                                      {"pilotSeconds", plan.pilot_seconds},
                                      {"environments", as_list(plan.environments)}}) +
         "\n";
}

Result<SlurmPlan> parse_site(const std::string& text) {
  try {
    const auto parsed = json::parse(text);
    const auto& object = parsed.as_object();
    return SlurmPlan{.tag = text_at(object, "tag"),
                     .cluster = text_at(object, "cluster"),
                     .stage = text_at(object, "stage"),
                     .partition = text_at(object, "partition"),
                     .account = text_at(object, "account"),
                     .qos = text_at(object, "qos"),
                     .extra_args = texts_at(object, "extraArgs"),
                     .pilot_seconds = static_cast<int>(object.at("pilotSeconds").as_int64()),
                     .environments = texts_at(object, "environments")};
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
