#include "launcher/cli/pcluster_json.hpp"

#include <boost/json.hpp>

#include "launcher/cli/connection.hpp"
#include "launcher/cli/output.hpp"
#include "runtime/base/text.hpp"

namespace cox::cli {

namespace json = boost::json;

namespace {

constexpr const char* kSchemaRule = "ConfigSchemaValidator";

void write_pretty(const json::value& value, std::size_t depth, std::string& text) {
  const std::string inner(2 * (depth + 1), ' ');
  const std::string outer(2 * depth, ' ');
  const char* separator = "\n";
  if (const auto* object = value.if_object(); object != nullptr && !object->empty()) {
    text += '{';
    for (const auto& member : *object) {
      text += separator + inner + json::serialize(member.key()) + ": ";
      write_pretty(member.value(), depth + 1, text);
      separator = ",\n";
    }
    text += "\n" + outer + "}";
  } else if (const auto* array = value.if_array(); array != nullptr && !array->empty()) {
    text += '[';
    for (const auto& item : *array) {
      text += separator + inner;
      write_pretty(item, depth + 1, text);
      separator = ",\n";
    }
    text += "\n" + outer + "]";
  } else if (const auto* number = value.if_double()) {
    text += fmt::format("{:#}", *number);  // 0.5, where the library writes 5E-1
  } else {
    text += json::serialize(value);
  }
}

std::uint64_t fnv1a(std::string_view text, std::uint64_t hash) {
  for (const char c : text) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 1099511628211u;
  }
  return hash;
}

/// Faults by key, as marshmallow nests them.
struct FaultTree {
  std::string key;
  std::vector<std::string> faults;
  std::vector<FaultTree> below;

