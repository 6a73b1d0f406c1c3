#include "launcher/config/schema.hpp"

#include <algorithm>

#include "runtime/base/text.hpp"

namespace cox::config {

namespace {

constexpr const char* kRule = "ConfigSchemaValidator";

std::vector<SchemaKey> make_schema() {
  using enum KeyKind;
  std::vector<SchemaKey> keys{
      {"Region", text},
      {"CustomS3Bucket", text},
      {"AdditionalResources", text},
      {"Image", map, true},
      {"Image/Os", text, true,
       "alinux2|alinux2023|ubuntu2004|ubuntu2204|rhel8|rocky8|rhel9|rocky9"},
      {"Image/CustomAmi", text},
      {"Tags", list},
      {"Tags[]/Key", text, true},
      {"Tags[]/Value", text, true},
      {"Imds", map},
      {"Imds/ImdsSupport", text, false, "v1.0|v2.0"},
      {"Iam", any},
      {"DevSettings", any},
      {"DeploymentSettings", any},
      {"AdditionalPackages", any},
      {"HeadNode", map, true},
      {"HeadNode/InstanceType", text, true},
      {"HeadNode/DisableSimultaneousMultithreading", boolean},
      {"HeadNode/SharedStorageType", text, false, "Ebs|Efs"},
      {"HeadNode/Networking", map, true},
      {"HeadNode/Networking/SubnetId", text, true, "subnet"},
      {"HeadNode/Networking/ElasticIp", any},
      {"HeadNode/Networking/SecurityGroups", texts, false, "sg"},
      {"HeadNode/Networking/AdditionalSecurityGroups", texts, false, "sg"},
      {"HeadNode/Networking/Proxy", map},
      {"HeadNode/Networking/Proxy/HttpProxyAddress", text},
      {"HeadNode/Ssh", map},
      {"HeadNode/Ssh/KeyName", text},
      {"HeadNode/Ssh/AllowedIps", text},
      {"HeadNode/LocalStorage", any},
      {"HeadNode/Iam", any},
      {"HeadNode/Image", any},
      {"HeadNode/Dcv", any},
      {"HeadNode/CustomActions", any},
      {"HeadNode/Imds", map},
      {"HeadNode/Imds/Secured", boolean},
      {"Scheduling", map, true},
      {"Scheduling/Scheduler", text, true, "slurm|awsbatch"},
      {"Scheduling/ScalingStrategy", text},
      {"Scheduling/AwsBatchSettings", any},
      {"Scheduling/SlurmSettings", any},
      {"Scheduling/SlurmQueues", any},
      {"Scheduling/AwsBatchQueues", list},
      {"Scheduling/AwsBatchQueues[]/Name", text, true},
      {"Scheduling/AwsBatchQueues[]/CapacityType", text, false, "CAPACITY_BLOCK|ONDEMAND|SPOT"},
      {"Scheduling/AwsBatchQueues[]/Networking", map, true},
      {"Scheduling/AwsBatchQueues[]/Networking/SubnetIds", texts, true, "subnet"},
      {"Scheduling/AwsBatchQueues[]/Networking/SecurityGroups", texts, false, "sg"},
      {"Scheduling/AwsBatchQueues[]/Networking/AdditionalSecurityGroups", texts, false, "sg"},
      {"Scheduling/AwsBatchQueues[]/Networking/AssignPublicIp", boolean},
      {"Scheduling/AwsBatchQueues[]/ComputeResources", list, true},
      {"Scheduling/AwsBatchQueues[]/ComputeResources[]/Name", text, true},
      {"Scheduling/AwsBatchQueues[]/ComputeResources[]/InstanceTypes", texts, true},
      {"Scheduling/AwsBatchQueues[]/ComputeResources[]/MinvCpus", integer, false, ">=0"},
      {"Scheduling/AwsBatchQueues[]/ComputeResources[]/DesiredvCpus", integer, false, ">=0"},
      {"Scheduling/AwsBatchQueues[]/ComputeResources[]/MaxvCpus", integer, false, ">=1"},
      {"Scheduling/AwsBatchQueues[]/ComputeResources[]/SpotBidPercentage", integer, false,
       "1..100"},
      {"SharedStorage", list},
      {"SharedStorage[]/Name", text, true},
      {"SharedStorage[]/MountDir", text, true},
      {"SharedStorage[]/StorageType", text, true,
       "Ebs|FsxLustre|FsxOpenZfs|FsxOntap|Efs|FileCache"},
      {"SharedStorage[]/EbsSettings", any},
      {"SharedStorage[]/EfsSettings", any},
      {"SharedStorage[]/FsxLustreSettings", any},
      {"SharedStorage[]/FsxOntapSettings", any},
      {"SharedStorage[]/FsxOpenZfsSettings", any},
      {"SharedStorage[]/FileCacheSettings", any},
      {"Monitoring", any},
      {"DirectoryService", any},
      {"LoginNodes", any},
      {"Coxswain", map},
      {"Coxswain/Provider", text, false, "local|ssh|slurm"},
      {"Coxswain/ScaledownIdletime", integer, false, ">=-1"},
  };
  return keys;
}

/// Splits a path into the parent's and the key's own name.
std::pair<std::string, std::string> parts_of(std::string_view path) {
  const auto slash = path.rfind('/');
  if (slash == std::string_view::npos) return {"", std::string(path)};
  return {std::string(path.substr(0, slash)), std::string(path.substr(slash + 1))};
}

bool is_id(std::string_view text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  const auto digits = text.substr(prefix.size());
  return (digits.size() == 8 || digits.size() == 17) &&
         std::all_of(digits.begin(), digits.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z'); });
}

/// Why a word does not keep the rule; nothing when it does.
std::optional<std::string> text_fault(std::string_view rule, const std::string& word) {
  if (rule == "subnet" || rule == "sg") {
    const auto prefix = std::string(rule) + "-";
    if (is_id(word, prefix)) return std::nullopt;
    return fmt::format("{} is not an id such as {}0123456789abcdef0", word, prefix);
  }
  const auto allowed = split(rule, '|');
  if (std::find(allowed.begin(), allowed.end(), word) != allowed.end()) return std::nullopt;
  const auto near = nearest(word, allowed);
  return fmt::format("Must be one of: {}.{}", join(allowed, ", "),
                     near ? fmt::format(" Did you mean {}?", *near) : "");
}

std::optional<std::string> integer_fault(std::string_view rule, std::int64_t value) {
  if (rule.starts_with(">=")) {
    const auto least = to_int(rule.substr(2)).value_or(0);
    if (value < least) return fmt::format("Must be greater than or equal to {}.", least);
  } else if (const auto dots = rule.find(".."); dots != std::string_view::npos) {
    const auto least = to_int(rule.substr(0, dots)).value_or(0);
    const auto most = to_int(rule.substr(dots + 2)).value_or(0);
    if (value < least || value > most) return fmt::format("Must be from {} to {}.", least, most);
  }
  return std::nullopt;
}

class Checker {
 public:
  std::vector<Finding> run(const Tree& tree) {
    check_map(tree, "", "");
    return std::move(findings_);
  }

 private:
  void complain(const std::string& shown, const Place& place, std::string text) {
    findings_.push_back({Level::error, kRule, shown, place, std::move(text)});
  }

  static std::string below(const std::string& parent, const std::string& key, char separator) {
    return parent.empty() ? key : parent + separator + key;
  }

  void check_map(const Tree& tree, const std::string& path, const std::string& shown) {
    std::vector<std::string> known;
    for (const auto& key : schema()) {
      const auto [parent, name] = parts_of(key.path);
      if (parent != path) continue;
      known.push_back(name);
      const auto* value = tree.find(name);
      if (key.required && (value == nullptr || value->kind == Tree::Kind::empty)) {
        complain(below(shown, name, '.'), tree.place, "Missing data for required field.");
      } else if (value != nullptr) {
        check_value(*value, key, below(shown, name, '.'));
      }
    }
    for (const auto& entry : tree.entries) {
      if (std::find(known.begin(), known.end(), entry.key) != known.end()) continue;
      const auto near = nearest(entry.key, known);
      complain(below(shown, entry.key, '.'), entry.place,
               near ? fmt::format("Unknown field. Did you mean {}?", *near) : "Unknown field.");
    }
  }

  void check_value(const Tree& value, const SchemaKey& key, const std::string& shown) {
    switch (key.kind) {
      case KeyKind::any:
        return;
      case KeyKind::map:
        if (value.kind == Tree::Kind::map) return check_map(value, key.path, shown);
        if (value.kind != Tree::Kind::empty) complain(shown, value.place, "Must be a map of keys.");
        return;
      case KeyKind::list:
        return check_list(value, key, shown);
      case KeyKind::texts:
        return check_texts(value, key, shown);
      case KeyKind::text:
        return check_text(value, key, shown);
      case KeyKind::integer:
        if (const auto number = to_integer(value); !number) {
          complain(shown, value.place, "Not a valid integer.");
        } else if (const auto fault = integer_fault(key.rule, *number)) {
          complain(shown, value.place, *fault);
        }
        return;
      case KeyKind::boolean:
        if (!to_bool(value)) complain(shown, value.place, "Not a valid boolean.");
        return;
    }
  }

  void check_text(const Tree& value, const SchemaKey& key, const std::string& shown) {
    if (value.kind != Tree::Kind::scalar) {
      complain(shown, value.place, "Not a valid string.");
    } else if (!key.rule.empty()) {
      if (const auto fault = text_fault(key.rule, value.scalar))
        complain(shown, value.place, *fault);
    }
  }

  void check_texts(const Tree& value, const SchemaKey& key, const std::string& shown) {
    if (value.kind != Tree::Kind::list || value.items.empty()) {
      return complain(shown, value.place, "Must be a list with at least one word.");
    }
    for (std::size_t i = 0; i < value.items.size(); ++i) {
      check_text(value.items[i], key, fmt::format("{}[{}]", shown, i));
    }
  }

  void check_list(const Tree& value, const SchemaKey& key, const std::string& shown) {
    if (value.kind != Tree::Kind::list) return complain(shown, value.place, "Must be a list.");
    for (std::size_t i = 0; i < value.items.size(); ++i) {
      const auto here = fmt::format("{}[{}]", shown, i);
      if (value.items[i].kind != Tree::Kind::map) {
        complain(here, value.items[i].place, "Must be a map of keys.");
      } else {
        check_map(value.items[i], std::string(key.path) + "[]", here);
      }
    }
  }

  std::vector<Finding> findings_;
};

}  // namespace

const std::vector<SchemaKey>& schema() {
  static const std::vector<SchemaKey> keys = make_schema();
  return keys;
}

std::vector<Finding> check_schema(const Tree& tree) { return Checker().run(tree); }

std::optional<bool> to_bool(const Tree& tree) {
  if (tree.kind != Tree::Kind::scalar || tree.quoted) return std::nullopt;
  const auto word = to_lower(tree.scalar);
  if (word == "true" || word == "yes" || word == "on") return true;
  if (word == "false" || word == "no" || word == "off") return false;
  return std::nullopt;
}

std::optional<std::int64_t> to_integer(const Tree& tree) {
  if (tree.kind != Tree::Kind::scalar || tree.quoted) return std::nullopt;
  return to_int(tree.scalar);
}

std::optional<std::string> mount_dir_fault(const std::string& mount_dir) {
  constexpr std::string_view kReserved[] = {"/bin",
                                            "/boot",
                                            "/dev",
                                            "/etc",
                                            "/home",
                                            "/lib",
                                            "/lib64",
                                            "/media",
                                            "/mnt",
                                            "/opt",
                                            "/proc",
                                            "/root",
                                            "/run",
                                            "/sbin",
                                            "/srv",
                                            "/sys",
                                            "/tmp",
                                            "/usr",
                                            "/var",
                                            "/opt/parallelcluster",
                                            "/opt/parallelcluster/shared",
                                            "/opt/slurm",
                                            "/opt/intel"};
  if (mount_dir == "/" || mount_dir == "NONE" || mount_dir == "/NONE") {
    return fmt::format("{} cannot be used as a mount directory", mount_dir);
  }
  if (std::find(std::begin(kReserved), std::end(kReserved), mount_dir) != std::end(kReserved)) {
    return fmt::format("mount directory {} cannot be one of the system's", mount_dir);
  }
  for (const auto& part : split(std::string_view(mount_dir).substr(1), '/')) {
    if (part.empty() || part[0] == '.' || part.find('\\') != std::string::npos ||
        part.find('\n') != std::string::npos) {
      return fmt::format("mount directory {} is not a plain absolute path", mount_dir);
    }
  }
  return std::nullopt;
}

}  // namespace cox::config
