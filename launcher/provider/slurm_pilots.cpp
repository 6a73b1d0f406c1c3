#include "launcher/provider/slurm_pilots.hpp"

#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <filesystem>

#include "runtime/os/files.hpp"
#include "runtime/os/log.hpp"

namespace cox::provider {
namespace {

namespace json = boost::json;

std::string directory_of(const std::string& cluster_directory) {
  return cluster_directory + "/slurm/pilots";
}

}  // namespace

std::string render_pilot(const PilotRecord& pilot) {
  json::array nodes;
  for (const auto& node : pilot.nodes) nodes.emplace_back(node.value);
  return json::serialize(json::object{{"id", pilot.id},
                                      {"job", pilot.job},
                                      {"environment", pilot.environment},
                                      {"nodes", std::move(nodes)}}) +
         "\n";
}

Result<PilotRecord> parse_pilot(const std::string& text) {
  try {
    const auto parsed = json::parse(text);
    const auto& object = parsed.as_object();
    const auto word = [&](const char* name) { return std::string(object.at(name).as_string()); };
    PilotRecord pilot{word("id"), word("job"), word("environment"), {}};
    for (const auto& node : object.at("nodes").as_array()) {
      pilot.nodes.emplace_back(std::string(node.as_string()));
    }
    return pilot;
  } catch (const std::exception& error) {
    return fail(Errc::invalid_argument, "the record of a pilot job cannot be read: {}",
                error.what());
  }
}

Result<void> save_pilot(const std::string& cluster_directory, const PilotRecord& pilot) {
  const auto directory = directory_of(cluster_directory);
  return os::make_directories(directory, 0700).and_then([&] {
    return os::write_file_atomic(directory + "/" + pilot.id, render_pilot(pilot), 0600);
  });
}

void forget_pilot(const std::string& cluster_directory, const std::string& id) {
  (void)::unlink((directory_of(cluster_directory) + "/" + id).c_str());
}

std::vector<PilotRecord> load_pilots(const std::string& cluster_directory) {
  std::vector<PilotRecord> pilots;
  std::error_code error;
  for (const auto& entry :
       std::filesystem::directory_iterator(directory_of(cluster_directory), error)) {
    const auto text = os::read_file(entry.path().string(), 1u << 20);
    auto pilot = text ? parse_pilot(*text) : fail(text.error());
    if (pilot && pilot->id == entry.path().filename().string()) {
      pilots.push_back(std::move(*pilot));
    } else if (!pilot) {
      os::log_warn("{}: {}", entry.path().string(), pilot.error().message);
    }
  }
  std::sort(pilots.begin(), pilots.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  return pilots;
}

}  // namespace cox::provider
