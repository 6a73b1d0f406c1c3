#include "launcher/cluster/registry.hpp"

#include <dirent.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cstdlib>
#include <filesystem>

#include "runtime/os/files.hpp"

namespace cox::cluster {

namespace json = boost::json;

namespace {

constexpr const char* kSystemRoot = "/var/lib/coxswain";

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

std::string home_directory() {
  const auto home = variable("HOME");
  if (!home.empty()) return home;
  const auto* entry = ::getpwuid(::geteuid());
  return entry != nullptr ? entry->pw_dir : "/";
}

/// One's own and root's; or the one that is named.
std::vector<std::string> roots() {
  std::vector<std::string> list{state_root()};
  const bool is_named = !variable("COX_STATE_DIR").empty();
  if (!is_named && list.front() != kSystemRoot) list.emplace_back(kSystemRoot);
  return list;
}

}  // namespace

std::string state_root() {
  if (const auto given = variable("COX_STATE_DIR"); !given.empty()) {
    // The daemon lives elsewhere: one spelling, from the root.
    auto path = std::filesystem::absolute(given).lexically_normal().string();
    if (path.size() > 1 && path.ends_with("/")) path.pop_back();
    return path;
  }
  if (::geteuid() == 0) return kSystemRoot;
  if (const auto state = variable("XDG_STATE_HOME"); !state.empty()) return state + "/coxswain";
  return home_directory() + "/.local/state/coxswain";
}

bool is_made(const std::string& status) {
  return status == "CREATE_COMPLETE" || status.starts_with("UPDATE_");
}

std::string cluster_status(const std::string& stack_status) {
  if (stack_status == "UPDATE_ROLLBACK_COMPLETE" || stack_status == "UPDATE_ROLLBACK_FAILED") {
    return "UPDATE_FAILED";
  }
  if (stack_status == "UPDATE_ROLLBACK_IN_PROGRESS") return "UPDATE_IN_PROGRESS";
  return stack_status;
}

std::string directory_of(const std::string& name) {
  for (const auto& root : roots()) {
    const auto directory = root + "/" + name;
    if (::access((directory + "/record.json").c_str(), F_OK) == 0) return directory;
  }
  return state_root() + "/" + name;
}

Result<Record> load_record(const std::string& directory) {
  const auto text = os::read_file(directory + "/record.json");
  if (!text) return fail(text.error());
  boost::system::error_code error;
  const auto parsed = json::parse(*text, error);
  if (error || !parsed.is_object()) {
    return fail(Errc::internal, "{}/record.json is damaged; delete the cluster", directory);
  }
  const auto& object = parsed.get_object();
  const auto word = [&](const char* name) {
    const auto* value = object.if_contains(name);
    return value != nullptr && value->is_string() ? std::string(value->get_string())
                                                  : std::string();
  };
  const auto number = [&](const char* name) {
    const auto* value = object.if_contains(name);
    return value != nullptr && value->is_int64() ? value->get_int64() : std::int64_t{0};
  };
  Record record;
  record.name = word("name");
  record.status = word("status");
  record.status_reason = word("statusReason");
  record.version = word("version");
  record.region = word("region");
  record.scheduler = word("scheduler");
  record.v2 = number("configurationVersion") == 2;
  record.config_file_name = word("configFileName");
  record.cluster_template = word("clusterTemplate");
  if (const auto* tags = object.if_contains("tags"); tags != nullptr && tags->is_object()) {
    for (const auto& [key, value] : tags->get_object()) {
      if (value.is_string()) record.tags[key] = value.get_string();
    }
  }
  record.next_file_name = word("nextFileName");
  record.next_template = word("nextTemplate");
  record.created_at = Millis{number("createdAt")};
  record.updated_at = Millis{number("updatedAt")};
  record.keeper_pid = static_cast<int>(number("keeperPid"));
  return record;
}

Result<void> save_record(const std::string& directory, const Record& record) {
  json::object tags;
  for (const auto& [key, value] : record.tags) tags[key] = value;
  const json::object object{{"name", record.name},
                            {"status", record.status},
                            {"statusReason", record.status_reason},
                            {"version", record.version},
                            {"region", record.region},
                            {"scheduler", record.scheduler},
                            {"configurationVersion", record.v2 ? 2 : 3},
                            {"configFileName", record.config_file_name},
                            {"clusterTemplate", record.cluster_template},
                            {"tags", std::move(tags)},
                            {"nextFileName", record.next_file_name},
                            {"nextTemplate", record.next_template},
                            {"createdAt", record.created_at.value},
                            {"updatedAt", record.updated_at.value},
                            {"keeperPid", record.keeper_pid}};
  return os::write_file_atomic(directory + "/record.json", json::serialize(object) + "\n", 0644);
}

std::vector<Record> list_records() {
  std::vector<Record> records;
  for (const auto& root : roots()) {
    DIR* const directory = ::opendir(root.c_str());
    if (directory == nullptr) continue;
    std::vector<Record> here;
    while (const dirent* entry = ::readdir(directory)) {
      if (entry->d_name[0] == '.') continue;
      if (auto record = load_record(root + "/" + entry->d_name)) here.push_back(std::move(*record));
    }
    ::closedir(directory);
    std::sort(here.begin(), here.end(),
              [](const Record& a, const Record& b) { return a.name < b.name; });
    for (auto& record : here) {
      const bool hidden = std::any_of(records.begin(), records.end(),
                                      [&](const Record& own) { return own.name == record.name; });
      if (!hidden) records.push_back(std::move(record));
    }
  }
  return records;
}

}  // namespace cox::cluster
