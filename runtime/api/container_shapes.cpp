#include "runtime/api/container_shapes.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <set>

#include "runtime/base/text.hpp"

namespace cox::api {

namespace json = boost::json;

namespace {

constexpr std::int64_t kAny = std::numeric_limits<std::int32_t>::max();

const Shape& key_value_shape() {
  static const Shape shape{text("name"), text("value")};
  return shape;
}

const Shape& secret_shape() {
  static const Shape shape{required(text("name")), required(text("valueFrom"))};
  return shape;
}

const Shape& volume_shape() {
  static const Shape host{text("sourcePath")};
  static const Shape authorization{text("accessPointId"), word("iam", {"ENABLED", "DISABLED"})};
  static const Shape efs{required(text("fileSystemId")), text("rootDirectory"),
                         word("transitEncryption", {"ENABLED", "DISABLED"}),
                         integer("transitEncryptionPort", 0, 65'535),
                         object("authorizationConfig", authorization)};
  static const Shape shape{object("host", host), text("name"),
                           object("efsVolumeConfiguration", efs)};
  return shape;
}

const Shape& linux_shape() {
  static const Shape device{required(text("hostPath")), text("containerPath"),
                            words("permissions", {"READ", "WRITE", "MKNOD"})};
  static const Shape tmpfs{required(text("containerPath")), required(integer("size", 1, kAny)),
                           texts("mountOptions")};
  static const Shape shape{objects("devices", device),           boolean("initProcessEnabled"),
                           integer("sharedMemorySize", 1, kAny), objects("tmpfs", tmpfs),
                           integer("maxSwap", 0, kAny),          integer("swappiness", 0, 100)};
  return shape;
}

const Shape& log_shape() {
  static const Shape shape{required(word("logDriver", {"json-file", "syslog", "journald", "gelf",
                                                       "fluentd", "awslogs", "splunk"})),
                           text_map("options"), objects("secretOptions", secret_shape())};
  return shape;
}

const Shape& ulimit_shape() {
  static const Shape shape{
      required(integer("hardLimit", -1, kAny)),
      required(word("name", {"core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice",
                             "nofile", "nproc", "rss", "rtprio", "rttime", "sigpending", "stack"})),
      required(integer("softLimit", -1, kAny))};
  return shape;
}

const Shape& requirement_shape() {
  static const Shape shape{required(text("value")),
                           required(word("type", {"VCPU", "MEMORY", "GPU"}))};
  return shape;
}

/// Up to 255 letters, digits, '-' and '_'.
bool is_volume_name(std::string_view name) {
  return !name.empty() && name.size() <= 255 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
  });
}

bool is_exit_code_pattern(std::string_view text) {
  if (text.ends_with('*')) text.remove_suffix(1);
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

const json::array& array_in(const json::object& object, std::string_view name) {
  static const json::array none;
  const auto* value = object.if_contains(name);
  return value != nullptr && value->is_array() ? value->get_array() : none;
}

}  // namespace

const Shape& container_shape() {
  static const Shape mount{text("containerPath"), boolean("readOnly"), text("sourceVolume")};
  static const Shape network{word("assignPublicIp", {"ENABLED", "DISABLED"})};
  static const Shape fargate{text("platformVersion")};
  static const Shape shape{text("image", 0, 255),
                           integer("vcpus", 1, kVcpusMax),
                           integer("memory", 4, kMemoryMax),
                           texts("command"),
                           text("jobRoleArn"),
                           text("executionRoleArn"),
                           objects("volumes", volume_shape()),
                           objects("environment", key_value_shape()),
                           objects("mountPoints", mount),
                           boolean("readonlyRootFilesystem"),
                           boolean("privileged"),
                           objects("ulimits", ulimit_shape()),
                           text("user"),
                           text("instanceType"),
                           objects("resourceRequirements", requirement_shape()),
                           object("linuxParameters", linux_shape()),
                           object("logConfiguration", log_shape()),
                           objects("secrets", secret_shape()),
                           object("networkConfiguration", network),
                           object("fargatePlatformConfiguration", fargate)};
  return shape;
}

const Shape& container_override_shape() {
  static const Shape shape{integer("vcpus", 1, kVcpusMax),
                           integer("memory", 4, kMemoryMax),
                           texts("command"),
                           text("instanceType"),
                           objects("environment", key_value_shape()),
                           objects("resourceRequirements", requirement_shape())};
  return shape;
}

const Shape& retry_shape() {
  static const Shape condition{text("onStatusReason", 0, 512), text("onReason", 0, 512),
                               text("onExitCode", 0, 512), required(text("action"))};
  static const Shape shape{integer("attempts", 1, 10), objects("evaluateOnExit", condition, 0, 5)};
  return shape;
}

const Shape& timeout_shape() {
  static const Shape shape{integer("attemptDurationSeconds", 60, kAny)};
  return shape;
}

Resources resources_in(const json::object& container, std::optional<Error>& complaint) {
  Resources found;
  if (container.contains("vcpus")) {
    found.vcpus = static_cast<int>(integer_in(container, "vcpus", 1));
  }
  if (container.contains("memory")) found.memory = MiB{integer_in(container, "memory", 4)};
  std::set<std::string> seen;
  for (const auto& entry : array_in(container, "resourceRequirements")) {
    const auto type = text_in(entry.get_object(), "type");
    const auto value = to_int(text_in(entry.get_object(), "value"));
    if (!seen.insert(type).second) {
      complain(complaint, fmt::format("resourceRequirements: {} is given twice", type));
    }
    found.listed = true;
    if (type == "VCPU" && value && *value >= 1 && *value <= kVcpusMax) {
      found.vcpus = static_cast<int>(*value);
    } else if (type == "MEMORY" && value && *value >= 4 && *value <= kMemoryMax) {
      found.memory = MiB{*value};
    } else if (type == "GPU" && value && *value >= 1) {
      found.gpu = true;
    } else {
      complain(complaint, fmt::format("resourceRequirements: {} is not valid", type));
    }
  }
  return found;
}

std::vector<EnvVar> environment_in(const json::object& container, std::optional<Error>& complaint) {
  std::vector<EnvVar> list;
  for (const auto& entry : array_in(container, "environment")) {
    EnvVar read{text_in(entry.get_object(), "name"), text_in(entry.get_object(), "value")};
    if (read.name.starts_with("AWS_BATCH")) {
      complain(complaint, fmt::format("Environment variable {} is reserved: names that start with "
                                      "AWS_BATCH can't be set",
                                      read.name));
    }
    if (read.name.empty() || read.name.find('=') != std::string::npos ||
        read.name.find('\0') != std::string::npos || read.value.find('\0') != std::string::npos) {
      complain(complaint, fmt::format("Environment variable name {} is not valid", read.name));
    }
    list.push_back(std::move(read));
  }
  return list;
}

std::vector<ExitRule> exit_rules_in(const json::object& retry, std::optional<Error>& complaint) {
  std::vector<ExitRule> rules;
  const auto& entries = array_in(retry, "evaluateOnExit");
  if (!entries.empty() && !retry.contains("attempts")) {
    complain(complaint, "retryStrategy.attempts must be given with evaluateOnExit");
  }
  for (const auto& value : entries) {
    const auto& entry = value.get_object();
    const auto action = to_upper(text_in(entry, "action"));
    if (action != "RETRY" && action != "EXIT") {
      complain(complaint,
               fmt::format("retryStrategy.evaluateOnExit.action must be RETRY or EXIT, not {}",
                           text_in(entry, "action")));
    }
    ExitRule rule{text_in(entry, "onStatusReason"), text_in(entry, "onReason"),
                  text_in(entry, "onExitCode"), action == "RETRY"};
    if (!is_exit_code_pattern(rule.on_exit_code)) {
      complain(complaint, fmt::format("retryStrategy.evaluateOnExit.onExitCode must be digits, "
                                      "with a * at the end or not: {}",
                                      rule.on_exit_code));
    }
    rules.push_back(std::move(rule));
  }
  return rules;
}

void check_container(const json::object& container, bool in_container,
                     std::optional<Error>& complaint) {
  if (text_in(container, "image").empty()) complain(complaint, "Container image must not be empty");
  const auto resources = resources_in(container, complaint);
  if (!resources.vcpus || !resources.memory) {
    complain(
        complaint,
        fmt::format("Container must have {}: in resourceRequirements or, as before, in {}",
                    resources.vcpus ? "MEMORY" : "VCPU", resources.vcpus ? "memory" : "vcpus"));
  }
  (void)environment_in(container, complaint);
  std::set<std::string> volumes;
  for (const auto& volume : array_in(container, "volumes")) {
    const auto name = text_in(volume.get_object(), "name");
    if (!is_volume_name(name)) {
      complain(complaint, fmt::format("Volume name {} is not valid", name));
    }
    if (!volumes.insert(name).second) {
      complain(complaint, fmt::format("Volume {} is given twice", name));
    }
    if (in_container && volume.get_object().contains("efsVolumeConfiguration")) {
      complain(complaint, fmt::format("Volume {}: efsVolumeConfiguration: this cluster mounts no "
                                      "file system for a job; name a directory of its nodes as "
                                      "host.sourcePath",
                                      name));
    }
  }
  for (const auto& mount : array_in(container, "mountPoints")) {
    const auto source = text_in(mount.get_object(), "sourceVolume");
    if (!volumes.contains(source)) {
      complain(complaint, fmt::format("Mount point: there is no volume {}", source));
    }
    if (text_in(mount.get_object(), "containerPath").empty()) {
      complain(complaint, "Mount point: containerPath must not be empty");
    }
  }
  for (const auto& limit : array_in(container, "ulimits")) {
    const auto soft = integer_in(limit.get_object(), "softLimit", 0);
    const auto hard = integer_in(limit.get_object(), "hardLimit", 0);
    if (hard != -1 && (soft == -1 || soft > hard)) {
      complain(complaint, fmt::format("ulimits: softLimit {} is above hardLimit {}", soft, hard));
    }
  }
}

std::optional<NodeSpan> read_span(std::string_view text, int nodes) {
  const auto colon = text.find(':');
  const auto index = [&](std::string_view part, int absent) -> std::optional<int> {
    if (part.empty()) return absent;
    const auto value = to_int(part);
    if (!value || part.front() == '+' || *value < 0 || *value >= nodes) return std::nullopt;
    return static_cast<int>(*value);
  };
  if (text.empty()) return std::nullopt;
  const auto first = index(text.substr(0, colon), 0);
  const auto last =
      colon == std::string_view::npos ? first : index(text.substr(colon + 1), nodes - 1);
  if (!first || !last || *last < *first) return std::nullopt;
  return NodeSpan{*first, *last, text.back() == ':'};
}

}  // namespace cox::api