  FaultTree& at(const std::string& wanted) {
    for (auto& tree : below) {
      if (tree.key == wanted) return tree;
    }
    below.push_back({wanted, {}, {}});
    return below.back();
  }
};

/// "A.B[0].C" → A, B, 0, C.
std::vector<std::string> path_parts(const std::string& path) {
  std::vector<std::string> parts;
  for (const auto& word : split(path, '.')) {
    const auto open = word.find('[');
    parts.push_back(word.substr(0, open));
    for (auto at = open; at != std::string::npos; at = word.find('[', at + 1)) {
      parts.push_back(word.substr(at + 1, word.find(']', at) - at - 1));
    }
  }
  return parts;
}

/// A string as Python's repr() prints it.
std::string python_quoted(const std::string& text) {
  const bool single = text.find('\'') != std::string::npos;
  const char mark = single && text.find('"') == std::string::npos ? '"' : '\'';
  std::string quoted(1, mark);
  for (const char c : text) {
    if (c == mark || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + mark;
}

std::string python_faults(const FaultTree& tree) {
  std::string list;
  for (const auto& fault : tree.faults) list += (list.empty() ? "" : ", ") + python_quoted(fault);
  list = "[" + list + "]";
  if (tree.below.empty()) return list;
  std::string map = tree.faults.empty() ? "" : "'_schema': " + list;
  for (const auto& below : tree.below) {
    const auto name = to_int(below.key) ? below.key : python_quoted(below.key);
    map += (map.empty() ? "" : ", ") + name + ": " + python_faults(below);
  }
  return "{" + map + "}";
}

std::string schema_message(const std::vector<config::Finding>& findings) {
  FaultTree root;
  for (const auto& finding : findings) {
    if (finding.rule != kSchemaRule) continue;
    FaultTree* at = &root;
    for (const auto& part : path_parts(finding.path.empty() ? "_schema" : finding.path)) {
      at = &at->at(part);
    }
    at->faults.push_back(finding.text);
  }
  std::string pairs;
  for (const auto& tree : root.below) {
    pairs +=
        (pairs.empty() ? "(" : ", (") + python_quoted(tree.key) + ", " + python_faults(tree) + ")";
  }
  return "[" + pairs + "]";
}

bool has(const std::string& text, std::string_view word) {
  return text.find(word) != std::string::npos;
}

json::object head_node(const json::object& shown) {
  json::object node{{"instanceId", text_of(shown, "id")},
                    {"instanceType", text_of(shown, "instanceType")},
                    {"launchTime", render_utc(int_of(shown, "launchTime"))}};
  // While it is being made it may have none yet.
  if (const auto address = text_of(shown, "address"); !address.empty()) {
    node["privateIpAddress"] = address;
  }
  node["state"] = text_of(shown, "state");
  return node;
}

}  // namespace

std::string failure_code(const std::string& reason) {
  if (has(reason, "OnNodeStart of a compute node") ||
      has(reason, "OnNodeConfigured of a compute node")) {
    return "StaticNodeBootstrapFailure";
  }
  for (const std::string action : {"OnNodeStart", "OnNodeConfigured"}) {
    if (!has(reason, action + " of the head node")) continue;
    if (has(reason, "could not be fetched")) return action + "DownloadFailure";
    const bool ran = has(reason, " exited with code ") || has(reason, " ended by signal ");
    return action + (ran ? "ExecutionFailure" : "Failure");
  }
  return "ClusterCreationFailure";
}

std::string pretty(const json::value& value) {
  std::string text;
  write_pretty(value, 0, text);
  return text + "\n";
}

std::string stack_arn(const cluster::Record& record) {
  constexpr std::uint64_t kOffset = 14695981039346656037u;
  const auto high = fnv1a(record.name, kOffset);
  const auto low = fnv1a(std::to_string(record.created_at.value), high);
  return fmt::format(
      "arn:aws:cloudformation:{}:123456789012:stack/{}{}/{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
      record.region, record.v2 ? "parallelcluster-" : "", record.name, high >> 32,
      (high >> 16) & 0xffff, high & 0xffff, low >> 48, low & 0xffffffffffffu);
}

json::object cluster_summary(const cluster::Record& record) {
  return {{"clusterName", record.name},
          {"cloudformationStackStatus", record.status},
          {"cloudformationStackArn", stack_arn(record)},
          {"region", record.region},
          {"version", record.version},
          {"clusterStatus", cluster::cluster_status(record.status)},
          {"scheduler", json::object{{"type", record.scheduler}}}};
}

std::string fleet_status(const cluster::Record& record, const std::string& fleet) {
  if (record.scheduler != "slurm") return fleet;
  return fleet == "ENABLED" ? "RUNNING" : "STOPPED";
}

Result<std::string> wanted_fleet(const cluster::Record& record, const std::string& status) {
  const bool is_slurm = record.scheduler == "slurm";
  const char* const start = is_slurm ? "START_REQUESTED" : "ENABLED";
  const char* const stop = is_slurm ? "STOP_REQUESTED" : "DISABLED";
  if (status == start) return "ENABLED";
  if (status == stop) return "DISABLED";
  return fail(Errc::invalid_argument,
              "the status of a compute fleet with scheduler {} can be set to {} or {}, not to {}",
              record.scheduler, start, stop, status);
}

json::object cluster_description(const cluster::Record& record, const json::value& api,
                                 const config::ClusterConfig* config) {
  json::object shown{{"creationTime", render_utc(record.created_at.value)}};
  const auto* live = api.if_object();
  const auto* head = live != nullptr ? object_of(*live, "headNode") : nullptr;
  if (head != nullptr) shown["headNode"] = head_node(*head);
  shown["version"] = record.version;
  shown["clusterConfiguration"] =
      json::object{{"url", "file://" + cluster::directory_of(record.name) + "/config"}};
  json::array tags{json::object{{"key", "parallelcluster:cluster-name"}, {"value", record.name}},
                   json::object{{"key", "parallelcluster:version"}, {"value", record.version}}};
  if (config != nullptr) {
    for (const auto& [key, value] : config->tags) {
      tags.push_back(json::object{{"key", key}, {"value", value}});
    }
  }
  shown["tags"] = std::move(tags);
  shown["cloudFormationStackStatus"] = record.status;
  shown["clusterName"] = record.name;
  const bool ready = cluster::is_made(record.status) && live != nullptr;
  shown["computeFleetStatus"] = ready ? fleet_status(record, text_of(*live, "fleet")) : "UNKNOWN";
  if (ready) {
    // Ours: what stands between the jobs that wait and their nodes.
    const auto reason = text_of(*live, "fleetReason");
    if (!reason.empty()) shown["computeFleetStatusReason"] = reason;
  }
  shown["cloudformationStackArn"] = stack_arn(record);
  shown["lastUpdatedTime"] = render_utc(record.updated_at.value);
  shown["region"] = record.region;
  shown["clusterStatus"] = cluster::cluster_status(record.status);
  shown["scheduler"] = json::object{{"type", record.scheduler}};
  if (record.status == "CREATE_FAILED") {
    shown["failures"] =
        json::array{json::object{{"failureCode", failure_code(record.status_reason)},
                                 {"failureReason", record.status_reason}}};
  }
  return shown;
}

json::array validation_messages(const std::vector<config::Finding>& findings) {
  json::array entries;
  bool schema_told = false;
  for (const auto& finding : findings) {
    if (finding.rule == kSchemaRule) {
      if (!schema_told) {
        entries.push_back(json::object{
            {"level", "ERROR"}, {"type", kSchemaRule}, {"message", schema_message(findings)}});
      }
      schema_told = true;
      continue;
    }
    entries.push_back(json::object{
        {"level", to_string(finding.level)}, {"type", finding.rule}, {"message", finding.text}});
  }
  return entries;
}

}  // namespace cox::cli
