#include "launcher/cli/waiting.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <optional>
#include <ostream>

#include "launcher/cli/exit_codes.hpp"
#include "launcher/cli/job_items.hpp"
#include "launcher/cli/output.hpp"

namespace cox::cli {

namespace json = boost::json;

namespace {

bool is_over(const std::string& status) { return status == "SUCCEEDED" || status == "FAILED"; }

bool is_waiting(const std::string& status) {
  return status == "SUBMITTED" || status == "PENDING" || status == "RUNNABLE";
}

/// The id that one dependency of this job means: a whole job, the same child of another array
/// (N_TO_N), or the child before this one (SEQUENTIAL).
std::optional<std::string> meant(const json::object& job, const json::object& dependency) {
  const auto id = text_of(dependency, "jobId");
  const auto type = text_of(dependency, "type");
  const auto* array = object_of(job, "arrayProperties");
  const auto index = array != nullptr && array->contains("index")
                         ? std::optional(int_of(*array, "index"))
                         : std::nullopt;
  if (id.empty()) {
    if (!index || *index == 0) return std::nullopt;
    const auto own = text_of(job, "jobId");
    return fmt::format("{}:{}", own.substr(0, own.find(':')), *index - 1);
  }
  return type == "N_TO_N" && index ? fmt::format("{}:{}", id, *index) : id;
}

std::vector<json::object> dependencies_of(const json::object& job) {
  std::vector<json::object> list;
  const auto* given = job.if_contains("dependsOn");
  for (std::size_t i = 0; given != nullptr && i < given->as_array().size(); ++i) {
    list.push_back(given->as_array()[i].as_object());
  }
  return list;
}

/// How it depends on the job, where that is one of our own ways.
std::string type_of(const json::object& job, const std::string& id) {
  for (const auto& dependency : dependencies_of(job)) {
    const auto type = text_of(dependency, "type");
    const bool ours = type == "AFTER_ANY" || type == "AFTER_NOT_OK";
    if (ours && text_of(dependency, "jobId") == id) return type;
  }
  return "";
}

json::object plain_reason(const char* kind, std::string text) {
  return {{"kind", kind}, {"text", std::move(text)}};
}

/// Why a job waits, and what would let it start now.
struct Why {
  json::array reasons;
  json::array changes;
};

/// What the scheduler says of a job that could run.
Result<Why> scheduler_reasons(const std::string& id, Connection& connection) {
  auto answer = connection.get("explain?job=" + encoded(id));
  if (!answer) return fail(answer.error());
  auto& object = answer->as_object();
  Why why;
  if (auto* reasons = object.if_contains("reasons")) why.reasons = std::move(reasons->as_array());
  if (auto* changes = object.if_contains("changes")) why.changes = std::move(changes->as_array());
  if (why.reasons.empty()) {
    why.reasons.push_back(plain_reason("scheduler", "it is about to be placed"));
  }
  return why;
}

/// The first child of an array that waits tells for all of them.
Result<Why> child_reasons(const json::object& job, Connection& connection);

Result<Why> reasons_of(const json::object& job, Connection& connection) {
  const auto status = text_of(job, "status");
  if (!is_waiting(status)) {
    return Why{{plain_reason("none", "it does not wait")}, {}};
  }
  const auto others = describe(connection, ids_depended_on(job));
  if (!others) return fail(others.error());
  auto reasons = dependency_reasons(job, *others);
  if (!reasons.empty()) return Why{std::move(reasons), {}};
  if (array_size_of(job) > 0) return child_reasons(job, connection);
  return scheduler_reasons(text_of(job, "jobId"), connection);
}

Result<Why> child_reasons(const json::object& job, Connection& connection) {
  const auto children = describe(connection, children_of(job));
  if (!children) return fail(children.error());
  for (const auto& child : *children) {
    if (!is_waiting(text_of(child, "status"))) continue;
    auto why = reasons_of(child, connection);
    if (!why) return why;
    for (auto* list : {&why->reasons, &why->changes}) {
      for (auto& each : *list) {
        auto& object = each.as_object();
        object["text"] =
            fmt::format("child {}: {}", text_of(child, "jobId"), text_of(object, "text"));
      }
    }
    return why;
  }
  return Why{{plain_reason("none", "none of its children waits")}, {}};
}

}  // namespace

std::vector<std::string> ids_depended_on(const json::object& job) {
  std::vector<std::string> ids;
  for (const auto& dependency : dependencies_of(job)) {
    if (const auto id = meant(job, dependency)) ids.push_back(*id);
  }
  return ids;
}

json::array dependency_reasons(const json::object& job, const std::vector<json::object>& others) {
  json::array reasons;
  for (const auto& id : ids_depended_on(job)) {
    const auto other = std::find_if(others.begin(), others.end(), [&](const json::object& known) {
      return text_of(known, "jobId") == id;
    });
    if (other == others.end() || is_over(text_of(*other, "status"))) continue;
    const auto status = text_of(*other, "status");
    const auto type = type_of(job, id);
    const char* what = type == "AFTER_ANY"      ? "it waits for the end of"
                       : type == "AFTER_NOT_OK" ? "it waits for the failure of"
                                                : "it depends on";
    auto reason =
        plain_reason("dependency", fmt::format("{} job {}, which is {}", what, id, status));
    if (!type.empty()) reason["type"] = type;
    reason["jobId"] = id;
    reason["status"] = status;
    reasons.push_back(std::move(reason));
  }
  return reasons;
}

int tell_why(const std::vector<std::string>& ids, bool as_json, Connection& connection,
             Streams streams) {
  const auto jobs = describe(connection, ids);
  if (!jobs) return complain(streams, "waiting:tell_why", "Error: " + jobs.error().message);
  json::array list;
  for (const auto& job : *jobs) {
    auto why = reasons_of(job, connection);
    if (!why) return complain(streams, "waiting:tell_why", "Error: " + why.error().message);
    list.push_back(json::object{{"jobId", text_of(job, "jobId")},
                                {"jobName", text_of(job, "jobName")},
                                {"status", text_of(job, "status")},
                                {"reasons", std::move(why->reasons)},
                                {"changes", std::move(why->changes)}});
  }
  if (as_json) streams.out << json::serialize(list) << '\n';
  for (const auto& value : list) {
    if (as_json) break;
    const auto& job = value.as_object();
    streams.out << fmt::format("Job {} ({}) is {}:\n", text_of(job, "jobId"),
                               text_of(job, "jobName"), text_of(job, "status"));
    for (const auto& reason : job.at("reasons").as_array()) {
      streams.out << "  " << text_of(reason.as_object(), "text") << '\n';
    }
    for (const auto& change : job.at("changes").as_array()) {
      streams.out << "  " << text_of(change.as_object(), "text") << '\n';
    }
  }
  bool all_known = true;
  for (const auto& id : ids) {
    const bool known = std::any_of(jobs->begin(), jobs->end(), [&](const json::object& job) {
      return text_of(job, "jobId") == id;
    });
    if (!known) complain(streams, "waiting:tell_why", fmt::format("Job ({}) not found.", id));
    all_known = all_known && known;
  }
  return all_known ? kDone : kFailed;
}

}  // namespace cox::cli
